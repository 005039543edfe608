/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_uri.c - conference URIs as clients write them and as they must not */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"

#define assert_str(s, want) do { struct str s_ = (s); \
	if (!str_eq(s_, str_c(want))) fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(s_), want); } while (0)

static void each_type_is_read_and_made(void **state)
{
	struct c3p_uri u;

	(void)state;
	for (int t = 0; t < C3P_NTYPES; t++) {
		char *s = c3p_uri_make("alice", "example.net", (enum c3p_type)t, t == C3P_FOCUSFACTORY ? NULL : "7Q2M4ZK1");

		assert_int_equal(c3p_uri_decode(&u, str_c(s)), 0);
		assert_int_equal(u.type, t);
		assert_str(u.user, "alice");
		assert_str(u.domain, "example.net");
		assert_str(u.id, t == C3P_FOCUSFACTORY ? "" : "7Q2M4ZK1");
		assert_true(str_empty(u.mcu));
		assert_true(str_empty(u.ticket));
		assert_int_equal(c3p_type_find(str_c(c3p_type_names[t])), t);
		mem_deref(s);
	}
	assert_int_equal(c3p_type_find(STR("AudioVideo")), C3P_AUDIO_VIDEO);
	assert_int_equal(c3p_type_find(STR("")), -ENOENT);
	assert_int_equal(c3p_type_find(STR("audio")), -ENOENT);
}

static void the_written_form_is_the_one_clients_compare(void **state)
{
	char *a = c3p_uri_make("alice", "example.net", C3P_FOCUS, "7Q2M4ZK1");
	char *b = c3p_uri_make("alice", "example.net", C3P_FOCUSFACTORY, "");

	(void)state;
	assert_string_equal(a, "sip:alice@example.net;gruu;opaque=app:conf:focus:id:7Q2M4ZK1");
	assert_string_equal(b, "sip:alice@example.net;gruu;opaque=app:conf:focusfactory");
	mem_deref(a);
	mem_deref(b);
}

static void parameters_come_in_any_order_and_case(void **state)
{
	struct c3p_uri u;

	(void)state;
	assert_int_equal(c3p_uri_decode(&u, STR("SIP:Alice@Example.NET:5061;OC-MCU=mcu-1;Opaque=APP:CONF:AudioVideo:ID:7q2m4zk1;"
						"x;oc-ticket=abc;transport=tls;GRUU")), 0);
	assert_int_equal(u.type, C3P_AUDIO_VIDEO);
	assert_str(u.user, "Alice");
	assert_str(u.domain, "Example.NET");
	assert_str(u.id, "7q2m4zk1");
	assert_str(u.mcu, "mcu-1");
	assert_str(u.ticket, "abc");
	assert_int_equal(c3p_uri_decode(&u, STR("sip:a@[2001:db8::1]:5060;opaque=app:conf:focusfactory")), 0);
	assert_str(u.domain, "[2001:db8::1]");
}

static void what_users_paste_is_stripped(void **state)
{
	static const char *const pasted[] = {
		"conf:sip:alice@example.net;gruu;opaque=app:conf:focus:id:7Q2M4ZK1?conf-key=x y<>",
		"meet:sip:alice@example.net;gruu;opaque=app:conf:focus:id:7Q2M4ZK1%3Fconf-key=x",
		"CONF:sips:alice@example.net;opaque=app:conf:focus:id:7Q2M4ZK1;gruu?a=b@c;opaque=app:conf:chat:id:11111111",
		" sip:alice@example.net;gruu;opaque=app:conf:focus:id:7Q2M4ZK1\r\n",
	};
	struct c3p_uri u;

	(void)state;
	for (size_t i = 0; i < sizeof(pasted) / sizeof(pasted[0]); i++) {
		assert_int_equal(c3p_uri_decode(&u, str_c(pasted[i])), 0);
		assert_int_equal(u.type, C3P_FOCUS);
		assert_str(u.id, "7Q2M4ZK1");
		assert_str(u.domain, "example.net");
	}
}

