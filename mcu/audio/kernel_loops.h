/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_loops.h - the lines that each kernel_*.c compiles for its processor; KERNEL is the set's name
 *
 * No branches inside, so that the compiler makes vectors of them. A G.711 code is sign, segment and the four bits behind
 * the leading one: exponent and upper mantissa of the magnitude as a float, which spares the search for the leading bit.
 */
#include <string.h>
#include "mcu/audio/kernel.h"

#define ULAW_BIAS 33                     /* on the 14-bit scale */
#define ULAW_MAX  0x1fff

static inline int32_t clip(int32_t v)
{
	v = v > INT16_MAX ? INT16_MAX : v;
	return v < INT16_MIN ? INT16_MIN : v;
}

static void add(int32_t *restrict acc, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		acc[i] += pcm[i];
}

static void minus(int32_t *out, const int32_t *acc, const int16_t *own, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = acc[i] - own[i];
}

static void saturate(int16_t *restrict out, const int32_t *restrict acc, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (int16_t)clip(acc[i]);
}

static int32_t peak(const int32_t *acc, size_t n)
{
	int32_t hi = 0, lo = 0;

	for (size_t i = 0; i < n; i++) {
		hi = acc[i] > hi ? acc[i] : hi;
		lo = acc[i] < lo ? acc[i] : lo;
	}
	return hi > -lo ? hi : -lo;
}

/* (v * q15 + half) >> 15 in 32 bits: the gain's upper and lower 15 bits apart, q15 being at most 4.0 */
static void scale(int16_t *pcm, size_t n, int32_t q15)
{
	int32_t whole = q15 >> 15, part = q15 & 0x7fff;

	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)clip(pcm[i] * whole + ((pcm[i] * part + 0x4000) >> 15));
}

static void limit(int16_t *restrict out, const int32_t *restrict acc, size_t n, float gain, float step)
{
	for (int32_t i = 0; i < (int32_t)n; i++)
		out[i] = (int16_t)clip((int32_t)((float)acc[i] * (gain + step * (float)(i + 1))));
}

/* Two full-scale squares are 2^31: the most that 32 bits hold */
static uint64_t power(const int16_t *pcm, size_t n)
{
	uint64_t total = 0;
	size_t pairs = n / 2;

	for (size_t i = 0; i < pairs; i++)
		total += (uint32_t)(pcm[2 * i] * pcm[2 * i]) + (uint32_t)(pcm[2 * i + 1] * pcm[2 * i + 1]);
	return n & 1 ? total + (uint32_t)(pcm[n - 1] * pcm[n - 1]) : total;
}

/* Exponent above `low`, and four bits of mantissa, of a positive number */
static inline int32_t segment(int32_t v, int32_t low)
{
	float f = (float)v;
	int32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return (bits >> 19) - ((127 + low) << 4);
}

static void ulaw_encode(uint8_t *restrict out, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int32_t v = pcm[i] >> 2, sign = v >> 31, mag = (v ^ sign) + ULAW_BIAS;

		out[i] = (uint8_t)~((sign & 0x80) | segment(mag > ULAW_MAX ? ULAW_MAX : mag, 5));
	}
}

static void alaw_encode(uint8_t *restrict out, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int32_t v = pcm[i] >> 3, sign = v >> 31, mag = v ^ sign, first = (mag - 32) >> 31;
		int32_t code = (segment(mag, 4) & ~first) | (mag >> 1 & first);

		out[i] = (uint8_t)((code | (~sign & 0x80)) ^ 0x55);
	}
}

/* v << by: shifts by a variable are no vectors in every set, floats are */
static inline int32_t shifted(int32_t v, int32_t by)
{
	int32_t bits = (127 + by) << 23;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return (int32_t)((float)v * f);
}

/* A code's value is the middle of its interval. */
static void ulaw_decode(int16_t *restrict pcm, const uint8_t *restrict in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int32_t u = ~in[i] & 0xff, sign = -(u >> 7), v = (shifted(2 * (u & 15) + ULAW_BIAS, u >> 4 & 7) - ULAW_BIAS) << 2;

		pcm[i] = (int16_t)((v ^ sign) - sign);
	}
}

static void alaw_decode(int16_t *restrict pcm, const uint8_t *restrict in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int32_t a = in[i] ^ 0x55, sign = (a >> 7) - 1, seg = a >> 4 & 7, above = -seg >> 31;      /* all ones above segment 0 */
		int32_t v = shifted(2 * (a & 15) + 1 + (32 & above), seg + above) << 3;

		pcm[i] = (int16_t)((v ^ sign) - sign);
	}
}

const struct kernel KERNEL = {
	.name = KERNEL_NAME, .add = add, .minus = minus, .saturate = saturate, .peak = peak, .scale = scale, .limit = limit,
	.power = power, .ulaw_encode = ulaw_encode, .alaw_encode = alaw_encode, .ulaw_decode = ulaw_decode,
	.alaw_decode = alaw_decode,
};
