/* SPDX-License-Identifier: Apache-2.0 */
/* jbuf.c - the jitter buffer, see jbuf.h
 *
 * push: transit -> histogram and target -> insert by timestamp. get: the head of the queue against the timestamp that
 * is due: it plays, or a hole lies before it (lost, or a pause when the sequence numbers are dense), or nothing is
 * there (dry). While dry, play_ts stands still: a packet that was only late then plays and the delay has grown; one
 * that was lost leaves a hole which the dry time has already covered.
 */
#include <errno.h>
#include <string.h>
#include "mcu/media/jbuf.h"

#define BIN_US      10000
#define WINDOW_US   4000000
#define SLACK_US    3000          /* a tick is never on the microsecond */
#define STALE_US    8000000
#define PAUSE_MS    120u          /* dry for longer: the source pauses */
#define SEED        1000          /* weight of the first guess, one 20 ms frame; gone after some 3 s */
#define LATE_SHARE  50            /* one packet in so many may come too late */
#define STEP_US     20000         /* the delay shrinks when it is so much too long: an asker's rhythm, so it never swings */
#define LOW_US      100000        /* between two looks at it */
#define CALM_US     300000        /* between two steps down when there is no hurry */
#define LOSSY       1000          /* 1/65536: packets are lost */

static uint32_t ms_units(const struct jbuf *j, uint32_t ms)
{
	return j->clock / 1000 * ms;
}

static int64_t units_us(const struct jbuf *j, int64_t units)
{
	return units * 1000000 / (int64_t)j->clock;
}

/* t minus the time at which ts was due without any delay */
static int64_t transit(const struct jbuf *j, uint32_t ts, int64_t t)
{
	return t - j->ref_us - units_us(j, (int32_t)(ts - j->ref_ts));
}

static int64_t base(const struct jbuf *j)
{
	return j->base[0] < j->base[1] ? j->base[0] : j->base[1];
}

static void seed(struct jbuf *j)
{
	memset(j->late_hist, 0, sizeof(j->late_hist));
	j->late_hist[2] = SEED;
	j->target_us = 2 * BIN_US;
	j->since_target = 0;
}

void jbuf_init(struct jbuf *j, struct pool *pool, uint32_t clock)
{
	*j = (struct jbuf){ .pool = pool, .clock = clock, .frame = clock / 50 };
	seed(j);
}

static void drop_head(struct jbuf *j)
{
	pool_put(j->pool, j->q[0].data);
	j->n--;
	memmove(j->q, j->q + 1, j->n * sizeof(j->q[0]));
}

void jbuf_flush(struct jbuf *j)
{
	while (j->n)
		pool_put(j->pool, j->q[--j->n].data);
	j->anchored = j->running = j->played = false;
	j->dry = 0;
	j->silent_seqs = 0;
}

static void anchor(struct jbuf *j, uint32_t ts, int64_t now)
{
	j->anchored = true;
	j->ref_ts = ts;
	j->ref_us = now;
	j->base[0] = j->base[1] = 0;
	j->window_us = now;
}

static void retarget(struct jbuf *j)
{
	uint32_t sum = 0, above = 0, b;

	for (b = 0; b < JBUF_BINS; b++)
		sum += j->late_hist[b];
	for (b = JBUF_BINS - 1; b > 0; b--) {
		above += j->late_hist[b];
		if (above > sum / LATE_SHARE)
			break;
	}
	j->target_us = (int32_t)b * BIN_US + BIN_US / 2;         /* the bin's upper edge */
	if (j->fec && j->loss_x > LOSSY)
		j->target_us += (int32_t)units_us(j, j->frame);
	if (j->target_us > JBUF_MAX_US)
		j->target_us = JBUF_MAX_US;
	j->since_target = 0;
}

/* Arrival statistics: also of packets that come too late to play, or the target would never learn of them. */
static void observe(struct jbuf *j, uint32_t ts, int64_t now)
{
	int64_t d = transit(j, ts, now), over;
	unsigned bin;

	if (now - j->last_push_us > STALE_US) {
		j->base[0] = j->base[1] = d;
		j->window_us = now;
	} else if (now - j->window_us > WINDOW_US) {
		j->base[1] = j->base[0];
		j->base[0] = d;
		j->window_us = now;
	} else if (d < j->base[0]) {
		j->base[0] = d;
	}
	over = d - base(j);
	bin = over < 0 ? 0 : (unsigned)((over + BIN_US / 2) / BIN_US);
	if (bin >= JBUF_BINS)
		bin = JBUF_BINS - 1;
	for (unsigned i = 0; i < JBUF_BINS; i++)
		j->late_hist[i] -= (uint16_t)((j->late_hist[i] + 255u) >> 8);
	j->late_hist[bin] += 255;
	if (++j->since_target >= 8)
		retarget(j);
	if ((int32_t)(ts - j->ref_ts) > (int32_t)(60 * j->clock)) {      /* keep the differences small for ever */
		j->ref_ts += 60 * j->clock;
		j->ref_us += 60000000;
	}
}

