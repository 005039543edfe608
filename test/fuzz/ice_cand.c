/* SPDX-License-Identifier: Apache-2.0 */
/* ice_cand.c - any text as a candidate line, a list of remote candidates and base64; what is read is written and read
 * again the same
 */
#include <stdlib.h>
#include "lib/ice/cand.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void again(const struct ice_cand *c)
{
	char out[8192];
	struct ice_cand d;

	if (c->transport == ICE_TRANSPORT_OTHER || c->type == ICE_TYPE_OTHER || ice_cand_encode(out, sizeof(out), c))
		return;
	if (ice_cand_decode(&d, str_c(out)) || d.form != c->form || d.comp != c->comp || d.port != c->port ||
	    d.transport != c->transport || d.priority / 1000 != c->priority / 1000 || !str_eq(d.addr, c->addr))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str text = { (const char *)p, n }, rest = text;
	union ice_addr a;
	struct ice_cand c;
	uint8_t raw[64];
	unsigned comp;

	if (!memchr(p, '\0', n) && !ice_cand_decode(&c, text))
		again(&c);
	while (!ice_remote_decode(&comp, &a, &rest))
		if (!comp || comp > 256)
			abort();
	if (ice_base64(raw, sizeof(raw), text) > (int)sizeof(raw))
		abort();
	return 0;
}
