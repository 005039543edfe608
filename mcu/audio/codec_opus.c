/* SPDX-License-Identifier: Apache-2.0 */
/* codec_opus.c - Opus (RFC 6716, 7587) through libopus, 48 kHz mono
 *
 * A mono decoder takes stereo packets and mixes them down by itself. Lost frames: the in-band copy of the next packet
 * (fec), else libopus' own concealment, faded to silence between 40 and 100 ms of loss. The library's state lives
 * inside our object.
 */
#include <errno.h>
#include <opus/opus.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"

#define RATE            48000
#define STEP            120u             /* 2.5 ms: what concealment is counted in */
#define FRAME_MAX       5760u            /* 120 ms */
#define BITRATE_DEFAULT 32000u
#define BITRATE_MIN     6000u
#define BITRATE_MAX     128000u
#define COMPLEXITY      5
#define LOSS_DEFAULT    5
#define LOSS_MAX        20u
#define FADE_FROM       1920u            /* samples of loss: frame 3 begins */
#define FADE_TO         4800u

struct codec_enc { OpusEncoder *opus; };
struct codec_dec { OpusDecoder *opus; size_t lost; };

#define STATE_OFFSET 32u                 /* room for the struct, keeps the library's state aligned */
_Static_assert(sizeof(struct codec_enc) <= STATE_OFFSET && sizeof(struct codec_dec) <= STATE_OFFSET, "state follows");

static int error_of(int opus_err)
{
	switch (opus_err) {
	case OPUS_BAD_ARG:          return -EINVAL;
	case OPUS_BUFFER_TOO_SMALL: return -EMSGSIZE;
	case OPUS_INVALID_PACKET:   return -EBADMSG;
	case OPUS_ALLOC_FAIL:       return -ENOMEM;
	default:                    return -EIO;
	}
}

static int enc_loss(struct codec_enc *e, unsigned percent)
{
	int rc = opus_encoder_ctl(e->opus, OPUS_SET_PACKET_LOSS_PERC((int)(percent < LOSS_MAX ? percent : LOSS_MAX)));

	return rc == OPUS_OK ? 0 : error_of(rc);
}

static int enc_dtx(struct codec_enc *e)
{
	int rc = opus_encoder_ctl(e->opus, OPUS_SET_DTX(1));

	return rc == OPUS_OK ? 0 : error_of(rc);
}

static int enc_alloc(struct codec_enc **ep, unsigned bitrate)
{
	struct codec_enc *e = mem_zalloc(STATE_OFFSET + (size_t)opus_encoder_get_size(1), NULL);
	int rc;

	if (!e)
		return -ENOMEM;
	if (!bitrate)
		bitrate = BITRATE_DEFAULT;
	bitrate = bitrate < BITRATE_MIN ? BITRATE_MIN : bitrate > BITRATE_MAX ? BITRATE_MAX : bitrate;
	e->opus = (OpusEncoder *)((char *)e + STATE_OFFSET);
	rc = opus_encoder_init(e->opus, RATE, 1, OPUS_APPLICATION_VOIP);
	if (rc == OPUS_OK)
		rc = opus_encoder_ctl(e->opus, OPUS_SET_BITRATE((opus_int32)bitrate));
	if (rc == OPUS_OK)
		rc = opus_encoder_ctl(e->opus, OPUS_SET_COMPLEXITY(COMPLEXITY));
	if (rc == OPUS_OK)
		rc = opus_encoder_ctl(e->opus, OPUS_SET_INBAND_FEC(1));
	if (rc == OPUS_OK)
		rc = opus_encoder_ctl(e->opus, OPUS_SET_PACKET_LOSS_PERC(LOSS_DEFAULT));
	if (rc != OPUS_OK) {
		mem_deref(e);
		return error_of(rc);
	}
	*ep = e;
	return 0;
}

