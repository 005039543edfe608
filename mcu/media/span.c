/* SPDX-License-Identifier: Apache-2.0 */
/* span.c - the sound of talkers between the shards of a room, see span.h
 *
 * ears_say(): mix and fading legs -> shout, a ring of ticks -> ears_listen() of each other shard -> guests
 *
 * A shout is written by one worker and read by the others at any time. Each tick in it has a number that is odd while it is
 * written; who finds the number changed after reading has read rubbish and counts it as missed. The words are atomic
 * ones: acquire and release are plain moves on x86 and give the order that fences would, and thread sanitizers see it.
 *
 * Workers tick on the same clock with fixed offsets, so a reader finds one new tick in each of its own. When the writer is
 * late there is none: its talkers are missing in that tick, then the reader stays one tick behind, which covers the next
 * time. It comes back in a pause, after two seconds without need. More than that is left out.
 *
 * Too many: two shards may fill the last place in the same tick. All know when each talker entered, so the one that was last
 * leaves, unless somebody whose place it took is just about to (SURPLUS_TICKS).
 */
#include "mcu/media/span.h"
#include <errno.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define RING          8u                 /* ticks */
#define FAR_BEHIND    5u                 /* ticks: leave out at once */
#define BEHIND_TICKS  3u                 /* so long two and more may wait: we ourselves may be catching up */
#define CALM_TICKS    TICKS(2000)
#define FORGET_TICKS  TICKS(200)         /* nothing from a shard: its talkers are gone */
#define SURPLUS_TICKS 5u
#define SWAP_DB       6

#define HEAD_WORDS (sizeof(struct talker) / 8)
#define PCM_WORDS  (SPAN_FRAME / 4)
#define VOICE_WORDS (HEAD_WORDS + PCM_WORDS)
_Static_assert(sizeof(struct talker) % 8 == 0 && SPAN_FRAME == FRAME_MAX && SPAN_FRAME % 4 == 0, "whole words");

typedef _Atomic uint64_t word;
struct shout {
	_Atomic uint32_t head;           /* ticks said */
	_Atomic uint32_t chimes[2];      /* leave, join: so many so far */
	struct said {
		_Atomic uint32_t mark;   /* 2 * number + 1: being written, + 2: complete */
		_Atomic uint32_t n;
		word voice[SPAN_VOICES][VOICE_WORDS];
	} ring[RING];
};

struct span {
	_Atomic(struct shout *) shout[SHARDS_MAX];       /* once made they stay: somebody may be reading */
	_Atomic unsigned        n;                       /* the first n may be there */
	bool                    used[SHARDS_MAX];        /* the signalling thread's */
};

struct ear {
	uint32_t next, chimes[2];
	uint8_t  missed, behind;
	bool     keep;                   /* one that waits: without it sound has been missing */
	uint16_t spare;                  /* ticks in which one more was waiting */
};
struct ears {
	struct span  *span;
	unsigned      me;
	struct ear    from[SHARDS_MAX];
	unsigned      n;
	struct guest *guest[SPAN_GUESTS];        /* in use, dominant first */
	struct guest  place[SPAN_GUESTS];
};

/* --- the signalling thread's part */
static void span_destructor(void *arg)
{
	struct span *s = arg;

	for (unsigned i = 0; i < SHARDS_MAX; i++)
		mem_deref(atomic_load(&s->shout[i]));
}

int span_alloc(struct span **sp)
{
	struct span *s = mem_zalloc(sizeof(*s), span_destructor);

	if (!s)
		return -ENOMEM;
	*sp = s;
	return 0;
}

