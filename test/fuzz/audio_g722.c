/* SPDX-License-Identifier: Apache-2.0 */
/* A run of payloads through the g722 decoder: each is one length byte and so many bytes; a length of 0 is a lost frame,
 * 255 a lost frame with the rest as the packet after it.
 */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"

#define ROOM 5760u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int16_t pcm[ROOM];
	struct codec_dec *d = NULL;

	if (codec_g722.dec_alloc(&d))
		abort();
	while (n) {
		size_t len = *p++, room = ROOM;
		int got, fec = len == 255;

		n--;
		if (len > n || fec)
			len = n;
		if (!len || fec)
			room = codec_g722.rate / 50;
		got = codec_g722.decode(d, len ? p : NULL, len, fec, pcm, room);
		if (got > (int)room || (len && !fec && got >= 0 && got != codec_g722.samples(p, len)))
			abort();
		p += len;
		n -= len;
	}
	mem_deref(d);
	return 0;
}
