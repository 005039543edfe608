/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - subscriptions to the conference event package (RFC 4575, RFC 6665) and what they are sent
 *
 *   model change -> confs.changed -> (end of turn, paced) one document, one version -> after the commit: every
 *   subscription's queue -> NOTIFY, one unanswered at a time, or BENOTIFY
 *
 * A subscription that falls behind, fails or comes back from the store gets a full document at the current version.
 * One whose document would be larger than a message may be is served alone: split documents, a version of its own.
 */
#ifndef FOCUSD_NOTIFY_H
#define FOCUSD_NOTIFY_H
#include "focusd/app.h"
#include "lib/sip/sip.h"

enum sub_flags { SUB_BENOTIFY = 1, SUB_UDP = 2, SUB_AUTOEXTEND = 4, SUB_OWN_VERSION = 8 };
#define SUB_QUEUE 16

struct doc;                                     /* one rendered document, shared by the subscriptions it goes to */
struct sub {
	struct dirt      dirt;
	struct conf     *conf;                   /* NULL once it is dying */
	TAILQ_ENTRY(sub) le;                     /* the conference's, later the app's dying list */
	UT_hash_handle   hh;                     /* app's, by local tag */
	struct app      *app;
	struct sip_dlg  *dlg;
	char            *local_tag, *user_entity, *event_id, *contact;
	uint32_t         cseq_ceiling, own_version, last_version;
	int64_t          expires_at_s;
	unsigned         flags;
	struct sip_ct   *ct;                     /* NOTIFY under way */
	struct doc      *queue[SUB_QUEUE];
	unsigned         nqueue;
	unsigned         due;                    /* documents for it that wait for their commit */
	bool             want_full;              /* a full document is owed; partial ones are skipped until then */
	bool             dying;                  /* on the app's list, until its queue is out */
	char           **rest;                   /* a full document in portions: entities of users not yet told */
	unsigned         nrest, rest_at;
	const char      *ending;                 /* reason of the final NOTIFY, "" for none; NULL: goes on */
	uint64_t         retry_at_ms;            /* monotonic; 0: may be sent to */
	struct sip_st   *first;                  /* the SUBSCRIBE, answered with the first document in it */
	uint64_t         first_by_ms;            /* or without one, when there is none by then */
	unsigned         granted_s;              /* what that answer says */
	LIST_ENTRY(sub)  settle_le;
	uint64_t         settle_ms;              /* nothing is sent before, so that nothing overtakes that answer; 0: any time */
};

struct sub_prm {
	struct conf    *conf;
	struct sip_dlg *dlg;                     /* taken */
	const char     *local_tag, *user_entity, *event_id;
	int64_t         expires_at_s;
	unsigned        flags;
	struct sip_st  *first;                   /* to be answered with the first document; NULL: that is a request of its own */
};
/* A new subscription is owed a full document, rendered at the end of this turn. */
int  sub_add(struct sub **sp, struct app *a, const struct sub_prm *prm);
struct sub *sub_find(const struct app *a, struct str local_tag);
/* Ends it after what this turn publishes. reason: static text for Subscription-State, "" without a final NOTIFY. */
void sub_end(struct app *a, struct sub *s, const char *reason);
void sub_end_of_user(struct app *a, struct conf *c, const char *user_entity, const char *reason);
unsigned sub_expires_in(const struct sub *s);           /* seconds, 0: over */

int  notify_init(struct app *a);
void notify_fini(struct app *a);
void notify_turn(struct app *a);                        /* end of turn: renders what changed, before rows are put */
void notify_sweep(struct app *a);                       /* expiry, retries */
void notify_edge_up(struct app *a);                     /* the edge answers again: those behind are served now */

/* --- roster.c: documents. version: as given; users NULL: all. Appends to b; sticky error there. */
struct roster_doc {
	const struct conf *conf;
	uint32_t version;
	bool     full;
	bool     state, view, desc;              /* parts of a partial document */
	struct user *const *users;               /* those in it */
	unsigned nusers;
	char *const *gone;
	unsigned ngone;
};
struct buf;
void roster_encode(struct buf *b, const struct roster_doc *d);       /* a document of its own */
struct xmlw;
void roster_write(struct xmlw *w, bool dflt, const struct roster_doc *d);   /* the element inside a C3P answer */
size_t roster_user_size(const struct user *u);                       /* bytes it takes in a document */

#endif
