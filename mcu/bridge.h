/* SPDX-License-Identifier: Apache-2.0 */
/* bridge.h - what people expect of a conference bridge: announcements, music for who is alone, commands by keys
 *
 *   call_av.c -> bridge_digit(): keys.h -> a change of the leg, or ask.h -> what the caller is told (prompts.h)
 *   the model has changed -> bridge_changed(): who is alone hears so, and music
 */
#ifndef MCU_BRIDGE_H
#define MCU_BRIDGE_H
#include "mcu/call.h"

struct app;

void bridge_digit(struct call *c, char key);
void bridge_muted(struct call *c);                     /* its own filter changed: he is told */
void bridge_changed(struct conf *c);                   /* somebody came or went */
void bridge_locked(struct conf *c, struct app *a);     /* locked or opened: all are told */
void bridge_recorded(struct conf *c, struct app *a);   /* its recording began or ended: all are told */
void bridge_chimes(struct conf *c, struct app *a);     /* the recordings for coming and going */

#endif
