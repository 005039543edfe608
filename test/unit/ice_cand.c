/* SPDX-License-Identifier: Apache-2.0 */
/* ice_cand.c - candidate lines of both grammars, and what names the chosen ones */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/ice/cand.h"

#define USER "0fEcfbWhlHs28jloMa8JnslnVgDt+i7rxDVetR8rvDs"
#define PWD  "1IJVI4kcyitDakZMHb04Qw"

static void a_line_of_draft_6_is_read_and_written(void **st)
{
	const struct str line = STR(USER " 2 " PWD " UDP 0.830 192.0.2.2 54900");
	struct ice_cand c;
	char out[160];

	(void)st;
	assert_int_equal(ice_cand_decode(&c, line), 0);
	assert_int_equal(c.form, ICE_DRAFT6);
	assert_true(str_eq(c.user, STR(USER)) && str_eq(c.pwd, STR(PWD)) && str_eq(c.addr, STR("192.0.2.2")));
	assert_int_equal(c.comp, 2);
	assert_int_equal(c.port, 54900);
	assert_int_equal(c.priority, 830000);
	assert_int_equal(c.transport, ICE_UDP);
	assert_int_equal(ice_cand_encode(out, sizeof(out), &c), 0);
	assert_true(str_eq(str_c(out), line));
	assert_int_equal(ice_cand_encode(out, line.l, &c), -EMSGSIZE);
}

static void a_line_of_rfc_5245_is_read_and_written(void **st)
{
	const struct str line = STR("1 1 UDP 2130706431 2001:db8::1 5004 typ srflx");
	struct ice_cand c;
	char out[160];

	(void)st;
	assert_int_equal(ice_cand_decode(&c, STR("1 1 UDP 2130706431 2001:db8::1 5004 typ srflx raddr 10.0.0.1 rport 9")), 0);
	assert_int_equal(c.form, ICE_RFC5245);
	assert_int_equal(c.type, ICE_SRFLX);
	assert_int_equal(c.priority, 2130706431);
	assert_int_equal(ice_cand_encode(out, sizeof(out), &c), 0);
	assert_true(str_eq(str_c(out), line));
}

static void transports_of_communicator_and_of_the_rfc_are_told_apart(void **st)
{
	static const struct { const char *line; enum ice_transport t; enum ice_form f; } v[] = {
		{ "1 1 TCP-PASS 2120613887 192.0.2.2 443 typ host", ICE_TCP_PASS, ICE_RFC5245 },
		{ "1 1 TCP-ACT 2120613887 192.0.2.2 9 typ host", ICE_TCP_ACT, ICE_RFC5245 },
		{ "1 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active", ICE_TCP, ICE_RFC5245 },
		{ "1 1 udp 1 host.local 5004 typ host generation 0", ICE_UDP, ICE_RFC5245 },
		{ "1 1 sctp 1 192.0.2.2 5004 typ host", ICE_TRANSPORT_OTHER, ICE_RFC5245 },
		{ USER " 1 " PWD " TCP 1 192.0.2.2 443", ICE_TCP, ICE_DRAFT6 },
	};

	(void)st;
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct ice_cand c;

		assert_int_equal(ice_cand_decode(&c, str_c(v[i].line)), 0);
		assert_int_equal(c.transport, v[i].t);
		assert_int_equal(c.form, v[i].f);
	}
}

static void lines_of_neither_grammar_are_refused(void **st)
{
	static const char *const bad[] = {
		"", "1", "1 1 UDP 1 192.0.2.2 5004", "1 1 UDP 1 192.0.2.2 5004 type host", "1 0 UDP 1 192.0.2.2 5004 typ host",
		"1 257 UDP 1 192.0.2.2 5004 typ host", "1 1 UDP 4294967296 192.0.2.2 5004 typ host",
		"1 1 UDP 1 192.0.2.2 65536 typ host", "1 1 UDP -1 192.0.2.2 5004 typ host", "u 1 p DTLS 0.5 192.0.2.2 5004",
		"u 1 p UDP 0.5x 192.0.2.2 5004", "u 1 p UDP 2.5 192.0.2.2 5004", "u x p UDP 0.5 192.0.2.2 5004",
		"u 1 p UDP 0.5 192.0.2.2 port", "u 1 p UDP 0.5 192.0.2.2",
	};
	struct ice_cand c;

	(void)st;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ice_cand_decode(&c, str_c(bad[i])), -EBADMSG);
}

static void remote_candidates_are_read_one_by_one(void **st)
{
	struct str rest = STR("1 192.0.2.1 5004  2 2001:db8::1 5005"), bad = STR("1 name 5004");
	union ice_addr a, want;
	unsigned comp;

	(void)st;
	assert_int_equal(ice_remote_decode(&comp, &a, &rest), 0);
	assert_int_equal(ice_addr_parse(&want, STR("192.0.2.1"), 5004), 0);
	assert_true(comp == 1 && ice_addr_eq(&a, &want));
	assert_int_equal(ice_remote_decode(&comp, &a, &rest), 0);
	assert_int_equal(ice_addr_parse(&want, STR("2001:db8::1"), 5005), 0);
	assert_true(comp == 2 && ice_addr_eq(&a, &want));
	assert_int_equal(ice_remote_decode(&comp, &a, &rest), -ENOENT);
	assert_int_equal(ice_remote_decode(&comp, &a, &bad), -EBADMSG);
}

static void base64_is_read_with_and_without_padding(void **st)
{
	uint8_t out[32];

	(void)st;
	assert_int_equal(ice_base64(out, sizeof(out), STR(USER)), 32);
	assert_int_equal(ice_base64(out, sizeof(out), STR(USER "=")), 32);
	assert_int_equal(ice_base64(out, sizeof(out), STR(PWD "==")), 16);
	assert_int_equal(ice_base64(out, sizeof(out), STR("TQ")), 1);
	assert_int_equal(out[0], 'M');
	assert_int_equal(ice_base64(out, 31, STR(USER)), -EMSGSIZE);
	assert_int_equal(ice_base64(out, sizeof(out), STR("a b=")), -EBADMSG);
	assert_int_equal(ice_base64(out, sizeof(out), STR("abcde")), -EBADMSG);
	assert_int_equal(ice_base64(out, sizeof(out), STR("====")), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_draft_6_is_read_and_written),
		cmocka_unit_test(a_line_of_rfc_5245_is_read_and_written),
		cmocka_unit_test(transports_of_communicator_and_of_the_rfc_are_told_apart),
		cmocka_unit_test(lines_of_neither_grammar_are_refused),
		cmocka_unit_test(remote_candidates_are_read_one_by_one),
		cmocka_unit_test(base64_is_read_with_and_without_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
