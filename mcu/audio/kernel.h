/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the loops over samples: sum, level, gain, limiter, G.711; one set for each kind of processor
 *
 * All sets are made of the same lines (kernel_loops.h) and give the same bits; kernel points to the quickest one that
 * this processor runs, chosen before main(). Buffers need no alignment and any n works. Output may not overlap input,
 * except where it says so.
 */
#ifndef AUDIO_KERNEL_H
#define AUDIO_KERNEL_H
#include <stddef.h>
#include <stdint.h>

struct kernel {
	const char *name;
	void     (*add)(int32_t *acc, const int16_t *pcm, size_t n);
	void     (*minus)(int32_t *out, const int32_t *acc, const int16_t *own, size_t n);   /* out may be acc */
	void     (*saturate)(int16_t *out, const int32_t *acc, size_t n);
	int32_t  (*peak)(const int32_t *acc, size_t n);                                      /* largest absolute value */
	void     (*scale)(int16_t *pcm, size_t n, int32_t q15);                              /* saturating; 32768 is 1.0 */
	void     (*limit)(int16_t *out, const int32_t *acc, size_t n, float gain, float step);   /* gain + step for the first */
	uint64_t (*power)(const int16_t *pcm, size_t n);                                     /* sum of squares */
	void     (*ulaw_encode)(uint8_t *out, const int16_t *pcm, size_t n);
	void     (*alaw_encode)(uint8_t *out, const int16_t *pcm, size_t n);
	void     (*ulaw_decode)(int16_t *pcm, const uint8_t *in, size_t n);
	void     (*alaw_decode)(int16_t *pcm, const uint8_t *in, size_t n);
};

extern const struct kernel *kernel;
extern const struct kernel kernel_scalar;        /* the reference: one sample after the other */
const struct kernel *kernel_get(unsigned i);     /* those this processor runs, the reference first; NULL: no more */

#endif