int span_join(struct span *s, unsigned *at)
{
	unsigned i = 0;

	while (i < SHARDS_MAX && s->used[i])
		i++;
	if (i == SHARDS_MAX)
		return -EMFILE;
	if (!atomic_load_explicit(&s->shout[i], memory_order_relaxed)) {
		struct shout *h = mem_zalloc(sizeof(*h), NULL);

		if (!h)
			return -ENOMEM;
		atomic_store_explicit(&s->shout[i], h, memory_order_release);
	}
	if (i >= atomic_load_explicit(&s->n, memory_order_relaxed))
		atomic_store_explicit(&s->n, i + 1, memory_order_release);
	s->used[i] = true;
	*at = i;
	return 0;
}

void span_quit(struct span *s, unsigned at)
{
	s->used[at] = false;
}

static struct shout *shout_of(const struct ears *e, unsigned i)
{
	return atomic_load_explicit(&e->span->shout[i], memory_order_acquire);
}

static void say_none(struct shout *s);

static void ears_destructor(void *arg)
{
	struct ears *e = arg;

	say_none(shout_of(e, e->me));            /* its talkers are gone */
	for (unsigned i = 0; i < SPAN_GUESTS; i++)
		for (unsigned k = 0; k < NRATES; k++)
			mem_deref(e->place[i].rs[k]);
}

/* What was said before is not for this shard; a shard that comes later begins at nought, as its shout does. */
int ears_alloc(struct ears **ep, struct span *s, unsigned at)
{
	struct ears *e = mem_zalloc(sizeof(*e), ears_destructor);

	if (!e)
		return -ENOMEM;
	e->span = s;
	e->me = at;
	for (unsigned i = 0; i < SHARDS_MAX; i++) {
		struct shout *h = shout_of(e, i);

		if (!h)
			continue;
		e->from[i].next = atomic_load_explicit(&h->head, memory_order_acquire);
		for (unsigned k = 0; k < 2; k++)
			e->from[i].chimes[k] = atomic_load_explicit(&h->chimes[k], memory_order_relaxed);
	}
	*ep = e;
	return 0;
}

/* --- saying */
static void put(word *to, const void *from, size_t nwords)
{
	const unsigned char *p = from;

	for (size_t i = 0; i < nwords; i++) {
		uint64_t v;

		memcpy(&v, p + 8 * i, 8);
		atomic_store_explicit(&to[i], v, memory_order_release);
	}
}

static struct said *begin(struct shout *s)
{
	uint32_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
	struct said *a = &s->ring[head % RING];

	atomic_store_explicit(&a->mark, 2 * head + 1, memory_order_relaxed);
	return a;
}

static void end(struct shout *s, struct said *a, unsigned n)
{
	uint32_t head = atomic_load_explicit(&s->head, memory_order_relaxed);

	atomic_store_explicit(&a->n, n, memory_order_release);
	atomic_store_explicit(&a->mark, 2 * head + 2, memory_order_release);
	atomic_store_explicit(&s->head, head + 1, memory_order_release);
}

static void say_none(struct shout *s)
{
	end(s, begin(s), 0);
}

static void say_leg(word *to, const struct wleg *l)
{
	struct talker t = { .since = l->since, .id = l->ssrc, .csrc = l->has_src ? l->src.ssrc : 0, .instead = l->instead,
			    .level = (int8_t)voice_level(l), .rate = (uint8_t)l->rate };

	t.flags = (uint8_t)((l->in_mix ? TALKER_MIXED : 0) | (l->frame ? TALKER_SOUND : 0) | (l->has_src ? TALKER_CSRC : 0));
	put(to, &t, HEAD_WORDS);
	if (l->frame)
		put(to + HEAD_WORDS, l->frame, rate_frame(l->rate) / 4);
}

void ears_say(struct ears *e, const struct wroom *r)
{
	struct shout *s = shout_of(e, e->me);
	struct said *a = begin(s);
	unsigned n = 0;

	for (unsigned i = 0; i < r->nmix + r->nleaving && n < SPAN_VOICES; i++)
		say_leg(a->voice[n++], i < r->nmix ? r->mix[i] : r->leaving[i - r->nmix]);
	end(s, a, n);
}