static bool jumped(const struct jbuf *j, const struct jbuf_pkt *p, int64_t now)
{
	int32_t dts = (int32_t)(p->ts - j->push_ts);
	int16_t dseq = (int16_t)(p->seq - j->push_seq);
	int64_t off = units_us(j, dts) - (now - j->last_push_us);

	return dseq > 100 || dseq < -100 || off > 2000000 || off < -2000000;
}

static int insert(struct jbuf *j, const struct jbuf_pkt *p)
{
	unsigned at = j->n;
	uint8_t *data;

	while (at > 0 && (int32_t)(j->q[at - 1].ts - p->ts) > 0)
		at--;
	if (at > 0 && j->q[at - 1].ts == p->ts) {
		j->dups++;
		return -EALREADY;
	}
	data = p->len ? pool_get(j->pool, p->len) : NULL;
	if (p->len && !data)
		return -ENOMEM;
	if (data)
		memcpy(data, p->data, p->len);
	memmove(j->q + at + 1, j->q + at, (j->n - at) * sizeof(j->q[0]));
	j->q[at] = *p;
	j->q[at].data = data;
	j->n++;
	return 0;
}

/* A gap counts when it is seen, what comes late is taken back. */
static void missed(struct jbuf *j, uint16_t seq)
{
	int16_t step = (int16_t)(seq - j->push_seq);

	for (int i = 0; i < step && i < 16; i++)
		j->loss_x = (uint16_t)(j->loss_x - j->loss_x / 64 + (i ? 1000 : 0));
	if (step < 0 && step > -100)
		j->loss_x = j->loss_x > 1000 ? (uint16_t)(j->loss_x - 1000) : 0;
}

int jbuf_push(struct jbuf *j, const struct jbuf_pkt *p, int64_t now)
{
	if (j->anchored && jumped(j, p, now)) {
		j->restarts++;
		jbuf_flush(j);
	}
	if (!j->anchored) {
		anchor(j, p->ts, now);
		j->last_push_us = now;
	} else {
		missed(j, p->seq);
	}
	observe(j, p->ts, now);
	j->last_push_us = now;
	j->push_ts = p->ts;
	j->push_seq = p->seq;
	if (j->played && (int32_t)(p->ts - j->play_ts) < 0) {
		if (j->running || (int16_t)(p->seq - j->last_seq) <= 0) {
			j->late++;
			return -ETIME;
		}
	}
	if (j->n == JBUF_SLOTS) {
		j->overflow++;
		drop_head(j);
		j->running = false;
	}
	return insert(j, p);
}

void jbuf_nonaudio(struct jbuf *j, uint16_t seq)
{
	int16_t up = (int16_t)(seq - j->silent_top);

	if (up > 0 || !j->silent_seqs) {
		j->silent_seqs = up < 64 && up > 0 ? j->silent_seqs << up : 0;
		j->silent_top = seq;
		up = 0;
	}
	if (up > -64)
		j->silent_seqs |= 1ull << -up;
	if ((int16_t)(seq - j->push_seq) > 0)
		j->push_seq = seq;
}

/* Packets with sound that are missing between the last one played and the head */
static unsigned gap(const struct jbuf *j)
{
	uint16_t to = j->q[0].seq;
	unsigned n = (uint16_t)(to - j->last_seq - 1);

	if (!j->played || !n || n >= 100)
		return j->played ? n : 0;
	for (uint16_t s = (uint16_t)(j->last_seq + 1); s != to && j->silent_seqs; s++) {
		uint16_t down = (uint16_t)(j->silent_top - s);

		if (down < 64 && j->silent_seqs >> down & 1)
			n--;
	}
	return n;
}

bool jbuf_enough(const struct jbuf *j)
{
	return j->delay_us >= j->target_us - SLACK_US;
}

bool jbuf_has_data(const struct jbuf *j)
{
	for (unsigned i = 0; i < j->n; i++)
		if (j->q[i].data)
			return true;
	return false;
}

const struct jbuf_pkt *jbuf_next(const struct jbuf *j)
{
	return j->n && j->q[0].ts == j->play_ts ? &j->q[0] : NULL;
}

static enum jbuf_what missing(struct jbuf *j, struct jbuf_pkt *out, uint32_t dur, enum jbuf_what what)
{
	*out = (struct jbuf_pkt){ .ts = j->play_ts, .dur = dur, .level = JBUF_NO_LEVEL };
	return what;
}

