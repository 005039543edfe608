/* SPDX-License-Identifier: Apache-2.0 */
/* ice_stun.c - any datagram as STUN, to the codec and to agents of both forms: what is answered is well-formed, and
 * nothing but an authentic check makes a way
 */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/ice/ice.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct ice_prm forms[] = {
	{ .form = ICE_RFC5245, .user = "MCU1", .pwd = "passwordpasswordpassword12" },
	{ .form = ICE_DRAFT6, .user = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", .pwd = "EBESExQVFhcYGRobHB0eHw",
	  .npeers = 1, .peer = { { "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8", "QEFCQ0RFRkdISUpLTE1OTw" } } },
};

static void to_agent(const struct ice_prm *prm, const uint8_t *p, size_t n)
{
	const struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = 99, .sin_addr.s_addr = 0x0100007f };
	uint8_t out[STUN_MAX];
	struct stun_msg m;
	struct ice *i;
	unsigned news;

	if (ice_alloc(&i, prm))
		abort();
	for (unsigned comp = 0; comp < 2; comp++) {
		size_t len = ice_input(i, comp, p, n, (const struct sockaddr *)&from, out, sizeof(out), 1, &news);

		if (len && stun_decode(&m, out, len))
			abort();
		if (!(news & ICE_ALIVE) != !ice_way(i, comp))
			abort();
		len = ice_check(i, comp, (const struct sockaddr *)&from, out, sizeof(out));
		if (len && (!ice_way(i, comp) || stun_decode(&m, out, len)))
			abort();
	}
	mem_deref(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct stun_key key;
	struct stun_msg m;

	stun_key_init(&key, "passwordpasswordpassword12", 26);
	if (!stun_decode(&m, p, n))
		for (int d = STUN_RFC5389; d <= STUN_RFC3489; d++) {
			(void)stun_authentic(&m, &key, (enum stun_dialect)d);
			(void)stun_fingerprint_ok(&m, (enum stun_dialect)d);
		}
	for (unsigned k = 0; k < 2; k++)
		to_agent(&forms[k], p, n);
	return 0;
}
