/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - telling the focus what changed: one notification of a conference under way, repeated until taken */
#ifndef MCU_NOTIFY_H
#define MCU_NOTIFY_H
#include <stdbool.h>
#include "mcu/conf.h"

struct app;
int  notify_attach(struct conf *c, struct app *a);     /* makes c->notifier */
void notify_changed(struct conf *c);                   /* c->report has something new */
bool notify_idle(const struct conf *c);                /* the focus knows everything */
void notify_now(struct conf *c);                       /* without collecting, at shutdown */

#endif
