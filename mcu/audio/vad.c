/* SPDX-License-Identifier: Apache-2.0 */
/* vad.c - talk detection from one level per frame
 *
 * The noise floor is the least of 15 buckets of one second: the running bucket takes each frame's level, and a new one
 * replaces the oldest. Levels of digital silence say nothing about a room's noise and only count down the hangover.
 */
#include <string.h>
#include "mcu/audio/vad.h"

#define START_MASK   0x1fu               /* the last 5 frames, */
#define START_FRAMES 3                   /* so many of them loud */
#define FLOOR_NONE   0                   /* an unused bucket: louder than anything */

void vad_init(struct vad *v, unsigned frame_ms)
{
	memset(v, 0, sizeof(*v));
	v->frame_ms      = (uint16_t)(frame_ms < 1 ? 1 : frame_ms > 1000 ? 1000 : frame_ms);
	v->bucket_frames = (uint16_t)(VAD_FLOOR_MS / VAD_NBUCKETS / v->frame_ms);   /* at least 1 */
	v->floor         = LEVEL_SILENCE;
	v->smooth_x16    = LEVEL_SILENCE * 16;
	v->quiet_ms      = VAD_HANG_MS;
	v->gap_ms        = VAD_GAP_MS;
	memset(v->lowest, FLOOR_NONE, sizeof(v->lowest));
}

/* Falls at once and rises only when a bucket closes: so speech from the first frame on is not taken for noise. */
static void track_floor(struct vad *v, int level)
{
	int least = FLOOR_NONE;

	if (level <= LEVEL_SILENCE)
		return;
	if (level < v->floor)
		v->floor = (int8_t)level;
	if (level < v->lowest[v->bucket])
		v->lowest[v->bucket] = (int8_t)level;
	if (++v->in_bucket < v->bucket_frames)
		return;
	for (unsigned i = 0; i < VAD_NBUCKETS; i++)
		if (v->lowest[i] < least)
			least = v->lowest[i];
	v->floor     = (int8_t)least;
	v->in_bucket = 0;
	v->bucket    = (uint8_t)((v->bucket + 1) % VAD_NBUCKETS);
	v->lowest[v->bucket] = FLOOR_NONE;
}

static int gate(const struct vad *v)
{
	int g = v->floor + VAD_FLOOR_DB;

	return g < VAD_GATE_DBOV ? VAD_GATE_DBOV : g > VAD_GATE_MAX ? VAD_GATE_MAX : g;
}

static bool decide(struct vad *v, bool loud)
{
	v->history = (uint8_t)(v->history << 1 | loud);
	if (loud)
		v->quiet_ms = 0;
	else if (v->quiet_ms < VAD_HANG_MS)
		v->quiet_ms = (uint16_t)(v->quiet_ms + v->frame_ms);
	if (!v->talking)
		v->talking = __builtin_popcount(v->history & START_MASK) >= START_FRAMES;
	else if (v->quiet_ms >= VAD_HANG_MS)
		v->talking = false;
	return v->talking;
}

bool vad_update(struct vad *v, int level_dbov)
{
	int level = level_dbov < LEVEL_SILENCE ? LEVEL_SILENCE : level_dbov > 0 ? 0 : level_dbov;

	v->gap_ms = 0;
	v->smooth_x16 = (int16_t)((v->smooth_x16 + level * 16) / 2);
	track_floor(v, level);
	return decide(v, level > gate(v));
}

bool vad_silence(struct vad *v)
{
	if (v->gap_ms < VAD_GAP_MS)
		v->gap_ms = (uint16_t)(v->gap_ms + v->frame_ms);
	if (v->gap_ms >= VAD_GAP_MS)
		v->smooth_x16 = LEVEL_SILENCE * 16;
	return decide(v, false);
}
