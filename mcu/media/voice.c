/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c - one leg's sound of one tick: jitter buffer -> decoder -> frame, level, loud or not
 *
 * A leg that cannot be among the loudest is not decoded: its level is known from the header extension (RFC 6464) or
 * from the payload itself, and its packets are taken out of the jitter buffer at their time and dropped. Decoder and
 * sample memory come with the first packet that must be decoded and go after some seconds without need.
 */
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define FLOOR_CAP    (-46)     /* what never pauses is not taken for noise when above this + VAD_FLOOR_DB */

static uint32_t squares[2][256];          /* PCMU, PCMA: sample squared, by payload byte */

void voice_init(void)
{
	static const struct codec *const c[2] = { &codec_pcmu, &codec_pcma };

	for (unsigned k = 0; k < 2; k++) {
		struct codec_dec *d = NULL;
		uint8_t all[256];
		int16_t pcm[256];

		for (unsigned i = 0; i < 256; i++)
			all[i] = (uint8_t)i;
		if (c[k]->dec_alloc(&d))
			continue;
		if (c[k]->decode(d, all, 256, 0, pcm, 256) == 256)
			for (unsigned i = 0; i < 256; i++)
				squares[k][i] = (uint32_t)((int32_t)pcm[i] * pcm[i]);
		mem_deref(d);
	}
}

int voice_payload_level(const struct wleg *l, const uint8_t *p, size_t n)
{
	const uint32_t *sq = squares[l->codec_id == MCODEC_PCMA];
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += sq[p[i]];
	return level_of_power(sum, n);
}

void voice_free(struct wleg *l)
{
	struct voice *v = l->voice;

	if (!v)
		return;
	for (unsigned i = 0; i < NRATES; i++)
		mem_deref(v->rs[i]);
	mem_deref(v->dec);
	l->voice = mem_deref(v);
	l->frame = NULL;
}

static int voice_alloc(struct wleg *l)
{
	size_t size = rate_frame(l->rate) + rate_hz[l->rate] / 5;      /* a tick and the longest packet */
	struct voice *v = mem_zalloc(sizeof(*v) + size * sizeof(int16_t), NULL);

	if (!v)
		return -1;
	v->size = size;
	if (l->codec->dec_alloc(&v->dec)) {
		mem_deref(v);
		return -1;
	}
	mix_gain_init(&v->gain, 0);
	l->voice = v;
	return 0;
}

static int gate(const struct wleg *l)
{
	int floor = l->vad.floor < FLOOR_CAP ? l->vad.floor : FLOOR_CAP;

	return floor + VAD_FLOOR_DB > VAD_GATE_DBOV ? floor + VAD_FLOOR_DB : VAD_GATE_DBOV;
}

int voice_level(const struct wleg *l)
{
	return vad_level(&l->vad);
}

/* Must the packet be decoded? Its level, when known, decides against the gate and last tick's weakest candidate. */
static bool wanted(const struct wleg *l, int level)
{
	const struct wroom *r = l->room;

	if (l->in_mix || l->inband || (l->voice && !mix_gain_silent(&l->voice->gain)))
		return true;
	if (l->want_in_mute)
		return false;
	if (level == JBUF_NO_LEVEL)
		return true;
	if (level <= gate(l))
		return false;
	return r->floor_last == LEVEL_SILENCE || voice_level(l) >= r->floor_last || level >= r->floor_last + 6;
}

/* Will nobody hear it? Then a packet need not be kept. Who is loud already may be mixed before it plays. */
bool voice_unheard(const struct wleg *l, int level)
{
	return level != JBUF_NO_LEVEL && level <= gate(l) && !l->loud && !l->in_mix && !l->voice && !l->inband;
}

static void consume(struct wleg *l)
{
	if (!l->used)
		return;
	l->fill -= l->used;
	if (l->voice && l->fill)
		memmove(l->voice->pcm, l->voice->pcm + l->used, l->fill * sizeof(int16_t));
	l->used = 0;
}

