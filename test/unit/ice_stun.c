/* SPDX-License-Identifier: Apache-2.0 */
/* ice_stun.c - STUN messages: the vectors of RFC 5769, one of MS-ICE2, and what is malformed */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/ice/stun.h"

#define RFC_PWD "VOkJxbRl1RmTxUk/WvJxBt"
#define MS_PWD  "passwordpasswordpassword12"

/* RFC 5769 2.1 to 2.3 */
static const uint8_t request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74,
	0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36,
	0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20,
	0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
	0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
};
static const uint8_t response4[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20,
	0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
	0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53,
	0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
};
static const uint8_t response6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
	0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20,
	0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
	0xbe, 0xd2, 0xb9, 0xd9,
	0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
	0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};
/* A check in MS-ICE2, recorded from an independent implementation; its second copy ends a4af96e6 */
static const uint8_t ms[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,
	0x00, 0x25, 0x00, 0x00, 0x00, 0x24, 0x00, 0x04, 0x6e, 0xf0, 0x00, 0xff,
	0x80, 0x2a, 0x00, 0x08, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
	0x00, 0x06, 0x00, 0x0c, 0x4d, 0x43, 0x55, 0x31, 0x3a, 0x43, 0x4c, 0x4e, 0x54, 0x00, 0x00, 0x00,
	0x80, 0x54, 0x00, 0x04, 0x31, 0x00, 0x00, 0x00, 0x80, 0x70, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02,
	0x00, 0x08, 0x00, 0x14, 0x4d, 0xdc, 0x53, 0x2f, 0xeb, 0xb9, 0x6a, 0x56, 0x5c, 0xf8, 0xc7, 0x6e, 0x33, 0x0e, 0xa1, 0xd0,
	0x2f, 0x82, 0xc4, 0xe2, 0x80, 0x28, 0x00, 0x04, 0x81, 0x7c, 0x77, 0x61,
};

static struct stun_key key(const char *pwd)
{
	struct stun_key k;

	stun_key_init(&k, pwd, strlen(pwd));
	return k;
}

static void the_request_of_rfc_5769_is_read_and_authentic(void **st)
{
	struct stun_key k = key(RFC_PWD), wrong = key("VOkJxbRl1RmTxUk/WvJxBu");
	struct stun_msg m;

	(void)st;
	assert_int_equal(stun_decode(&m, request, sizeof(request)), 0);
	assert_int_equal(m.type, STUN_REQUEST);
	assert_true(str_eq(m.user, STR("evtj:h6vY")));
	assert_int_equal(m.priority, 0x6e0001ff);
	assert_true(m.cookie && m.controlled && !m.controlling && !m.use_candidate && !m.ms);
	assert_int_equal(m.unknown, 0);
	assert_true(stun_authentic(&m, &k, STUN_RFC5389));
	assert_false(stun_authentic(&m, &wrong, STUN_RFC5389));
	assert_false(stun_authentic(&m, &k, STUN_MSICE2));
	assert_true(stun_fingerprint_ok(&m, STUN_RFC5389));
}

static void the_responses_of_rfc_5769_tell_their_addresses(void **st)
{
	static const struct { const uint8_t *p; size_t n; const char *ip; } v[] = {
		{ response4, sizeof(response4), "192.0.2.1" },
		{ response6, sizeof(response6), "2001:db8:1234:5678:11:2233:4455:6677" },
	};
	struct stun_key k = key(RFC_PWD);

	(void)st;
	for (unsigned i = 0; i < 2; i++) {
		union ice_addr want;
		struct stun_msg m;

		assert_int_equal(stun_decode(&m, v[i].p, v[i].n), 0);
		assert_true(stun_authentic(&m, &k, STUN_RFC5389));
		assert_true(stun_fingerprint_ok(&m, STUN_RFC5389));
		assert_int_equal(ice_addr_parse(&want, str_c(v[i].ip), 32853), 0);
		assert_true(ice_addr_eq(&m.mapped, &want));
	}
}

static void a_check_of_ms_ice2_is_authentic_with_either_fingerprint(void **st)
{
	struct stun_key k = key(MS_PWD);
	uint8_t copy[sizeof(ms)];
	struct stun_msg m;

	(void)st;
	assert_int_equal(stun_decode(&m, ms, sizeof(ms)), 0);
	assert_true(m.ms && m.use_candidate && m.controlling);
	assert_true(str_eq(m.user, STR("MCU1:CLNT")));
	assert_true(stun_authentic(&m, &k, STUN_MSICE2));
	assert_false(stun_authentic(&m, &k, STUN_RFC5389));
	assert_true(stun_fingerprint_ok(&m, STUN_MSICE2));
	memcpy(copy, ms, sizeof(ms));
	memcpy(copy + sizeof(ms) - 4, "\xa4\xaf\x96\xe6", 4);
	assert_int_equal(stun_decode(&m, copy, sizeof(copy)), 0);
	assert_true(stun_authentic(&m, &k, STUN_MSICE2));
	assert_true(stun_fingerprint_ok(&m, STUN_MSICE2));
	assert_false(stun_fingerprint_ok(&m, STUN_RFC5389));
}

