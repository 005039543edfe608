/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as comfort noise payloads, one of up to 16 bytes after the other: the noise stays finite, and within its bound */
#include <math.h>
#include <stdlib.h>
#include "mcu/audio/cng.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct cng c = { 0 };
	int16_t x[160];

	for (size_t at = 0; at < n && at < 4096; ) {
		size_t len = 1 + p[at] % 16;

		if (len > n - at)
			len = n - at;
		cng_decode(&c, p + at, len);
		cng_fill(&c, x, 160);
		if (!isfinite(c.b[0]) || !isfinite(c.norm) || c.order > CNG_ORDER)
			abort();
		at += len;
	}
	return 0;
}
