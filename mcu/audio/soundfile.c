/* SPDX-License-Identifier: Apache-2.0 */
/* soundfile.c - the file below the formats, and WAV, see soundfile.h */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "mcu/audio/soundfile_priv.h"

struct soundfile {
	int    fd;
	off_t  size;                     /* what is whole */
	const struct soundfile_format *format;
	void  *ctx;
};

static const struct soundfile_format *const formats[] = {
	[SOUNDFILE_OPUS] = &soundfile_ogg, [SOUNDFILE_WAV] = &soundfile_wav,
};

/* --- the file */
static int write_at(int fd, off_t at, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = pwrite(fd, p, n, at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? -errno : -EIO;
		p  += k;
		at += k;
		n  -= (size_t)k;
	}
	return 0;
}

int soundfile_append(struct soundfile *f, const void *p, size_t n)
{
	int err = write_at(f->fd, f->size, p, n);

	if (!err)
		f->size += (off_t)n;
	else
		(void)!ftruncate(f->fd, f->size);    /* half a page would be no harm, but is no use */
	return err;
}

int soundfile_rewrite(struct soundfile *f, off_t at, const void *p, size_t n) { return write_at(f->fd, at, p, n); }
off_t soundfile_size(const struct soundfile *f) { return f->size; }

static void destructor(void *arg)
{
	struct soundfile *f = arg;

	mem_deref(f->ctx);
	close(f->fd);
}

int soundfile_alloc(struct soundfile **fp, int fd, enum soundfile_kind kind, unsigned bitrate, const char *title)
{
	struct soundfile *f = mem_zalloc(sizeof(*f), destructor);
	int err;

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	f->fd     = fd;
	f->format = formats[kind];
	err = f->format->open(&f->ctx, f, bitrate, title);
	if (err)
		mem_deref(f);
	else
		*fp = f;
	return err;
}

int soundfile_add(struct soundfile *f, const int16_t *frame)
{
	static const int16_t silence[SOUNDFILE_FRAME];

	return f->format->add(f->ctx, frame ? frame : silence);
}

int soundfile_flush(struct soundfile *f) { return f->format->flush(f->ctx); }
int soundfile_finish(struct soundfile *f) { return f->format->finish(f->ctx); }

int soundfile_sync(struct soundfile *f)
{
	struct stat st;

	if (fdatasync(f->fd))
		return -errno;
	return !fstat(f->fd, &st) && !st.st_nlink ? -ENOENT : 0;
}

const char *soundfile_ext(enum soundfile_kind kind) { return formats[kind]->ext; }

/* --- WAV: PCM of 16 bits. The lengths in the head follow the samples, so they never tell of more than is there. */
#define WAV_HEAD   44u
#define WAV_GATHER 50u                   /* frames */
#define WAV_MAX    0xfffff000u           /* of the samples, bytes: lengths have 32 bits */

struct wav {
	struct soundfile *f;
	size_t            n;
	uint8_t           pcm[WAV_GATHER * SOUNDFILE_FRAME * 2];
};

static void le32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static int wav_open(void **ctx, struct soundfile *f, unsigned bitrate, const char *title)
{
	struct wav *w = mem_zalloc(sizeof(*w), NULL);
	uint8_t h[WAV_HEAD] = "RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0........\x02\0\x10\0data\0\0\0";

	(void)bitrate, (void)title;
	if (!w)
		return -ENOMEM;
	w->f = f;
	*ctx = w;
	le32(h + 4, WAV_HEAD - 8);
	le32(h + 24, SOUNDFILE_HZ);
	le32(h + 28, SOUNDFILE_HZ * 2);
	return soundfile_append(f, h, sizeof(h));
}

static int wav_flush(void *ctx)
{
	struct wav *w = ctx;
	uint8_t len[4];
	int err;

	if ((uint64_t)soundfile_size(w->f) + w->n > WAV_MAX)
		return -EFBIG;
	err = soundfile_append(w->f, w->pcm, w->n);
	if (err)
		return err;
	w->n = 0;
	le32(len, (uint32_t)soundfile_size(w->f) - WAV_HEAD);
	err = soundfile_rewrite(w->f, 40, len, 4);
	le32(len, (uint32_t)soundfile_size(w->f) - 8);
	return err ? err : soundfile_rewrite(w->f, 4, len, 4);
}

static int wav_add(void *ctx, const int16_t *frame)
{
	struct wav *w = ctx;
	int err = w->n == sizeof(w->pcm) ? wav_flush(w) : 0;

	if (err)
		return err;
	for (unsigned i = 0; i < SOUNDFILE_FRAME; i++) {
		w->pcm[w->n++] = (uint8_t)frame[i];
		w->pcm[w->n++] = (uint8_t)((uint16_t)frame[i] >> 8);
	}
	return 0;
}

const struct soundfile_format soundfile_wav = { ".wav", wav_open, wav_add, wav_flush, wav_flush };