static void what_is_written_in_a_dialect_is_read_and_authentic_in_it(void **st)
{
	static const char *const ips[] = { "192.0.2.7", "2001:db8::7" };
	const uint8_t id[16] = { 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	struct stun_key k = key("some password of ours");
	uint8_t buf[STUN_MAX], old[16];

	(void)st;
	memcpy(old, id, 16);
	old[0] = 0x99;
	for (unsigned i = 0; i < 6; i++) {
		enum stun_dialect d = (enum stun_dialect)(i / 2);
		union ice_addr a;
		struct stun_out o;
		struct stun_msg m;
		size_t n;

		assert_int_equal(ice_addr_parse(&a, str_c(ips[i & 1]), 5004), 0);
		stun_begin(&o, buf, sizeof(buf), d, STUN_SUCCESS, d == STUN_RFC3489 ? old : id);
		stun_attr_mapped(&o, &a);
		stun_attr(&o, STUN_USERNAME, "a:bcdef", 7);
		n = stun_end(&o, &k);
		assert_true(n > 0);
		assert_int_equal(stun_decode(&m, buf, n), 0);
		assert_true(ice_addr_eq(&m.mapped, &a));
		assert_true(str_eq(m.user, STR("a:bcdef")));
		assert_true(stun_authentic(&m, &k, d));
		assert_int_equal(stun_fingerprint_ok(&m, d), d != STUN_RFC3489);
		for (size_t room = 0; room < n; room++) {
			stun_begin(&o, buf, room, d, STUN_SUCCESS, id);
			if (!o.full)
				stun_attr_mapped(&o, &a);
			stun_attr(&o, STUN_USERNAME, "a:bcdef", 7);
			assert_int_equal(stun_end(&o, &k), 0);
		}
	}
}

static void a_mapped_v4_address_is_told_as_v4(void **st)
{
	uint8_t buf[STUN_MAX], id[16] = { 0x21, 0x12, 0xa4, 0x42 };
	union ice_addr a, v4;
	struct stun_out o;
	struct stun_msg m;

	(void)st;
	assert_int_equal(ice_addr_parse(&a, STR("::ffff:192.0.2.9"), 1), 0);
	assert_int_equal(ice_addr_parse(&v4, STR("192.0.2.9"), 1), 0);
	stun_begin(&o, buf, sizeof(buf), STUN_RFC5389, STUN_SUCCESS, id);
	stun_attr_mapped(&o, &a);
	assert_int_equal(stun_decode(&m, buf, stun_end(&o, NULL)), 0);
	assert_true(ice_addr_eq(&m.mapped, &v4));
}

static void truncated_and_contradictory_messages_are_refused(void **st)
{
	uint8_t copy[sizeof(request)];
	struct stun_msg m;

	(void)st;
	for (size_t n = 0; n < sizeof(request); n++) {
		assert_int_equal(stun_decode(&m, request, n), -EBADMSG);
		memcpy(copy, request, n);
		if (n < STUN_HDR)
			continue;
		copy[2] = (uint8_t)((n - STUN_HDR) >> 8);        /* the length fits, an attribute is cut */
		copy[3] = (uint8_t)(n - STUN_HDR);
		if (stun_decode(&m, copy, n))
			continue;
		assert_false(m.fp_at && m.mi_at && n < sizeof(request));
	}
	memcpy(copy, request, sizeof(copy));
	copy[0] = 0x80;
	assert_int_equal(stun_decode(&m, copy, sizeof(copy)), -EBADMSG);
	memcpy(copy, request, sizeof(copy));
	copy[sizeof(copy) - 30] = 19;                            /* MESSAGE-INTEGRITY of 19 bytes */
	assert_int_equal(stun_decode(&m, copy, sizeof(copy)), -EBADMSG);
}

static void a_message_without_integrity_is_never_authentic(void **st)
{
	uint8_t buf[64], id[16] = { 0x21, 0x12, 0xa4, 0x42 };
	struct stun_key k = key("");
	struct stun_out o;
	struct stun_msg m;

	(void)st;
	for (int d = STUN_RFC5389; d <= STUN_RFC3489; d++) {
		stun_begin(&o, buf, sizeof(buf), (enum stun_dialect)d, STUN_REQUEST, id);
		assert_int_equal(stun_decode(&m, buf, stun_end(&o, NULL)), 0);
		assert_false(stun_authentic(&m, &k, (enum stun_dialect)d));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_of_rfc_5769_is_read_and_authentic),
		cmocka_unit_test(the_responses_of_rfc_5769_tell_their_addresses),
		cmocka_unit_test(a_check_of_ms_ice2_is_authentic_with_either_fingerprint),
		cmocka_unit_test(what_is_written_in_a_dialect_is_read_and_authentic_in_it),
		cmocka_unit_test(a_mapped_v4_address_is_told_as_v4),
		cmocka_unit_test(truncated_and_contradictory_messages_are_refused),
		cmocka_unit_test(a_message_without_integrity_is_never_authentic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