#define A "sip:alice@example.net;gruu;opaque="
static void what_is_no_conference_uri_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "sip:", "conf:", "sip:alice@example.net", "sip:alice@example.net;gruu", "tel:+15550100",
		"conf:conf:" A "app:conf:focus:id:7Q2M4ZK1",
		A, A "app:", A "app:conf:", A "app:conf:focus", A "app:conf:focus:", A "app:conf:focus:id", A "app:conf:focus:id:",
		A "app:conf:focus:id:1234567", A "app:conf:focus:id:123456789012345678901234567890123",
		A "app:conf:focus:id:1234_678",
		A "app:conf:focus:id:12345678:x", A "app:conf:focus:no:12345678", A "app:conf:focusfactory:",
		A "app:conf:focusfactory:id:12345678",
		A "app:conf:other:id:12345678", A "app:im:focus:id:12345678", "alice@example.net;opaque=app:conf:focus:id:12345678",
		"sip:@example.net;opaque=app:conf:focus:id:12345678", "sip:alice@;opaque=app:conf:focus:id:12345678",
		"sip:alice@:5060;opaque=app:conf:focus:id:12345678", "sip:a@[::1;opaque=app:conf:focus:id:12345678",
		A "app:conf:focus:id:12345678;opaque=app:conf:focus:id:12345679", A "app:conf:focus:id:12345678;oc-mcu=a;oc-mcu=b",
		A "app:conf:focus:id:12345678;oc-ticket=", "sip:al ice@example.net;opaque=app:conf:focus:id:12345678",
		"<" A "app:conf:focus:id:12345678>", "sip:a\r\nb@example.net;opaque=app:conf:focus:id:12345678",
		"sip:\xc3\xa4@example.net;opaque=app:conf:focus:id:12345678",
	};
	struct c3p_uri u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (c3p_uri_decode(&u, str_c(bad[i])) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(c3p_uri_decode(&u, STR_NULL), -EBADMSG);
}

static void a_uri_of_any_length_is_bounded(void **state)
{
	static char s[4096] = "sip:";
	struct c3p_uri u;

	(void)state;
	memset(s + 4, 'a', sizeof(s) - 100);
	strcat(s, "@example.net;opaque=app:conf:focus:id:12345678");
	assert_int_equal(c3p_uri_decode(&u, str_c(s)), -EBADMSG);
}

static void the_same_conference_is_known_in_other_spellings(void **state)
{
	struct str a = STR(A "app:conf:audio-video:id:7Q2M4ZK1");

	(void)state;
	assert_true(c3p_uri_same(a, STR("sip:alice@EXAMPLE.net;opaque=app:conf:audiovideo:id:7Q2M4ZK1;oc-mcu=x;gruu")));
	assert_false(c3p_uri_same(a, STR(A "app:conf:focus:id:7Q2M4ZK1")));
	assert_false(c3p_uri_same(a, STR(A "app:conf:audio-video:id:7Q2M4ZK2")));
	assert_false(c3p_uri_same(a, STR("sip:bob@example.net;opaque=app:conf:audio-video:id:7Q2M4ZK1")));
	assert_false(c3p_uri_same(a, STR("sip:alice@example.org;opaque=app:conf:audio-video:id:7Q2M4ZK1")));
	assert_false(c3p_uri_same(STR("x"), STR("x")));
}

static void an_id_is_8_to_32_letters_and_digits(void **state)
{
	(void)state;
	assert_true(c3p_id_valid(STR("12345678")));
	assert_true(c3p_id_valid(STR("0123456789ABCDEFabcdefXYZxyz0123")));
	assert_false(c3p_id_valid(STR("1234567")));
	assert_false(c3p_id_valid(STR("0123456789ABCDEFabcdefXYZxyz01234")));
	assert_false(c3p_id_valid(STR("1234-678")));
	assert_false(c3p_id_valid(STR_NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_is_read_and_made),
		cmocka_unit_test(the_written_form_is_the_one_clients_compare),
		cmocka_unit_test(parameters_come_in_any_order_and_case),
		cmocka_unit_test(what_users_paste_is_stripped),
		cmocka_unit_test(what_is_no_conference_uri_is_refused),
		cmocka_unit_test(a_uri_of_any_length_is_bounded),
		cmocka_unit_test(the_same_conference_is_known_in_other_spellings),
		cmocka_unit_test(an_id_is_8_to_32_letters_and_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
