/* SPDX-License-Identifier: Apache-2.0 */
/* shard.c - rooms on the signalling thread: which worker holds a room, and which ones a large room
 *
 * A room begins with one shard on the least loaded worker. When that has as many legs as media_prm.span says (or its worker
 * is too busy), further legs go to further shards, one for each worker at most; span.h tells what they hear of
 * each other. Such a shard goes with its last leg, the first one with the room. A leg keeps its shard: nothing is moved
 * about to balance it.
 *
 * Shards tick at different moments of the same 20 ms, and what one says waits for the other's tick: between two it is
 * 20 ms there and back in any case, so a slot is chosen that leaves both at least 5 ms to be in time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/media/handles.h"

/* --- load */
static unsigned load_of(const struct worker *w)
{
	unsigned n = 0;

	for (unsigned s = 0; s < SLOTS; s++)
		n += w->load[s];
	return n;
}

static unsigned percent(const struct worker *w)
{
	return atomic_load_explicit(&w->percent, memory_order_relaxed);
}

static bool busy(const struct media *m, const struct worker *w) { return percent(w) >= m->load_max; }

unsigned media_load(const struct media *m)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < m->nworkers; i++)
		sum += percent(m->workers[i]);
	return sum / m->nworkers;
}

/* By what they hold, because the measured load lags behind; but one that is too busy only when all are */
static bool better(const struct media *m, const struct worker *a, const struct worker *b)
{
	bool busy_a = busy(m, a), busy_b = busy(m, b);

	return busy_a != busy_b ? busy_b : load_of(a) < load_of(b);
}

static bool has_shard(const struct mroom *r, const struct worker *w)
{
	for (unsigned i = 0; i < r->nshards; i++)
		if (r->shard[i]->w == w)
			return true;
	return false;
}

/* The least loaded one without a shard of the room; NULL: all have one */
static struct worker *fresh_worker(const struct mroom *r)
{
	struct worker *best = NULL;

	for (unsigned i = 0; i < r->m->nworkers; i++) {
		struct worker *w = r->m->workers[i];

		if (!has_shard(r, w) && (!best || better(r->m, w, best)))
			best = w;
	}
	return best;
}

static bool spans(const struct mroom *r) { return r->m->span && r->m->nworkers > 1; }

bool mroom_busy(const struct mroom *r)
{
	struct worker *w;

	for (unsigned i = 0; i < r->nshards; i++)
		if (!busy(r->m, r->shard[i]->w))
			return false;
	w = spans(r) && r->nshards < SHARDS_MAX ? fresh_worker(r) : NULL;
	return !w || busy(r->m, w);
}

/* Time between the ticks of two places, the shorter way round */
static int apart(const struct worker *a, unsigned slot_a, const struct worker *b, unsigned slot_b)
{
	int64_t d = a->epoch_us - b->epoch_us + ((int64_t)slot_a - (int64_t)slot_b) * SLOT_US;
	int us = (int)(((d % TICK_US) + TICK_US) % TICK_US);

	return us < TICK_US - us ? us : TICK_US - us;
}

/* 0: free to choose by load; else so much too near to another shard's tick, us */
static int too_near(const struct mroom *r, const struct worker *w, unsigned slot)
{
	int worst = 0;

	for (unsigned i = 0; i < r->nshards; i++) {
		int near = SLOT_US - apart(w, slot, r->shard[i]->w, r->shard[i]->half->slot);

		worst = near > worst ? near : worst;
	}
	return worst;
}

static unsigned slot_for(const struct mroom *r, const struct worker *w)
{
	unsigned best = 0;

	for (unsigned s = 1; s < SLOTS; s++) {
		int a = too_near(r, w, s), b = too_near(r, w, best);

		if (a < b || (a == b && w->load[s] < w->load[best]))
			best = s;
	}
	return best;
}

/* --- shards */
static void shard_free(struct mshard *s)
{
	if (s->link) {                                   /* the worker knows of it */
		s->link->free_msg.kind = MSG_ROOM_FREE;
		s->link->free_msg.room = s->half;
		worker_post(s->w, &s->link->free_msg);
	} else {
		mem_deref(s->half);
	}
	mem_deref(s);
}

static int listens(struct mroom *r, struct link *k, struct ears **ep)
{
	int err = span_join(r->span, &k->span_at);

	if (err)
		return err;
	k->span = mem_ref(r->span);
	return ears_alloc(ep, r->span, k->span_at);
}

