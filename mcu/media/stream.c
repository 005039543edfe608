/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - frames of one tick in, encoded payloads of the packet time out
 *
 * 20 ms packets are encoded straight from the frame. Other packet times gather samples first. A private encoder begins
 * as a copy of the one its listener has followed, state and gathered samples: G.722 with a fresh encoder is a burst at
 * full scale in a decoder that knows another past.
 */
#include <errno.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define CN_AFTER_MS 200u         /* of silence */
#define CN_EVERY_MS 400u         /* a packet: what NAT and the peer's timers need is in it, too */
#define CN_DBOV     (-70)
#define DTX_BYTES   2            /* of Opus: need not be sent (RFC 6716 3.1) */
#define LOSS_MAX    20u

static size_t packet(const struct stream *s)
{
	return s->codec->rate / 1000 * s->ptime_ms;
}

void stream_init(struct stream *s, enum mcodec codec, unsigned ptime_ms, unsigned bitrate, bool dtx)
{
	memset(s, 0, offsetof(struct stream, out));
	s->codec = media_codecs[codec];
	s->rate = codec_rate(s->codec);
	s->ptime_ms = ptime_ms;
	s->bitrate = bitrate;
	s->dtx = dtx;
	s->loss = LOSS_UNKNOWN;
}

void stream_fini(struct stream *s)
{
	s->enc = mem_deref(s->enc);
	s->pcm = mem_deref(s->pcm);
}

static int gather_alloc(struct stream *s)
{
	if (!s->pcm)
		s->pcm = mem_zalloc((packet(s) + rate_frame(s->rate)) * sizeof(*s->pcm), NULL);
	return s->pcm ? 0 : -ENOMEM;
}

int stream_join(struct stream *s, const struct stream *of)
{
	s->loss = of->loss;
	if (of->enc && s->codec->enc_copy && s->codec->enc_copy(&s->enc, of->enc))
		return -ENOMEM;
	if (!of->fill)
		return 0;
	if (gather_alloc(s))
		return -ENOMEM;
	s->fill = of->fill;
	memcpy(s->pcm, of->pcm, of->fill * sizeof(*s->pcm));
	return 0;
}

static int make_encoder(struct stream *s)
{
	int err = s->codec->enc_alloc(&s->enc, s->bitrate);

	if (err)
		return err;
	if (s->dtx && s->codec->enc_dtx)
		s->codec->enc_dtx(s->enc);
	if (s->loss != LOSS_UNKNOWN && s->codec->enc_loss)
		s->codec->enc_loss(s->enc, s->loss);
	return 0;
}

/* In a pause: a packet of comfort noise now and then, at first at once, and nothing between */
static void pause_one(struct stream *s)
{
	s->out[s->nout].cn = true;
	s->out[s->nout].len = s->pause_ms % CN_EVERY_MS < s->ptime_ms ? cng_encode(s->out[s->nout].data, CN_DBOV) : 0;
	s->nout++;
}

static void encode_one(struct stream *s, const int16_t *pcm, size_t n)
{
	int r;

	if (s->pausing) {
		pause_one(s);
		return;
	}
	if (!s->enc && make_encoder(s)) {
		metric_inc(&media_metrics[M_NOMEM]);
		return;
	}
	r = s->codec->encode(s->enc, pcm, n, s->out[s->nout].data, sizeof(s->out[s->nout].data));
	metric_inc(&media_metrics[M_ENCODES]);
	if (r <= 0)
		return;
	s->out[s->nout].cn = false;
	s->out[s->nout++].len = s->dtx && r <= DTX_BYTES ? 0 : (size_t)r;
}

/* Codecs with a DTX of their own see to it themselves. */
void stream_pause(struct stream *s, bool silent)
{
	if (s->codec->enc_dtx)
		return;
	s->pause_ms = !silent ? 0 : s->pause_ms < 60000 ? (uint16_t)(s->pause_ms + TICK_MS) : (uint16_t)(60000 - CN_EVERY_MS + TICK_MS);
	s->pausing = s->pause_ms >= CN_AFTER_MS;
}

void stream_loss(struct stream *s, unsigned percent)
{
	unsigned now = s->loss;

	if (!s->codec->enc_loss)
		return;
	percent = percent > LOSS_MAX ? LOSS_MAX : percent;
	if (now != LOSS_UNKNOWN && percent < now)        /* up at once, down one by one: loss comes in bursts */
		percent = now - 1;
	if (percent == now)
		return;
	s->loss = (uint8_t)percent;
	if (s->enc)
		s->codec->enc_loss(s->enc, percent);
}

void stream_tick(struct stream *s, const int16_t *frame, bool encode)
{
	size_t n = rate_frame(s->rate), need = packet(s), at = 0;

	s->nout = 0;
	if (s->ptime_ms == TICK_MS) {
		if (encode)
			encode_one(s, frame, n);
		return;
	}
	if (gather_alloc(s)) {
		metric_inc(&media_metrics[M_NOMEM]);
		return;
	}
	memcpy(s->pcm + s->fill, frame, n * sizeof(*frame));
	s->fill += n;
	for (; s->fill - at >= need && s->nout < STREAM_OUT; at += need)
		if (encode)
			encode_one(s, s->pcm + at, need);
	s->fill -= at;
	memmove(s->pcm, s->pcm + at, s->fill * sizeof(*s->pcm));
}