void ears_chime(struct ears *e, bool join)
{
	atomic_fetch_add_explicit(&shout_of(e, e->me)->chimes[join], 1, memory_order_release);
}

/* --- listening */
static void get(void *to, word *from, size_t nwords)
{
	unsigned char *p = to;

	for (size_t i = 0; i < nwords; i++) {
		uint64_t v = atomic_load_explicit(&from[i], memory_order_acquire);

		memcpy(p + 8 * i, &v, 8);
	}
}

static void forget(struct ears *e, unsigned i)
{
	e->guest[i]->present = false;
	memmove(e->guest + i, e->guest + i + 1, (--e->n - i) * sizeof(e->guest[0]));
}

static struct guest *place_for(struct ears *e, unsigned from, const struct talker *t)
{
	struct guest *g = e->place;

	for (unsigned i = 0; i < e->n; i++)
		if (e->guest[i]->from == from && e->guest[i]->t.id == t->id)
			return e->guest[i];
	if (e->n == SPAN_GUESTS)
		return NULL;
	while (g->present)
		g++;
	for (unsigned k = 0; k < NRATES; k++) {          /* of another talker */
		if (g->t.rate != t->rate)
			g->rs[k] = mem_deref(g->rs[k]);
		else if (g->rs[k])
			resample_reset(g->rs[k]);
	}
	g->from = from;
	g->present = true;
	e->guest[e->n++] = g;
	return g;
}

static void hear_one(struct ears *e, unsigned from, word *voice)
{
	struct guest *g;
	struct talker t;

	get(&t, voice, HEAD_WORDS);
	if (t.rate >= NRATES)                            /* torn: the caller will notice */
		return;
	g = place_for(e, from, &t);
	if (!g)
		return;
	if (t.rate != g->t.rate)                         /* another codec in a re-INVITE */
		for (unsigned k = 0; k < NRATES; k++)
			g->rs[k] = mem_deref(g->rs[k]);
	g->t = t;
	g->fresh = true;
	if (t.flags & TALKER_SOUND)
		get(g->pcm, voice + HEAD_WORDS, rate_frame(t.rate) / 4);
}

/* One tick of another shard. False: it was overwritten meanwhile. */
static bool hear(struct ears *e, unsigned from, struct said *a, uint32_t number)
{
	uint32_t n;

	if (atomic_load_explicit(&a->mark, memory_order_acquire) != 2 * number + 2)
		return false;
	n = atomic_load_explicit(&a->n, memory_order_acquire);
	for (unsigned i = 0; i < n && i < SPAN_VOICES; i++)
		hear_one(e, from, a->voice[i]);
	return atomic_load_explicit(&a->mark, memory_order_relaxed) == 2 * number + 2;
}

/* Not mentioned any more, or with the whole shard not heard of for too long */
static void forget_stale(struct ears *e, unsigned from)
{
	for (unsigned i = e->n; i-- > 0; )
		if (e->guest[i]->from == from && !e->guest[i]->fresh)
			forget(e, i);
}

static bool nobody(const struct shout *s, uint32_t number)
{
	return !atomic_load_explicit(&s->ring[number % RING].n, memory_order_acquire);
}

/* How many ticks wait, after those that are left out; see above */
static uint32_t waiting(struct ear *f, const struct shout *s)
{
	uint32_t head = atomic_load_explicit(&s->head, memory_order_acquire), have = head - f->next;

	f->behind = have > 2 ? (uint8_t)(f->behind + 1) : 0;
	f->spare = have > 1 ? (uint16_t)(f->spare + (f->spare < UINT16_MAX)) : 0;
	if (have > FAR_BEHIND || f->behind > BEHIND_TICKS) {
		for (uint32_t i = 3; i <= have && i <= RING; i++)
			metric_add(&media_metrics[M_SHARD_LATE], !nobody(s, head - i));
		f->next = head - 2;
		f->behind = 0;
	} else if (have > 1 && (!f->keep || f->spare > CALM_TICKS) && nobody(s, f->next)) {
		f->next++;
		f->spare = 0;
		f->keep = false;
	}
	return head - f->next;
}

