/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - what a leg asks of the focus, which decides: C3P over HTTPS to the conference's notify URL
 *
 * A focus that does not answer is asked again every second for half a minute: it may be starting.
 */
#ifndef MCU_ASK_H
#define MCU_ASK_H
#include "lib/c3p/msg.h"

struct app;
struct leg;
struct ask;
/* err 0: done; -EPROTO: no, and reason says why; else nobody answered. The ask is over, deref it. */
typedef void (ask_cb)(int err, const char *reason, void *arg);
/* command with the keys of the leg and leaves of text, name and value by turns, ended by NULL. mem_deref() silences it. */
int ask_focus(struct ask **ap, struct app *a, const struct leg *l, const char *command, const char *const *leaves,
	      ask_cb *cb, void *arg);

#endif
