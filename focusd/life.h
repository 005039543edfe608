/* SPDX-License-Identifier: Apache-2.0 */
/* life.h - how people and conferences come to their end: what the model, the dialogs, the MCU and the subscriptions owe */
#ifndef FOCUSD_LIFE_H
#define FOCUSD_LIFE_H
#include "focusd/app.h"

/* After any join or leave: sets or clears the conference's deadline. */
void life_review(struct app *a, struct conf *c);
/* A focus dialog ended (BYE, probe, session timer, no ACK). bye: the client must be told. Its user's legs that came by the
 * MCU's URI follow after a hold when this was the last focus dialog. */
void life_focus_gone(struct app *a, struct endpoint *e, bool bye);
/* A leg is gone at the MCU, or never came. */
void life_leg_gone(struct app *a, struct endpoint *e);
/* Out of the conference everywhere: MCU, focus dialogs, subscriptions. u is gone afterwards. */
void life_eject(struct app *a, struct user *u);
/* The running conference ends for everybody; the record stays. */
void life_end(struct app *a, struct conf *c);
/* The record too. */
void life_remove(struct app *a, struct conf *c);

#endif
