/* SPDX-License-Identifier: Apache-2.0 */
/* agc.c - level of a voice -> its gain, see agc.h
 *
 * The level follows loud frames fast and soft ones slowly: it stands near the vowels, not in the middle of them and the
 * consonants. 0 dBov is never a voice's level, so zero means that none is known.
 */
#include <stdint.h>
#include "mcu/audio/agc.h"

#define RISE     0.25f                   /* of the difference per frame */
#define FALL     0.03f
#define PEAKS_DB 3.0f                    /* the followed level stands so much above the mean */
#define UP_DB    0.24f                   /* per frame */
#define DOWN_DB  3.0f

static float wanted(float level)
{
	float g = 0;

	if (level > AGC_LOUD_DBOV)
		g = AGC_LOUD_DBOV - level;
	else if (level < AGC_SOFT_DBOV)
		g = AGC_SOFT_DBOV - level;
	return g > AGC_MAX_DB ? AGC_MAX_DB : g < -AGC_MAX_DB ? -AGC_MAX_DB : g;
}

float agc_update(struct agc *a, int level_dbov)
{
	float l = (float)level_dbov, d;

	if (a->level >= 0)
		a->level = l < -1 ? l : -1;
	else
		a->level += (l > a->level ? RISE : FALL) * (l - a->level);
	if (a->level > -1)
		a->level = -1;
	d = wanted(a->level - PEAKS_DB) - a->gain;
	a->gain += d > UP_DB ? UP_DB : d < -DOWN_DB ? -DOWN_DB : d;
	return a->gain;
}
