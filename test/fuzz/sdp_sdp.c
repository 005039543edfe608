/* SPDX-License-Identifier: Apache-2.0 */
/* sdp_sdp.c - any bytes as a session description; what is read is written, and from the second round on stays the same */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct sdp *s)
{
	static const size_t lens[] = { 30, 46, 28, 44 };
	struct sdes_key k;

	for (unsigned i = 0; i < s->nmedia; i++) {
		const struct sdp_media *m = &s->media[i];

		for (unsigned j = 0; j < m->ncrypto; j++)
			for (unsigned n = 0; n < 4; n++)
				(void)sdes_decode(&k, &m->crypto[j], lens[n]);
		for (unsigned j = 0; j < m->nfmts; j++)
			(void)sdp_fmtp_param(m->fmts[j].fmtp, STR("mode"), NULL);
	}
}

/* Writes what it read; false when that is longer than a description may be. */
static bool rewrite(struct buf *out, struct str in, unsigned *nmedia)
{
	struct sdp *s = NULL;

	if (sdp_decode(&s, in) || sdp_encode(out, s))
		abort();
	if (*nmedia != s->nmedia)
		abort();
	mem_deref(s);
	return out->l <= SDP_MAX_BYTES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = { (const char *)data, size };
	struct sdp *s = NULL;
	struct buf a, b, c;
	unsigned n;

	if (sdp_decode(&s, text))
		return 0;
	use(s);
	n = s->nmedia;
	mem_deref(s);
	buf_init(&a, 0);
	buf_init(&b, 0);
	buf_init(&c, 0);
	if (rewrite(&a, text, &n) && rewrite(&b, buf_view(&a), &n) && rewrite(&c, buf_view(&b), &n))
		if (!str_eq(buf_view(&b), buf_view(&c)))
			abort();
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
	return 0;
}
