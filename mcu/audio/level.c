/* SPDX-License-Identifier: Apache-2.0 */
/* level.c - RMS level: sum of squares, then one logarithm a frame */
#include <math.h>
#include "mcu/audio/level.h"

#define FULL_SCALE 1073741824.0          /* 32768 squared: the power of 0 dBov */

int level_of_power(uint64_t sum_squares, size_t n)
{
	double db;

	if (!n || !sum_squares)
		return LEVEL_SILENCE;
	db = 10.0 * log10((double)sum_squares / (double)n / FULL_SCALE);
	if (db < LEVEL_SILENCE)
		return LEVEL_SILENCE;
	return db > 0 ? 0 : (int)lround(db);
}

/* Two full-scale squares are 2^31: the most that 32 bits hold */
static uint64_t sum_squares(const int16_t *pcm, size_t n)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i + 2 <= n; i += 2)
		total += (uint32_t)(pcm[i] * pcm[i]) + (uint32_t)(pcm[i + 1] * pcm[i + 1]);
	if (i < n)
		total += (uint32_t)(pcm[i] * pcm[i]);
	return total;
}

int level_dbov(const int16_t *pcm, size_t n)
{
	return level_of_power(sum_squares(pcm, n), n);
}