static int shard_add(struct mroom *r, struct worker *w)
{
	struct mshard *s = mem_zalloc(sizeof(*s), NULL);
	unsigned slot = slot_for(r, w);
	struct link *k = NULL;
	struct msg *msg;
	int err = -ENOMEM;

	if (!s)
		return err;
	s->r = r;
	s->w = w;
	s->half = wroom_alloc();
	msg = s->half ? msg_new(MSG_ROOM_ADD, s->half, NULL) : NULL;
	k = msg ? link_alloc(r->m, w, slot) : NULL;
	if (k)
		err = r->span ? listens(r, k, &s->half->ears) : 0;
	if (err) {
		mem_deref(msg);
		shard_free(s);
		if (k)
			link_free(k);
		return err;
	}
	s->link = s->half->link = k;
	s->half->w = w;
	s->half->slot = slot;
	s->half->floor_last = LEVEL_SILENCE;
	s->half->further = r->nshards > 0;
	s->half->tones = r->tones;
	for (unsigned i = 0; i < 2; i++)
		s->half->chimes[i] = clip_ref(r->chimes[i]);
	snprintf(s->half->id, sizeof(s->half->id), "%s", r->id);
	worker_post(w, msg);
	r->shard[r->nshards++] = s;
	return 0;
}

/* From now on the first shard has others. */
static int span_start(struct mroom *r)
{
	struct mshard *first = r->shard[0];
	struct msg *msg;
	int err;

	if (r->span)
		return 0;
	msg = msg_new(MSG_ROOM_SPAN, first->half, NULL);
	if (!msg)
		return -ENOMEM;
	err = span_alloc(&r->span);
	if (!err)
		err = listens(r, first->link, &msg->ears);
	if (err) {
		mem_deref(msg);
		r->span = mem_deref(r->span);
		first->link->span = mem_deref(first->link->span);
		return err;
	}
	worker_post(first->w, msg);
	return 0;
}

static int grow(struct mroom *r, struct worker *w)
{
	int err = span_start(r);

	if (!err)
		err = shard_add(r, w);
	if (err)
		log_warn(media, "room %s cannot go on on worker %u: %s", r->id, w->id, strerror(-err));
	else
		log_info(media, "room %s goes on on worker %u", r->id, w->id);
	return err;
}

/* Its worker, or another, has a place left */
static struct mshard *with_room(const struct mroom *r)
{
	struct mshard *best = NULL;

	for (unsigned i = 0; i < r->nshards; i++) {
		struct mshard *s = r->shard[i];

		if (s->nlegs < r->m->span && !busy(r->m, s->w) && (!best || s->nlegs < best->nlegs))
			best = s;
	}
	return best;
}

static struct mshard *choose(struct mroom *r)
{
	struct mshard *s = with_room(r);
	struct worker *w;

	if (s)
		return s;
	w = r->nshards < SHARDS_MAX ? fresh_worker(r) : NULL;
	if (w && !busy(r->m, w) && !grow(r, w))
		return r->shard[r->nshards - 1];
	s = r->shard[0];                                 /* all are full */
	for (unsigned i = 1; i < r->nshards; i++)
		if (better(r->m, r->shard[i]->w, s->w))
			s = r->shard[i];
	return s;
}

struct mshard *shard_take(struct mroom *r)
{
	struct mshard *s = spans(r) ? choose(r) : r->shard[0];

	s->nlegs++;
	return s;
}

void shard_put(struct mshard *s)
{
	struct mroom *r = s->r;
	unsigned i = 1;

	if (--s->nlegs || s == r->shard[0])
		return;
	while (r->shard[i] != s)
		i++;
	r->shard[i] = r->shard[--r->nshards];
	shard_free(s);
}

/* --- rooms */
static void room_destructor(void *arg)
{
	struct mroom *r = arg;

	while (r->nshards)
		shard_free(r->shard[--r->nshards]);
	mem_deref(r->span);
	clip_unref(r->chimes[0]);
	clip_unref(r->chimes[1]);
	mem_deref(r->m);
}

int mroom_alloc(struct mroom **rp, struct media *m, const char *id)
{
	struct mroom *r = mem_zalloc(sizeof(*r), room_destructor);
	int err;

	if (!r)
		return -ENOMEM;
	r->m = mem_ref(m);
	snprintf(r->id, sizeof(r->id), "%s", id ? id : "");
	err = shard_add(r, fresh_worker(r));
	if (err)
		mem_deref(r);
	else
		*rp = r;
	return err;
}

void mroom_tones(struct mroom *r, bool join_leave)
{
	r->tones = join_leave;
	for (unsigned i = 0; i < r->nshards; i++) {
		struct msg *m = msg_new(MSG_ROOM_TONES, r->shard[i]->half, NULL);

		if (!m)
			continue;
		m->a = join_leave;
		worker_post(r->shard[i]->w, m);
	}
}

void mroom_chimes(struct mroom *r, struct clip *join, struct clip *leave)
{
	clip_unref(r->chimes[0]);
	clip_unref(r->chimes[1]);
	r->chimes[0] = clip_ref(leave);
	r->chimes[1] = clip_ref(join);
	for (unsigned i = 0; i < r->nshards; i++) {
		struct msg *m = msg_new(MSG_ROOM_CHIMES, r->shard[i]->half, NULL);

		if (!m)
			continue;
		m->chimes[0] = clip_ref(leave);
		m->chimes[1] = clip_ref(join);
		worker_post(r->shard[i]->w, m);
	}
}
