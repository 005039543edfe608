/* SPDX-License-Identifier: Apache-2.0 */
/* vad.h - who talks, from frame levels alone: smoothed level, adaptive gate, hangover
 *
 * Smoothed level = half old, half new. A frame is loud above the noise floor + 9 dB, but the gate stays within
 * -50 and -35 dBov: what is louder is never mere noise, a steady tone included. The floor is the quietest level of the
 * last 15 s. Talk starts with 3 loud frames of 5 and stops after 700 ms without one.
 * Feed it one level per frame, decoded or taken from the header extension; frames without a packet with
 * vad_silence().
 */
#ifndef AUDIO_VAD_H
#define AUDIO_VAD_H
#include <stdbool.h>
#include <stdint.h>
#include "mcu/audio/level.h"

#define VAD_GATE_DBOV   (-50)
#define VAD_GATE_MAX    (-35)
#define VAD_FLOOR_DB    9
#define VAD_FLOOR_MS    15000u
#define VAD_HANG_MS     700u
#define VAD_GAP_MS      150u     /* out of the ranking after so long without packets */
#define VAD_NBUCKETS    15u

struct vad {                     /* by value */
	uint16_t frame_ms, bucket_frames;
	uint16_t in_bucket, quiet_ms, gap_ms;
	uint8_t  history;            /* bit i: loud i frames ago */
	uint8_t  bucket;
	bool     talking;
	int8_t   floor;              /* dBov */
	int8_t   lowest[VAD_NBUCKETS];
	int16_t  smooth_x16;         /* 1/16 dB */
};

void vad_init(struct vad *v, unsigned frame_ms);
bool vad_update(struct vad *v, int level_dbov);      /* true: talking */
bool vad_silence(struct vad *v);                     /* a frame for which nothing came */
static inline bool vad_talking(const struct vad *v) { return v->talking; }
static inline int vad_level(const struct vad *v) { return v->smooth_x16 / 16; }   /* smoothed, -127..0, for ranking */

#endif
