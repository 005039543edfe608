/* SPDX-License-Identifier: Apache-2.0 */
/* level.c - RMS level: sum of squares, then one logarithm a frame */
#include <math.h>
#include "mcu/audio/kernel.h"
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

int level_dbov(const int16_t *pcm, size_t n)
{
	return level_of_power(kernel->power(pcm, n), n);
}
