/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_pair.c - which offers may share a port pair */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "lib/base/mem.h"
#include "mcu/pair.h"

#define CRYPTO "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n"
#define EDGE   "SIP/2.0/TLS 192.0.2.1:15061;branch=z9hG4bKe"

static bool may(const char *vias, const char *conn, const char *media, bool shared)
{
	struct sip_msg *m = NULL;
	char body[1024], text[2048];
	bool r;

	snprintf(body, sizeof(body), "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN %s\r\nt=0 0\r\n%s", conn, media);
	snprintf(text, sizeof(text),
		 "INVITE sip:x@example.net SIP/2.0\r\nVia: " EDGE "\r\n%sFrom: <sip:a@example.net>;tag=1\r\n"
		 "To: <sip:x@example.net>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.7>\r\n"
		 "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", vias, strlen(body), body);
	assert_int_equal(sip_msg_decode(&m, str_c(text)), 0);
	r = pair_may_share(m, shared);
	mem_deref(m);
	return r;
}

#define VIA(rest) "Via: SIP/2.0/UDP " rest ";branch=z9hG4bKx\r\n"
#define SAVP      "m=audio 4000 RTP/SAVP 0\r\n" CRYPTO

static void sdes_from_where_the_request_came_may_share(void **state)
{
	(void)state;
	assert_true(may(VIA("192.0.2.7:5060"), "IP4 192.0.2.7", SAVP, false));
	assert_true(may(VIA("192.0.2.7"), "IP4 192.0.2.7", SAVP, false));
	assert_true(may(VIA("host.example:5060;received=192.0.2.7"), "IP4 192.0.2.7", SAVP, false));
	assert_true(may(VIA("10.0.0.1") VIA("192.0.2.7"), "IP4 192.0.2.7", SAVP, false));       /* by way of a proxy */
	assert_true(may(VIA("[2001:db8::7]:5060"), "IP6 2001:db8:0::7", SAVP, false));
	assert_true(may(VIA("x;received=2001:db8::7"), "IP6 2001:db8::7", SAVP, false));
}

static void what_comes_from_elsewhere_may_not(void **state)
{
	(void)state;
	assert_false(may(VIA("192.0.2.7;received=198.51.100.3"), "IP4 192.0.2.7", SAVP, false));   /* behind a NAT */
	assert_false(may(VIA("192.0.2.8"), "IP4 192.0.2.7", SAVP, false));
	assert_false(may(VIA("host.example"), "IP4 192.0.2.7", SAVP, false));
	assert_false(may("", "IP4 192.0.2.7", SAVP, false));
	assert_false(may(VIA("192.0.2.7") VIA("192.0.2.8"), "IP4 192.0.2.7", SAVP, false));
	assert_false(may(VIA("[2001:db8::7]"), "IP4 192.0.2.7", SAVP, false));
}

static void neither_ice_nor_dtls_may_share(void **state)
{
	static const char *const lines[] = {
		"m=audio 4000 RTP/SAVP 0\r\n",
		"m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 00\r\na=setup:actpass\r\n",
		SAVP "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n",
		SAVP "a=candidate:1 1 UDP 1 192.0.2.7 4000 typ host\r\n",
		SAVP "m=audio 4002 UDP/TLS/RTP/SAVP 0\r\n",
		"m=audio 0 RTP/SAVP 0\r\n" CRYPTO,
		"",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(may(VIA("192.0.2.7"), "IP4 192.0.2.7", lines[i], false));
	assert_true(may(VIA("192.0.2.7"), "IP4 192.0.2.7", "m=audio 4000 RTP/AVP 0\r\n", false));
	assert_true(may(VIA("192.0.2.7"), "IP4 192.0.2.7", "m=audio 4000 RTP/AVP 0\r\n" CRYPTO, false));
	assert_false(may(VIA("192.0.2.8"), "IP4 192.0.2.7", "m=audio 4000 RTP/AVP 0\r\n", false));
	assert_true(may(VIA("192.0.2.7"), "IP4 192.0.2.7", SAVP "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", false));
}

static void a_hold_without_address_keeps_what_is_there(void **state)
{
	(void)state;
	assert_false(may(VIA("192.0.2.7"), "IP4 0.0.0.0", SAVP, false));
	assert_true(may(VIA("192.0.2.7"), "IP4 0.0.0.0", SAVP, true));
	assert_false(may(VIA("192.0.2.7"), "IP4 192.0.2.9", SAVP, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sdes_from_where_the_request_came_may_share),
		cmocka_unit_test(what_comes_from_elsewhere_may_not),
		cmocka_unit_test(neither_ice_nor_dtls_may_share),
		cmocka_unit_test(a_hold_without_address_keeps_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
