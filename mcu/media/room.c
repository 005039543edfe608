/* SPDX-License-Identifier: Apache-2.0 */
/* room.c - one tick of a room
 *
 *   each leg that receives: its datagrams, then its sound of this tick (voice.c)
 *   select():   the loud ones against the mix set: at most mix_max, with hysteresis. Of a shard it holds the legs that
 *               are here; guests, talkers of other shards, are counted with them (span.h)
 *   parts():    the set's samples, ramped, at every rate that someone listens at (equal codecs: no conversion at all)
 *   sums():     one sum per rate, chimes added, limited: what listeners hear
 *   senders():  who is in the mix (or has a tone, or is being muted) gets sum minus own part through an encoder of its
 *               own; all others take their profile's payload
 *
 * A private encoder starts as a copy of the shared one, so the change is exact. On the way back the two have different
 * pasts: codecs without memory change at once, the others after both have heard the same for 3 s, or a little silence.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define HANG_MS       700u      /* stays in the mix so long after the last loud frame */
#define ENTER_DB      6         /* louder than the weakest by so much ... */
#define ENTER_TICKS   3u        /* ... for so many frames takes its place */
#define KEEP_OWN_MS   3000u
#define KEEP_QUIET_MS 200u
#define CHIME_MS      160u
#define CHIME_DBOV    (-32)
#define JOIN_HZ       880u
#define LEAVE_HZ      440u
#define CSRC_MAX      15u       /* RFC 3550 5.1 */

/* --- tables of legs */
void wroom_heat(struct wroom *r, struct wleg *l, bool hot)
{
	if (l->hot == hot)
		return;
	l->hot = hot;
	if (hot) {
		l->hot_index = r->nhot;
		r->hot[r->nhot++] = l;
	} else {
		r->hot[l->hot_index] = r->hot[--r->nhot];
		r->hot[l->hot_index]->hot_index = l->hot_index;
	}
	worker_watch(r->w, l, false, !hot);
}

int wroom_add_leg(struct wroom *r, struct wleg *l)
{
	if (r->nlegs == r->cap) {
		unsigned cap = r->cap ? 2 * r->cap : 8;
		struct wleg **a = realloc(r->legs, cap * sizeof(*a)), **b;

		if (!a)
			return -ENOMEM;
		r->legs = a;
		b = realloc(r->hot, cap * sizeof(*b));
		if (!b)
			return -ENOMEM;
		r->hot = b;
		r->cap = cap;
	}
	l->index = r->nlegs;
	r->legs[r->nlegs++] = l;
	return 0;
}

static void leave_mix(struct wroom *r, struct wleg *l)
{
	for (unsigned i = 0; i < r->nmix; i++) {
		if (r->mix[i] != l)
			continue;
		memmove(r->mix + i, r->mix + i + 1, (--r->nmix - i) * sizeof(r->mix[0]));
		break;
	}
	l->in_mix = false;
}

void wroom_del_leg(struct wroom *r, struct wleg *l)
{
	leave_mix(r, l);
	if (l->started) {
		worker_watch(r->w, l, true, false);
		if (!l->hot)
			worker_watch(r->w, l, false, false);
	}
	if (l->hub)
		hub_leave(l);
	if (l->hot) {
		r->hot[l->hot_index] = r->hot[--r->nhot];
		r->hot[l->hot_index]->hot_index = l->hot_index;
		l->hot = false;
	}
	if (l->send)
		r->nsend[l->rate]--;
	wroom_profile_put(r, l->prof);
	wroom_profile_put(r, l->silent);
	l->prof = l->silent = NULL;
	r->legs[l->index] = r->legs[--r->nlegs];
	r->legs[l->index]->index = l->index;
	if (l->started)
		wroom_chime(r, false);
}

/* --- profiles */
/* Does the leg get fewer packets in silence? Opus does it by itself, others where comfort noise was agreed. */
static bool saves(const struct mleg_set *s)
{
	return s->dtx && (s->codec == MCODEC_OPUS || s->cn_pt);
}

struct profile *wroom_profile(struct wroom *r, const struct mleg_set *s, bool silent)
{
	struct profile *p;

	for (p = r->profiles; p; p = p->next)
		if (p->codec == s->codec && p->s.ptime_ms == s->ptime_ms && p->s.bitrate == s->opus_bitrate &&
		    p->s.dtx == saves(s) && p->silent == silent) {
			p->nrefs++;
			return p;
		}
	p = mem_zalloc(sizeof(*p), NULL);
	if (!p) {
		metric_inc(&media_metrics[M_NOMEM]);
		return NULL;
	}
	p->codec = s->codec;
	p->silent = silent;
	p->nrefs = 1;
	p->loss = LOSS_UNKNOWN;
	stream_init(&p->s, s->codec, s->ptime_ms, s->opus_bitrate, saves(s));
	p->next = r->profiles;
	r->profiles = p;
	return p;
}

