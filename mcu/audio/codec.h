/* SPDX-License-Identifier: Apache-2.0 */
/* codec.h - audio codecs behind one table: linear 16-bit samples in and out, no RTP, no loop
 *
 * Encoder and decoder state is allocated apart, so that a leg holds only what it uses.
 */
#ifndef AUDIO_CODEC_H
#define AUDIO_CODEC_H
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct codec_enc;
struct codec_dec;
struct codec {
	const char *name;                /* SDP encoding name */
	uint32_t    rtp_clock;           /* Hz */
	uint32_t    rate;                /* Hz of the samples (G.722: 16000, Opus: 48000) */
	/* mono samples throughout; bitrate 0: default; 0 or negative errno */
	int (*enc_alloc)(struct codec_enc **ep, unsigned bitrate);
	/* bytes or -errno */
	int (*encode)(struct codec_enc *e, const int16_t *pcm, size_t nsamples, uint8_t *out, size_t room);
	int (*dec_alloc)(struct codec_dec **dp);
	/* samples written or -errno; payload NULL: conceal `room` samples; fec: payload is the packet after the lost
	 * one and room the length of the gap */
	int (*decode)(struct codec_dec *d, const uint8_t *payload, size_t n, int fec, int16_t *pcm, size_t room);
	int (*samples)(const uint8_t *payload, size_t n);   /* at `rate` in a payload, or -EBADMSG */
	bool recovers;                   /* a packet may carry the one before it: decode with fec */
	int (*enc_loss)(struct codec_enc *e, unsigned percent);   /* loss at the peer, for FEC; may be NULL */
	int (*enc_dtx)(struct codec_enc *e);   /* from now on payloads of 1 or 2 bytes in silence need not be sent; may be NULL */
	/* a second encoder in the same state: a decoder that followed the one can follow the other from here on;
	 * NULL where encoders have no memory */
	int (*enc_copy)(struct codec_enc **ep, const struct codec_enc *from);
};
extern const struct codec codec_pcmu, codec_pcma, codec_g722, codec_opus;

#endif
