/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - a participant of the sound bench, see sound.h
 *
 * Packets are encoded and their fate is drawn before anything runs: lost (alone, or in bursts: a Gilbert model whose
 * losses have a mean length), late by a uniform part of the jitter, or in time. A talker with comfort noise leaves out the packets of
 * pauses but one in 200 ms, which carries the level.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/rtp/rtp.h"
#include "mcu/audio/level.h"
#include "test/bench/sound/sound.h"

#define OPUS_PT    96u
#define CN_PT      13u
#define PACKET_MAX 9600u                         /* samples: 200 ms at 48 kHz */
#define CN_GATE    (-50)
#define CN_HANG_MS 200u

static double uniform(unsigned *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return (double)(*s >> 8) / 16777216.0;
}

int raw_read(const char *path, int16_t **pcm, size_t *n)
{
	FILE *f = fopen(path, "rb");
	long size;

	*pcm = NULL;
	*n = 0;
	if (!f)
		return -errno;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	*pcm = malloc((size_t)size + 2);
	*n = *pcm ? fread(*pcm, 2, (size_t)size / 2, f) : 0;
	fclose(f);
	return *pcm ? 0 : -ENOMEM;
}

static int raw_write(const char *path, const int16_t *pcm, size_t n)
{
	FILE *f = fopen(path, "wb");
	int err = 0;

	if (!f)
		return -errno;
	if (fwrite(pcm, 2, n, f) != n)
		err = -EIO;
	if (fclose(f))
		err = -EIO;
	return err;
}

static struct packet *add(struct packets *l, const uint8_t *data, size_t len)
{
	struct packet *p;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 1024;
		l->p = realloc(l->p, l->room * sizeof(*l->p));
		if (!l->p)
			abort();
	}
	p = &l->p[l->n++];
	*p = (struct packet){ .len = (uint16_t)len, .data = malloc(len + 1) };
	if (!p->data)
		abort();
	memcpy(p->data, data, len);
	return p;
}

/* --- the network */
static bool lost(struct client *c, bool *bad, unsigned *rnd)
{
	double rate = c->loss / 100, leave = c->burst > 1 ? 1 / c->burst : 1 - rate;
	double enter = c->burst > 1 ? rate * leave / (1 - rate) : rate;

	if (c->loss <= 0)
		return false;
	*bad = uniform(rnd) < (*bad ? 1 - leave : enter);
	c->nlost += *bad;
	return *bad;
}

static int by_time(const void *a, const void *b)
{
	const struct packet *x = a, *y = b;

	return x->at_us < y->at_us ? -1 : x->at_us > y->at_us ? 1 : (int16_t)(x->seq - y->seq);
}

/* --- sending */
static bool pause_goes_on(const struct client *c, const int16_t *pcm, size_t n, unsigned *quiet_ms, uint8_t *level)
{
	int db = level_dbov(pcm, n);

	*level = (uint8_t)-db;
	*quiet_ms = db < CN_GATE ? *quiet_ms + c->ptime_in : 0;
	return c->cn && *quiet_ms > CN_HANG_MS;
}

int client_prepare(struct client *c, unsigned seconds)
{
	size_t n, len, frame = c->codec->rate / 1000 * c->ptime_in, npackets = seconds * 1000 / c->ptime_in;
	unsigned rnd = c->seed * 2654435761u + 12345, quiet_ms = 0, sent_cn = 0;
	uint16_t seq = 100;
	bool bad = false, was_pause = true;
	int16_t *all, pcm[PACKET_MAX];
	struct codec_enc *enc = NULL;
	int err = 0;

	all = NULL;
	len = 0;
	if (c->in[0] != '-')
		err = raw_read(c->in, &all, &len);
	if (!err)
		err = c->codec->enc_alloc(&enc, 0);
	if (!err && c->codec->enc_loss)
		err = c->codec->enc_loss(enc, (unsigned)(c->loss + 0.5));
	for (n = 0; n < npackets && !err; n++) {
		uint8_t out[4000], level;
		bool is_pause;
		struct packet *p;
		int r;

		for (size_t i = 0; i < frame; i++)
			pcm[i] = n * frame + i < len ? all[n * frame + i] : 0;
		is_pause = pause_goes_on(c, pcm, frame, &quiet_ms, &level);
		r = c->codec->encode(enc, pcm, frame, out, sizeof(out));
		if (r < 0) {
			err = r;
			break;
		}
		if (is_pause) {
			sent_cn = was_pause ? sent_cn + c->ptime_in : 0;
			out[0] = level;
			r = 1;
		}
		if (!is_pause || sent_cn % 200 == 0) {
			p = add(&c->tx, out, (size_t)r);
			p->cn = is_pause;
			p->marker = was_pause && !is_pause;
			p->ts = 1000 + (uint32_t)(n * (c->codec->rtp_clock / 1000 * c->ptime_in));
			p->seq = seq++;
			p->at_us = (int64_t)((double)n * c->ptime_in * 1000 * (1 - c->ppm / 1e6) + uniform(&rnd) * c->jitter_ms * 1000);
			if (lost(c, &bad, &rnd))
				c->tx.n--;
		}
		was_pause = is_pause;
	}
	mem_deref(enc);
	free(all);
	qsort(c->tx.p, c->tx.n, sizeof(*c->tx.p), by_time);
	return err;
}

