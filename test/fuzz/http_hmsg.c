/* SPDX-License-Identifier: Apache-2.0 */
/* http_hmsg.c - fuzzes the HTTP parser: a message gives the same result whole and in pieces, and stays in its bounds
 *
 * First byte: request or response, and the size of the pieces; the rest is the stream.
 */
#include <stdint.h>
#include <stdlib.h>
#include "lib/http/hmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BODY = 4096 };

static int feed(struct hmsg *m, struct str in, size_t piece, size_t *used)
{
	size_t n;
	int err = 0;

	*used = 0;
	while (!err && in.l && m->st != HMSG_DONE) {
		struct str part = { in.p, in.l < piece ? in.l : piece };

		err = hmsg_feed(m, part, &n);
		if (n > part.l || (!err && n < part.l && m->st != HMSG_DONE))
			abort();
		in.p += n;
		in.l -= n;
		*used += n;
	}
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hmsg a, b;
	size_t na, nb;
	struct str in;
	int ea, eb;

	if (!size)
		return 0;
	in = (struct str){ (const char *)data + 1, size - 1 };
	hmsg_init(&a, data[0] & 1, MAX_BODY);
	hmsg_init(&b, data[0] & 1, MAX_BODY);
	ea = feed(&a, in, SIZE_MAX, &na);
	eb = feed(&b, in, 1 + (data[0] >> 1) % 32, &nb);
	if (ea != eb || a.st != b.st || a.status != b.status || !str_eq(buf_view(&a.body), buf_view(&b.body)))
		abort();
	if (!ea && na != nb)
		abort();
	if (a.body.l > MAX_BODY || a.head.l > HMSG_MAX_HEAD)
		abort();
	if (a.st == HMSG_DONE && a.request && (!a.method.l || !a.path.l))
		abort();
	hmsg_reset(&b);
	if (hmsg_begun(&b))
		abort();
	hmsg_fini(&a);
	hmsg_fini(&b);
	return 0;
}
