/* SPDX-License-Identifier: Apache-2.0 */
/* clip.c - WAV file -> samples -> the three rates, in whole ticks, see clip.h */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "mcu/audio/clip.h"
#include "mcu/audio/resample.h"
#include "mcu/audio/tone.h"
#include "mcu/audio/wav.h"

#define TONE_DBOV (-20)
#define PIECE     960u                       /* samples resampled at once */

struct clip {
	atomic_uint refs;
	unsigned    ticks;
	int16_t    *pcm[CLIP_RATES];
};

struct clip *clip_ref(struct clip *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void clip_unref(struct clip *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned k = 0; k < CLIP_RATES; k++)
		free(c->pcm[k]);
	free(c);
}

unsigned clip_ticks(const struct clip *c) { return c->ticks; }
unsigned clip_ms(const struct clip *c) { return c->ticks * CLIP_TICK_MS; }

static size_t frame(unsigned rate) { return clip_hz[rate] / 1000 * CLIP_TICK_MS; }

const int16_t *clip_at(const struct clip *c, unsigned rate, unsigned tick)
{
	return c->pcm[rate] + (size_t)tick * frame(rate);
}

static struct clip *clip_new(unsigned ticks)
{
	struct clip *c = calloc(1, sizeof(*c));
	bool ok = c;

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->ticks = ticks;
	for (unsigned k = 0; k < CLIP_RATES; k++) {
		c->pcm[k] = calloc(ticks * frame(k), sizeof(*c->pcm[k]));
		ok &= c->pcm[k] != NULL;
	}
	if (ok)
		return c;
	clip_unref(c);
	return NULL;
}

/* What the filter gives beyond the last tick is cut: it is its tail. */
static int convert(int16_t *out, size_t room, unsigned hz, const struct wav *w)
{
	struct resample *r = NULL;
	int16_t piece[PIECE * 6 + 64];
	int err = resample_alloc(&r, w->rate, hz);
	size_t at = 0;

	for (size_t i = 0; !err && i < w->n && at < room; i += PIECE) {
		size_t n = w->n - i < PIECE ? w->n - i : PIECE;
		int got = resample_process(r, w->pcm + i, n, piece, sizeof(piece) / sizeof(piece[0]));

		if (got < 0) {
			err = got;
			break;
		}
		n = room - at < (size_t)got ? room - at : (size_t)got;
		memcpy(out + at, piece, n * sizeof(*out));
		at += n;
	}
	mem_deref(r);
	return err;
}

int clip_decode(struct clip **cp, struct str bytes)
{
	struct wav w = { 0 };
	struct clip *c;
	int err = wav_decode(&w, bytes);

	if (err)
		return err;
	c = clip_new((unsigned)((w.n * 1000 / w.rate + CLIP_TICK_MS) / CLIP_TICK_MS));
	err = c ? 0 : -ENOMEM;
	for (unsigned k = 0; !err && k < CLIP_RATES; k++)
		err = convert(c->pcm[k], c->ticks * frame(k), clip_hz[k], &w);
	wav_fini(&w);
	if (err)
		clip_unref(c);
	else
		*cp = c;
	return err;
}

static int read_all(char **bytes, size_t *n, FILE *f)
{
	long size;

	if (fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
		return -errno;
	if ((unsigned long)size > WAV_MAX_BYTES)
		return -EFBIG;
	*bytes = malloc((size_t)size + 1);
	if (!*bytes)
		return -ENOMEM;
	*n = fread(*bytes, 1, (size_t)size, f);
	return ferror(f) ? -EIO : 0;
}

/* A plain file only: a FIFO or a device would hold everybody up. */
static FILE *open_plain(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat s;
	FILE *f = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &s) || !S_ISREG(s.st_mode))
		errno = EINVAL;
	else
		f = fdopen(fd, "rb");
	if (!f)
		close(fd);
	return f;
}

int clip_load(struct clip **cp, const char *path)
{
	FILE *f = open_plain(path);
	char *bytes = NULL;
	size_t n = 0;
	int err;

	if (!f)
		return -errno;
	err = read_all(&bytes, &n, f);
	fclose(f);
	if (!err)
		err = clip_decode(cp, (struct str){ bytes, n });
	free(bytes);
	return err;
}

int clip_tone(struct clip **cp, unsigned hz, unsigned ms)
{
	struct clip *c = clip_new((ms + CLIP_TICK_MS - 1) / CLIP_TICK_MS);

	if (!c)
		return -ENOMEM;
	for (unsigned k = 0; k < CLIP_RATES; k++) {
		struct tone t;

		tone_init(&t, clip_hz[k], hz, ms, TONE_DBOV);
		tone_fill(&t, c->pcm[k], c->ticks * frame(k));
	}
	*cp = c;
	return 0;
}
