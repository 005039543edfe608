/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - orders for a whole running conference, whoever gives them: a presenter, a caller's keys, the operator
 *
 * The model, its MCUs, the log. Who may give them, and the answer, are the caller's.
 */
#ifndef FOCUSD_CONTROL_H
#define FOCUSD_CONTROL_H
#include "focusd/mculink.h"

void control_lock(struct app *a, struct conf *c, bool locked, const char *by);
/* cb as in mculink_set_recording(); not for what is so already. */
int  control_record(struct app *a, struct conf *c, bool on, const char *by, mculink_cb *cb, void *arg);

#endif