/* Leaves out one pitch period: cross-fades into the place a lag later where the sound is most alike. */
static size_t shorten(int16_t *x, size_t n, size_t rate)
{
	size_t lo = rate / 400, hi = rate / 110, m, best = 0;
	double top = 0;

	if (n < 2 * hi)
		return n;
	m = n - hi < rate / 100 ? n - hi : rate / 100;
	for (size_t lag = lo; lag <= hi; lag += rate > 16000 ? 3 : 1) {
		double xy = 0, yy = 1;

		for (size_t i = 0; i < m; i += rate > 16000 ? 3 : 1) {
			xy += (double)x[i] * x[i + lag];
			yy += (double)x[i + lag] * x[i + lag];
		}
		if (xy > 0 && xy * xy / yy > top) {
			top = xy * xy / yy;
			best = lag;
		}
	}
	if (!best)
		return n;
	for (size_t i = 0; i < m; i++)
		x[i] = (int16_t)(((int32_t)x[i] * (int32_t)(m - i) + (int32_t)x[i + best] * (int32_t)i) / (int32_t)m);
	memmove(x + m, x + m + best, (n - m - best) * sizeof(*x));
	return n - best;
}

static int16_t *ready(struct wleg *l)
{
	struct voice *v = l->voice;

	if (!v) {
		if (voice_alloc(l)) {
			metric_inc(&media_metrics[M_NOMEM]);
			return NULL;
		}
		v = l->voice;
		v->stale = l->fill > 0;
	}
	if (v->stale) {                          /* what is still due of a packet that was not decoded: silence */
		memset(v->pcm, 0, l->fill * sizeof(int16_t));
		v->stale = false;
	}
	return v->pcm + l->fill;
}

static void skip(struct wleg *l, size_t n)
{
	if (l->voice)
		l->voice->stale = true;
	l->fill += (uint32_t)n;
}

static void decode(struct wleg *l, const struct jbuf_pkt *p, size_t n)
{
	int16_t *to = ready(l);
	size_t room;
	int r;

	if (!to) {
		skip(l, n);
		return;
	}
	room = l->voice->size - l->fill;
	metric_inc(&media_metrics[M_DECODES]);
	r = l->codec->decode(l->voice->dec, p->data, p->len, 0, to, room);
	if (r <= 0) {
		l->st.bad++;
		metric_inc(&media_metrics[M_BAD]);
		r = l->codec->decode(l->voice->dec, NULL, 0, 0, to, n < room ? n : room);
		if (r <= 0) {
			memset(to, 0, n * sizeof(*to));
			r = (int)n;
		}
	} else if (p->flags & JBUF_SHRINK) {
		r = (int)shorten(to, (size_t)r, rate_hz[l->rate]);
	}
	l->fill += (uint32_t)r;
}

static void conceal(struct wleg *l, enum jbuf_what what, size_t n)
{
	const struct jbuf_pkt *next = what == JBUF_LOST ? jbuf_next(&l->jb) : NULL;
	int16_t *to;
	int r = -1;

	l->st.concealed++;
	metric_inc(&media_metrics[M_LOST]);
	if (!l->voice || !wanted(l, l->pkt_level)) {
		skip(l, n);
		return;
	}
	to = ready(l);
	if (!to) {
		skip(l, n);
		return;
	}
	if (next && l->codec == &codec_opus)
		r = l->codec->decode(l->voice->dec, next->data, next->len, 1, to, n);
	if (r <= 0)
		r = l->codec->decode(l->voice->dec, NULL, 0, 0, to, n);
	if (r <= 0) {
		memset(to, 0, n * sizeof(*to));
		r = (int)n;
	}
	l->fill += (uint32_t)r;
}

