/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the suite and the direction, the rest is a packet. What is protected must come back; what is
 * not ours must leave the packet as it was.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "lib/rtp/srtp.h"

#define ROOM 2048u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef int (protect_cb)(struct srtp_ctx *c, uint8_t *p, size_t *n, size_t room);
typedef int (unprotect_cb)(struct srtp_ctx *c, uint8_t *p, size_t *n);

static void round_trip(enum srtp_suite_id id, const uint8_t *p, size_t n, protect_cb *protect, unprotect_cb *unprotect)
{
	static const uint8_t key[SRTP_MAX_KEY] = { 1, 2, 3 };
	size_t klen = srtp_suites[id].key_len + srtp_suites[id].salt_len, len = n;
	struct srtp_ctx *tx = NULL, *rx = NULL;
	uint8_t buf[ROOM];

	if (srtp_ctx_alloc(&tx, id, key, klen) || srtp_ctx_alloc(&rx, id, key, klen))
		abort();
	memcpy(buf, p, n);
	if (!unprotect(rx, buf, &len) || len != n || memcmp(buf, p, n))
		abort();
	if (!protect(tx, buf, &len, sizeof(buf)) && (unprotect(rx, buf, &len) || len != n || memcmp(buf, p, n)))
		abort();
	mem_deref(tx);
	mem_deref(rx);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 1 || n - 1 > ROOM - SRTP_MAX_TRAILER)
		return 0;
	if (p[0] & 0x80)
		round_trip(p[0] % SRTP_NSUITES, p + 1, n - 1, srtcp_protect, srtcp_unprotect);
	else
		round_trip(p[0] % SRTP_NSUITES, p + 1, n - 1, srtp_protect, srtp_unprotect);
	return 0;
}
