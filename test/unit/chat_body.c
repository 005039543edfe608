/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies, accept lists and descriptions of chat. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "mcu/chat/body.h"
#include "mcu/chat/imdoc.h"
#include "mcu/chat/imsdp.h"

#define ALT "multipart/alternative;boundary=\"=_x\""
#define ALT_BODY \
	"preamble\r\n--=_x\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nHi\r\n--=_x\r\n" \
	"Content-Type: text/html;\r\n charset=UTF-8\r\n\r\n<body>Hi</body>\r\n--=_x--\r\nepilogue"

static struct mime_accept accepts(const char *list)
{
	struct mime_accept a;

	mime_accept_decode(&a, str_c(list));
	return a;
}

static void expect_choice(const char *ctype, const char *body, const char *list, bool whole, const char *want_type,
			  const char *want)
{
	struct mime_accept a = accepts(list);
	struct mime_part out;
	struct body b;

	body_init(&b, str_c(ctype), str_c(body));
	if (!want) {
		assert_int_equal(body_choose(&out, &b, &a, whole), -ENOTSUP);
		return;
	}
	assert_int_equal(body_choose(&out, &b, &a, whole), 0);
	assert_true(mime_is(out.ctype, want_type));
	assert_int_equal(out.body.l, strlen(want));
	assert_memory_equal(out.body.p, want, out.body.l);
}

static void a_modern_leg_gets_a_multipart_whole_and_a_legacy_leg_one_part(void **state)
{
	(void)state;
	expect_choice(ALT, ALT_BODY, "text/plain multipart/alternative", true, "multipart/alternative", ALT_BODY);
	expect_choice(ALT, ALT_BODY, "text/plain", true, "text/plain", "Hi");
	expect_choice(ALT, ALT_BODY, "text/plain text/html", true, "text/html", "<body>Hi</body>");
	expect_choice(ALT, ALT_BODY, "text/html multipart/alternative", false, "text/html", "<body>Hi</body>");
}

static void text_plain_is_the_last_resort_of_an_alternative_and_of_nothing_else(void **state)
{
	(void)state;
	expect_choice(ALT, ALT_BODY, "image/gif", true, "text/plain", "Hi");
	expect_choice("text/html", "<b>x</b>", "text/plain", true, NULL, NULL);
	expect_choice("image/gif", "GIF89a", "text/*", true, NULL, NULL);
	expect_choice("multipart/mixed;boundary=\"=_x\"", ALT_BODY, "text/plain", true, "text/plain", "Hi");
	expect_choice("multipart/mixed;boundary=\"=_x\"", ALT_BODY, "text/html", true, NULL, NULL);
}

static void parameters_of_text_plain_are_kept(void **state)
{
	struct mime_accept a = accepts("TEXT/PLAIN");
	struct mime_part out;
	struct body b;

	(void)state;
	body_init(&b, STR("text/plain; charset=UTF-8; msgr=WAAtAE0A"), STR("x"));
	assert_int_equal(body_choose(&out, &b, &a, true), 0);
	assert_true(str_eq(out.ctype, STR("text/plain; charset=UTF-8; msgr=WAAtAE0A")));
}

static void a_broken_multipart_has_no_parts(void **state)
{
	static const char *const bodies[] = { "", "--=_x", "--=_x\r\n\r\nHi", "no delimiter at all",
					      "--=_y\r\n\r\nx\r\n--=_y--" };
	struct mime_part parts[MIME_MAX_PARTS];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(mime_parts(parts, &n, STR(ALT), str_c(bodies[i])), -EBADMSG);
	assert_int_equal(mime_parts(parts, &n, STR("multipart/alternative"), STR(ALT_BODY)), -EBADMSG);
	assert_int_equal(mime_parts(parts, &n, STR(ALT), STR("--=_x\r\n\r\na\r\n--=_x--")), 0);
	assert_int_equal(n, 1);
	assert_true(mime_is(parts[0].ctype, "text/plain"));
}

static void a_header_line_without_colon_that_is_folded_has_no_value(void **state)
{
	(void)state;
	expect_choice(ALT, "--=_x\r\nnonsense\r\n folded\r\nContent-Type: text/html\r\n\r\nHi\r\n--=_x--", "text/html", false, "text/html", "Hi");
	expect_choice(ALT, "--=_x\r\n\tfolded first\r\n more\r\n\r\nHi\r\n--=_x--", "text/plain", false, "text/plain", "Hi");
}

static void more_parts_than_the_bound_and_encoded_parts_are_not_taken(void **state)
{
	struct mime_part parts[MIME_MAX_PARTS];
	char text[1024] = "";
	unsigned n;

	(void)state;
	for (int i = 0; i < 10; i++)
		strcat(text, "--=_x\r\n\r\na\r\n");
	strcat(text, "--=_x--\r\n");
	assert_int_equal(mime_parts(parts, &n, STR(ALT), str_c(text)), -E2BIG);
	assert_int_equal(mime_parts(parts, &n, STR(ALT),
				    STR("--=_x\nContent-Transfer-Encoding: base64\n\nSGk=\n--=_x\n\nHi\n--=_x--")), 0);
	assert_int_equal(n, 1);
	assert_true(str_eq(parts[0].body, STR("Hi")));
}

static void expect_prefix(const char *ctype, const char *body, const char *want)
{
	struct mime_part p = { str_c(ctype), str_c(body) };
	struct buf b;

	buf_init(&b, 0);
	body_prefix(&b, &p, STR("Ann <1>"));
	assert_string_equal(b.p, want);
	buf_fini(&b);
}