/* Dense sequence numbers before the head: what lies between is a pause, not a loss. */
static bool after_pause(const struct jbuf *j)
{
	return gap(j) == 0;
}

static enum jbuf_what play(struct jbuf *j, struct jbuf_pkt *out)
{
	unsigned n = gap(j);

	if (n && n < 100) {
		j->lost += n;
		j->gaps++;
	}
	*out = j->q[0];
	j->n--;
	memmove(j->q, j->q + 1, j->n * sizeof(j->q[0]));
	j->played = true;
	j->last_seq = out->seq;
	j->play_ts = out->ts + out->dur;
	j->frame = out->dur;
	return JBUF_PLAY;
}

/* Once in a while: was the least that packets waited too much, or too little? -1: shrink, 1: grow */
static int judge(struct jbuf *j, int64_t now)
{
	int32_t excess, low = j->low_us;
	int64_t pace;

	if (j->delay_us < low)
		j->low_us = low = j->delay_us;
	if (now - j->low_since_us < LOW_US)
		return 0;
	j->low_us = INT32_MAX;
	j->low_since_us = now;
	excess = low - j->target_us;
	pace = excess > 2 * STEP_US ? 0 : CALM_US;
	if (excess < -SLACK_US)
		return 1;
	if (excess < STEP_US - SLACK_US || now - j->adjust_us < pace)
		return 0;
	j->adjust_us = now;
	return -1;
}

static bool leave_out(struct jbuf *j, int64_t now, bool quiet, struct jbuf_pkt *out)
{
	int32_t frame_us = (int32_t)units_us(j, j->q[0].dur), excess = j->delay_us - j->target_us;

	if (j->n < 2 || j->q[1].ts != j->q[0].ts + j->q[0].dur || excess < frame_us - SLACK_US)
		return false;
	if (!quiet && excess <= JBUF_MAX_US)
		return false;
	if (now - j->left_out_us < (excess > JBUF_MAX_US ? 0 : excess > 3 * frame_us ? LOW_US : CALM_US))
		return false;
	play(j, out);
	pool_put(j->pool, out->data);
	j->skipped++;
	j->delay_us -= frame_us;
	j->left_out_us = j->low_since_us = now;
	j->low_us = INT32_MAX;
	return true;
}

/* The head is due. Is the delay what it should be? */
static enum jbuf_what play_or_skip(struct jbuf *j, int64_t now, bool quiet, struct jbuf_pkt *out)
{
	int way = 0;

	j->delay_us = (int32_t)(transit(j, j->q[0].ts, now) - base(j));
	if (!leave_out(j, now, quiet, out))
		way = judge(j, now);
	play(j, out);
	out->flags |= way < 0 ? JBUF_SHRINK : way > 0 ? JBUF_GROW : 0;
	return JBUF_PLAY;
}

/* Not playing: begin when the head has waited for the target delay. */
static enum jbuf_what fill_up(struct jbuf *j, int64_t now, bool quiet, struct jbuf_pkt *out)
{
	if (!j->n || transit(j, j->q[0].ts, now) - base(j) < j->target_us - SLACK_US)
		return missing(j, out, j->frame, JBUF_IDLE);
	j->running = true;
	j->dry = 0;
	j->play_ts = j->q[0].ts;
	j->low_us = INT32_MAX;
	j->low_since_us = now;
	return play_or_skip(j, now, quiet, out);
}

enum jbuf_what jbuf_get(struct jbuf *j, int64_t now, bool quiet, struct jbuf_pkt *out)
{
	int32_t hole;

	if (!j->running)
		return fill_up(j, now, quiet, out);
	if (!j->n) {
		if (j->dry >= ms_units(j, PAUSE_MS)) {
			j->running = false;
			return missing(j, out, j->frame, JBUF_IDLE);
		}
		j->dry += j->frame;
		return missing(j, out, j->frame, JBUF_DRY);
	}
	hole = (int32_t)(j->q[0].ts - j->play_ts);
	if (hole <= (int32_t)j->dry) {                  /* late, or the dry time has covered what was lost */
		hole = 0;
	} else {
		j->play_ts += j->dry;
		hole -= (int32_t)j->dry;
	}
	j->dry = 0;
	if (hole <= 0) {
		j->play_ts = j->q[0].ts;
		return play_or_skip(j, now, quiet, out);
	}
	if (after_pause(j) || hole > (int32_t)ms_units(j, 2 * PAUSE_MS)) {
		j->running = false;
		return fill_up(j, now, quiet, out);
	}
	if (hole > (int32_t)j->frame)
		hole = (int32_t)j->frame;
	j->play_ts += (uint32_t)hole;
	return missing(j, out, (uint32_t)hole, JBUF_LOST);
}
