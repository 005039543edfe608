/* SPDX-License-Identifier: Apache-2.0 */
/* sip_frame - fuzz: cutting messages out of a stream; a frame found in a part is the frame found in the whole */
#include <stdlib.h>
#include "lib/sip/sip_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };

	while (s.l) {
		size_t need;
		long n = sip_frame(s, &need);

		if (n == 0 && need <= s.l)
			abort();
		if (n <= 0)
			break;
		if ((size_t)n > s.l)
			abort();
		if (sip_msg_frame((struct str){ s.p, (size_t)n }) != n)
			abort();
		if (n > 1 && sip_msg_frame((struct str){ s.p, (size_t)n - 1 }) > 0)
			abort();
		s = (struct str){ s.p + n, s.l - (size_t)n };
	}
	return 0;
}
