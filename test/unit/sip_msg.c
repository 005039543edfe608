/* SPDX-License-Identifier: Apache-2.0 */
/* sip_msg - framing, decoding and questions to a message; prints what one message costs */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/sip/msg.h"

#define EQ(s, lit) do { \
	struct str s_ = (s); \
	assert_int_equal(s_.l, sizeof(lit) - 1); \
	assert_memory_equal(s_.p ? s_.p : "", lit, sizeof(lit) - 1); \
} while (0)

#define HEAD "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKabc\r\n" \
	"From: <sip:alice@example.net>;tag=f1\r\nTo: <sip:lobby@example.net>\r\nCall-ID: call-1\r\nCSeq: 7 INVITE\r\n"

static const char invite[] =
	"INVITE sip:lobby@example.net SIP/2.0\r\n"
	"v: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKtop, SIP/2.0/TLS 10.0.0.1:5061;branch=z9hG4bKlow\r\n"
	"Via: SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKclient;rport\r\n"
	"f: \"Smith, Al\" <sip:alice@example.net>\r\n ;tag=f1\r\n"
	"t: <sip:lobby@example.net>\r\n"
	"i: call-1@host\r\n"
	"CSeq: 7 INVITE\r\n"
	"m: \"a, b\" <sip:alice@10.0.0.1:5061;alias=10.0.0.1~5061~3,x>;q=1,\r\n\t<sip:b@c>\r\n"
	"Record-Route: <sip:127.0.0.1:5062;r2=on;lr>,<sip:127.0.0.1:5061;r2=on;lr>\r\n"
	"k: 100rel , timer,\r\n"
	"Supported: gruu\r\n"
	"Subject: one, two\r\n"
	"X-Own: first, second\r\nx-own: third\r\n"
	"Empty:\r\n"
	"c: application/sdp\r\n"
	"l: 4\r\n\r\nv=0\n";

static struct sip_msg *decode(const char *text)
{
	struct sip_msg *m = NULL;

	assert_int_equal(sip_msg_decode(&m, str_c(text)), 0);
	return m;
}

static int try_decode(struct str s)
{
	struct sip_msg *m = NULL;
	int err = sip_msg_decode(&m, s);

	mem_deref(err ? NULL : m);
	return err;
}

static void a_request_is_read(void **state)
{
	struct sip_msg *m = decode(invite);

	(void)state;
	assert_true(sip_msg_is_request(m));
	EQ(sip_msg_method(m), "INVITE");
	EQ(sip_msg_ruri(m), "sip:lobby@example.net");
	assert_int_equal(sip_msg_scode(m), 0);
	EQ(sip_msg_call_id(m), "call-1@host");
	assert_int_equal(sip_msg_cseq(m), 7);
	EQ(sip_msg_from_tag(m), "f1");
	EQ(sip_msg_to_tag(m), "");
	EQ(sip_msg_branch(m), "z9hG4bKtop");
	EQ(sip_msg_body(m), "v=0\n");
	assert_int_equal(sip_msg_raw(m).l, sizeof(invite) - 1);
	mem_deref(m);
}

static void list_headers_split_and_others_do_not(void **state)
{
	struct sip_msg *m = decode(invite);

	(void)state;
	EQ(sip_msg_hdr(m, "Via", 1), "SIP/2.0/TLS 10.0.0.1:5061;branch=z9hG4bKlow");
	EQ(sip_msg_hdr(m, "via", 2), "SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKclient;rport");
	assert_null(sip_msg_hdr(m, "Via", 3).p);
	EQ(sip_msg_hdr(m, "Contact", 0), "\"a, b\" <sip:alice@10.0.0.1:5061;alias=10.0.0.1~5061~3,x>;q=1");
	EQ(sip_msg_hdr(m, "m", 1), "<sip:b@c>");
	EQ(sip_msg_hdr(m, "Record-Route", 1), "<sip:127.0.0.1:5061;r2=on;lr>");
	EQ(sip_msg_hdr(m, "Supported", 1), "timer");
	EQ(sip_msg_hdr(m, "Supported", 2), "gruu");
	assert_null(sip_msg_hdr(m, "Supported", 3).p);
	EQ(sip_msg_hdr(m, "Subject", 0), "one, two");
	EQ(sip_msg_hdr(m, "X-Own", 0), "first, second");
	EQ(sip_msg_hdr(m, "X-OWN", 1), "third");
	EQ(sip_msg_hdr(m, "From", 0), "\"Smith, Al\" <sip:alice@example.net>   ;tag=f1");
	assert_non_null(sip_msg_hdr(m, "Empty", 0).p);
	assert_null(sip_msg_hdr(m, "Absent", 0).p);
	assert_null(sip_msg_hdr(m, "", 0).p);
	assert_true(sip_msg_has_token(m, "Supported", "TIMER"));
	assert_false(sip_msg_has_token(m, "Supported", "time"));
	mem_deref(m);
}

