/* SPDX-License-Identifier: Apache-2.0 */
/* resample.h - mono sample rate conversion between 8, 16 and 48 kHz (libspeexdsp)
 *
 * Equal rates copy. A frame of n samples gives n * out / in samples (20 ms in, 20 ms out) from the first one on; the
 * signal comes out later by resample_delay_us().
 */
#ifndef AUDIO_RESAMPLE_H
#define AUDIO_RESAMPLE_H
#include <stddef.h>
#include <stdint.h>

#define RESAMPLE_QUALITY 3

struct resample;
int resample_alloc(struct resample **rp, uint32_t in_rate, uint32_t out_rate);   /* mem_deref(); -EINVAL, -ENOMEM */
/* Samples written (all input is used) or -EMSGSIZE when room is below resample_room(). in and out do not overlap. */
int resample_process(struct resample *r, const int16_t *in, size_t n, int16_t *out, size_t room);
size_t resample_room(const struct resample *r, size_t n);                        /* most that n samples can give */
void resample_reset(struct resample *r);                                         /* forget the past, as after a gap */
uint32_t resample_delay_us(const struct resample *r);

#endif
