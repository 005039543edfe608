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

static size_t packet(const struct stream *s)
{
	return s->codec->rate / 1000 * s->ptime_ms;
}

void stream_init(struct stream *s, enum mcodec codec, unsigned ptime_ms, unsigned bitrate)
{
	memset(s, 0, offsetof(struct stream, out));
	s->codec = media_codecs[codec];
	s->rate = codec_rate(s->codec);
	s->ptime_ms = ptime_ms;
	s->bitrate = bitrate;
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

static void encode_one(struct stream *s, const int16_t *pcm, size_t n)
{
	int r;

	if (!s->enc && s->codec->enc_alloc(&s->enc, s->bitrate)) {
		metric_inc(&media_metrics[M_NOMEM]);
		return;
	}
	r = s->codec->encode(s->enc, pcm, n, s->out[s->nout].data, sizeof(s->out[s->nout].data));
	metric_inc(&media_metrics[M_ENCODES]);
	if (r <= 0)
		return;
	s->out[s->nout++].len = (size_t)r;
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
