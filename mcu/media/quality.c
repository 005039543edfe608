/* SPDX-License-Identifier: Apache-2.0 */
/* quality.c - see quality.h
 *
 * The peer's cumulative loss is taken by differences: a peer whose counters start again (another device behind the same
 * dialog, a re-INVITE) costs one report, not the figures of the call.
 */
#include "mcu/media/emodel.h"
#include "mcu/media/quality.h"

#define ENOUGH      50u              /* packets; of fewer nothing is said */
#define STEP_MAX    65536u           /* packets between two reports */
#define PEER_BUF_MS 40.0             /* jitter buffer that the peer is taken to have, at least */
#define TICK_MS     20u

void quality_start(struct quality *q, uint16_t first_seq, int64_t now)
{
	q->peer_ext = (uint16_t)(first_seq - 1);
	q->set_us   = now;
}

static void peer_loss(struct quality *q, const struct rtcp_report *r)
{
	uint32_t step = q->peer_reports ? r->ext_seq - q->peer_ext : (uint16_t)(r->ext_seq - q->peer_ext);
	int64_t lost = (int64_t)r->lost - q->peer_cumulative;

	if (step && step < STEP_MAX && lost >= -(int64_t)step && lost <= (int64_t)step) {
		q->peer_expected += step;
		if (lost < 0 && (uint64_t)-lost > q->peer_lost)          /* duplicates count against what was lost */
			q->peer_lost = 0;
		else
			q->peer_lost += (uint64_t)lost;
	}
	q->peer_ext        = r->ext_seq;
	q->peer_cumulative = r->lost;
}

void quality_report(struct quality *q, const struct rtcp_report *r, uint32_t clock, uint32_t rtt_us)
{
	uint64_t jitter = clock ? (uint64_t)r->jitter * 1000000 / clock : 0;

	peer_loss(q, r);
	q->peer_reports++;
	q->peer_fraction  = r->fraction;
	q->peer_jitter_us = jitter < 10000000 ? (uint32_t)jitter : 10000000;
	if (q->peer_jitter_us > q->peer_jitter_max_us)
		q->peer_jitter_max_us = q->peer_jitter_us;
	if (!rtt_us)
		return;
	q->rtt_us = rtt_us;
	q->rtt_sum_us += rtt_us;
	q->rtt_n++;
	if (rtt_us > q->rtt_max_us)
		q->rtt_max_us = rtt_us;
}

void quality_second(struct quality *q, uint32_t jitter_us, uint32_t buffer_us)
{
	q->seconds++;
	q->jitter_sum_us += jitter_us;
	q->buffer_sum_us += buffer_us;
	if (jitter_us > q->jitter_max_us)
		q->jitter_max_us = jitter_us;
}

void quality_keep(struct quality *q, const struct jbuf *j)
{
	q->late      += j->late;
	q->lost      += j->lost;
	q->gaps      += j->gaps;
	q->discarded += j->overflow + j->dups;
}

static void averages(const struct quality *q, struct mleg_stats *st)
{
	st->rtt_us        = q->rtt_us;
	st->rtt_avg_us    = q->rtt_n ? (uint32_t)(q->rtt_sum_us / q->rtt_n) : 0;
	st->rtt_max_us    = q->rtt_max_us;
	st->jitter_avg_us = q->seconds ? (uint32_t)(q->jitter_sum_us / q->seconds) : 0;
	st->jitter_max_us = q->jitter_max_us;
	st->buffer_avg_ms = q->seconds ? (uint32_t)(q->buffer_sum_us / q->seconds / 1000) : 0;
}

/* What never came or came too late is not heard, both are in `lost`. */
static void mos_in(struct mleg_stats *st, unsigned ptime_ms)
{
	uint64_t expected = st->rx_packets - (st->late < st->rx_packets ? st->late : st->rx_packets) + st->lost;
	struct emodel_path p = {
		.codec = st->codec,
		.loss = expected ? 100.0 * (double)st->lost / (double)expected : 0,
		.burst_ratio = emodel_burst_ratio(expected, st->lost, st->gaps),
		.delay_ms = st->rtt_avg_us / 2000.0 + st->buffer_avg_ms + emodel_codec_ms(st->codec, ptime_ms),
	};

	st->loss_in = p.loss;
	st->mos_in  = expected >= ENOUGH ? emodel_mos(emodel_r(&p)) : 0;
}

/* How the losses that a peer reports lie in time, it does not say: they are taken for random. */
static void mos_out(struct mleg_stats *st, unsigned ptime_ms)
{
	double buffer = 2 * st->peer_jitter_us / 1000.0;
	struct emodel_path p = {
		.codec = st->codec,
		.loss = st->peer_expected ? 100.0 * (double)st->peer_lost / (double)st->peer_expected : 0,
		.burst_ratio = 1,
		.delay_ms = st->rtt_avg_us / 2000.0 + (buffer > PEER_BUF_MS ? buffer : PEER_BUF_MS) +
			    emodel_codec_ms(st->codec, ptime_ms),
	};

	st->loss_out = p.loss;
	st->mos_out  = st->peer_expected >= ENOUGH ? emodel_mos(emodel_r(&p)) : 0;
}

void quality_stats(const struct quality *q, const struct jbuf *j, unsigned ptime_ms, struct mleg_stats *st)
{
	st->late      = q->late + j->late;
	st->lost      = q->lost + j->lost;
	st->gaps      = q->gaps + j->gaps;
	st->discarded = q->discarded + j->overflow + j->dups;
	averages(q, st);
	st->peer_fraction_lost = q->peer_fraction;
	st->peer_lost      = q->peer_lost;
	st->peer_expected  = q->peer_expected;
	st->peer_jitter_us = q->peer_jitter_us;
	st->peer_jitter_max_us = q->peer_jitter_max_us;
	st->talk_ms        = q->mix_ticks * TICK_MS;
	st->first_media_ms = q->first_us ? (int32_t)((q->first_us - q->set_us) / 1000) : -1;
	mos_in(st, ptime_ms);
	mos_out(st, ptime_ms);
}