/* Comfort noise only for who is in the mix, where a sudden nothing would be noticed. */
static void comfort(struct wleg *l, const struct jbuf_pkt *p, size_t n)
{
	int16_t *to = l->in_mix ? ready(l) : NULL;
	int level = p->len ? -(p->data[0] & 0x7f) : LEVEL_SILENCE;
	int32_t amp = level > -30 ? mix_gain_db(-30) : mix_gain_db(level < -60 ? -60 : level);

	if (!to) {
		skip(l, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int32_t x = (int32_t)(worker_rnd(l->room->w) & 0xffff) - 32768;

		to[i] = (int16_t)(level < -60 ? 0 : x * amp / MIX_UNITY);
	}
	l->fill += (uint32_t)n;
}

static bool fetch(struct wleg *l, int64_t tick_us)
{
	int64_t at = tick_us + (int64_t)l->fill * 1000000 / rate_hz[l->rate];
	struct jbuf_pkt p;
	enum jbuf_what what = jbuf_get(&l->jb, at, !l->loud, &p);
	size_t n = (size_t)((uint64_t)p.dur * l->codec->rate / l->codec->rtp_clock);

	if (what == JBUF_IDLE || !n) {
		if (what == JBUF_PLAY)
			pool_put(&l->room->w->pool, p.data);
		return false;
	}
	if (what != JBUF_PLAY) {
		conceal(l, what, n);
		return true;
	}
	l->gap_ticks = 0;
	l->pkt_level = p.flags & JBUF_CN ? LEVEL_SILENCE : p.level;
	if (p.flags & JBUF_CN)
		comfort(l, &p, n);
	else if (p.data && wanted(l, p.level))
		decode(l, &p, n);
	else
		skip(l, n);
	pool_put(&l->room->w->pool, p.data);
	return true;
}

static void talk(struct wleg *l)
{
	if (l->loud) {
		l->quiet_ticks = 0;
		if (l->loud_ticks < 255)
			l->loud_ticks++;
	} else {
		if (l->quiet_ticks < 60000)
			l->quiet_ticks++;
		if (l->loud_ticks && !l->talk_told)
			l->loud_ticks--;
	}
	if (!l->talk_told && l->loud_ticks >= TICKS(200)) {
		l->talk_told = true;
		wleg_event(l, MLEG_TALK, 1);
	} else if (l->talk_told && (l->quiet_ticks >= TICKS(800) || l->want_in_mute)) {
		l->talk_told = false;
		l->loud_ticks = 0;
		wleg_event(l, MLEG_TALK, 0);
	}
}

static void mute(struct wleg *l)
{
	bool want = atomic_load_explicit(&l->mute_req, memory_order_relaxed) & 1;

	if (want == l->want_in_mute)
		return;
	l->want_in_mute = want;
	if (l->voice)
		mix_gain_set(&l->voice->gain, want || !l->in_mix ? 0 : MIX_UNITY, rate_hz[l->rate] / 100);
}

void voice_pull(struct wleg *l, int64_t tick_us)
{
	uint32_t need = (uint32_t)rate_frame(l->rate);
	int level;

	consume(l);
	mute(l);
	l->frame = NULL;
	l->loud = l->loud && !l->want_in_mute;
	if (l->gap_ticks < 60000)
		l->gap_ticks++;
	while (l->fill < need && fetch(l, tick_us))
		;
	if (!l->fill) {
		vad_silence(&l->vad);
		l->loud = false;
		talk(l);
		return;
	}
	if (l->fill < need)                      /* the sound ends within the tick */
		l->fill = need;
	if (l->voice && !l->voice->stale) {
		l->frame = l->voice->pcm;
		l->idle_voice = 0;
	}
	l->used = need;
	level = l->frame ? level_dbov(l->frame, need) : l->pkt_level == JBUF_NO_LEVEL ? LEVEL_SILENCE : l->pkt_level;
	vad_update(&l->vad, level);
	l->loud = level > gate(l) && !l->want_in_mute && l->gap_ticks < TICKS(VAD_GAP_MS);
	talk(l);
}