static void listen_to(struct ears *e, unsigned i, struct shout *s)
{
	struct ear *f = &e->from[i];

	if (waiting(f, s)) {
		uint32_t number = f->next++;

		if (hear(e, i, &s->ring[number % RING], number)) {
			f->missed = 0;
			forget_stale(e, i);
			return;
		}
	}
	if (f->missed < FORGET_TICKS) {
		f->missed++;
		for (unsigned k = 0; k < e->n; k++) {    /* no sound, but they keep their places for a while */
			if (e->guest[k]->from != i)
				continue;
			if (e->guest[k]->t.flags & TALKER_SOUND) {
				metric_inc(&media_metrics[M_SHARD_LATE]);
				f->keep = true;
			}
			e->guest[k]->fresh = false;
		}
		return;
	}
	forget_stale(e, i);
}

static void chimes(struct ear *f, const struct shout *s, struct wroom *r)
{
	for (unsigned k = 0; k < 2; k++) {
		uint32_t now = atomic_load_explicit(&s->chimes[k], memory_order_acquire);

		if (now != f->chimes[k])
			wroom_chime_here(r, k);
		f->chimes[k] = now;
	}
}

static int rank(const struct guest *g) { return g->t.flags & TALKER_MIXED ? g->t.level : g->t.level - 128; }

void ears_listen(struct ears *e, struct wroom *r)
{
	unsigned n = atomic_load_explicit(&e->span->n, memory_order_acquire);

	for (unsigned i = 0; i < e->n; i++)
		e->guest[i]->fresh = false;
	for (unsigned i = 0; i < n; i++) {
		struct shout *s = i == e->me ? NULL : shout_of(e, i);

		if (!s)
			continue;
		listen_to(e, i, s);
		chimes(&e->from[i], s, r);
	}
	for (unsigned i = 1; i < e->n; i++)
		for (unsigned k = i; k > 0 && rank(e->guest[k]) > rank(e->guest[k - 1]) + SWAP_DB; k--) {
			struct guest *t = e->guest[k];

			e->guest[k] = e->guest[k - 1];
			e->guest[k - 1] = t;
		}
}

/* --- choosing */
struct guest *ears_guest(const struct ears *e, unsigned i) { return i < e->n ? e->guest[i] : NULL; }

unsigned ears_mixed(const struct ears *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n; i++)
		n += (e->guest[i]->t.flags & TALKER_MIXED) != 0;
	return n;
}

struct guest *ears_weakest(const struct ears *e)
{
	struct guest *w = NULL;

	for (unsigned i = 0; i < e->n; i++)
		if (e->guest[i]->t.flags & TALKER_MIXED && (!w || e->guest[i]->t.level < w->t.level))
			w = e->guest[i];
	return w;
}

static bool before(int64_t since, uint32_t id, const struct wleg *l)
{
	return since != l->since ? since < l->since : id < l->ssrc;
}

bool ears_surplus(const struct ears *e, const struct wroom *r, struct wleg *l, unsigned max)
{
	unsigned older = 0;

	for (unsigned i = 0; i < e->n; i++) {
		const struct talker *t = &e->guest[i]->t;

		if (!(t->flags & TALKER_MIXED))
			continue;
		if (t->instead == l->ssrc && !before(t->since, t->id, l))
			return true;
		older += before(t->since, t->id, l);
	}
	for (unsigned i = 0; i < r->nmix; i++)
		older += r->mix[i] != l && before(r->mix[i]->since, r->mix[i]->ssrc, l);
	l->surplus_ticks = older >= max ? (uint8_t)(l->surplus_ticks + 1) : 0;
	return l->surplus_ticks > SURPLUS_TICKS;
}
