/* SPDX-License-Identifier: Apache-2.0 */
/* denoise.h - noise suppression of one leg (libspeexdsp's preprocessor), frames of 20 ms in place */
#ifndef AUDIO_DENOISE_H
#define AUDIO_DENOISE_H
#include <stddef.h>
#include <stdint.h>

struct denoise;
int  denoise_alloc(struct denoise **dp, uint32_t rate);      /* mem_deref(); -ENOMEM */
void denoise_apply(struct denoise *d, int16_t *pcm, size_t n);   /* n: a tick of `rate`, else nothing is done */

#endif
