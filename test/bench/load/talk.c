/* SPDX-License-Identifier: Apache-2.0 */
/* talk.c - what participants say
 *
 * A talker gives bursts of its tone, 400 ms on and 240 ms off, one after the other among the talkers of a room, so that
 * all of them count as talking all the time and the beginning of each burst can be found at the other end. A burst
 * begins anywhere in a packet. A listener sends digital silence, or the noise of a quiet room at -66 dBov.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "test/bench/load/load.h"

#define ON_MS    400u
#define PERIOD_MS 640u
#define AMP      6000.0
#define RAMP_MS  2u
#define NOISES   50u

static struct { uint8_t b[1280]; size_t n; } quiet[NOISES];
static unsigned nquiet;

/* Multiples of 100 Hz: a window of 10 ms tells them apart. Those of a room are at least 200 Hz from each other. */
unsigned talk_hz(unsigned room, unsigned place)
{
	return 400 + 100 * ((room * 7 + place * 9) % 29);
}

static uint32_t rnd(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static void next_burst(const struct load *l, struct talk *t, uint64_t from)
{
	t->on_from = from + rnd(&t->rnd) % l->frame;
	t->on_to = t->on_from + l->codec->rate / 1000 * ON_MS;
}

int talk_init(struct load *l, struct talk *t, unsigned room, unsigned place)
{
	t->hz = talk_hz(room, place);
	t->rnd = 2463534242u + 977 * (room * 16 + place);
	next_burst(l, t, l->codec->rate / 1000 * (PERIOD_MS * place / (l->plan.talkers ? l->plan.talkers : 1)));
	return l->codec->enc_alloc(&t->enc, 0);
}

void talk_frame(const struct load *l, struct talk *t, int16_t *pcm)
{
	double w = 2 * M_PI * t->hz / l->codec->rate, ramp = l->codec->rate / 1000 * RAMP_MS;

	for (size_t i = 0; i < l->frame; i++, t->pos++) {
		double in = (double)t->pos - (double)t->on_from, out = (double)t->on_to - (double)t->pos;

		if (t->pos >= t->on_to)
			next_burst(l, t, t->on_to + l->codec->rate / 1000 * (PERIOD_MS - ON_MS) - l->frame / 2);
		if (in < 0 || out <= 0)
			pcm[i] = 0;
		else
			pcm[i] = (int16_t)(AMP * fmin(1, fmin(in / ramp, out / ramp)) * sin(w * in));
	}
}

bool talk_loud(const struct talk *t) { return t->pos > t->on_from && t->pos < t->on_to + FRAME_MAX; }

int talk_packet(struct load *l, struct talk *t, uint8_t *out, size_t room)
{
	int16_t pcm[FRAME_MAX];
	uint64_t at = t->pos, burst = t->on_from;

	talk_frame(l, t, pcm);
	if (burst >= at && burst < t->pos && t->nevents < EVENTS_MAX)
		t->ev[t->nevents++] = (struct event){
			burst, wall_us() + (int64_t)((burst - at) * 1000000 / l->codec->rate) };
	return l->codec->encode(t->enc, pcm, l->frame, out, room);
}

int quiet_init(struct load *l)
{
	struct codec_enc *e;
	uint32_t s = 88172645u;
	int16_t pcm[FRAME_MAX];
	int err = l->codec->enc_alloc(&e, 0);

	if (err)
		return err;
	nquiet = l->quiet == QUIET_NOISE ? NOISES : 1;
	for (unsigned i = 0; i < 30 + nquiet; i++) {     /* the first ones are not typical */
		unsigned k = i < 30 ? 0 : i - 30;
		int n;

		for (size_t j = 0; j < l->frame; j++)
			pcm[j] = l->quiet == QUIET_NOISE ? (int16_t)((int)(rnd(&s) % 57) - 28) : 0;
		n = l->codec->encode(e, pcm, l->frame, quiet[k].b, sizeof(quiet[k].b));
		if (n < 0)
			return n;
		quiet[k].n = (size_t)n;
	}
	return 0;
}

size_t quiet_payload(const struct load *l, unsigned at, const uint8_t **p)
{
	(void)l;
	*p = quiet[at % nquiet].b;
	return quiet[at % nquiet].n;
}
