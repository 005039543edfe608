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

struct doc;                                     /* one rendered document, shared */
struct sub {
	struct dirt      dirt;
	struct conf     *conf;
	TAILQ_ENTRY(sub) le;
	UT_hash_handle   hh;                     /* app's, by local tag */
	struct sip_dlg  *dlg;
	char            *local_tag, *user_entity, *event_id;
	uint32_t         cseq_ceiling, own_version;
	int64_t          expires_at_s;
	unsigned         flags;
	struct sip_ct   *ct;                     /* NOTIFY under way */
	struct doc      *queue[SUB_QUEUE];
	unsigned         nqueue;
	bool             behind, dead;
	uint64_t         retry_at_ms;
};

struct sub_prm {
	struct conf    *conf;
	struct sip_dlg *dlg;                     /* taken */
	const char     *local_tag, *user_entity, *event_id;
	int64_t         expires_at_s;
	unsigned        flags;
};
int  sub_add(struct sub **sp, struct app *a, const struct sub_prm *prm);
struct sub *sub_find(const struct app *a, struct str local_tag);
void sub_send_full(struct app *a, struct sub *s);       /* queues a full document, sent after this turn's commit */
/* Ends it: final NOTIFY with `reason` (NULL: silently), then it is freed. */
void sub_end(struct app *a, struct sub *s, const char *reason);
void sub_end_of_user(struct app *a, struct conf *c, const char *user_entity, const char *reason);
void notify_turn(struct app *a);                        /* end of turn: renders what changed */
void notify_sweep(struct app *a);                       /* expiry, retries, paced documents */
void notify_edge_up(struct app *a);                     /* the edge is back: those behind are served now */
void notify_resync_all(struct app *a);                  /* after a restart: everybody gets a full document, paced */

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
void roster_encode(struct buf *b, const struct roster_doc *d);
struct xmlw;
void roster_conf_info(struct xmlw *w, const struct roster_doc *d, const char *prefix_conf_info);

#endif
