/* SPDX-License-Identifier: Apache-2.0 */
/* dialout.h - addUser commands that were answered `pending`: their final responses to the focus
 *
 * A dialout belongs to its request id. When the call is over, its response is POSTed to the conference's notify URL and
 * repeated every second until it is taken; the outcome is remembered for a minute, because the focus may repeat the
 * command, too.
 */
#ifndef MCU_DIALOUT_H
#define MCU_DIALOUT_H
#include <stdbool.h>
#include "lib/c3p/msg.h"

struct app;
struct conf;
struct dialout;

/* *dp: new reference; the app keeps one of its own until the focus has the outcome. */
int  dialout_alloc(struct dialout **dp, struct app *a, struct conf *c, const struct c3p_req *rq);
void dialout_done(struct dialout *d, const char *reason);      /* NULL: success; the first call counts */
void dialout_forget(struct dialout *d);                        /* the command was answered with a failure at once */
struct dialout *dialout_find(struct app *a, const struct c3p_req *rq);          /* borrowed */
bool dialout_over(const struct dialout *d, const char **reason);               /* reason NULL: success */
const char *dialout_reason(int code);                          /* of a final SIP status */

bool dialouts_idle(const struct app *a);                       /* no outcome waits to be taken */
void dialouts_stop(struct app *a);

#endif
