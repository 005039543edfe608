/* SPDX-License-Identifier: Apache-2.0 */
/* wav.c - RIFF chunks -> format -> samples, see wav.h
 *
 * The chunks may stand in any order but `fmt ` before `data`; unknown ones are skipped. Everything is read through
 * bounds that come from the file's real length, never from what it says of itself.
 */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/wav.h"

enum { WAV_PCM = 1, WAV_ALAW = 6, WAV_ULAW = 7, WAV_EXTENSIBLE = 0xfffe };

struct format { unsigned coding, channels, bits, block; uint32_t rate; };

static unsigned le16(const uint8_t *p) { return p[0] | (unsigned)p[1] << 8; }
static uint32_t le32(const uint8_t *p) { return le16(p) | (uint32_t)le16(p + 2) << 16; }

static bool is(const uint8_t *p, const char *tag)
{
	return !memcmp(p, tag, 4);
}

static int format_decode(struct format *f, const uint8_t *p, size_t n)
{
	if (n < 16)
		return -EBADMSG;
	f->coding   = le16(p);
	f->channels = le16(p + 2);
	f->rate     = le32(p + 4);
	f->block    = le16(p + 12);
	f->bits     = le16(p + 14);
	if (f->coding == WAV_EXTENSIBLE && n >= 26)
		f->coding = le16(p + 24);            /* the GUID begins with the old number */
	if (f->channels < 1 || f->channels > 2 || f->rate < 8000 || f->rate > 48000)
		return -ENOTSUP;
	if (f->coding == WAV_ALAW || f->coding == WAV_ULAW)
		return f->bits == 8 && f->block == f->channels ? 0 : -EBADMSG;
	if (f->coding != WAV_PCM || !f->bits || f->bits > 32 || f->bits % 8)
		return -ENOTSUP;
	return f->block == f->channels * f->bits / 8 ? 0 : -EBADMSG;
}

/* The upper 16 bits; 8-bit samples have no sign, all wider ones have. */
static int16_t sample(const struct format *f, const int16_t *law, const uint8_t *p)
{
	unsigned bytes = f->bits / 8;

	if (law)
		return law[*p];
	if (bytes == 1)
		return (int16_t)((*p - 128) * 256);
	return (int16_t)le16(p + bytes - 2);
}

static int law_table(int16_t law[256], const struct codec *c)
{
	struct codec_dec *d = NULL;
	uint8_t all[256];
	int err = c->dec_alloc(&d);

	if (err)
		return err;
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	err = c->decode(d, all, 256, 0, law, 256) == 256 ? 0 : -EINVAL;
	mem_deref(d);
	return err;
}

static int samples(struct wav *w, const struct format *f, const uint8_t *p, size_t n)
{
	bool coded = f->coding != WAV_PCM;
	int16_t law[256], *pcm;
	int err = coded ? law_table(law, f->coding == WAV_ALAW ? &codec_pcma : &codec_pcmu) : 0;

	if (err)
		return err;
	n /= f->block;
	if (n > (size_t)f->rate * WAV_MAX_S)
		n = (size_t)f->rate * WAV_MAX_S;
	if (!n)
		return -EBADMSG;
	pcm = mem_zalloc(n * sizeof(*pcm), NULL);
	if (!pcm)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++, p += f->block) {
		int v = sample(f, coded ? law : NULL, p);

		if (f->channels == 2)
			v = (v + sample(f, coded ? law : NULL, p + f->block / 2)) / 2;
		pcm[i] = (int16_t)v;
	}
	*w = (struct wav){ .rate = f->rate, .n = n, .pcm = pcm };
	return 0;
}

int wav_decode(struct wav *w, struct str file)
{
	const uint8_t *p = (const uint8_t *)file.p;
	struct format f = { 0 };
	size_t left = file.l;
	int err;

	if (left < 12 || !is(p, "RIFF") || !is(p + 8, "WAVE"))
		return -EBADMSG;
	p += 12;
	left -= 12;
	while (left >= 8) {
		size_t n = le32(p + 4), have = left - 8;
		const uint8_t *body = p + 8;

		if (is(p, "data"))
			return f.block ? samples(w, &f, body, n < have ? n : have) : -EBADMSG;
		if (n > have)
			return -EBADMSG;
		if (is(p, "fmt ")) {
			err = format_decode(&f, body, n);
			if (err)
				return err;
		}
		n += n & 1 && n < have;              /* chunks begin at even places */
		p = body + n;
		left = have - n;
	}
	return -EBADMSG;
}

void wav_fini(struct wav *w)
{
	w->pcm = mem_deref(w->pcm);
	w->n = 0;
}
