/* SPDX-License-Identifier: Apache-2.0 */
/* resample.c - libspeexdsp's resampler for whole frames
 *
 * The filter's start-up zeros are not skipped: then it gives n * out / in samples from the first frame on, and a tick's
 * frame stays a tick's frame.
 */
#include <errno.h>
#include <speex/speex_resampler.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/audio/resample.h"

#define RATE_MIN 8000u
#define RATE_MAX 48000u

struct resample {
	SpeexResamplerState *st;         /* NULL: equal rates */
	uint32_t in, out;
};

static void destructor(void *arg)
{
	struct resample *r = arg;

	if (r->st)
		speex_resampler_destroy(r->st);
}

int resample_alloc(struct resample **rp, uint32_t in_rate, uint32_t out_rate)
{
	struct resample *r;
	int err = 0;

	if (in_rate < RATE_MIN || in_rate > RATE_MAX || out_rate < RATE_MIN || out_rate > RATE_MAX)
		return -EINVAL;
	r = mem_zalloc(sizeof(*r), destructor);
	if (!r)
		return -ENOMEM;
	r->in  = in_rate;
	r->out = out_rate;
	if (in_rate != out_rate) {
		r->st = speex_resampler_init(1, in_rate, out_rate, RESAMPLE_QUALITY, &err);
		if (!r->st) {
			mem_deref(r);
			return err == RESAMPLER_ERR_ALLOC_FAILED ? -ENOMEM : -EINVAL;
		}
	}
	*rp = r;
	return 0;
}

size_t resample_room(const struct resample *r, size_t n)
{
	return (n * r->out + r->in - 1) / r->in;
}

int resample_process(struct resample *r, const int16_t *in, size_t n, int16_t *out, size_t room)
{
	spx_uint32_t used = (spx_uint32_t)n, got;

	if (n > RATE_MAX || room < resample_room(r, n))
		return -EMSGSIZE;
	if (!r->st) {
		memcpy(out, in, n * sizeof(*in));
		return (int)n;
	}
	got = (spx_uint32_t)(room < RATE_MAX * 8 ? room : RATE_MAX * 8);
	if (speex_resampler_process_int(r->st, 0, in, &used, out, &got) != RESAMPLER_ERR_SUCCESS)
		return -EIO;
	return (int)got;
}

void resample_reset(struct resample *r)
{
	if (r->st)
		speex_resampler_reset_mem(r->st);
}

uint32_t resample_delay_us(const struct resample *r)
{
	return r->st ? (uint32_t)((uint64_t)speex_resampler_get_input_latency(r->st) * 1000000 / r->in) : 0;
}
