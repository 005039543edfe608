/* SPDX-License-Identifier: Apache-2.0 */
/* play.c - what a leg or a room is played, tick by tick, see play.h
 *
 * order (a message) -> queue -> player_leg(): conference turned down, recording and music added | player_room(): added to
 * the sum of each rate. Music waits while a recording plays and fades when it is to stop.
 */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"
#include "mcu/media/play.h"

#define UNDER_DB (-12)                   /* the conference under a recording */
#define FADE_MS  100u                    /* music */

struct player {
	struct { struct clip *clip; bool alone; } q[PLAY_QUEUE];
	unsigned        head, n, tick;
	struct clip    *music;
	unsigned        music_tick;
	bool            music_stops;
	struct mix_gain music_gain, under;
};

/* --- orders */
static void order_destructor(void *arg)
{
	struct play_order *o = arg;

	for (unsigned i = 0; i < o->n; i++)
		clip_unref(o->clip[i]);
}

struct play_order *play_order(unsigned how, struct clip *const *clips, unsigned n)
{
	struct play_order *o = mem_zalloc(sizeof(*o) + n * sizeof(o->clip[0]), order_destructor);

	if (!o)
		return NULL;
	o->how = how;
	for (unsigned i = 0; i < n; i++)
		if (clips[i])
			o->clip[o->n++] = clip_ref(clips[i]);
	return o;
}

/* --- the queue */
static void pop(struct player *p)
{
	clip_unref(p->q[p->head].clip);
	p->head = (p->head + 1) % PLAY_QUEUE;
	p->n--;
	p->tick = 0;
}

static void player_destructor(void *arg)
{
	struct player *p = arg;

	while (p->n)
		pop(p);
	clip_unref(p->music);
}

static void take_music(struct player *p, struct play_order *o)
{
	if (!o->n) {
		p->music_stops = true;
		return;
	}
	clip_unref(p->music);
	p->music = clip_ref(o->clip[0]);
	p->music_tick  = 0;
	p->music_stops = false;
	mix_gain_init(&p->music_gain, 0);
}

int player_take(struct player **pp, struct play_order *o)
{
	struct player *p = *pp;

	if (!p) {
		if (!o->n)
			return 0;
		p = mem_zalloc(sizeof(*p), player_destructor);
		if (!p)
			return -ENOMEM;
		mix_gain_init(&p->under, MIX_UNITY);
		*pp = p;
	}
	if (o->music) {
		take_music(p, o);
		return 0;
	}
	while (p->n && o->how & PLAY_NOW)
		pop(p);
	for (unsigned i = 0; i < o->n && p->n < PLAY_QUEUE; i++) {
		unsigned at = (p->head + p->n++) % PLAY_QUEUE;

		p->q[at].clip  = clip_ref(o->clip[i]);
		p->q[at].alone = o->how & PLAY_ALONE;
	}
	return 0;
}

unsigned player_waiting(const struct player *p)
{
	return p ? p->n : 0;
}

/* --- a tick */
static void advance(struct player *p)
{
	while (p->n && p->tick >= clip_ticks(p->q[p->head].clip))    /* one that was empty from the start, too */
		pop(p);
}

static const int16_t *current(struct player *p, unsigned k)
{
	advance(p);
	return p->n ? clip_at(p->q[p->head].clip, k, p->tick) : NULL;
}

static void add_music(struct player *p, int32_t *acc, size_t n, unsigned k)
{
	int32_t want = p->n || p->music_stops ? 0 : MIX_UNITY;
	int16_t pcm[FRAME_MAX];

	if (p->music_gain.target != want)
		mix_gain_set(&p->music_gain, want, rate_hz[k] / 1000 * FADE_MS);
	if (mix_gain_silent(&p->music_gain)) {
		if (p->music_stops) {
			clip_unref(p->music);
			p->music = NULL;
		}
		return;
	}
	memcpy(pcm, clip_at(p->music, k, p->music_tick), n * sizeof(pcm[0]));
	mix_gain_apply(&p->music_gain, pcm, n);
	mix_add(acc, pcm, n);
	p->music_tick = (p->music_tick + 1) % clip_ticks(p->music);
}

static void turn_down(struct player *p, int16_t *pcm, size_t n, unsigned k)
{
	int32_t want = !p->n ? MIX_UNITY : p->q[p->head].alone ? 0 : mix_gain_db(UNDER_DB);

	if (p->under.target != want)
		mix_gain_set(&p->under, want, rate_hz[k] / 1000 * TICK_MS);
	mix_gain_apply(&p->under, pcm, n);
}

bool player_leg(struct player *p, int16_t *pcm, int32_t *tmp, unsigned k)
{
	const int16_t *clip = current(p, k);
	size_t n = rate_frame(k);

	turn_down(p, pcm, n, k);
	for (size_t i = 0; i < n; i++)
		tmp[i] = pcm[i];
	if (clip) {
		mix_add(tmp, clip, n);
		p->tick++;
	}
	if (p->music)
		add_music(p, tmp, n, k);
	mix_saturate(pcm, tmp, n);
	advance(p);
	return p->n || p->music || p->under.now != MIX_UNITY;
}

bool player_room(struct player *p, struct wroom *r)
{
	for (unsigned k = 0; k < NRATES; k++) {
		const int16_t *clip = r->nsend[k] ? current(p, k) : NULL;

		if (clip)
			mix_add(r->w->acc[k], clip, rate_frame(k));
	}
	p->tick++;
	advance(p);
	return p->n;
}
