/* SPDX-License-Identifier: Apache-2.0 */
/* codec_g711.c - PCMU and PCMA (ITU-T G.711) by tables that are made on first use
 *
 * A-law codes 13 bits and u-law 14 bits of a 16-bit sample, so the encoding tables are indexed by its upper bits.
 * Lost frames are concealed by plc.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/plc.h"

#define RATE        8000u
#define PAYLOAD_MAX 1600u
#define ULAW_BIAS   33u                  /* on the 14-bit scale */

struct codec_enc { const uint8_t *table; unsigned shift; };
struct codec_dec { const int16_t *table; struct plc *plc; };

static int16_t ulaw_dec[256], alaw_dec[256];
static uint8_t ulaw_enc[1u << 14], alaw_enc[1u << 13];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A code is sign, 3 bits of segment, 4 bits of mantissa; the value is the middle of its interval. */
static int16_t ulaw_value(uint8_t code)
{
	unsigned u = (uint8_t)~code, seg = u >> 4 & 7, mant = u & 15;
	int v = (int)((((2 * mant + ULAW_BIAS) << seg) - ULAW_BIAS) << 2);

	return (int16_t)(u & 0x80 ? -v : v);
}

static int16_t alaw_value(uint8_t code)
{
	unsigned a = code ^ 0x55u, seg = a >> 4 & 7, mant = a & 15;
	int v = (int)(seg ? (2 * mant + 33) << (seg - 1) : 2 * mant + 1) << 3;

	return (int16_t)(a & 0x80 ? v : -v);
}

/* mag: 13 bits without sign */
static uint8_t ulaw_code(unsigned mag, bool negative)
{
	unsigned seg = 0;

	mag += ULAW_BIAS;
	if (mag > 0x1fff)
		mag = 0x1fff;
	while (mag >> (seg + 6))
		seg++;
	return (uint8_t)~((negative ? 0x80u : 0) | seg << 4 | (mag >> (seg + 1) & 15));
}

/* mag: 12 bits without sign */
static uint8_t alaw_code(unsigned mag, bool negative)
{
	unsigned seg = 0;

	while (mag >> (seg + 5))
		seg++;
	return (uint8_t)(((negative ? 0 : 0x80u) | seg << 4 | (mag >> (seg ? seg : 1) & 15)) ^ 0x55u);
}

static void make_tables(void)
{
	for (unsigned i = 0; i < 256; i++) {
		ulaw_dec[i] = ulaw_value((uint8_t)i);
		alaw_dec[i] = alaw_value((uint8_t)i);
	}
	for (unsigned i = 0; i < 1u << 14; i++) {    /* the index is the sample's upper bits, two's complement */
		bool neg = i >> 13;

		ulaw_enc[i] = ulaw_code((neg ? ~i : i) & 0x1fff, neg);
	}
	for (unsigned i = 0; i < 1u << 13; i++) {
		bool neg = i >> 12;

		alaw_enc[i] = alaw_code((neg ? ~i : i) & 0xfff, neg);
	}
}

static int enc_alloc(struct codec_enc **ep, const uint8_t *table, unsigned shift)
{
	struct codec_enc *e = mem_zalloc(sizeof(*e), NULL);

	if (!e)
		return -ENOMEM;
	pthread_once(&once, make_tables);
	e->table = table;
	e->shift = shift;
	*ep = e;
	return 0;
}

static int ulaw_enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	(void)bitrate;
	return enc_alloc(ep, ulaw_enc, 2);
}

static int alaw_enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	(void)bitrate;
	return enc_alloc(ep, alaw_enc, 3);
}

static int encode(struct codec_enc *e, const int16_t *pcm, size_t nsamples, uint8_t *out, size_t room)
{
	if (nsamples > PAYLOAD_MAX)
		return -EINVAL;
	if (nsamples > room)
		return -EMSGSIZE;
	for (size_t i = 0; i < nsamples; i++)
		out[i] = e->table[(uint16_t)pcm[i] >> e->shift];
	return (int)nsamples;
}

static void dec_destructor(void *arg)
{
	struct codec_dec *d = arg;

	mem_deref(d->plc);
}

static int dec_alloc(struct codec_dec **dp, const int16_t *table)
{
	struct codec_dec *d = mem_zalloc(sizeof(*d), dec_destructor);
	int err;

	if (!d)
		return -ENOMEM;
	pthread_once(&once, make_tables);
	d->table = table;
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
	return dec_alloc(dp, ulaw_dec);
}

static int alaw_dec_alloc(struct codec_dec **dp)
{
	return dec_alloc(dp, alaw_dec);
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
	for (size_t i = 0; i < n; i++)
		pcm[i] = d->table[payload[i]];
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
