/* SPDX-License-Identifier: Apache-2.0 */
/* sip_uri - URIs, name-addrs, parameters */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "lib/sip/msg.h"

#define EQ(s, lit) do { \
	struct str s_ = (s); \
	assert_int_equal(s_.l, sizeof(lit) - 1); \
	assert_memory_equal(s_.p ? s_.p : "", lit, sizeof(lit) - 1); \
} while (0)

static void a_full_uri_falls_into_its_parts(void **state)
{
	struct sip_uri u;

	(void)state;
	assert_int_equal(sip_uri_decode(&u, STR("sip:alice:secret@example.net:5070;transport=tls;lr?subject=x&y=z")), 0);
	EQ(u.scheme, "sip");
	EQ(u.user, "alice");
	EQ(u.host, "example.net");
	assert_int_equal(u.port, 5070);
	EQ(u.params, "transport=tls;lr");
	EQ(u.headers, "subject=x&y=z");
}

static void conference_uris_keep_opaque_and_valueless_gruu(void **state)
{
	struct sip_uri u;
	struct str v;

	(void)state;
	assert_int_equal(sip_uri_decode(&u, STR("sip:org@example.net;gruu;opaque=app:conf:focus:id:ABC;oc-mcu=mcu-1")), 0);
	assert_int_equal(u.port, 0);
	assert_true(sip_uri_param(&u, STR("gruu"), &v));
	assert_int_equal(v.l, 0);
	assert_true(sip_uri_param(&u, STR("OPAQUE"), &v));
	EQ(v, "app:conf:focus:id:ABC");
	assert_true(sip_uri_param(&u, STR("oc-mcu"), NULL));
	assert_false(sip_uri_param(&u, STR("oc"), &v));
}

static void user_may_hold_what_a_host_may_not(void **state)
{
	struct sip_uri u;

	(void)state;
	assert_int_equal(sip_uri_decode(&u, STR("sip:+1555;phone-context=a?b/c@[2001:db8::1]:5061")), 0);
	EQ(u.user, "+1555;phone-context=a?b/c");
	EQ(u.host, "[2001:db8::1]");
	assert_int_equal(u.port, 5061);
	assert_int_equal(sip_uri_decode(&u, STR("sips:example.net")), 0);
	EQ(u.user, "");
	EQ(u.host, "example.net");
	assert_int_equal(sip_uri_decode(&u, STR("tel:+1-555-0100;isub=1")), 0);
	EQ(u.user, "+1-555-0100");
	EQ(u.params, "isub=1");
	EQ(u.host, "");
}

static void bad_uris_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "sip", "sip:", "sip:@host", "sip:a@", "sip:a@b@c", "sip:a@host:", "sip:a@host:0", "sip:a@host:65536",
		"sip:a@host:5x", "sip:a b@host", "sip:a@ho st", "sip:a@host\r\nX: y", "<sip:a@host>", "sip:a@[::1",
		"sip:a@[zz]", "sip:a@host;x=\"y\"", "http://host/", "tel:", "tel:call me", "sip:a@ho,st", "sip:a@[]",
	};
	struct sip_uri u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sip_uri_decode(&u, str_c(bad[i])), -EBADMSG);
	assert_int_equal(sip_uri_decode(&u, (struct str){ "sip:a\0b@host", 12 }), -EBADMSG);
}

static void address_of_record_makes_spellings_equal(void **state)
{
	char out[64];

	(void)state;
	EQ(sip_uri_aor(STR("SIP:Alice@EXAMPLE.Net:5061;transport=tls"), out, sizeof(out)), "sip:Alice@example.net");
	EQ(sip_uri_aor(STR("sip:%61l%69ce:pw@example.net"), out, sizeof(out)), "sip:alice@example.net");
	EQ(sip_uri_aor(STR("sip:a%2fb%@example.net"), out, sizeof(out)), "sip:a%2Fb%25@example.net");
	EQ(sip_uri_aor(STR("sip:%%332@example.net"), out, sizeof(out)), "sip:%2532@example.net");
	EQ(sip_uri_aor(STR("tel:+15550100;x=y"), out, sizeof(out)), "tel:+15550100");
	EQ(sip_uri_aor(STR("sip:Example.net"), out, sizeof(out)), "sip:example.net");
	assert_null(sip_uri_aor(STR("sip:alice@example.net"), out, 10).p);
	assert_null(sip_uri_aor(STR("sip:alice@example.net"), out, 0).p);
	assert_null(sip_uri_aor(STR("nonsense"), out, sizeof(out)).p);
	EQ(sip_uri_aor(STR("sip:ab@c"), out, 9), "sip:ab@c");
	assert_null(sip_uri_aor(STR("sip:ab@c"), out, 8).p);
}

static void name_addr_with_quoted_display_and_parameters(void **state)
{
	struct sip_addr a;
	struct str v;

	(void)state;
	assert_int_equal(sip_addr_decode(&a, STR("\"A <b>, \\\"c\\\";\" <sip:a@b;x=y> ; tag = 12 ;q=\"a;b\"; isfocus")), 0);
	EQ(a.display, "A <b>, \\\"c\\\";");
	EQ(a.uri, "sip:a@b;x=y");
	assert_true(sip_param(a.params, STR("tag"), &v));
	EQ(v, "12");
	assert_true(sip_param(a.params, STR("q"), &v));
	EQ(v, "a;b");
	assert_true(sip_param(a.params, STR("IsFocus"), &v));
	EQ(v, "");
	assert_false(sip_param(a.params, STR("x"), &v));
}

static void addr_spec_parameters_belong_to_the_header(void **state)
{
	struct sip_addr a;

	(void)state;
	assert_int_equal(sip_addr_decode(&a, STR("sip:a@b;tag=1")), 0);
	EQ(a.uri, "sip:a@b");
	EQ(a.params, "tag=1");
	assert_int_equal(sip_addr_decode(&a, STR("Alice W <sip:a@b>")), 0);
	EQ(a.display, "Alice W");
	EQ(a.params, "");
	assert_int_equal(sip_addr_decode(&a, STR("*")), 0);
	EQ(a.uri, "*");
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = { "", "<>", "<sip:a@b", "\"x <sip:a@b>", "<sip:a@b>tag=1", "a b", ";tag=1",
					   "<sip:a b@c>", "\"x\"" };
	struct sip_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sip_addr_decode(&a, str_c(bad[i])), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_uri_falls_into_its_parts),
		cmocka_unit_test(conference_uris_keep_opaque_and_valueless_gruu),
		cmocka_unit_test(user_may_hold_what_a_host_may_not),
		cmocka_unit_test(bad_uris_are_refused),
		cmocka_unit_test(address_of_record_makes_spellings_equal),
		cmocka_unit_test(name_addr_with_quoted_display_and_parameters),
		cmocka_unit_test(addr_spec_parameters_belong_to_the_header),
		cmocka_unit_test(bad_addresses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