static void send_one(struct client *c, const struct packet *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(mleg_port(c->leg)) };
	struct rtp_hdr h = { .marker = p->marker, .pt = p->cn ? CN_PT : c->set.pt_recv, .seq = p->seq, .ts = p->ts, .ssrc = c->ssrc };
	uint8_t b[4096];
	size_t n = rtp_hdr_encode(b, sizeof(b), &h);

	memcpy(b + n, p->data, p->len);
	(void)!sendto(c->fd, b, n + p->len, 0, (struct sockaddr *)&to, sizeof(to));
}

void client_send_due(struct client *c, int64_t now_us, int64_t start_us)
{
	for (; c->next < c->tx.n && c->tx.p[c->next].at_us + start_us + c->start_us <= now_us; c->next++)
		send_one(c, &c->tx.p[c->next]);
}

/* --- receiving */
void client_receive(struct client *c, int64_t start_us)
{
	uint8_t b[2048];
	struct rtp_hdr h;
	ssize_t n;

	while ((n = recv(c->fd, b, sizeof(b), MSG_DONTWAIT)) > 0) {
		struct packet *p;

		if (rtp_is_rtcp(b, (size_t)n) || rtp_hdr_decode(&h, b, (size_t)n))
			continue;
		p = add(&c->rx, b + h.hdr_len, h.payload_len);
		p->at_us = mono_us() - start_us;
		p->ts = h.ts;
		p->seq = h.seq;
		p->marker = h.marker;
		p->cn = h.pt == CN_PT;
	}
}

/* Played as a perfect receiver would: each packet at its timestamp, comfort noise and what is missing as silence. */
int client_write(struct client *c, int64_t *first_us)
{
	struct codec_dec *dec = NULL;
	size_t room, at = 0;
	int16_t *pcm;
	int err;

	*first_us = INT64_MAX;
	if (!c->rx.n)
		return -ENODATA;
	err = c->codec->dec_alloc(&dec);
	room = (size_t)(c->rx.p[c->rx.n - 1].ts - c->rx.p[0].ts) / (c->codec->rtp_clock / 1000) * (c->codec->rate / 1000) + 2 * PACKET_MAX;
	pcm = calloc(room, sizeof(*pcm));
	for (size_t i = 0; i < c->rx.n && !err && pcm; i++) {
		const struct packet *p = &c->rx.p[i];
		size_t to = (size_t)((uint64_t)(p->ts - c->rx.p[0].ts) * c->codec->rate / c->codec->rtp_clock);
		int64_t us = p->at_us - (int64_t)((uint64_t)to * 1000000 / c->codec->rate);
		int r;

		if (us < *first_us)
			*first_us = us;
		if (p->cn || to + PACKET_MAX > room)
			continue;
		r = c->codec->decode(dec, p->data, p->len, 0, pcm + to, room - to);
		if (r > 0)
			at = to + (size_t)r;
	}
	if (!err && pcm)
		err = raw_write(c->out, pcm, at);
	free(pcm);
	mem_deref(dec);
	return err;
}

int client_code(enum mcodec id, const char *in, const char *out)
{
	static const struct codec *const codecs[] = { &codec_pcmu, &codec_pcma, &codec_g722, &codec_opus };
	const struct codec *c = codecs[id];
	size_t n, frame = c->rate / 50, at;
	struct codec_enc *enc = NULL;
	struct codec_dec *dec = NULL;
	int16_t *pcm;
	int err = raw_read(in, &pcm, &n);

	if (!err)
		err = c->enc_alloc(&enc, 0);
	if (!err)
		err = c->dec_alloc(&dec);
	if (!err && c->enc_loss)
		err = c->enc_loss(enc, 0);
	for (at = 0; at + frame <= n && !err; at += frame) {
		uint8_t b[1500];
		int r = c->encode(enc, pcm + at, frame, b, sizeof(b));

		if (r >= 0)
			r = c->decode(dec, b, (size_t)r, 0, pcm + at, frame);
		if (r < 0)
			err = r;
	}
	if (!err)
		err = raw_write(out, pcm, at);
	free(pcm);
	mem_deref(enc);
	mem_deref(dec);
	return err;
}
