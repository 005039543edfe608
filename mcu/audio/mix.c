/* SPDX-License-Identifier: Apache-2.0 */
/* mix.c - the arithmetic of the mixer
 *
 * A talker's frame goes through its gain, is added to the room's sum, and is taken away again for the talker's own
 * copy. Sums are 32 bits wide: 65,536 full-scale frames fit. mix_limit() brings a sum back to 16 bits. The loops over
 * samples are in kernel.h.
 */
#include <string.h>
#include "mcu/audio/kernel.h"
#include "mcu/audio/mix.h"

void mix_clear(int32_t *acc, size_t n)
{
	memset(acc, 0, n * sizeof(*acc));
}

void mix_add(int32_t *acc, const int16_t *pcm, size_t n)                         { kernel->add(acc, pcm, n); }
void mix_minus(int32_t *out, const int32_t *acc, const int16_t *own, size_t n)   { kernel->minus(out, acc, own, n); }
void mix_saturate(int16_t *out, const int32_t *acc, size_t n)                    { kernel->saturate(out, acc, n); }
int32_t mix_peak(const int32_t *acc, size_t n)                                   { return kernel->peak(acc, n); }

static inline int32_t clip(int32_t v)
{
	v = v > INT16_MAX ? INT16_MAX : v;
	return v < INT16_MIN ? INT16_MIN : v;
}

/* --- gain */
static const int32_t db_q15[] = {        /* -60..12 dB */
	33, 37, 41, 46, 52, 58, 65, 73, 82, 92, 104, 116, 130, 146, 164, 184, 207, 232, 260, 292, 328, 368, 413,
	463, 519, 583, 654, 734, 823, 924, 1036, 1163, 1305, 1464, 1642, 1843, 2068, 2320, 2603, 2920, 3277, 3677,
	4125, 4629, 5193, 5827, 6538, 7336, 8231, 9235, 10362, 11627, 13045, 14637, 16423, 18427, 20675, 23198,
	26029, 29205, 32768, 36766, 41252, 46286, 51934, 58271, 65381, 73358, 82309, 92353, 103622, 116265, 130452,
};

int32_t mix_gain_db(int db)
{
	if (db < -60)
		return 0;
	return db_q15[(db > 12 ? 12 : db) + 60];
}

static int32_t gain_clamp(int32_t q15)
{
	return q15 < 0 ? 0 : q15 > MIX_GAIN_MAX ? MIX_GAIN_MAX : q15;
}

void mix_gain_init(struct mix_gain *g, int32_t q15)
{
	g->now = g->target = gain_clamp(q15);
	g->step = 0;
}

void mix_gain_set(struct mix_gain *g, int32_t q15, size_t nsamples)
{
	int32_t way = gain_clamp(q15) - g->now;

	if (!nsamples || nsamples > INT32_MAX || !way) {
		mix_gain_init(g, q15);
		return;
	}
	g->target = gain_clamp(q15);
	g->step   = way / (int32_t)nsamples;
	if (!g->step)                            /* slower than the scale can express: as slow as it goes */
		g->step = way > 0 ? 1 : -1;
}

/* Samples until the ramp has arrived, at most n */
static size_t ramp(struct mix_gain *g, int16_t *pcm, size_t n)
{
	size_t i = 0;

	for (; i < n && g->step; i++) {
		g->now += g->step;
		if ((g->step > 0) == (g->now >= g->target)) {
			g->now  = g->target;
			g->step = 0;
		}
		pcm[i] = (int16_t)clip((int32_t)(((int64_t)pcm[i] * g->now + MIX_UNITY / 2) >> 15));
	}
	return i;
}

void mix_gain_apply(struct mix_gain *g, int16_t *pcm, size_t n)
{
	size_t done = g->step ? ramp(g, pcm, n) : 0;

	if (g->now == 0)
		memset(pcm + done, 0, (n - done) * sizeof(*pcm));
	else if (g->now != MIX_UNITY)
		kernel->scale(pcm + done, n - done, g->now);
}

/* --- limiter: works in quarters of a frame; the whole frame is there, so the gain falls in the block before the peak
 * (5 ms of look-ahead in a frame of 20 ms, at any rate). Only a peak in a frame's first block finds no block before it: there the gain falls within an
 * eighth of the block, and what still exceeds is bent by the ceiling. */
#define BLOCKS    4u                         /* in a frame */
#define CEILING   29204.0f                   /* -1 dBFS */
#define RELEASE   (1.0f / 40)                /* of the cut per block: 200 ms */
#define CUT_SMALL 0.0005f

static float cut_for(int32_t peak)
{
	return (float)peak > CEILING ? 1.0f - CEILING / (float)peak : 0.0f;
}

/* gain goes from `from` to `to` over the first `run` samples and stays */
static void apply(int16_t *out, const int32_t *acc, size_t n, float from, float to, size_t run)
{
	if (run > n)
		run = n;
	if (run)
		kernel->limit(out, acc, run, from, (to - from) / (float)run);
	kernel->limit(out + run, acc + run, n - run, to, 0);
}

static void limit_block(struct mix_limiter *l, int16_t *out, const int32_t *acc, size_t n, float here, float next)
{
	float cut = l->cut - l->cut * RELEASE;
	size_t run = n;

	if (cut < next)
		cut = next;                      /* be down when the next block begins */
	if (cut < here)
		cut = here;
	if (here > l->cut)
		run = n / 8;                     /* no time left: this block already holds the peak */
	if (cut < CUT_SMALL)
		cut = 0;
	apply(out, acc, n, 1.0f - l->cut, 1.0f - cut, run);
	l->cut = cut;
}

void mix_limit(struct mix_limiter *l, int16_t *out, const int32_t *acc, size_t n)
{
	size_t block = (n + BLOCKS - 1) / BLOCKS;
	float here, next;

	if (l->cut == 0 && mix_peak(acc, n) <= (int32_t)CEILING) {
		mix_saturate(out, acc, n);
		return;
	}
	here = cut_for(mix_peak(acc, block));
	while (n) {
		size_t now = n < block ? n : block, left = n - now;

		next = left ? cut_for(mix_peak(acc + now, left < block ? left : block)) : here;   /* unknown: hold */
		limit_block(l, out, acc, now, here, next);
		here = next;
		out += now;
		acc += now;
		n = left;
	}
}
