/* SPDX-License-Identifier: Apache-2.0 */
/* g722_level.h - how loud G.722 is, without decoding it
 *
 * Both bands of G.722 (ITU-T G.722 3.5, 3.6) are quantized in steps that follow the sound: the logarithm of the step is
 * updated with each code, by a table. This follows it and nothing else of the decoder, some hundred additions a frame. The
 * step tells the level of what the predictor could not foretell: that of noise within 6 dB, that of a vowel 20 dB too
 * low. So it is believed only of sound that goes on as it was in its quiet moments; what rises above them must be decoded.
 */
#ifndef AUDIO_G722_LEVEL_H
#define AUDIO_G722_LEVEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g722_level {                      /* zeroed: at rest, as an encoder begins */
	int16_t  low, high;              /* logarithms of the steps */
	int8_t   floor;                  /* of the quiet moments, dBov; 0: nothing heard yet */
	uint8_t  above;                  /* packets since the floor was last touched */
	uint8_t  after;                  /* packets for which a rise still counts */
};

/* dBov of a packet's loudest moment; *rises: it, or one of the five before, is more than the quiet moments' */
int g722_level(struct g722_level *l, const uint8_t *payload, size_t n, bool *rises);

#endif
