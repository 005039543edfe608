/* SPDX-License-Identifier: Apache-2.0 */
/* voice_fetch.c - jitter buffer -> samples of one leg: decoded, concealed, made up, stretched, or only counted
 *
 * A leg that cannot be among the loudest is not decoded: its packets are taken out of the jitter buffer at their time and
 * dropped, and `fill` counts samples that are not there (voice->stale). Decoder and sample memory come with the first
 * packet that must be decoded and go after some seconds without need.
 */
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define CN_KEEP_MS 1000u

void voice_free(struct wleg *l)
{
	struct voice *v = l->voice;

	if (!v)
		return;
	for (unsigned i = 0; i < NRATES; i++)
		mem_deref(v->rs[i]);
	mem_deref(v->dec);
	mem_deref(v->denoise);
	l->voice = mem_deref(v);
	l->frame = NULL;
	l->held = 0;
}

/* Room for the longest packet, what waits before it, a tick, and a tick more for what stretching adds */
static int voice_alloc(struct wleg *l)
{
	size_t size = rate_frame(l->rate) * 2 + rate_hz[l->rate] / 5 + rate_hz[l->rate] / 1000 * VOICE_HOLD_MS;
	struct voice *v = mem_zalloc(sizeof(*v) + size * sizeof(int16_t), NULL);

	if (!v)
		return -1;
	v->size = size;
	if (l->codec->dec_alloc(&v->dec)) {
		mem_deref(v);
		return -1;
	}
	if (l->denoise_on && denoise_alloc(&v->denoise, rate_hz[l->rate]))
		metric_inc(&media_metrics[M_NOMEM]);
	mix_gain_init(&v->gain, 0);
	mix_gain_init(&v->level, voice_gain(l));
	l->voice = v;
	return 0;
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
	}
	l->fill += (uint32_t)r;
	l->cn_ticks = 0;
}

static void conceal(struct wleg *l, enum jbuf_what what, size_t n)
{
	const struct jbuf_pkt *next = what == JBUF_LOST ? jbuf_next(&l->jb) : NULL;
	int16_t *to;
	int r = -1;

	l->st.concealed++;
	metric_inc(&media_metrics[M_LOST]);
	if (!l->voice || !voice_wanted(l, l->pkt_level)) {
		skip(l, n);
		return;
	}
	to = ready(l);
	if (!to) {
		skip(l, n);
		return;
	}
	if (next && l->codec->recovers)
		r = l->codec->decode(l->voice->dec, next->data, next->len, 1, to, n);
	if (r <= 0)
		r = l->codec->decode(l->voice->dec, NULL, 0, 0, to, n);
	if (r <= 0) {
		memset(to, 0, n * sizeof(*to));
		r = (int)n;
	}
	l->fill += (uint32_t)r;
}

/* Comfort noise only for who is in the mix, where a sudden nothing would be noticed. One packet tells what the pause sounds
 * like until the next one comes. */
static void comfort(struct wleg *l, const struct jbuf_pkt *p, size_t n)
{
	int16_t *to = l->in_mix ? ready(l) : NULL;

	if (!to) {
		skip(l, n);
		return;
	}
	cng_decode(&l->voice->cng, p->data, p->len);
	cng_fill(&l->voice->cng, to, n);
	l->fill += (uint32_t)n;
	l->cn_ticks = TICKS(CN_KEEP_MS);
}

static bool comfort_goes_on(struct wleg *l, uint32_t need)
{
	if (!l->cn_ticks || !l->voice || l->voice->stale || !l->in_mix)
		return false;
	l->cn_ticks--;
	cng_fill(&l->voice->cng, l->voice->pcm + l->fill, need - l->fill);
	l->fill = need;
	return true;
}

/* The jitter buffer wants more or less delay: a period of the voice is said twice or left out, as soon as there is enough
 * of it and a place where it is not heard. What nobody hears is just counted differently. */
static void stretch(struct wleg *l)
{
	struct voice *v = l->voice;
	uint32_t step = rate_hz[l->rate] / 1000 * STRETCH_STEP_MS;
	size_t n;

	if (!v || v->stale) {
		l->fill = l->stretch > 0 ? l->fill + step : l->fill > step ? l->fill - step : 0;
		l->stretch = 0;
		return;
	}
	if (l->fill < rate_hz[l->rate] / 1000 * STRETCH_MIN_MS)
		return;                          /* with the next packet */
	n = l->stretch > 0 ? stretch_longer(v->pcm, l->fill, v->size, rate_hz[l->rate])
			   : stretch_shorter(v->pcm, l->fill, rate_hz[l->rate]);
	l->fill = (uint32_t)n;
	l->stretch = 0;                          /* not possible here: the jitter buffer asks again */
}

static bool fetch(struct wleg *l, int64_t tick_us)
{
	struct jbuf_pkt p;
	enum jbuf_what what = jbuf_get(&l->jb, tick_us, !l->loud && !l->in_mix, &p);
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
	else if (p.data && voice_wanted(l, p.level))
		decode(l, &p, n);
	else
		skip(l, n);
	pool_put(&l->room->w->pool, p.data);
	if (p.flags & (JBUF_SHRINK | JBUF_GROW))
		l->stretch = p.flags & JBUF_GROW ? 1 : -1;
	if (l->stretch)
		stretch(l);
	return true;
}

void voice_fetch(struct wleg *l, uint32_t want, int64_t tick_us)
{
	while (l->fill < want && fetch(l, tick_us))
		;
	if (l->fill < want)
		comfort_goes_on(l, want);
}
