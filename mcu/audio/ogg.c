/* SPDX-License-Identifier: Apache-2.0 */
/* ogg.c - Opus in Ogg (RFC 7845), see soundfile.h
 *
 * frame -> Opus packet -> libogg gathers -> a page for each flush. Every page is whole and has its own checksum, so the file
 * plays up to the last one that was written. The encoder looks ahead: a decoder leaves the first samples out (pre-skip), and
 * the last packet, one of silence, brings out the end of the sound.
 */
#include <errno.h>
#include <ogg/ogg.h>
#include <opus.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "mcu/audio/soundfile_priv.h"

#define PACKET_MAX 1500u
#define PAGE_MAX   200u                  /* packets; a page takes 255 pieces, a packet of 20 ms is one, or a few */
#define COMPLEXITY 5
#define TAG_MAX    200u

struct ogg {
	struct soundfile *f;
	OpusEncoder      *enc;
	ogg_stream_state  os;
	bool              has_os;
	opus_int32        skip;
	int64_t           frames, npackets;
	unsigned          waiting;
};

static void destructor(void *arg)
{
	struct ogg *o = arg;

	if (o->has_os)
		ogg_stream_clear(&o->os);
	if (o->enc)
		opus_encoder_destroy(o->enc);
}

static int write_pages(struct ogg *o)
{
	ogg_page page;
	uint8_t buf[65536];                      /* head and body in one write: the file has all of a page or nothing */
	int err = 0;

	while (!err && ogg_stream_flush(&o->os, &page)) {
		size_t h = (size_t)page.header_len, b = (size_t)page.body_len;

		if (h + b > sizeof(buf))
			return -EMSGSIZE;
		memcpy(buf, page.header, h);
		memcpy(buf + h, page.body, b);
		err = soundfile_append(o->f, buf, h + b);
	}
	o->waiting = 0;
	return err;
}

static int packet(struct ogg *o, uint8_t *p, size_t n, int64_t granule, bool first, bool last)
{
	ogg_packet k = { .packet = p, .bytes = (long)n, .b_o_s = first, .e_o_s = last, .granulepos = granule,
			 .packetno = o->npackets++ };

	o->waiting++;
	return ogg_stream_packetin(&o->os, &k) ? -ENOMEM : 0;
}

static size_t put_le(uint8_t *p, uint32_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
	return n;
}

static size_t put_text(uint8_t *p, const char *s, size_t n)
{
	size_t k = put_le(p, (uint32_t)n, 4);

	memcpy(p + k, s, n);
	return k + n;
}

static int write_head(struct ogg *o)
{
	uint8_t h[19] = "OpusHead\x01\x01";      /* version, channels; gain 0, mapping 0 */
	int err;

	put_le(h + 10, (uint32_t)o->skip, 2);
	put_le(h + 12, SOUNDFILE_HZ, 4);
	err = packet(o, h, sizeof(h), 0, true, false);
	return err ? err : write_pages(o);
}

static int write_tags(struct ogg *o, const char *title)
{
	char tag[TAG_MAX] = "TITLE=";
	const char *vendor = opus_get_version_string();
	uint8_t b[2 * TAG_MAX] = "OpusTags";
	size_t n = 8;
	int err;

	strncat(tag, title, sizeof(tag) - 8);
	n += put_text(b + n, vendor, strnlen(vendor, TAG_MAX - 32));
	n += put_le(b + n, 1, 4);
	n += put_text(b + n, tag, strlen(tag));
	err = packet(o, b, n, 0, false, false);
	return err ? err : write_pages(o);
}

static int open_encoder(struct ogg *o, unsigned bitrate)
{
	int rc;

	o->enc = opus_encoder_create((opus_int32)SOUNDFILE_HZ, 1, OPUS_APPLICATION_AUDIO, &rc);
	if (!o->enc)
		return -ENOMEM;
	rc = opus_encoder_ctl(o->enc, OPUS_SET_BITRATE((opus_int32)bitrate));
	if (!rc)
		rc = opus_encoder_ctl(o->enc, OPUS_SET_COMPLEXITY(COMPLEXITY));
	if (!rc)
		rc = opus_encoder_ctl(o->enc, OPUS_GET_LOOKAHEAD(&o->skip));
	return rc ? -EINVAL : 0;
}

static int ogg_open(void **ctx, struct soundfile *f, unsigned bitrate, const char *title)
{
	struct ogg *o = mem_zalloc(sizeof(*o), destructor);
	char serial[8 + 1];
	int err;

	if (!o)
		return -ENOMEM;
	*ctx = o;
	o->f = f;
	err = open_encoder(o, bitrate);
	if (!err)
		err = str_random_hex(serial, 8);
	if (!err)
		err = ogg_stream_init(&o->os, (int)strtoul(serial, NULL, 16)) ? -ENOMEM : 0;
	o->has_os = !err;
	if (!err)
		err = write_head(o);
	return err ? err : write_tags(o, title);
}

static int encode(struct ogg *o, const int16_t *frame, int64_t granule, bool last)
{
	uint8_t b[PACKET_MAX];
	opus_int32 n = opus_encode(o->enc, frame, (int)SOUNDFILE_FRAME, b, sizeof(b));

	return n < 0 ? -EINVAL : packet(o, b, (size_t)n, granule, false, last);
}

static int ogg_add(void *ctx, const int16_t *frame)
{
	struct ogg *o = ctx;
	int err = encode(o, frame, ++o->frames * (int64_t)SOUNDFILE_FRAME, false);

	return err || o->waiting < PAGE_MAX ? err : write_pages(o);
}

static int ogg_flush(void *ctx)
{
	return write_pages(ctx);
}

static int ogg_finish(void *ctx)
{
	static const int16_t silence[SOUNDFILE_FRAME];
	struct ogg *o = ctx;
	int err = write_pages(o);

	if (!err)
		err = encode(o, silence, o->frames * (int64_t)SOUNDFILE_FRAME + o->skip, true);
	return err ? err : write_pages(o);
}

const struct soundfile_format soundfile_ogg = { ".opus", ogg_open, ogg_add, ogg_flush, ogg_finish };