void wroom_profile_put(struct wroom *r, struct profile *p)
{
	if (!p || --p->nrefs)
		return;
	for (struct profile **q = &r->profiles; *q; q = &(*q)->next)
		if (*q == p) {
			*q = p->next;
			break;
		}
	stream_fini(&p->s);
	mem_deref(p);
}

/* --- chimes */
static void chime_start(struct wroom *r, unsigned hz)
{
	for (unsigned i = 0; i < NRATES; i++)
		tone_init(&r->chime[i], rate_hz[i], hz, CHIME_MS, CHIME_DBOV);
}

void wroom_chime(struct wroom *r, bool join)
{
	if (r->tones && r->ears)
		ears_chime(r->ears, join);
	wroom_chime_here(r, join);
}

/* One plays, one waits; a crowd that joins at once is heard as two. */
void wroom_chime_here(struct wroom *r, bool join)
{
	unsigned hz = join ? JOIN_HZ : LEAVE_HZ;

	if (!r->tones)
		return;
	if (r->chimes[join]) {
		struct play_order *o = player_waiting(r->play) < 2 ? play_order(0, &r->chimes[join], 1) : NULL;

		if (o)
			player_take(&r->play, o);
		mem_deref(o);
		return;
	}
	if (!tone_active(&r->chime[0]))
		chime_start(r, hz);
	else
		r->chime_hz = hz;
}

/* --- who is mixed */
static void enter(struct wroom *r, struct wleg *l)
{
	r->mix[r->nmix++] = l;
	l->in_mix = true;
	l->push_ticks = l->surplus_ticks = 0;
	l->instead = 0;
	l->since = now_us();
	voice_enter(l);
	mix_gain_init(&l->voice->gain, 0);
	mix_gain_set(&l->voice->gain, MIX_UNITY, rate_hz[l->rate] / 500);
}

/* Out of the set at i; its sound of this tick fades. Those fading stand behind the set. */
static void fade(struct wroom *r, unsigned i)
{
	struct wleg *l = r->mix[i];

	memmove(r->mix + i, r->mix + i + 1, (--r->nmix - i) * sizeof(r->mix[0]));
	l->in_mix = false;
	if (l->voice)
		mix_gain_set(&l->voice->gain, 0, rate_hz[l->rate] / 100);
	if (l->frame && r->nleaving < MIX_LIMIT)
		r->leaving[r->nleaving++] = l;
}

static void add_candidate(struct wroom *r, struct wleg *l)
{
	int level = voice_level(l);
	unsigned i;

	if (r->ncand == CAND_MAX && level <= voice_level(r->cand[CAND_MAX - 1]))
		return;
	if (r->ncand < CAND_MAX)
		r->ncand++;
	for (i = r->ncand - 1; i > 0 && voice_level(r->cand[i - 1]) < level; i--)
		r->cand[i] = r->cand[i - 1];
	r->cand[i] = l;
}

static unsigned weakest(const struct wroom *r)
{
	unsigned w = 0;

	for (unsigned i = 1; i < r->nmix; i++)
		if (voice_level(r->mix[i]) < voice_level(r->mix[w]))
			w = i;
	return w;
}

/* The set is full: l takes the place of the weakest, of this shard or another, after it has been louder for long enough. */
static void push_out(struct wroom *r, struct wleg *l)
{
	struct guest *g = r->ears && r->nmix < MIX_LIMIT ? ears_weakest(r->ears) : NULL;
	unsigned w = weakest(r);

	if (g && r->nmix && voice_level(r->mix[w]) <= g->t.level)
		g = NULL;
	if (!g && !r->nmix)
		return;
	if (voice_level(l) < (g ? g->t.level : voice_level(r->mix[w])) + ENTER_DB) {
		l->push_ticks = 0;
	} else if (++l->push_ticks >= ENTER_TICKS) {
		if (!g)
			fade(r, w);
		enter(r, l);
		if (g) {
			l->instead = g->t.id;    /* its shard reads that and lets it fade */
			g->t.flags &= (uint8_t)~TALKER_MIXED;
		}
	}
}

