/* SPDX-License-Identifier: Apache-2.0 */
/* stretch.c - leaving out or repeating one period, see stretch.h
 *
 * The last 20 ms of what is given are searched for the lag (2.5 to 10 ms) at which two stretches of 8 ms are most alike by
 * normalised cross-correlation; first on every sixth sample of 48 kHz, then sample by sample around the best. In near
 * silence every lag will do.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "mcu/audio/level.h"
#include "mcu/audio/stretch.h"

#define LAG_MIN_US  2500u
#define LAG_MAX_US  10000u
#define FADE_US     8000u
#define ALIKE       0.7f         /* of 1: below this a seam would be heard, */
#define ALIKE_QUIET 0.0f
#define QUIET_DBOV  (-50)        /* unless nearly nothing is */

struct seam { size_t lag; float alike; };

/* How alike a and b are, -1..1, on every step-th sample */
static float likeness(const int16_t *a, const int16_t *b, size_t n, size_t step)
{
	float ab = 0, aa = 1, bb = 1;

	for (size_t i = 0; i < n; i += step) {
		float x = a[i], y = b[i];

		ab += x * y;
		aa += x * x;
		bb += y * y;
	}
	return ab / sqrtf(aa * bb);
}

/* The best lag between the fade at `at` and one that is `lag` later (dir 1) or earlier (dir -1) */
static struct seam search(const int16_t *at, int dir, size_t lo, size_t hi, size_t fade, size_t step)
{
	struct seam best = { lo, -1 };

	for (size_t lag = lo; lag <= hi; lag += step) {
		float v = likeness(at, at + dir * (ptrdiff_t)lag, fade, step);

		if (v > best.alike)
			best = (struct seam){ lag, v };
	}
	return best;
}

static struct seam find(const int16_t *at, int dir, uint32_t rate, size_t fade)
{
	size_t lo = (size_t)rate * LAG_MIN_US / 1000000, hi = (size_t)rate * LAG_MAX_US / 1000000, step = rate / 8000;
	struct seam s = search(at, dir, lo, hi, fade, step);

	if (step > 1)
		s = search(at, dir, s.lag > lo + step ? s.lag - step : lo, s.lag + step < hi ? s.lag + step : hi, fade, 1);
	return s;
}

static void blend(int16_t *to, const int16_t *from, const int16_t *into, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (int16_t)((from[i] * (int32_t)(n - i) + into[i] * (int32_t)(i + 1)) / (int32_t)(n + 1));
}

static bool hidden(const struct seam *s, const int16_t *x, size_t n)
{
	return s->alike >= (level_dbov(x, n) <= QUIET_DBOV ? ALIKE_QUIET : ALIKE);
}

size_t stretch_shorter(int16_t *x, size_t n, uint32_t rate)
{
	size_t win = (size_t)rate / 1000 * STRETCH_MIN_MS, fade = (size_t)rate * FADE_US / 1000000;
	int16_t *at;
	struct seam s;

	if (n < win)
		return n;
	at = x + n - win;
	s = find(at, 1, rate, fade);
	if (!hidden(&s, at, win))
		return n;
	blend(at, at, at + s.lag, fade);
	memmove(at + fade, at + s.lag + fade, (win - s.lag - fade) * sizeof(*x));
	return n - s.lag;
}

size_t stretch_longer(int16_t *x, size_t n, size_t room, uint32_t rate)
{
	size_t win = (size_t)rate / 1000 * STRETCH_MIN_MS, fade = (size_t)rate * FADE_US / 1000000;
	int16_t *at, tail[48 * FADE_US / 1000], head[48 * FADE_US / 1000];
	struct seam s;

	if (n < win || rate > 48000)
		return n;
	at = x + n - fade;                       /* goes on a lag earlier from here */
	s = find(at, -1, rate, fade);
	if (n + s.lag > room || !hidden(&s, x + n - win, win))
		return n;
	memcpy(tail, at, fade * sizeof(*x));
	memcpy(head, at - s.lag, fade * sizeof(*x));
	memmove(at + fade, at + fade - s.lag, s.lag * sizeof(*x));   /* the end stays the end */
	blend(at, tail, head, fade);
	return n + s.lag;
}
