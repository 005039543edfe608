/* SPDX-License-Identifier: Apache-2.0 */
/* dtmf.c - frames -> 8 kHz -> spandsp's detector -> keys, see dtmf.h
 *
 * The detector looks at 12.75 ms at a time and reports a key when two such pieces agree, so 40 ms of a key are enough and
 * speech that passes through the tones of one is not taken for it.
 */
#include <errno.h>
#include <string.h>
#include <spandsp.h>
#include "lib/base/mem.h"
#include "mcu/audio/dtmf.h"
#include "mcu/audio/resample.h"

#define HZ        8000u
#define FRAME_MAX 960u
#define SILENT    5u                   /* ticks of silence after which the detector has forgotten all */

struct dtmf {
	dtmf_rx_state_t *rx;
	struct resample *rs;             /* NULL: it comes at 8 kHz */
	uint32_t         rate;
	unsigned         silent;         /* ticks */
	dtmf_key_cb     *cb;
	void            *arg;
};

static void destructor(void *arg)
{
	struct dtmf *d = arg;

	if (d->rx)
		dtmf_rx_free(d->rx);
	mem_deref(d->rs);
}

static void on_digits(void *arg, const char *digits, int n)
{
	struct dtmf *d = arg;

	for (int i = 0; i < n; i++)
		d->cb(digits[i], d->arg);
}

int dtmf_alloc(struct dtmf **dp, uint32_t rate, dtmf_key_cb *cb, void *arg)
{
	struct dtmf *d = mem_zalloc(sizeof(*d), destructor);
	int err = 0;

	if (!d)
		return -ENOMEM;
	d->rate = rate;
	d->cb   = cb;
	d->arg  = arg;
	d->rx   = dtmf_rx_init(NULL, on_digits, d);
	if (!d->rx)
		err = -ENOMEM;
	if (!err && rate != HZ)
		err = resample_alloc(&d->rs, rate, HZ);
	if (err)
		mem_deref(d);
	else
		*dp = d;
	return err;
}

void dtmf_feed(struct dtmf *d, const int16_t *pcm, size_t n)
{
	static const int16_t silence[FRAME_MAX];
	int16_t low[FRAME_MAX / 2 + 64];
	int got = (int)n;

	if (n > FRAME_MAX)
		return;
	d->silent = pcm ? 0 : d->silent < SILENT ? d->silent + 1 : SILENT;
	if (d->silent == SILENT)
		return;
	if (!pcm)
		pcm = silence;
	if (d->rs) {
		got = resample_process(d->rs, pcm, n, low, sizeof(low) / sizeof(low[0]));
		pcm = low;
	}
	if (got > 0)
		dtmf_rx(d->rx, pcm, got);
}
