/* SPDX-License-Identifier: Apache-2.0 */
/* mix.h - sums of frames: 16-bit in, 32-bit accumulator, mix-minus, gain ramps and a limiter back to 16 bits
 *
 *   mix_clear(acc, n);
 *   each talker: mix_gain_apply(&leg->gain, pcm, n);  mix_add(acc, pcm, n);
 *   listeners:   mix_limit(&room->lim, out, acc, n);
 *   each talker: mix_minus(tmp, acc, pcm, n);  mix_limit(&leg->lim, out, tmp, n);
 *
 * Buffers need no alignment. n is one tick's samples (960 at 48 kHz); any n works.
 */
#ifndef AUDIO_MIX_H
#define AUDIO_MIX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void mix_clear(int32_t *acc, size_t n);
void mix_add(int32_t *acc, const int16_t *pcm, size_t n);
void mix_minus(int32_t *out, const int32_t *acc, const int16_t *own, size_t n);   /* out may be acc */
void mix_saturate(int16_t *out, const int32_t *acc, size_t n);                    /* plain clipping */
int32_t mix_peak(const int32_t *acc, size_t n);                                   /* largest absolute value */

/* A gain that moves without clicks: mute, unmute, AGC. Q15: 32768 is 1.0, at most 4.0. */
#define MIX_UNITY 32768
#define MIX_GAIN_MAX (4 * MIX_UNITY)
struct mix_gain { int32_t now, target, step; };      /* step: change per sample, 0 = arrived */
void mix_gain_init(struct mix_gain *g, int32_t q15);                              /* at once */
void mix_gain_set(struct mix_gain *g, int32_t q15, size_t nsamples);              /* reached after so many samples */
void mix_gain_apply(struct mix_gain *g, int16_t *pcm, size_t n);                  /* in place, saturating */
static inline bool mix_gain_silent(const struct mix_gain *g) { return g->now == 0 && g->target == 0; }
int32_t mix_gain_db(int db);                                                      /* -60..12 as Q15 */

/* Keeps a sum below -1 dBFS: the gain falls within the frame before a peak and comes back over about 200 ms.
 * (frames of 20 ms, any rate). Zeroed = unity. While nothing is too loud it only narrows to 16 bits, bit for bit. */
struct mix_limiter { float cut; };                   /* 1 - gain */
void mix_limit(struct mix_limiter *l, int16_t *out, const int32_t *acc, size_t n);

#endif