static void select_mix(struct wroom *r)
{
	unsigned max = r->w->mix_max;

	r->nleaving = 0;
	for (unsigned i = r->nmix; i-- > 0; ) {
		struct wleg *l = r->mix[i];

		if (l->quiet_ticks > TICKS(HANG_MS) || l->want_in_mute || !l->voice ||
		    (r->ears && ears_surplus(r->ears, r, l, max)))
			fade(r, i);
	}
	for (unsigned i = 0; i < r->ncand; i++) {
		struct wleg *l = r->cand[i];

		if (l->in_mix || !l->frame || !voice_speaks(l))
			continue;
		if (r->nmix + (r->ears ? ears_mixed(r->ears) : 0) < max)
			enter(r, l);
		else
			push_out(r, l);
	}
	for (unsigned i = 0; i < r->nmix; i++)
		r->mix[i]->q.mix_ticks++;
	r->floor_last = r->ncand >= CAND_DECODE ? voice_level(r->cand[CAND_DECODE - 1]) : LEVEL_SILENCE;
	for (unsigned i = 1; i < r->nmix; i++)            /* dominant first: the order of the CSRC list */
		for (unsigned k = i; k > 0 && voice_level(r->mix[k]) > voice_level(r->mix[k - 1]) + ENTER_DB; k--) {
			struct wleg *t = r->mix[k];

			r->mix[k] = r->mix[k - 1];
			r->mix[k - 1] = t;
		}
}

/* --- the samples of the set */
static const int16_t *convert(struct resample **rs, enum rate from, const int16_t *frame, enum rate to, int16_t *out)
{
	size_t n = rate_frame(to);
	int got;

	if (to == from)
		return frame;
	if (!rs[to] && resample_alloc(&rs[to], rate_hz[from], rate_hz[to])) {
		metric_inc(&media_metrics[M_NOMEM]);
		return NULL;
	}
	got = resample_process(rs[to], frame, rate_frame(from), out, FRAME_MAX + 64);
	if (got < 0)
		return NULL;
	if ((size_t)got < n)
		memset(out + got, 0, (n - (size_t)got) * sizeof(*out));
	return out;
}

static struct part *part_add(struct wroom *r, struct resample **rs, enum rate from, const int16_t *frame)
{
	struct part *p = &r->part[r->nparts];

	for (unsigned k = 0; k < NRATES; k++)
		p->pcm[k] = r->nsend[k] ? convert(rs, from, frame, k, r->w->part[r->nparts][k]) : NULL;
	r->nparts++;
	return p;
}

/* Those that are louder than `than` (not in the mix any more: than nothing) and have not had their turn */
static void guests(struct wroom *r, unsigned *at, int than)
{
	struct guest *g;

	for (; (g = ears_guest(r->ears, *at)) && (g->t.flags & TALKER_MIXED ? g->t.level : LEVEL_SILENCE - 1) > than; (*at)++) {
		struct part *p;

		if (!g->fresh || !(g->t.flags & TALKER_SOUND) || r->nparts == PART_MAX)
			continue;
		p = part_add(r, g->rs, g->t.rate, g->pcm);
		p->leg = NULL;
		p->csrc = g->t.csrc;
		p->has_csrc = g->t.flags & TALKER_CSRC;
	}
}

static void parts(struct wroom *r)
{
	unsigned at = 0;

	r->nparts = 0;
	for (unsigned i = 0; i < r->nmix + r->nleaving; i++) {
		struct wleg *l = i < r->nmix ? r->mix[i] : r->leaving[i - r->nmix];
		struct part *p;

		if (!l->frame)
			continue;
		if (r->ears)
			guests(r, &at, i < r->nmix ? voice_level(l) : LEVEL_SILENCE - 1);
		voice_shape(l);
		mix_gain_apply(&l->voice->gain, l->voice->pcm, rate_frame(l->rate));
		if (r->nparts == PART_MAX)
			continue;
		l->mix_at = (uint8_t)r->nparts;
		p = part_add(r, l->voice->rs, l->rate, l->frame);
		p->leg = l;
		p->csrc = l->src.ssrc;
		p->has_csrc = l->has_src;
	}
	if (r->ears)
		guests(r, &at, INT_MIN);
}

static void sums(struct wroom *r)
{
	struct worker *w = r->w;
	bool chime = tone_active(&r->chime[0]);

	r->quiet = !chime && !r->nparts && !r->play;
	for (unsigned k = 0; k < NRATES; k++) {
		size_t n = rate_frame(k);

		if (chime && !r->nsend[k])
			tone_add(&r->chime[k], w->tmp, n);        /* keeps in step; nobody hears it */
		if (!r->nsend[k])
			continue;
		mix_clear(w->acc[k], n);
		for (unsigned i = 0; i < r->nparts; i++)
			if (r->part[i].pcm[k])
				mix_add(w->acc[k], r->part[i].pcm[k], n);
		if (chime)
			tone_add(&r->chime[k], w->acc[k], n);
	}
	if (r->play && !player_room(r->play, r))
		r->play = mem_deref(r->play);
	for (unsigned k = 0; k < NRATES; k++)
		if (r->nsend[k])
			mix_limit(&r->lim[k], w->bus[k], w->acc[k], rate_frame(k));
	if (chime && !tone_active(&r->chime[0]) && r->chime_hz) {
		chime_start(r, r->chime_hz);
		r->chime_hz = 0;
	}
}

