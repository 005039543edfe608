/* SPDX-License-Identifier: Apache-2.0 */
/* codec_g722.c - G.722 at 64 kbit/s through spandsp: one byte is two samples at 16 kHz, while its RTP clock says 8000
 * (RFC 3551 4.5.2). Lost frames are concealed by plc.c.
 */
#include <errno.h>
#include <spandsp.h>
#include <spandsp/private/g722.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/plc.h"

#define RATE        16000u
#define BITRATE     64000
#define PAYLOAD_MAX 1600u

struct codec_enc { g722_encode_state_t *g722; };
struct codec_dec { g722_decode_state_t *g722; struct plc *plc; };

static void enc_destructor(void *arg)
{
	struct codec_enc *e = arg;

	if (e->g722)
		g722_encode_free(e->g722);
}

static int enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	struct codec_enc *e = mem_zalloc(sizeof(*e), enc_destructor);

	(void)bitrate;                           /* 48 and 56 kbit/s are not used in SDP */
	if (!e)
		return -ENOMEM;
	e->g722 = g722_encode_init(NULL, BITRATE, 0);
	if (!e->g722) {
		mem_deref(e);
		return -ENOMEM;
	}
	*ep = e;
	return 0;
}

static int enc_copy(struct codec_enc **ep, const struct codec_enc *from)
{
	int err = enc_alloc(ep, 0);

	if (!err)
		*(*ep)->g722 = *from->g722;      /* flat: no pointers in it */
	return err;
}

static int encode(struct codec_enc *e, const int16_t *pcm, size_t nsamples, uint8_t *out, size_t room)
{
	if (nsamples % 2 || nsamples / 2 > PAYLOAD_MAX)
		return -EINVAL;
	if (nsamples / 2 > room)
		return -EMSGSIZE;
	return g722_encode(e->g722, out, pcm, (int)nsamples);
}

static void dec_destructor(void *arg)
{
	struct codec_dec *d = arg;

	if (d->g722)
		g722_decode_free(d->g722);
	mem_deref(d->plc);
}

static int dec_alloc(struct codec_dec **dp)
{
	struct codec_dec *d = mem_zalloc(sizeof(*d), dec_destructor);
	int err;

	if (!d)
		return -ENOMEM;
	err = plc_alloc(&d->plc, RATE);
	if (err)
		goto out;
	d->g722 = g722_decode_init(NULL, BITRATE, 0);
	if (!d->g722) {
		err = -ENOMEM;
		goto out;
	}
	*dp = d;
out:
	if (err)
		mem_deref(d);
	return err;
}

static int samples(const uint8_t *payload, size_t n)
{
	return payload && n && n <= PAYLOAD_MAX ? (int)(2 * n) : -EBADMSG;
}

static int decode(struct codec_dec *d, const uint8_t *payload, size_t n, int fec, int16_t *pcm, size_t room)
{
	int got;

	if (!payload || fec) {
		if (room > 2 * PAYLOAD_MAX)
			room = 2 * PAYLOAD_MAX;
		plc_conceal(d->plc, pcm, room);
		return (int)room;
	}
	if (samples(payload, n) < 0)
		return -EBADMSG;
	if (2 * n > room)
		return -EMSGSIZE;
	got = g722_decode(d->g722, pcm, payload, (int)n);
	plc_good(d->plc, pcm, (size_t)got);
	return got;
}

const struct codec codec_g722 = {
	.name = "G722", .rtp_clock = 8000, .rate = RATE,
	.enc_alloc = enc_alloc, .encode = encode, .dec_alloc = dec_alloc, .decode = decode, .samples = samples,
	.enc_copy = enc_copy,
};
