/* SPDX-License-Identifier: Apache-2.0 */
/* callrec.h - the record of a call: begun with it, written as one JSON line when it has ended
 *
 * call_alloc() -> callrec_alloc() ... callrec_leg(), _answered(), _muted() ... callrec_end() takes it from the call and
 * asks the media engine for the leg's last figures; with them come the line (records.h) and the metrics. docs/operating.md
 * has the fields. A call goes on without a record when there is no memory for it: all functions take NULL.
 */
#ifndef MCU_CALLREC_H
#define MCU_CALLREC_H
#include <jansson.h>
#include "lib/base/buf.h"
#include "mcu/leg.h"
#include "mcu/media/media.h"

struct app;
struct call;
struct sip_msg;

struct callrec {
	struct app *app;                     /* borrowed: outlives the media engine */
	uint64_t    start_ms, answered_ms, end_ms;   /* wall clock; answered 0: never */
	uint64_t    up_since, up_ms;         /* monotonic; so long it was answered */
	uint64_t    muted_since, muted_ms;   /* monotonic; since 0: is not muted */
	unsigned    mutes;                   /* times that it was muted, by whomever */
	char       *call_id, *user, *conf, *came_from;       /* came_from: a conference that it was moved out of, or NULL */
	const char *type, *signalling;       /* signalling: of the client, or NULL */
	bool        out;                     /* it started here */
	enum leg_end why;
	bool        media, ice;              /* st is of use */
	char        proto[24];
	const char *srtp;                    /* suite, or NULL */
	struct mleg_stats st;
};

struct callrec *callrec_alloc(struct app *a, struct str call_id, const char *type);
void callrec_peer(struct callrec *r, const struct sip_msg *m);       /* the INVITE that came */
void callrec_leg(struct callrec *r, const struct call *c);           /* whose it is, in which conference */
void callrec_answered(struct callrec *r);
void callrec_muted(struct callrec *r, bool muted);
void callrec_end(struct call *c, enum leg_end why);                  /* before its media is let go; twice is harmless */

void callrec_render(struct buf *b, const struct callrec *r, const char *node);       /* the line, pure */
void callrec_metrics(void);                                          /* registers them */
json_t *callrec_totals(void);                /* of the calls that ended since the start; new reference */

#endif