/* --- private encoders */
static const struct part *part_of(const struct wroom *r, const struct wleg *l)
{
	return l->mix_at < r->nparts && r->part[l->mix_at].leg == l ? &r->part[l->mix_at] : NULL;
}

static void out_mute(struct wleg *l)
{
	bool want = atomic_load_explicit(&l->mute_req, memory_order_relaxed) & 2;

	if (want == l->want_out_mute)
		return;
	l->want_out_mute = want;
	mix_gain_set(&l->out_gain, want ? 0 : MIX_UNITY, rate_hz[l->rate] / 100);
}

static bool wants_own(const struct wroom *r, const struct wleg *l)
{
	return tone_active(&l->tone) || l->play || l->out_gain.step ||
	       (!mix_gain_silent(&l->out_gain) &&
		(l->in_mix || l->volume.now != MIX_UNITY || l->volume.step || part_of(r, l)));
}

static bool may_share(const struct wroom *r, const struct wleg *l)
{
	if (!l->codec->enc_copy)
		return true;
	return l->own_ticks >= TICKS(KEEP_OWN_MS) || (r->quiet && l->own_ticks >= TICKS(KEEP_QUIET_MS));
}

static bool own_start(struct wleg *l)
{
	struct stream *s = mem_zalloc(sizeof(*s), NULL);

	if (!s) {
		metric_inc(&media_metrics[M_NOMEM]);
		return false;
	}
	stream_init(s, l->prof->codec, l->prof->s.ptime_ms, l->prof->s.bitrate, l->prof->s.dtx);
	if (stream_join(s, l->on_silent ? &l->silent->s : &l->prof->s)) {
		stream_fini(s);
		mem_deref(s);
		return false;
	}
	s->lim = l->room->lim[l->rate];
	l->own = s;
	return true;
}

static void own_tick(struct wroom *r, struct wleg *l)
{
	struct worker *w = r->w;
	const struct part *p = part_of(r, l);
	size_t n = rate_frame(l->rate);

	if (p && p->pcm[l->rate])
		mix_minus(w->tmp, w->acc[l->rate], p->pcm[l->rate], n);
	else
		memcpy(w->tmp, w->acc[l->rate], n * sizeof(w->tmp[0]));
	mix_limit(&l->own->lim, w->pcm, w->tmp, n);
	mix_gain_apply(&l->volume, w->pcm, n);
	mix_gain_apply(&l->out_gain, w->pcm, n);
	if (l->play && !player_leg(l->play, w->pcm, w->tmp, l->rate))
		l->play = mem_deref(l->play);
	if (tone_active(&l->tone)) {
		for (size_t i = 0; i < n; i++)
			w->tmp[i] = w->pcm[i];
		tone_add(&l->tone, w->tmp, n);
		mix_saturate(w->pcm, w->tmp, n);
	}
	if (l->own->dtx)
		stream_pause(l->own, r->quiet && !tone_active(&l->tone) && !l->play);
	stream_tick(l->own, w->pcm, true);
}

static void own_update(struct wroom *r, struct wleg *l)
{
	out_mute(l);
	if (wants_own(r, l)) {
		l->own_ticks = 0;
		if (!l->own && !own_start(l)) {
			mix_gain_init(&l->out_gain, l->want_out_mute ? 0 : MIX_UNITY);
			mix_gain_init(&l->volume, MIX_UNITY);
			l->play = mem_deref(l->play);
			return;
		}
	} else if (l->own) {
		l->own_ticks++;
		if (may_share(r, l)) {
			stream_fini(l->own);
			l->own = mem_deref(l->own);
		}
	}
	if (l->own)
		own_tick(r, l);
}

/* --- sending */
static const struct stream *shared(struct wroom *r, struct wleg *l)
{
	static const int16_t silence[FRAME_MAX];
	struct profile *p = mix_gain_silent(&l->out_gain) ? l->silent : l->prof;

	if (p->done != r->tick) {
		p->done = r->tick;
		if (p->s.dtx)
			stream_pause(&p->s, p->silent || r->quiet);
		stream_tick(&p->s, p->silent ? silence : r->w->bus[l->rate], true);
	}
	return &p->s;
}

