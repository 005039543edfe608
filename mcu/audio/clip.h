/* SPDX-License-Identifier: Apache-2.0 */
/* clip.h - a recording in memory, ready at each of the rates that legs have: playing it costs a copy
 *
 * Clips are shared between threads, so they count their references themselves.
 */
#ifndef AUDIO_CLIP_H
#define AUDIO_CLIP_H
#include <stdint.h>
#include "lib/base/str.h"

#define CLIP_RATES 3u
#define CLIP_TICK_MS 20u
static const uint32_t clip_hz[CLIP_RATES] = { 8000, 16000, 48000 };

struct clip;
int clip_load(struct clip **cp, const char *path);           /* a WAV file; -errno of the file, or of wav_decode() */
int clip_decode(struct clip **cp, struct str wav);
int clip_tone(struct clip **cp, unsigned hz, unsigned ms);    /* for a recording that is missing */
struct clip *clip_ref(struct clip *c);                        /* any thread; NULL is fine */
void clip_unref(struct clip *c);                              /* any thread; NULL is fine */
unsigned clip_ticks(const struct clip *c);                    /* whole ticks, the last one padded */
unsigned clip_ms(const struct clip *c);
const int16_t *clip_at(const struct clip *c, unsigned rate, unsigned tick);   /* the samples of that tick */

#endif
