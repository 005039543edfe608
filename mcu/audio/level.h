/* SPDX-License-Identifier: Apache-2.0 */
/* level.h - how loud a frame is, on the scale of RFC 6464: 0 dBov is a full-scale square wave, -127 is silence */
#ifndef AUDIO_LEVEL_H
#define AUDIO_LEVEL_H
#include <stddef.h>
#include <stdint.h>

#define LEVEL_SILENCE (-127)

int level_dbov(const int16_t *pcm, size_t n);        /* RMS, rounded; -127..0; n 0: -127 */
int level_of_power(uint64_t sum_squares, size_t n);  /* the same from a sum the caller already has */

#endif