/* Packet times other than a tick gather samples also while nobody takes them, so that all keep one rhythm. */
static void keep_rhythm(struct wroom *r)
{
	static const int16_t silence[FRAME_MAX];

	for (struct profile *p = r->profiles; p; p = p->next)
		if (p->done != r->tick && p->s.ptime_ms != TICK_MS) {
			p->done = r->tick;
			stream_tick(&p->s, p->silent || !r->nsend[p->s.rate] ? silence : r->w->bus[p->s.rate], false);
		}
}

static unsigned sources(const struct wroom *r, const struct wleg *but, uint32_t *csrc)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->nparts && n < CSRC_MAX; i++)
		if ((!but || r->part[i].leg != but) && r->part[i].has_csrc)
			csrc[n++] = r->part[i].csrc;
	return n;
}

static void senders(struct wroom *r)
{
	uint32_t all[CSRC_MAX], others[CSRC_MAX];
	unsigned nall = sources(r, NULL, all), n;

	for (unsigned i = 0; i < r->nlegs; i++)
		if (r->legs[i]->send)
			own_update(r, r->legs[i]);
	for (unsigned i = 0; i < r->nlegs; i++) {
		struct wleg *l = r->legs[i];
		const struct stream *s;

		if (!l->send || !usa_port(&l->peer))
			continue;
		if (r->tick - l->tx_tick > 1)
			wleg_pass(l, r->tick - l->tx_tick - 1);
		l->tx_tick = r->tick;
		s = l->own ? l->own : shared(r, l);
		l->on_silent = mix_gain_silent(&l->out_gain);
		if (l->own && part_of(r, l)) {
			n = sources(r, l, others);
			wleg_send(l, s, others, n);
		} else {
			wleg_send(l, s, all, mix_gain_silent(&l->out_gain) ? 0 : nall);
		}
	}
	keep_rhythm(r);
}

/* A shared encoder protects its packets for the worst of its receivers; each leg has told its profile in this second. */
static void losses(struct wroom *r)
{
	for (struct profile *p = r->profiles; p; p = p->next) {
		if (p->loss != LOSS_UNKNOWN)
			stream_loss(&p->s, p->loss);
		p->loss = LOSS_UNKNOWN;
	}
}

/* --- a recorder listens, too */
void wroom_tap(struct wroom *r, struct tap *t)
{
	if (r->tap) {
		r->nsend[R48]--;
		atomic_store_explicit(&r->tap->closed, true, memory_order_release);     /* it is the reader's now */
	}
	r->tap = t;
	if (t)
		r->nsend[R48]++;
}

static void tap(struct wroom *r)
{
	if (tap_unwanted(r->tap))
		wroom_tap(r, NULL);
	else
		tap_put(r->tap, r->tick, r->w->bus[R48]);
}

/* --- the tick */
void wroom_tick(struct wroom *r, int64_t tick_us)
{
	int64_t now = now_us();

	r->tick++;
	r->ncand = 0;
	wroom_receive(r, now);
	for (unsigned i = 0; i < r->nhot; i++) {
		voice_pull(r->hot[i], tick_us);
		if (r->hot[i]->inband)
			dtmf_feed(r->hot[i]->inband, voice_newest(r->hot[i]), rate_frame(r->hot[i]->rate));
		if (r->hot[i]->loud)
			add_candidate(r, r->hot[i]);
	}
	if (r->ears)
		ears_listen(r->ears, r);
	select_mix(r);
	parts(r);
	if (r->ears)
		ears_say(r->ears, r);
	sums(r);
	if (r->tap)
		tap(r);
	senders(r);
	for (unsigned i = (unsigned)(r->tick % 50); i < r->nlegs; i += 50)
		wleg_second(r->legs[i], now);
	if (r->tick % 50 == 49)
		losses(r);
}

void wroom_skip(struct wroom *r, uint64_t ticks)
{
	r->tick += ticks;
}

static void destructor(void *arg)
{
	struct wroom *r = arg;

	while (r->profiles) {
		r->profiles->nrefs = 1;
		wroom_profile_put(r, r->profiles);
	}
	wroom_tap(r, NULL);
	free(r->legs);
	free(r->hot);
	mem_deref(r->play);
	mem_deref(r->ears);
	clip_unref(r->chimes[0]);
	clip_unref(r->chimes[1]);
}

struct wroom *wroom_alloc(void)
{
	return mem_zalloc(sizeof(struct wroom), destructor);
}
