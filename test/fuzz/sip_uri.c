/* SPDX-License-Identifier: Apache-2.0 */
/* sip_uri - fuzz: URIs, name-addrs, parameters, Via values; an address of record is its own address of record */
#include <stdlib.h>
#include "lib/sip/sip_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct str whole, struct str part)
{
	if (part.l && (part.p < whole.p || part.p + part.l > whole.p + whole.l))
		abort();
}

static void uri(struct str s)
{
	char one[128], two[128];
	struct sip_uri u;
	struct str aor, v;

	if (sip_uri_decode(&u, s))
		return;
	within(s, u.user);
	within(s, u.host);
	within(s, u.params);
	within(s, u.headers);
	if (sip_uri_param(&u, STR("opaque"), &v))
		within(s, v);
	aor = sip_uri_aor(s, one, sizeof(one));
	if (aor.p && !str_eq(sip_uri_aor(aor, two, sizeof(two)), aor))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size }, v;
	struct sip_addr a;
	struct sip_via via;

	uri(s);
	if (!sip_addr_decode(&a, s)) {
		within(s, a.display);
		within(s, a.uri);
		within(s, a.params);
		uri(a.uri);
		if (sip_param(a.params, STR("tag"), &v))
			within(s, v);
	}
	if (!sip_via_decode(&via, s)) {
		within(s, via.host);
		within(s, via.branch);
	}
	return 0;
}
