/* SPDX-License-Identifier: Apache-2.0 */
/* A WAV file: whatever it says of itself, what comes out lies within the file and the bounds. */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "mcu/audio/wav.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wav w = { 0 };
	int sum = 0;

	if (wav_decode(&w, (struct str){ (const char *)p, n }))
		return 0;
	if (!w.n || w.n > n || w.rate < 8000 || w.rate > 48000)
		abort();
	for (size_t i = 0; i < w.n; i++)
		sum += w.pcm[i];
	wav_fini(&w);
	return sum == 1 << 30;
}
