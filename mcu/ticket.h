/* SPDX-License-Identifier: Apache-2.0 */
/* ticket.h - one-time tickets: which INVITE the focus has announced
 *
 * A ticket is bound to a Call-ID and a conference, lives TICKET_MS and is used once. A used or late one is remembered
 * for as long again, so that the refusal can say what was wrong. Time is given by the caller.
 */
#ifndef MCU_TICKET_H
#define MCU_TICKET_H
#include <stdint.h>
#include "lib/base/str.h"

#define TICKET_MS  10000u
#define TICKET_MAX 20000u

struct ticket_box;
int  ticket_box_alloc(struct ticket_box **bp);

/* owner gets a reference that ends when the ticket is used or forgotten. -EEXIST: value already known for another
 * owner (the same owner: renewed); -ENOSPC. */
int  ticket_add(struct ticket_box *b, const char *value, const char *call_id, const char *conf, void *owner,
		uint64_t now_ms);
/* 0 and the owner (new reference); -ENOENT never announced, -ETIMEDOUT too late, -EALREADY used before,
 * -EPERM announced for another call or conference (it stays good for that one). */
int  ticket_take(struct ticket_box *b, struct str value, struct str call_id, const char *conf, uint64_t now_ms,
		 void **ownerp);
void ticket_forget(struct ticket_box *b, const void *owner);           /* every ticket of that owner */
void ticket_sweep(struct ticket_box *b, uint64_t now_ms);
unsigned ticket_count(const struct ticket_box *b);
const char *ticket_error(int err);                                     /* a sentence for ticket_take()'s errors */

#endif
