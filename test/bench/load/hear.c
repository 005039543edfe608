/* SPDX-License-Identifier: Apache-2.0 */
/* hear.c - what sampled receivers heard
 *
 * tape -> decoder -> samples, each with the time at which a receiver without any buffer would play it. For every burst
 * that was said in the receiver's room, its tone is looked for in the 300 ms that follow: a sliding window of 10 ms
 * (the other tones are zeros of it), the place where it passes half of its final value. The same search over our own
 * encoder and decoder alone gives what these two add; it is subtracted.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "test/bench/load/load.h"

#define LOOK_MS   300u
#define SENT_AMP  6000.0
#define MIN_AMP   600.0                  /* a tone that is there */
#define OWN_AMP   300.0                  /* one that should not be */

struct sound { int16_t *pcm; size_t n, frame; int64_t *at_us; uint32_t rate; };   /* at_us: of each frame's begin */

static double amplitude(const int16_t *x, size_t n, uint32_t rate, unsigned hz)
{
	double c = 2 * cos(2 * M_PI * hz / rate), s1 = 0, s2 = 0;

	for (size_t i = 0; i < n; i++) {
		double s = x[i] + c * s1 - s2;

		s2 = s1;
		s1 = s;
	}
	return 2 * sqrt(fmax(0, s1 * s1 + s2 * s2 - c * s1 * s2)) / (double)n;
}

/* Where in x[0..n) the tone begins, in samples; negative: it does not. */
static double onset(const int16_t *x, size_t n, uint32_t rate, unsigned hz, double min_amp, double *amp)
{
	size_t win = rate / 100, step = rate / 1000, k, steps = n > win ? (n - win) / step : 0;
	double a[LOOK_MS + 1], top = 0;

	for (k = 0; k < steps && k <= LOOK_MS; k++) {
		a[k] = amplitude(x + k * step, win, rate, hz);
		top = fmax(top, a[k]);
	}
	steps = k;
	*amp = top;
	if (top < min_amp)
		return -1;
	for (k = 0; k < steps && a[k] < top / 2; k++)
		;
	if (!k)
		return 0;
	return ((double)k - (a[k] - top / 2) / (a[k] - a[k - 1])) * (double)step;
}

/* --- tape to sound; what never came is silence */
static int listen(const struct load *l, const struct tape *t, struct sound *s)
{
	struct codec_dec *d;
	uint32_t step = l->codec->rtp_clock / 50;
	int err = l->codec->dec_alloc(&d);

	if (err)
		return err;
	*s = (struct sound){ .pcm = calloc(t->n + 1, l->frame * sizeof(int16_t)), .at_us = calloc(t->n + 1, sizeof(int64_t)),
			     .frame = l->frame, .rate = l->codec->rate };
	for (size_t i = 0; i < t->n && s->pcm && s->at_us; i++) {
		struct heard *p = t->pkt[i];
		int r;

		if (i && (int32_t)(p->ts - t->pkt[i - 1]->ts) < (int32_t)step)
			continue;                        /* out of order */
		r = l->codec->decode(d, p->data, p->len, 0, s->pcm + s->n, l->frame);
		if (r != (int)l->frame)
			continue;
		s->at_us[s->n / l->frame] = p->at_us;
		s->n += l->frame;
	}
	mem_deref(d);
	return s->pcm && s->at_us ? 0 : -ENOMEM;
}

static int64_t time_of(const struct sound *s, double sample)
{
	size_t k = (size_t)sample / s->frame;

	return s->at_us[k] + (int64_t)((sample - (double)(k * s->frame)) * 1e6 / s->rate);
}

/* First sample that plays at or after at_us */
static size_t find(const struct sound *s, int64_t at_us)
{
	size_t lo = 0, hi = s->n / s->frame;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->at_us[mid] < at_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo * s->frame;
}

