/* SPDX-License-Identifier: Apache-2.0 */
/* attend.h - the attendant: asks a caller for the number and the pass code of a conference
 *
 * It collects keys and asks the focus (`enter`), which decides and has the call moved (c3p_move.c); it never knows which
 * numbers there are. Three tries, and not for ever.
 */
#ifndef MCU_ATTEND_H
#define MCU_ATTEND_H

struct call;
struct attend;
int  attend_start(struct attend **ap, struct call *c);
void attend_digit(struct attend *t, char key);

#endif