static void the_name_stands_before_text_and_is_escaped_in_html(void **state)
{
	(void)state;
	expect_prefix("text/plain", "Hi", "Ann <1>: Hi");
	expect_prefix("text/html; charset=utf-8", "<html><BODY lang=\"x\">Hi</BODY>",
		      "<html><BODY lang=\"x\"><b>Ann &lt;1&gt;:</b> Hi</BODY>");
	expect_prefix("text/html", "Hi", "<b>Ann &lt;1&gt;:</b> Hi");
	expect_prefix("image/gif", "GIF", "GIF");
	expect_prefix("text/plain; charset=utf-16", "x", "x");
}

/* --- descriptions */

#define SDP_OLD "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" \
		"m=message 5061 sip null\r\na=accept-types:text/plain text/html multipart/alternative\r\n"

static void old_and_new_descriptions_are_answered_in_their_own_words(void **state)
{
	static const char *const offers[] = { SDP_OLD,
		"v=0\no=- 0 0 IN IP4 1.2.3.4\ns=s\nt=0 0\nm=audio 4000 RTP/AVP 0\nm=x-ms-message 5060 sip sip:a@b\n" };
	static const char *const lines[] = { "\r\nm=message 5060 sip null\r\na=accept-types:",
		"\r\nm=audio 0 RTP/AVP 0\r\nm=x-ms-message 5060 sip sip:a@b\r\na=accept-types:" };
	struct imsdp_prm prm = { "127.0.0.1", "mcu", 7, 1, 5060 };
	struct imsdp s;
	struct buf b;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(imsdp_decode(&s, str_c(offers[i])), 0);
		assert_int_equal(mime_accepts(&s.accept, STR("text/html")), i == 0);
		assert_true(mime_accepts(&s.accept, STR("text/plain; charset=x")));
		buf_init(&b, 0);
		assert_int_equal(imsdp_encode(&b, &s, &prm), 0);
		assert_non_null(strstr(b.p, lines[i]));
		buf_fini(&b);
	}
}

static void descriptions_without_a_message_line_in_use_are_refused(void **state)
{
	struct imsdp s;

	(void)state;
	assert_int_equal(imsdp_decode(&s, STR("")), -EBADMSG);
	assert_int_equal(imsdp_decode(&s, STR("hello")), -EBADMSG);
	assert_int_equal(imsdp_decode(&s, STR("v=0\nm=message\n")), -EBADMSG);
	assert_int_equal(imsdp_decode(&s, STR("v=0\nm=message 99999 sip null\n")), -EBADMSG);
	assert_int_equal(imsdp_decode(&s, STR("v=0\nm=message 0 sip null\n")), -ENOENT);
	assert_int_equal(imsdp_decode(&s, STR("v=0\nm=message 5060 TCP/MSRP *\n")), -ENOENT);
	assert_int_equal(imsdp_decode(&s, STR("v=0\nm=audio 5060 RTP/AVP 0\n")), -ENOENT);
}

/* --- documents */

static void typing_is_read_in_both_forms(void **state)
{
	bool t;

	(void)state;
	assert_int_equal(imdoc_typing_decode(&t, STR("<KeyboardActivity><status status=\"type\" /></KeyboardActivity>")), 0);
	assert_true(t);
	assert_int_equal(imdoc_typing_decode(&t, STR("<KeyboardActivity><status status=\"idle\" /></KeyboardActivity>")), 0);
	assert_false(t);
	assert_int_equal(imdoc_typing_decode(&t, STR("<isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\">"
						      "<state>active</state></isComposing>")), 0);
	assert_true(t);
	assert_int_equal(imdoc_typing_decode(&t, STR("<action/>")), -EBADMSG);
	assert_int_equal(imdoc_typing_decode(&t, STR("<KeyboardActivity>")), -EBADMSG);
}

static void a_report_names_its_message_and_escapes_recipients(void **state)
{
	struct imdoc_result r = { "sip:cy@example.test", 408, "6001;reason=\"x\"" };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_int_equal(imdoc_imdn(&b, 51, &r, 1), 0);
	assert_non_null(strstr(b.p, "<imdn xmlns=\"http://schemas.microsoft.com/rtc/2005/08/imdn\"><message-id>51</message-id>"
			       "<recipient uri=\"&lt;sip:cy@example.test&gt;\"><status>408</status>"));
	assert_non_null(strstr(b.p, "<key>ms-diagnostics</key>"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_modern_leg_gets_a_multipart_whole_and_a_legacy_leg_one_part),
		cmocka_unit_test(text_plain_is_the_last_resort_of_an_alternative_and_of_nothing_else),
		cmocka_unit_test(parameters_of_text_plain_are_kept),
		cmocka_unit_test(a_broken_multipart_has_no_parts),
		cmocka_unit_test(a_header_line_without_colon_that_is_folded_has_no_value),
		cmocka_unit_test(more_parts_than_the_bound_and_encoded_parts_are_not_taken),
		cmocka_unit_test(the_name_stands_before_text_and_is_escaped_in_html),
		cmocka_unit_test(old_and_new_descriptions_are_answered_in_their_own_words),
		cmocka_unit_test(descriptions_without_a_message_line_in_use_are_refused),
		cmocka_unit_test(typing_is_read_in_both_forms),
		cmocka_unit_test(a_report_names_its_message_and_escapes_recipients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
