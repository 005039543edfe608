/* SPDX-License-Identifier: Apache-2.0 */
/* quality.h - how well a leg is heard, both ways, over its life
 *
 *   jitter buffers, sources ─┐
 *   the peer's reports ──────┼─► struct quality (integers, per second or per report) ─► quality_stats(): loss, MOS
 *   the mix ─────────────────┘
 *
 * "In" is what the conference hears of the leg, "out" what the leg's listener hears of the conference, as his own RTCP
 * reports tell. Pure: the worker's clock comes in as numbers.
 */
#ifndef MEDIA_QUALITY_H
#define MEDIA_QUALITY_H
#include "lib/rtp/rtcp.h"
#include "mcu/media/jbuf.h"
#include "mcu/media/media.h"

struct quality {
	uint64_t late, lost, gaps, discarded;    /* of jitter buffers before the one that runs */
	uint64_t rtt_sum_us, jitter_sum_us, buffer_sum_us;
	uint32_t rtt_n, rtt_us, rtt_max_us;
	uint32_t seconds, jitter_max_us;         /* seconds in which sound came */
	uint32_t mix_ticks;
	int64_t  set_us, first_us;               /* 0: not yet */
	uint64_t peer_expected, peer_lost;       /* by the peer's reports */
	uint32_t peer_ext, peer_reports, peer_jitter_us, peer_jitter_max_us;
	int32_t  peer_cumulative;
	uint8_t  peer_fraction;                  /* of its last report */
};
void quality_start(struct quality *q, uint16_t first_seq, int64_t now);      /* first_seq: of the first packet we send */
void quality_report(struct quality *q, const struct rtcp_report *r, uint32_t clock, uint32_t rtt_us);   /* rtt 0: not known */
void quality_second(struct quality *q, uint32_t jitter_us, uint32_t buffer_us);
void quality_keep(struct quality *q, const struct jbuf *j);      /* before its counters start again */
/* Fills what is derived; st has its packet counts and its codec. */
void quality_stats(const struct quality *q, const struct jbuf *j, unsigned ptime_ms, struct mleg_stats *st);

#endif
