/* SPDX-License-Identifier: Apache-2.0 */
/* codec_g711.c - PCMU and PCMA (ITU-T G.711); the loops are in kernel.h, lost frames are concealed by plc.c */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/kernel.h"
#include "mcu/audio/plc.h"

#define RATE        8000u
#define PAYLOAD_MAX 1600u

struct codec_enc { void (*code)(uint8_t *out, const int16_t *pcm, size_t n); };
struct codec_dec { void (*value)(int16_t *pcm, const uint8_t *in, size_t n); struct plc *plc; };

static int enc_alloc(struct codec_enc **ep, void (*code)(uint8_t *out, const int16_t *pcm, size_t n))
{
	struct codec_enc *e = mem_zalloc(sizeof(*e), NULL);

	if (!e)
		return -ENOMEM;
	e->code = code;
	*ep = e;
	return 0;
}

static int ulaw_enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	(void)bitrate;
	return enc_alloc(ep, kernel->ulaw_encode);
}

static int alaw_enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	(void)bitrate;
	return enc_alloc(ep, kernel->alaw_encode);
}

static int encode(struct codec_enc *e, const int16_t *pcm, size_t nsamples, uint8_t *out, size_t room)
{
	if (nsamples > PAYLOAD_MAX)
		return -EINVAL;
	if (nsamples > room)
		return -EMSGSIZE;
	e->code(out, pcm, nsamples);
	return (int)nsamples;
}

static void dec_destructor(void *arg)
{
	struct codec_dec *d = arg;

	mem_deref(d->plc);
}

static int dec_alloc(struct codec_dec **dp, void (*value)(int16_t *pcm, const uint8_t *in, size_t n))
{
	struct codec_dec *d = mem_zalloc(sizeof(*d), dec_destructor);
	int err;

	if (!d)
		return -ENOMEM;
	d->value = value;
	err = plc_alloc(&d->plc, RATE);
	if (err) {
		mem_deref(d);
		return err;
	}
	*dp = d;
	return 0;
}

static int ulaw_dec_alloc(struct codec_dec **dp)
{
	return dec_alloc(dp, kernel->ulaw_decode);
}

static int alaw_dec_alloc(struct codec_dec **dp)
{
	return dec_alloc(dp, kernel->alaw_decode);
}

static int samples(const uint8_t *payload, size_t n)
{
	return payload && n && n <= PAYLOAD_MAX ? (int)n : -EBADMSG;
}

static int decode(struct codec_dec *d, const uint8_t *payload, size_t n, int fec, int16_t *pcm, size_t room)
{
	if (!payload || fec) {
		if (room > PAYLOAD_MAX)
			room = PAYLOAD_MAX;
		plc_conceal(d->plc, pcm, room);
		return (int)room;
	}
	if (samples(payload, n) < 0)
		return -EBADMSG;
	if (n > room)
		return -EMSGSIZE;
	d->value(pcm, payload, n);
	plc_good(d->plc, pcm, n);
	return (int)n;
}

const struct codec codec_pcmu = {
	.name = "PCMU", .rtp_clock = RATE, .rate = RATE,
	.enc_alloc = ulaw_enc_alloc, .encode = encode, .dec_alloc = ulaw_dec_alloc, .decode = decode,
	.samples = samples,
};

const struct codec codec_pcma = {
	.name = "PCMA", .rtp_clock = RATE, .rate = RATE,
	.enc_alloc = alaw_enc_alloc, .encode = encode, .dec_alloc = alaw_dec_alloc, .decode = decode,
	.samples = samples,
};
