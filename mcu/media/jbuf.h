/* SPDX-License-Identifier: Apache-2.0 */
/* jbuf.h - the jitter buffer of one source: packets in as they come, packets out when they are due
 *
 *   jbuf_push(packet, arrival) ... each time the listener needs more sound: jbuf_get(now)
 *
 * Pure: no clock of its own, no I/O. Times are microseconds of one monotonic clock. A packet's transit is its arrival
 * minus its timestamp; the smallest transit of the last 4-8 s is the network without jitter. The target delay is the
 * 98th percentile of what packets come later than that; where the next packet can repair a lost one (fec) and packets
 * are lost, it is at least a packet more, so that the next one is there in time. What counts is how long a packet has
 * waited when it is asked for. JBUF_SHRINK and JBUF_GROW ask the caller to say a packet in a little less or more time;
 * in a pause that nobody hears whole packets are left out. The delay also grows when the buffer runs dry (what is
 * missing is concealed without moving on in the sender's time).
 */
#ifndef MEDIA_JBUF_H
#define MEDIA_JBUF_H
#include <stdbool.h>
#include "mcu/media/pool.h"

#define JBUF_SLOTS     32u
#define JBUF_BINS      32u
#define JBUF_MAX_US    200000      /* the largest target */
#define JBUF_NO_LEVEL  1           /* level not known before decoding */

enum { JBUF_CN = 1, JBUF_SHRINK = 2, JBUF_GROW = 4 };

struct jbuf_pkt {
	uint8_t *data;             /* a pool cell, NULL with len 0; who gets the packet from jbuf_get() puts it back */
	uint32_t ts, dur;          /* units of the RTP clock */
	uint16_t seq, len;
	int8_t   level;            /* dBov or JBUF_NO_LEVEL */
	uint8_t  flags;
};

enum jbuf_what {
	JBUF_IDLE,                 /* nothing due: before the first packet, in a pause, or filling up */
	JBUF_PLAY,                 /* a packet */
	JBUF_LOST,                 /* dur units are missing; jbuf_next() is what comes after, for forward error correction */
	JBUF_DRY,                  /* nothing there yet: conceal dur units */
};

struct jbuf {
	struct pool    *pool;
	uint32_t        clock;
	uint32_t        ref_ts;            /* timestamp that stands at ref_us */
	int64_t         ref_us;
	int64_t         base[2];           /* smallest transit of this window and of the one before */
	int64_t         window_us, last_push_us, adjust_us, left_out_us;
	int32_t         delay_us;          /* that the last packet had waited, above the smallest transit */
	int32_t         target_us;
	int32_t         low_us;            /* the least of delay_us since low_since_us */
	int64_t         low_since_us;
	bool            fec;               /* set by the caller: a packet carries a copy of the one before */
	uint16_t        loss_x;            /* smoothed share of packets that are missing on arrival, 1/65536 */
	uint32_t        play_ts, dry, frame;
	uint16_t        last_seq, silent_top;
	uint64_t        silent_seqs;       /* bit k: sequence number silent_top - k carries no sound */
	uint16_t        push_seq;
	uint32_t        push_ts;
	uint8_t         n, since_target;
	bool            anchored, running, played;
	uint16_t        late_hist[JBUF_BINS];
	struct jbuf_pkt q[JBUF_SLOTS];     /* by timestamp */
	uint64_t        late, lost, dups, skipped, overflow, restarts;
	uint64_t        gaps;              /* runs of lost ones */
};

void jbuf_init(struct jbuf *j, struct pool *pool, uint32_t clock);
void jbuf_flush(struct jbuf *j);       /* drops what is there and starts over; counters and jitter history stay */
/* Copies the payload. -EALREADY duplicate, -ETIME too late, -ENOMEM; all of them counted. */
int  jbuf_push(struct jbuf *j, const struct jbuf_pkt *pkt, int64_t arrival_us);
void jbuf_nonaudio(struct jbuf *j, uint16_t seq);   /* carries no sound (telephone event): its absence is no loss */
/* now_us: the tick that asks. quiet: leaving out a packet now would not be heard */
enum jbuf_what jbuf_get(struct jbuf *j, int64_t now_us, bool quiet, struct jbuf_pkt *out);
bool jbuf_enough(const struct jbuf *j);              /* packets wait as long as they should */
bool jbuf_has_data(const struct jbuf *j);           /* of any packet */
const struct jbuf_pkt *jbuf_next(const struct jbuf *j);   /* follows at once on what was lost, or NULL */

#endif
