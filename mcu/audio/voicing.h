/* SPDX-License-Identifier: Apache-2.0 */
/* voicing.h - is somebody speaking, or does something only make a noise?
 *
 * Speech has vowels: a period of 66 to 440 Hz that repeats, and more in it than its lowest tone. Keys, knocks, breath and
 * fans have no period; mains and somebody's humming have little above 250 Hz. Feed it one loud frame after the other (20 ms
 * of decoded sound); it says how much of the last 160 ms was voice. A tone of 300 Hz and more counts as voice: callers
 * test with tones, and music may be what a conference is for.
 */
#ifndef AUDIO_VOICING_H
#define AUDIO_VOICING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOICING_FRAME 160u               /* 20 ms at 8 kHz, which is enough */
#define VOICING_PAST  80u
#define VOICING_SURE  3u                 /* points: one frame of weak voice gives 1, of clear voice 2 */
#define VOICING_NFRAMES 8u

struct voicing {                         /* by value; zeroed: nothing heard */
	int16_t past[VOICING_PAST];
	uint16_t points;                 /* two bits a frame, the last one lowest */
};

unsigned voicing_update(struct voicing *v, const int16_t *pcm, size_t n, uint32_t rate);   /* of this frame: 0..2 */
void     voicing_quiet(struct voicing *v);                                                 /* a frame not worth a look */
unsigned voicing_points(const struct voicing *v);                                          /* of the last eight */
static inline bool voicing_sure(const struct voicing *v) { return voicing_points(v) >= VOICING_SURE; }

#endif
