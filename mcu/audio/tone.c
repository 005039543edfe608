/* SPDX-License-Identifier: Apache-2.0 */
/* tone.c - a sine by rotating a vector: two multiplications a sample, no table
 *
 * The fade is a straight line of 5 ms at both ends (half of the tone when it is shorter than 10 ms).
 */
#include <math.h>
#include <string.h>
#include "mcu/audio/tone.h"

#define FADE_MS 5u
#define LEVEL_MAX (-4)                   /* a sine of full scale has -3 dBov; keep it below */

void tone_init(struct tone *t, uint32_t rate, unsigned hz, unsigned ms, int level_dbov)
{
	double w;

	memset(t, 0, sizeof(*t));
	if (!rate)
		return;
	if (hz >= rate / 2)
		hz = rate / 2 - 1;
	if (ms > 60000)
		ms = 60000;
	if (level_dbov > LEVEL_MAX)
		level_dbov = LEVEL_MAX;
	w       = 2 * M_PI * hz / rate;
	t->len  = (uint32_t)((uint64_t)rate * ms / 1000);
	t->fade = rate / 1000 * FADE_MS;
	if (t->fade > t->len / 2)
		t->fade = t->len / 2;
	t->c    = 1;
	t->rc   = cos(w);
	t->rs   = sin(w);
	t->amp  = 32768.0 * M_SQRT2 * pow(10, level_dbov / 20.0);
}

void tone_stop(struct tone *t)
{
	t->pos = t->len;
}

static int32_t next_sample(struct tone *t)
{
	uint32_t left = t->len - 1 - t->pos, edge = t->pos < left ? t->pos : left;
	double v = t->s * t->amp, c = t->c * t->rc - t->s * t->rs;

	if (edge < t->fade)
		v = v * edge / t->fade;
	t->s = t->s * t->rc + t->c * t->rs;
	t->c = c;
	t->pos++;
	return (int32_t)lrint(v);
}

/* Rounding makes the vector drift by less than 1e-16 a sample: nothing within a minute. */
static size_t left_of(const struct tone *t, size_t n)
{
	return t->len - t->pos < n ? t->len - t->pos : n;
}

size_t tone_fill(struct tone *t, int16_t *pcm, size_t n)
{
	size_t m = left_of(t, n);

	for (size_t i = 0; i < m; i++)
		pcm[i] = (int16_t)next_sample(t);
	memset(pcm + m, 0, (n - m) * sizeof(*pcm));
	return m;
}

size_t tone_add(struct tone *t, int32_t *acc, size_t n)
{
	size_t m = left_of(t, n);

	for (size_t i = 0; i < m; i++)
		acc[i] += next_sample(t);
	return m;
}
