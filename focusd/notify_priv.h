/* SPDX-License-Identifier: Apache-2.0 */
/* notify_priv.h - between notify.c (subscriptions, sending) and notify_doc.c (what changed, documents) */
#ifndef FOCUSD_NOTIFY_PRIV_H
#define FOCUSD_NOTIFY_PRIV_H
#include "focusd/notify.h"
#include "lib/base/buf.h"

struct doc {
	struct buf  text;                /* empty: no body */
	uint32_t    version;
	const char *reason;              /* the final one of a subscription */
};
void sub_push(struct sub *s, struct doc *d);           /* takes a reference; sends when nothing is under way */
void sub_detach(struct app *a, struct sub *s);
void sub_settled(struct sub *s);                       /* a document for it is not coming: a dying one may be through */
int  sub_rest_fill(struct sub *s);                     /* all visible users are to be told */
void sub_rest_clear(struct sub *s);
void notify_on_pace(void *arg);
uint64_t sub_settle(struct app *a);                    /* sends what waited long enough; ms until the next, 0: none */
/* Answers the SUBSCRIBE of s with d in it; false: it was answered, but d is to be sent like any other. After the commit. */
bool subscribe_answer(struct sub *s, const struct doc *d);
void subscribe_late(struct sub *s);                    /* no document came: answered without one */

#endif
