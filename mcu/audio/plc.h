/* SPDX-License-Identifier: Apache-2.0 */
/* plc.h - packet loss concealment for the codecs that have none: repeats the last pitch period and fades to silence
 *
 * Every good frame passes through plc_good() (which may change its first samples to join without a click); a lost one
 * is made by plc_conceal().
 */
#ifndef AUDIO_PLC_H
#define AUDIO_PLC_H
#include <stddef.h>
#include <stdint.h>

struct plc;
int  plc_alloc(struct plc **pp, uint32_t rate);              /* 8000 or 16000; mem_deref() */
void plc_good(struct plc *p, int16_t *pcm, size_t n);
void plc_conceal(struct plc *p, int16_t *pcm, size_t n);     /* silence from 60 ms of loss on */

#endif