/* --- our own codec and this very search: samples between a burst and what is found of it */
static int calibrate(struct load *l, unsigned hz, double *samples)
{
	struct talk t = { 0 };
	struct codec_dec *d = NULL;
	int16_t *x = calloc(40, l->frame * sizeof(*x)), pcm[FRAME_MAX];
	uint8_t b[1280];
	double amp, k;
	uint64_t from;
	int err;

	if (!x)
		return -ENOMEM;
	err = talk_init(l, &t, 0, 0);
	if (!err)
		err = l->codec->dec_alloc(&d);
	t.hz = hz;
	t.on_from = from = 20 * l->frame + 7;
	t.on_to = UINT64_MAX / 4;
	for (unsigned i = 0; i < 40 && !err; i++) {
		int n;

		talk_frame(l, &t, pcm);
		n = l->codec->encode(t.enc, pcm, l->frame, b, sizeof(b));
		if (n < 0 || l->codec->decode(d, b, (size_t)n, 0, x + i * l->frame, l->frame) < 0)
			err = -EIO;
	}
	k = err ? 0 : onset(x + 10 * l->frame, 30 * l->frame, l->codec->rate, hz, MIN_AMP, &amp);
	*samples = k + 10.0 * (double)l->frame - (double)from;
	mem_deref(t.enc);
	mem_deref(d);
	free(x);
	return err;
}

/* --- all of it */
struct found { double *ms; size_t n, room; };

static void add(struct found *f, double ms)
{
	if (f->n == f->room) {
		f->room = f->room ? 2 * f->room : 256;
		f->ms = realloc(f->ms, f->room * sizeof(*f->ms));
		if (!f->ms)
			abort();
	}
	f->ms[f->n++] = ms;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void look(struct load *l, const struct sound *s, const struct talk *t, bool own, double bias, struct hear *h, struct found *f)
{
	size_t len = (size_t)s->rate / 1000 * LOOK_MS;

	for (unsigned e = 0; e < t->nevents; e++) {
		const struct event *ev = &t->ev[e];
		size_t at = find(s, ev->at_us - 20000);
		double k, amp;

		if (ev->at_us < l->from_us + 100000 || ev->at_us > l->to_us - LOOK_MS * 1000 - 60000)
			continue;
		if (at + len > s->n)
			continue;
		if (own) {                               /* long windows: a click is not a voice */
			h->own += amplitude(s->pcm + at + len / 2, len / 3, s->rate, t->hz) > OWN_AMP;
			continue;
		}
		k = onset(s->pcm + at, len, s->rate, t->hz, MIN_AMP, &amp);
		h->expected++;
		if (k < 0)
			continue;
		h->heard++;
		h->level_db_min = fmin(h->level_db_min, 20 * log10(amp / SENT_AMP));
		h->level_db_max = fmax(h->level_db_max, 20 * log10(amp / SENT_AMP));
		k = fmax(0, (double)at + k - bias);
		add(f, (double)(time_of(s, k) - ev->at_us) / 1000);
	}
}

int hear_all(struct load *l, struct hear *h)
{
	struct found f = { 0 };
	double sum = 0;
	unsigned nbias = 0;
	int err = 0;

	*h = (struct hear){ .level_db_min = 99, .level_db_max = -99 };
	for (unsigned i = 0; i < l->plan.nlegs && !err; i++) {
		struct peer *p = &l->peers[i];
		unsigned first = room_of(l, i) * (l->plan.nlegs / l->plan.rooms);
		struct sound s = { 0 };

		if (!p->tape)
			continue;
		err = listen(l, p->tape, &s);
		h->receivers++;
		h->talkers_sampled += p->talk != NULL;
		for (unsigned k = 0; k < l->plan.talkers && !err; k++) {
			struct peer *t = &l->peers[first + k];
			double bias;

			err = calibrate(l, t->talk->hz, &bias);
			sum += bias;
			nbias++;
			if (!err)
				look(l, &s, t->talk, t == p, bias, h, &f);
		}
		free(s.pcm);
		free(s.at_us);
	}
	qsort(f.ms, f.n, sizeof(*f.ms), by_value);
	if (f.n) {
		h->p50_ms = f.ms[f.n / 2];
		h->p99_ms = f.ms[(f.n * 99) / 100];
		h->max_ms = f.ms[f.n - 1];
	}
	h->codec_ms = nbias ? sum / nbias * 1000 / l->codec->rate : 0;
	free(f.ms);
	return err;
}
