/* SPDX-License-Identifier: Apache-2.0 */
/* voicing.c - period and brightness of a frame, see voicing.h
 *
 * frame -> every 2nd or 6th sample's mean (8 kHz) -> share of what is above 300 Hz -> largest normalised autocorrelation
 * over 15 ms for lags of 2.25 to 12.5 ms -> points
 */
#include <string.h>
#include "mcu/audio/voicing.h"

#define LAG_MIN    18u                   /* 444 Hz */
#define LAG_MAX    100u                  /* 80 Hz */
#define WINDOW     (VOICING_FRAME + VOICING_PAST - LAG_MAX)
#define WEAK       0.6f
#define CLEAR      0.85f
#define BRIGHT     0.125f                /* -9 dB: so much of the power is above 300 Hz */
#define POLE       0.21f                 /* of a one-pole filter: 300 Hz at 8 kHz */

static void to_8k(float *x, const int16_t *pcm, uint32_t rate)
{
	size_t k = rate / 8000;

	for (size_t i = 0; i < VOICING_FRAME; i++) {
		int32_t sum = 0;

		for (size_t j = 0; j < k; j++)
			sum += pcm[i * k + j];
		x[i] = (float)sum / (float)k;
	}
}

/* The share of the power that passes two high-passes of first order at 300 Hz */
static bool bright(const float *x)
{
	float a = x[0], b = 0, all = 1, high = 0;

	for (size_t i = 0; i < VOICING_FRAME; i++) {
		float y, z;

		a += POLE * (x[i] - a);
		y = x[i] - a;
		b += POLE * (y - b);
		z = y - b;
		all  += x[i] * x[i];
		high += z * z;
	}
	return high > BRIGHT * all;
}

static float period(const float *x)
{
	const float *end = x + LAG_MAX;
	float e0 = 1, best = 0;

	for (size_t i = 0; i < WINDOW; i++)
		e0 += end[i] * end[i];
	for (size_t lag = LAG_MIN; lag <= LAG_MAX; lag++) {
		const float *past = end - lag;
		float dot = 0, e = 1;

		for (size_t i = 0; i < WINDOW; i++) {
			dot += end[i] * past[i];
			e   += past[i] * past[i];
		}
		if (dot > 0 && dot * dot > best * e * e0)
			best = dot * dot / (e * e0);
	}
	return best;                             /* squared */
}

static void shift(struct voicing *v, unsigned points)
{
	v->points = (uint16_t)(v->points << 2 | points);
}

unsigned voicing_update(struct voicing *v, const int16_t *pcm, size_t n, uint32_t rate)
{
	float x[VOICING_PAST + VOICING_FRAME], p;
	unsigned points = 0;

	if (rate < 8000 || rate % 8000 || n < VOICING_FRAME * (rate / 8000)) {
		voicing_quiet(v);
		return 0;
	}
	for (size_t i = 0; i < VOICING_PAST; i++)
		x[i] = v->past[i];
	to_8k(x + VOICING_PAST, pcm, rate);
	for (size_t i = 0; i < VOICING_PAST; i++)
		v->past[i] = (int16_t)x[VOICING_FRAME + i];
	if (bright(x + VOICING_PAST)) {
		p = period(x);
		points = p > CLEAR * CLEAR ? 2 : p > WEAK * WEAK ? 1 : 0;
	}
	shift(v, points);
	return points;
}

void voicing_quiet(struct voicing *v)
{
	shift(v, 0);
	memset(v->past, 0, sizeof(v->past));
}

unsigned voicing_points(const struct voicing *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VOICING_NFRAMES; i++)
		n += v->points >> (2 * i) & 3;
	return n;
}
