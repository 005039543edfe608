/* SPDX-License-Identifier: Apache-2.0 */
/* nonce.c - see nonce.h */
#include <errno.h>
#include <stdio.h>
#include "focusd/app.h"
#include "focusd/nonce.h"
#include "lib/tls/digest.h"

static const char *secret(void)
{
	static char s[33];

	if (!*s && str_random_hex(s, 32))
		*s = '\0';
	return s;
}

static int make(char out[NONCE_SIZE], const char *scope, int64_t when)
{
	char h[33];
	int err = *secret() ? digest_md5(h, "%s:%s:%lld", secret(), scope, (long long)when) : -ENOMEM;

	if (!err)
		snprintf(out, NONCE_SIZE, "%lld.%s", (long long)when, h);
	return err;
}

int nonce_make(char out[NONCE_SIZE], const char *scope)
{
	return make(out, scope, app_wall_s());
}

bool nonce_fresh(struct str nonce, const char *scope, int64_t max_age_s)
{
	struct str rest = nonce;
	char want[NONCE_SIZE];
	uint64_t when;

	return str_u64(str_cut(&rest, '.'), &when) == 0 && app_wall_s() - (int64_t)when <= max_age_s &&
	       make(want, scope, (int64_t)when) == 0 && str_eq(nonce, str_c(want));
}
