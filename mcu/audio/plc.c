/* SPDX-License-Identifier: Apache-2.0 */
/* plc.c - concealment by repeating the last pitch period
 *
 * spandsp has one, but at 8 kHz only and with a fade of its own; G.722 needs 16 kHz. So: find the period in the
 * history by normalised cross-correlation, keep one period with its seam cross-faded, play it round and round with a
 * gain that falls to zero 60 ms into the loss, and cross-fade from it into the first good frame. What was played,
 * real or made up, becomes history.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/audio/plc.h"

#define RATE_MAX    16000u
#define PITCH_MIN_HZ 66u
#define PITCH_MAX_HZ 400u
#define WINDOW_MS   10u
#define HOLD_MS     10u                  /* full level for so long, */
#define FADE_MS     50u                  /* then down to nothing */
#define JOIN_MS     4u
#define PERIOD_MAX  (RATE_MAX / PITCH_MIN_HZ)
#define HIST_MAX    (PERIOD_MAX + PERIOD_MAX / 4 + RATE_MAX / 1000 * WINDOW_MS)

struct plc {
	uint32_t rate;
	size_t   hist_len;               /* samples of hist in use */
	size_t   period, pos;            /* of cycle */
	size_t   lost;                   /* samples made up since the last good one */
	int16_t  hist[HIST_MAX];         /* the latest hist_len samples, oldest first */
	int16_t  cycle[PERIOD_MAX];
};

int plc_alloc(struct plc **pp, uint32_t rate)
{
	struct plc *p;

	if (rate != 8000 && rate != 16000)
		return -EINVAL;
	p = mem_zalloc(sizeof(*p), NULL);
	if (!p)
		return -ENOMEM;
	p->rate     = rate;
	p->hist_len = rate / PITCH_MIN_HZ + rate / PITCH_MIN_HZ / 4 + rate / 1000 * WINDOW_MS;
	*pp = p;
	return 0;
}

static void remember(struct plc *p, const int16_t *pcm, size_t n)
{
	size_t len = p->hist_len;

	if (n >= len) {
		memcpy(p->hist, pcm + n - len, len * sizeof(*pcm));
		return;
	}
	memmove(p->hist, p->hist + n, (len - n) * sizeof(*pcm));
	memcpy(p->hist + len - n, pcm, n * sizeof(*pcm));
}

/* The lag at which the end of the history looks most like itself; compares without the square root */
static size_t find_period(const struct plc *p)
{
	size_t win = p->rate / 1000 * WINDOW_MS, lo = p->rate / PITCH_MAX_HZ, hi = p->rate / PITCH_MIN_HZ;
	const int16_t *end = p->hist + p->hist_len - win;
	size_t best = hi;
	float best_score = 0;

	for (size_t lag = lo; lag <= hi; lag++) {
		float dot = 0, energy = 1;

		for (size_t i = 0; i < win; i++) {
			float past = end[(ptrdiff_t)i - (ptrdiff_t)lag];

			dot    += past * end[i];
			energy += past * past;
		}
		if (dot > 0 && dot * dot / energy > best_score * 1.02f) {   /* a later lag must be clearly better */
			best_score = dot * dot / energy;
			best = lag;
		}
	}
	return best;
}

static int16_t blend(int from, int to, size_t i, size_t n)
{
	return (int16_t)(from + (to - from) * (int)(i + 1) / (int)(n + 1));
}

/* One period out of the history. Its end is faded into what came before its beginning, so that it loops. */
static void cut_cycle(struct plc *p)
{
	size_t per = find_period(p), seam = per / 4;
	const int16_t *start = p->hist + p->hist_len - per;

	memcpy(p->cycle, start, per * sizeof(*start));
	for (size_t i = 0; i < seam; i++)
		p->cycle[per - seam + i] = blend(start[per - seam + i], *(start - seam + i), i, seam);
	p->period = per;
	p->pos    = 0;
}

static int16_t next_sample(struct plc *p)
{
	size_t hold = p->rate / 1000 * HOLD_MS, fade = p->rate / 1000 * FADE_MS;
	int v = p->cycle[p->pos];

	if (++p->pos == p->period)
		p->pos = 0;
	if (p->lost >= hold + fade)
		return 0;
	if (p->lost > hold)
		v = v * (int)(hold + fade - p->lost) / (int)fade;
	p->lost++;
	return (int16_t)v;
}

void plc_conceal(struct plc *p, int16_t *pcm, size_t n)
{
	bool first = p->lost == 0;
	size_t join;

	if (first)
		cut_cycle(p);
	for (size_t i = 0; i < n; i++)
		pcm[i] = next_sample(p);
	if (first) {                             /* start from the last real samples, played backwards */
		join = p->period / 4 < n ? p->period / 4 : n;
		for (size_t i = 0; i < join; i++)
			pcm[i] = blend(p->hist[p->hist_len - 1 - i], pcm[i], i, join);
	}
	remember(p, pcm, n);
}

void plc_good(struct plc *p, int16_t *pcm, size_t n)
{
	size_t join = p->rate / 1000 * JOIN_MS;

	if (p->lost) {
		if (join > n)
			join = n;
		for (size_t i = 0; i < join; i++)
			pcm[i] = blend(next_sample(p), pcm[i], i, join);
		p->lost = 0;
	}
	remember(p, pcm, n);
}
