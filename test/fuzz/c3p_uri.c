/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_uri.c - any bytes as a conference URI; what is taken names the same conference when it is made again */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str s = { (const char *)data, size };
	char *user, *domain, *id, *uri;
	struct c3p_uri u;

	if (c3p_uri_decode(&u, s))
		return 0;
	user   = str_dup(u.user);
	domain = str_dup(u.domain);
	id     = str_dup(u.id);
	uri    = c3p_uri_make(user, domain, u.type, id);
	if (!c3p_uri_same(s, str_c(uri)))
		abort();
	mem_deref(user);
	mem_deref(domain);
	mem_deref(id);
	mem_deref(uri);
	return 0;
}
