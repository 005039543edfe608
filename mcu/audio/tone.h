/* SPDX-License-Identifier: Apache-2.0 */
/* tone.h - a sine of given length with a short fade at both ends, for join, leave and private tones
 *
 *   tone_init(&t, 48000, 440, 200, -20);
 *   each tick: if (tone_active(&t)) tone_add(&t, acc, n);
 */
#ifndef AUDIO_TONE_H
#define AUDIO_TONE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tone {                    /* by value: no memory of its own; zeroed = no tone */
	uint32_t len, pos, fade;     /* samples */
	double   c, s, rc, rs;       /* the oscillator's vector and its rotation per sample */
	double   amp;
};

/* level in dBov of the sine's RMS, at most -4 (clamped); hz is clamped below half the rate */
void   tone_init(struct tone *t, uint32_t rate, unsigned hz, unsigned ms, int level_dbov);
void   tone_stop(struct tone *t);                          /* at once, without a fade */
static inline bool tone_active(const struct tone *t) { return t->pos < t->len; }
size_t tone_fill(struct tone *t, int16_t *pcm, size_t n);  /* n samples, zeros after the end; samples with tone */
size_t tone_add(struct tone *t, int32_t *acc, size_t n);   /* adds to a mix; samples with tone */

#endif
