/* SPDX-License-Identifier: Apache-2.0 */
/* cng.c - comfort noise, see cng.h
 *
 * Spectrum: white noise through an all-pole lattice filter whose reflection coefficients the payload carries, each
 * (byte - 127) / 128 (RFC 3389 3.2). Coefficients below 1 keep a lattice stable whatever a peer sends; they are held a
 * little further inside, so that its ringing stays bounded too. The filter's power gain is the product of 1 / (1 - k^2).
 */
#include <math.h>
#include <string.h>
#include "mcu/audio/cng.h"

#define K_MAX  0.95f
#define GLIDE  0.002f                    /* of the way per sample */

void cng_decode(struct cng *c, const uint8_t *payload, size_t n)
{
	int level = n ? -(payload[0] & 0x7f) : -127;
	float gain = 1;

	if (level > CNG_MAX_DBOV)
		level = CNG_MAX_DBOV;
	c->target = level <= -90 ? 0 : 32768.0f * powf(10, (float)level / 20);
	c->order = n > CNG_ORDER ? CNG_ORDER : n ? (unsigned)n - 1 : 0;
	for (unsigned i = 0; i < c->order; i++) {
		float k = ((float)payload[1 + i] - 127) / 128;

		c->k[i] = k > K_MAX ? K_MAX : k < -K_MAX ? -K_MAX : k;
		gain /= 1 - c->k[i] * c->k[i];
	}
	c->norm = 1 / sqrtf(gain);
}

static float noise(struct cng *c)
{
	if (!c->rnd)
		c->rnd = 2463534242u;
	c->rnd ^= c->rnd << 13;
	c->rnd ^= c->rnd >> 17;
	c->rnd ^= c->rnd << 5;
	return ((float)(int32_t)c->rnd) * (1.7320508f / 2147483648.0f);       /* variance 1 */
}

static float lattice(struct cng *c, float f)
{
	for (unsigned i = c->order; i-- > 0; ) {
		f -= c->k[i] * c->b[i];
		c->b[i + 1] = c->b[i] + c->k[i] * f;
	}
	c->b[0] = f;
	return f;
}

void cng_fill(struct cng *c, int16_t *pcm, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float x = noise(c);

		if (c->order)
			x = lattice(c, x) * c->norm;
		c->amp += GLIDE * (c->target - c->amp);
		x *= c->amp;
		pcm[i] = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : lrintf(x));
	}
}

size_t cng_encode(uint8_t out[1], int level_dbov)
{
	out[0] = (uint8_t)(level_dbov > 0 ? 0 : level_dbov < -127 ? 127 : -level_dbov);
	return 1;
}
