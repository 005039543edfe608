/* SPDX-License-Identifier: Apache-2.0 */
/* cng.h - comfort noise of RFC 3389: a level, perhaps a spectrum, and the noise that sounds like it
 *
 * A payload sets what is generated until the next one; the level glides there.
 */
#ifndef AUDIO_CNG_H
#define AUDIO_CNG_H
#include <stddef.h>
#include <stdint.h>

#define CNG_ORDER   12u
#define CNG_MAX_DBOV (-30)               /* louder noise than this comforts nobody */

struct cng {                             /* by value; zeroed: silence */
	float    amp, target;            /* RMS, samples */
	float    k[CNG_ORDER], b[CNG_ORDER + 1];     /* reflection coefficients and the filter's memory */
	unsigned order;
	float    norm;                   /* makes up for the filter's gain */
	uint32_t rnd;
};

void   cng_decode(struct cng *c, const uint8_t *payload, size_t n);      /* any bytes will do; n 0: silence */
void   cng_fill(struct cng *c, int16_t *pcm, size_t n);
size_t cng_encode(uint8_t out[1], int level_dbov);                       /* level alone */

#endif