static void a_response_is_read(void **state)
{
	struct sip_msg *m = decode("SIP/2.0 486 Busy right here\r\n" HEAD "Content-Length: 0\r\n\r\n");

	(void)state;
	assert_false(sip_msg_is_request(m));
	assert_int_equal(sip_msg_scode(m), 486);
	EQ(sip_msg_reason(m), "Busy right here");
	EQ(sip_msg_method(m), "INVITE");
	EQ(sip_msg_ruri(m), "");
	mem_deref(m);
	m = decode("SIP/2.0 200 \r\n" HEAD "\r\n");
	EQ(sip_msg_reason(m), "");
	mem_deref(m);
}

static void methods_and_bodies_of_this_family_pass(void **state)
{
	(void)state;
	assert_int_equal(try_decode(STR("SERVICE sip:focus@example.net;gruu;opaque=app:conf:focusfactory SIP/2.0\r\n"
		"Via: SIP/2.0/TLS a:1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1;epid=0011\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n"
		"CSeq: 1 SERVICE\r\nContent-Type: multipart/mixed;boundary=\"none of this\"\r\nContent-Length: 5\r\n\r\na\0b\r\n")), 0);
	assert_int_equal(try_decode(STR("BENOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS a:1;branch=z9hG4bK1\r\n"
		"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BENOTIFY\r\nContent-Length: 3\r\n\r\na\0b")), 0);
}

static void bad_messages_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "\r\n\r\n", "hello\r\n\r\n",
		"INVITE sip:a@b SIP/3.0\r\n" HEAD "\r\n",
		"INVITE  sip:a@b SIP/2.0\r\n" HEAD "\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD,                                          /* no end */
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "\r\nx",                                  /* more than one message */
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "Content-Length: 2\r\n\r\nx",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "Content-Length: 1\r\nl: 2\r\n\r\nxx",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "Content-Length: -1\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "Content-Length:\r\n 0\r\n\r\n",
		"BYE sip:a@b SIP/2.0\r\n" HEAD "\r\n",                                      /* CSeq says INVITE */
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "To: <sip:x@y>\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "i: other\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "no colon\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD ": no name\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n" HEAD "X: a\rb\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS a:1;branch=z9hG4bK1\r\nTo: <sip:a@b>\r\n"
		"Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS a:1\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n"
		"Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS a:1;branch=z9hG4bK1\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n"
		"CSeq: 4294967296 INVITE\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS a:1;branch=z9hG4bK1\r\nFrom: <sip:a@b\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n"
		"CSeq: 1 INVITE\r\n\r\n",
		"SIP/2.0 99 Low\r\n" HEAD "\r\n", "SIP/2.0 700 High\r\n" HEAD "\r\n", "SIP/2.0 2000 Long\r\n" HEAD "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(try_decode(str_c(bad[i])), -EBADMSG);
	assert_int_equal(try_decode(STR("INVITE sip:a@b SIP/2.0\r\n" HEAD "X: a\0b\r\n\r\n")), -EBADMSG);
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(invite) - 1; n++) {
		char *copy = malloc(n ? n : 1);                   /* the sanitizer sees a read past the end */

		assert_non_null(copy);
		memcpy(copy, invite, n);
		assert_int_equal(try_decode((struct str){ copy, n }), -EBADMSG);
		assert_int_equal(sip_msg_frame((struct str){ copy, n }), 0);
		free(copy);
	}
}