/* The library's state is flat and may be copied. */
static int enc_copy(struct codec_enc **ep, const struct codec_enc *from)
{
	size_t size = (size_t)opus_encoder_get_size(1);
	struct codec_enc *e = mem_zalloc(STATE_OFFSET + size, NULL);

	if (!e)
		return -ENOMEM;
	e->opus = (OpusEncoder *)((char *)e + STATE_OFFSET);
	memcpy(e->opus, from->opus, size);
	*ep = e;
	return 0;
}

static int encode(struct codec_enc *e, const int16_t *pcm, size_t nsamples, uint8_t *out, size_t room)
{
	int rc;

	if (nsamples > FRAME_MAX)
		return -EINVAL;
	rc = opus_encode(e->opus, pcm, (int)nsamples, out, (opus_int32)(room < 4000 ? room : 4000));
	return rc < 0 ? error_of(rc) : rc;
}

static int dec_alloc(struct codec_dec **dp)
{
	struct codec_dec *d = mem_zalloc(STATE_OFFSET + (size_t)opus_decoder_get_size(1), NULL);
	int rc;

	if (!d)
		return -ENOMEM;
	d->opus = (OpusDecoder *)((char *)d + STATE_OFFSET);
	rc = opus_decoder_init(d->opus, RATE, 1);
	if (rc != OPUS_OK) {
		mem_deref(d);
		return error_of(rc);
	}
	*dp = d;
	return 0;
}

static int samples(const uint8_t *payload, size_t n)
{
	int rc = payload && n && n <= INT32_MAX ? opus_packet_get_nb_samples(payload, (opus_int32)n, RATE) : -1;

	return rc > 0 ? rc : -EBADMSG;
}

static int conceal(struct codec_dec *d, int16_t *pcm, size_t room)
{
	int n = (int)((room < FRAME_MAX ? room : FRAME_MAX) / STEP * STEP);
	int rc;

	if (!n)
		return -EINVAL;
	if (d->lost >= FADE_TO) {
		memset(pcm, 0, (size_t)n * sizeof(*pcm));
		return n;
	}
	rc = opus_decode(d->opus, NULL, 0, pcm, n, 0);
	if (rc < 0)
		return error_of(rc);
	for (int i = 0; i < rc; i++, d->lost++) {
		if (d->lost >= FADE_TO)
			pcm[i] = 0;
		else if (d->lost > FADE_FROM)
			pcm[i] = (int16_t)(pcm[i] * (int)(FADE_TO - d->lost) / (int)(FADE_TO - FADE_FROM));
	}
	return rc;
}

/* The lost frame out of the packet after it; the copy may be shorter than the gap, the library conceals the rest. */
static int recover(struct codec_dec *d, const uint8_t *payload, size_t n, int16_t *pcm, size_t room)
{
	int want = (int)((room < FRAME_MAX ? room : FRAME_MAX) / STEP * STEP);
	int rc;

	if (n <= 1 || samples(payload, n) < 0 || !want)
		return conceal(d, pcm, room);    /* DTX carries no copy */
	rc = opus_decode(d->opus, payload, (opus_int32)n, pcm, want, 1);
	if (rc < 0)
		return conceal(d, pcm, room);
	d->lost = 0;
	return rc;
}

static int decode(struct codec_dec *d, const uint8_t *payload, size_t n, int fec, int16_t *pcm, size_t room)
{
	int rc;

	if (!payload)
		return conceal(d, pcm, room);
	if (fec)
		return recover(d, payload, n, pcm, room);
	rc = samples(payload, n);
	if (rc < 0)
		return rc;
	if ((size_t)rc > room)
		return -EMSGSIZE;
	rc = opus_decode(d->opus, payload, (opus_int32)n, pcm, rc, 0);
	if (rc < 0)
		return error_of(rc);
	d->lost = 0;
	return rc;
}

const struct codec codec_opus = {
	.name = "opus", .rtp_clock = RATE, .rate = RATE, .recovers = true,
	.enc_alloc = enc_alloc, .encode = encode, .dec_alloc = dec_alloc, .decode = decode, .samples = samples,
	.enc_loss = enc_loss, .enc_dtx = enc_dtx, .enc_copy = enc_copy,
};
