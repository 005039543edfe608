/* SPDX-License-Identifier: Apache-2.0 */
/* denoise.c - noise suppression, see denoise.h: the library's spectral one, 15 dB at most, nothing else of it */
#include <errno.h>
#include <speex/speex_preprocess.h>
#include "lib/base/mem.h"
#include "mcu/audio/denoise.h"

#define SUPPRESS_DB (-15)

struct denoise { SpeexPreprocessState *st; size_t frame; };

static void destructor(void *arg)
{
	struct denoise *d = arg;

	if (d->st)
		speex_preprocess_state_destroy(d->st);
}

int denoise_alloc(struct denoise **dp, uint32_t rate)
{
	struct denoise *d = mem_zalloc(sizeof(*d), destructor);
	int on = 1, off = 0, db = SUPPRESS_DB;

	if (!d)
		return -ENOMEM;
	d->frame = rate / 50;
	d->st = speex_preprocess_state_init((int)d->frame, (int)rate);
	if (!d->st) {
		mem_deref(d);
		return -ENOMEM;
	}
	speex_preprocess_ctl(d->st, SPEEX_PREPROCESS_SET_DENOISE, &on);
	speex_preprocess_ctl(d->st, SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, &db);
	speex_preprocess_ctl(d->st, SPEEX_PREPROCESS_SET_AGC, &off);
	speex_preprocess_ctl(d->st, SPEEX_PREPROCESS_SET_DEREVERB, &off);
	*dp = d;
	return 0;
}

void denoise_apply(struct denoise *d, int16_t *pcm, size_t n)
{
	if (n == d->frame)
		speex_preprocess_run(d->st, pcm);
}