static void too_many_or_too_large_heads_are_refused(void **state)
{
	static char big[400 * 1024];
	size_t n = (size_t)sprintf(big, "INVITE sip:a@b SIP/2.0\r\n" HEAD);

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		n += (size_t)sprintf(big + n, "X: y\r\n");
	n += (size_t)sprintf(big + n, "\r\n");
	assert_int_equal(try_decode((struct str){ big, n }), -EBADMSG);
	memset(big, 'X', sizeof(big));
	memcpy(big, "INVITE ", 7);
	assert_int_equal(sip_msg_frame((struct str){ big, 1000 }), 0);
	assert_int_equal(sip_msg_frame((struct str){ big, 70 * 1024 }), 0);
	assert_int_equal(sip_msg_frame((struct str){ big, 270 * 1024 }), -EMSGSIZE);
	n = (size_t)sprintf(big, "INVITE sip:a@b SIP/2.0\r\n" HEAD "X: ");
	memset(big + n, 'x', 70000);
	n += 70000;
	n += (size_t)sprintf(big + n, "\r\n\r\n");
	assert_int_equal(sip_msg_frame((struct str){ big, n }), n);
	assert_int_equal(try_decode((struct str){ big, n }), -EBADMSG);
	assert_int_equal(sip_msg_frame(STR("INVITE sip:a@b SIP/2.0\r\nContent-Length: 262145\r\n\r\n")), -EMSGSIZE);
	assert_int_equal(sip_msg_frame(STR("INVITE sip:a@b SIP/2.0\r\nContent-Length: 18446744073709551615\r\n\r\n")), -EMSGSIZE);
	assert_int_equal(sip_msg_frame(STR("INVITE sip:a@b SIP/2.0\r\nContent-Length: 18446744073709551616\r\n\r\n")), -EBADMSG);
}

static void frames_are_cut_out_of_a_stream(void **state)
{
	static const char two[] = "\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabcSIP/2.0 200 OK\nContent-Length : 0\n\nrest";
	struct str s = { two, sizeof(two) - 1 };
	long n = sip_msg_frame(s);

	(void)state;
	assert_int_equal(n, 4 + 23 + 6 + 2 + 3);
	s = (struct str){ s.p + n, s.l - (size_t)n };
	n = sip_msg_frame(s);
	assert_int_equal(n, 15 + 19 + 1);
	assert_int_equal(sip_msg_frame((struct str){ s.p + n, s.l - (size_t)n }), 0);
	assert_int_equal(sip_msg_frame(STR("GET / HTTP/1.1\r\n")), -EBADMSG);
	assert_int_equal(sip_msg_frame(STR("\x16\x03\x01")), -EBADMSG);
	assert_int_equal(sip_msg_frame(STR("\r\n")), 0);
	assert_int_equal(sip_msg_frame(STR_NULL), 0);
}

static void no_memory_is_an_error_value(void **state)
{
	struct sip_msg *m = NULL;

	(void)state;
	mem_fail_after(1);
	assert_int_equal(sip_msg_decode(&m, str_c(invite)), -ENOMEM);
	assert_null(m);
	mem_fail_after(0);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void one_message_costs_this_much(void **state)
{
	static char text[4096];
	struct sip_msg *m;
	size_t n = (size_t)sprintf(text, "INVITE sip:lobby@example.net SIP/2.0\r\n" HEAD "Contact: <sip:a@10.0.0.1:5061>\r\n"
		"Record-Route: <sip:127.0.0.1:5062;r2=on;lr>\r\nRecord-Route: <sip:127.0.0.1:5061;r2=on;lr>\r\n"
		"Max-Forwards: 69\r\nUser-Agent: test\r\nSupported: 100rel,timer,gruu\r\nAllow: INVITE,ACK,BYE,CANCEL,INFO\r\n"
		"Accept: application/sdp\r\nP-Asserted-Identity: <sip:alice@example.net>\r\nConclave-Access: user;media=srtp\r\n"
		"X-A: some value that is neither short nor long\r\nX-B: another one of the same kind\r\n"
		"Content-Type: application/cccp+xml\r\nContent-Length: 2048\r\n\r\n");
	unsigned rounds = 20000;
	double t0 = now_s();

	(void)state;
	memset(text + n, 'x', 2048);
	for (unsigned i = 0; i < rounds; i++) {
		assert_int_equal(sip_msg_decode(&m, (struct str){ text, n + 2048 }), 0);
		mem_deref(m);
	}
	print_message("decode of a %zu byte INVITE: %.0f messages/s\n", n + 2048, rounds / (now_s() - t0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read),
		cmocka_unit_test(list_headers_split_and_others_do_not),
		cmocka_unit_test(a_response_is_read),
		cmocka_unit_test(methods_and_bodies_of_this_family_pass),
		cmocka_unit_test(bad_messages_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(too_many_or_too_large_heads_are_refused),
		cmocka_unit_test(frames_are_cut_out_of_a_stream),
		cmocka_unit_test(no_memory_is_an_error_value),
		cmocka_unit_test(one_message_costs_this_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
