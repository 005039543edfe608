/* SPDX-License-Identifier: Apache-2.0 */
/* sdp_sdp.c - session descriptions read and written */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/sdp/sdp.h"

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
#define assert_str(s, want) do { struct str s_ = (s); \
	if (!str_eq(s_, str_c(want))) fail_msg("\"" STR_FMT "\" is not \"%s\"", STR_ARG(s_), want); } while (0)

static struct sdp *decode(const char *text)
{
	struct sdp *s = NULL;

	assert_int_equal(sdp_decode(&s, str_c(text)), 0);
	return s;
}

static int decode_err(const char *text)
{
	struct sdp *s = NULL;
	int err = sdp_decode(&s, str_c(text));

	mem_deref(s);
	return err;
}

static const char softphone[] =
	"v=0\r\no=alice 3840 3841 IN IP4 192.0.2.20\r\ns=Talk\r\nc=IN IP4 192.0.2.20\r\nb=AS:380\r\nt=0 0\r\n"
	"a=tool:x 1\r\n"
	"m=audio 7078 RTP/SAVP 96 0 8 18 101\r\n"
	"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
	"a=crypto:2   AES_CM_128_HMAC_SHA1_32  inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31|1:4  WSH=64 KDR=0\r\n"
	"a=rtcp:7079 IN IP4 192.0.2.20\r\na=ptime:20\r\na=maxptime:200\r\na=label:main-audio\r\n"
	"a=encryption:optional\r\na=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on\r\n"
	"m=video 0 RTP/AVP 34\r\nc=IN IP6 2001:db8::1/127\r\na=sendonly\r\n";

static void the_offer_of_a_softphone_is_read(void **state)
{
	struct sdp *s = decode(softphone);
	const struct sdp_media *m = &s->media[0];

	(void)state;
	assert_str(s->origin_user, "alice");
	assert_str(s->origin_addr, "192.0.2.20");
	assert_int_equal(s->sess_id, 3840);
	assert_int_equal(s->sess_version, 3841);
	assert_int_equal(s->nmedia, 2);
	assert_str(m->type, "audio");
	assert_str(m->proto, "RTP/SAVP");
	assert_str(m->conn, "192.0.2.20");
	assert_int_equal(m->port, 7078);
	assert_int_equal(m->rtcp_port, 7079);
	assert_int_equal(m->dir, SDP_SENDRECV);
	assert_int_equal(m->ptime, 20);
	assert_int_equal(m->maxptime, 200);
	assert_str(m->label, "main-audio");
	assert_str(m->encryption, "optional");
	assert_false(m->rtcp_mux);
	assert_int_equal(m->nfmts, 5);
	assert_str(m->fmts[0].enc, "opus");
	assert_int_equal(m->fmts[0].pt, 96);
	assert_int_equal(m->fmts[0].clock, 48000);
	assert_int_equal(m->fmts[0].channels, 2);
	assert_str(m->fmts[0].fmtp, "useinbandfec=1");
	assert_str(m->fmts[4].fmtp, "0-15");
	assert_int_equal(m->ncrypto, 2);
	assert_int_equal(m->crypto[1].tag, 2);
	assert_str(m->crypto[1].suite, "AES_CM_128_HMAC_SHA1_32");
	assert_str(m->crypto[1].key_params, "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31|1:4");
	assert_str(m->crypto[1].session_params, "WSH=64 KDR=0");
	assert_int_equal(m->nextmap, 1);
	assert_int_equal(m->extmap[0].id, 1);
	assert_str(m->extmap[0].uri, "urn:ietf:params:rtp-hdrext:ssrc-audio-level");
	assert_int_equal(s->media[1].port, 0);
	assert_str(s->media[1].conn, "2001:db8::1");
	assert_int_equal(s->media[1].dir, SDP_SENDONLY);
	mem_deref(s);
}

static void static_numbers_need_no_rtpmap(void **state)
{
	struct sdp *s = decode(HEAD "m=audio 4000 RTP/AVP 0 8 9 18 10 72 13\r\na=rtpmap:8 pcma/8000\r\n"
			       "m=message 5060 sip 0\r\n");
	const struct sdp_fmt *f = s->media[0].fmts;

	(void)state;
	assert_str(f[0].enc, "PCMU");
	assert_str(f[1].enc, "pcma");
	assert_str(f[2].enc, "G722");
	assert_int_equal(f[2].clock, 8000);
	assert_str(f[3].enc, "G729");
	assert_int_equal(f[4].channels, 2);
	assert_str(f[5].enc, "");
	assert_str(f[6].enc, "CN");
	assert_str(s->media[1].fmts[0].enc, "");
	mem_deref(s);
}

static void a_connection_line_without_an_address_gives_none(void **state)
{
	struct sdp *s = decode(HEAD "m=audio 1 RTP/AVP 0\r\nc=IN IP4\r\nm=audio 2 RTP/AVP 0\r\nc=\r\n");

	(void)state;
	assert_str(s->media[0].conn, "");
	assert_str(s->media[1].conn, "192.0.2.20");
	mem_deref(s);
}

static void what_stands_at_session_level_holds_for_every_line(void **state)
{
	struct sdp *s = decode("v=0\no=- 18446744073709551617 2 IN IP6 ::1\ns=-\nc=IN IP6 ::1\nt=0 0\na=recvonly\n"
			       "a=ice-ufrag:u\n"
			       "a=ice-pwd:p\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n"
			       "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\na=rtcp-mux\n"
			       "m=video 9 UDP/TLS/RTP/SAVPF 34\na=mid:1\na=sendrecv\na=setup:passive\nc=IN IP4 host.example\n");
	const struct sdp_media *a = &s->media[0], *v = &s->media[1];

	(void)state;
	assert_int_equal(s->sess_id, 1);        /* beyond 64 bits: wrapped */
	assert_int_equal(a->dir, SDP_RECVONLY);
	assert_true(a->rtcp_mux);
	assert_str(a->ice_ufrag, "u");
	assert_str(a->ice_pwd, "p");
	assert_str(a->fingerprint, "sha-256 AA:BB");
	assert_str(a->setup, "actpass");
	assert_str(a->mid, "0");
	assert_str(a->conn, "::1");
	assert_int_equal(v->dir, SDP_SENDRECV);
	assert_false(v->rtcp_mux);
	assert_str(v->setup, "passive");
	assert_str(v->mid, "1");
	assert_str(v->conn, "");                /* a name: not an address */
	mem_deref(s);
}

static void lines_of_other_media_kinds_are_read(void **state)
{
	struct sdp *s = decode(HEAD "m=message 5060 sip null\r\nm=applicationsharing 50030 TCP/RTP/SAVP 127\r\n"
			       "a=rtpmap:127 x-data/90000\r\n"
			       "m=audio 5004/2 RTP/AVP 0\r\nm=text 0 RTP/AVP\r\n");

	(void)state;
	assert_str(s->media[0].proto, "sip");
	assert_int_equal(s->media[0].fmts[0].pt, -1);
	assert_str(s->media[1].fmts[0].enc, "x-data");
	assert_int_equal(s->media[2].port, 5004);
	assert_int_equal(s->media[3].nfmts, 0);
	mem_deref(s);
}

static void a_broken_description_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "\r\n", "m=audio 1 RTP/AVP 0", "v=1\r\no=- 0 0 IN IP4 1.2.3.4\r\n", "v=0\r\n",
		"o=- 0 0 IN IP4 1.2.3.4\r\nv=0\r\n",
		"v=0\r\no=- 0 0 IN IP4\r\n", "v=0\r\no=\r\n", HEAD "v=0\r\n", HEAD "hello\r\n", HEAD "a\r\n", HEAD "m=audio\r\n",
		HEAD "m=audio 5004\r\n", HEAD "m=audio x RTP/AVP 0\r\n", HEAD "m=audio 65536 RTP/AVP 0\r\n",
		HEAD "m=audio -1 RTP/AVP 0\r\n", HEAD "m=audio 5004 RTP/AVP\r\n", "GET / HTTP/1.1\r\n\r\n",
	};
	struct sdp *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (decode_err(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(sdp_decode(&s, STR("v=0\r\no=- 0 0 IN IP4 1.2.3.4\r\ns=\0\r\n")), -EBADMSG);
}

static void attributes_without_sense_are_passed_over(void **state)
{
	struct sdp *s = decode(HEAD "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 opus\r\na=rtpmap:0 X/0\r\n"
			       "a=rtpmap:97 Y/8000\r\na=rtpmap:\r\n"
			       "a=crypto:x A inline:b\r\na=crypto:1\r\na=crypto:1 A\r\na=crypto:5 A inline:1\r\na=crypto:5 B inline:2\r\n"
			       "a=extmap:0 u\r\na=extmap:256 u\r\na=extmap:3\r\na=ptime:x\r\na=maxptime:-1\r\na=rtcp:99999\r\na\x3d\r\n"
			       "a=fmtp:96 first\r\na=fmtp:96 second\r\nz=1\r\nc=IN IP4 1.2.3.4.5\r\n");
	const struct sdp_media *m = &s->media[0];

	(void)state;
	assert_str(m->fmts[0].enc, "PCMU");
	assert_str(m->fmts[1].enc, "");
	assert_str(m->fmts[1].fmtp, "first");
	assert_int_equal(m->ncrypto, 1);
	assert_str(m->crypto[0].suite, "A");
	assert_int_equal(m->nextmap, 0);
	assert_int_equal(m->ptime, 0);
	assert_int_equal(m->maxptime, 0);
	assert_int_equal(m->rtcp_port, 0);
	assert_str(m->conn, "");
	mem_deref(s);
}

static int decode_repeated(const char *head, const char *piece, unsigned times)
{
	struct buf b;
	int err;

	buf_init(&b, 0);
	buf_puts(&b, head);
	for (unsigned i = 0; i < times; i++)
		buf_printf(&b, piece, i, i);
	err = decode_err(b.p);
	buf_fini(&b);
	return err;
}

static void every_bound_holds_and_not_one_earlier(void **state)
{
	(void)state;
	assert_int_equal(decode_repeated(HEAD, "m=audio %u RTP/AVP %u\r\n", SDP_MAX_MEDIA), 0);
	assert_int_equal(decode_repeated(HEAD, "m=audio %u RTP/AVP %u\r\n", SDP_MAX_MEDIA + 1), -EMSGSIZE);
	assert_int_equal(decode_repeated(HEAD "m=audio 1 RTP/AVP", " %u", SDP_MAX_FMTS), 0);
	assert_int_equal(decode_repeated(HEAD "m=audio 1 RTP/AVP", " %u", SDP_MAX_FMTS + 1), -EMSGSIZE);
	assert_int_equal(decode_repeated(HEAD "m=audio 1 RTP/AVP 0\r\n", "a=crypto:%u A inline:%u\r\n", SDP_MAX_CRYPTO), 0);
	assert_int_equal(decode_repeated(HEAD "m=audio 1 RTP/AVP 0\r\n", "a=crypto:%u A inline:%u\r\n", SDP_MAX_CRYPTO + 1),
			 -EMSGSIZE);
	assert_int_equal(decode_repeated(HEAD "m=audio 1 RTP/AVP 0\r\n", "a=extmap:%u u:%u\r\n", 100), 0);
	assert_int_equal(decode_repeated(HEAD, "a=x:%u %u\r\n", 2000), -EMSGSIZE);
	assert_int_equal(decode_repeated(HEAD, "a=x:%u %u\r\n", 900), 0);
}

static void format_parameters_are_split_at_semicolons_and_spaces(void **state)
{
	struct str f = STR("CIF=1 QCIF=1;MaxBR=100; stereo=;flag ;x=a=b"), v;

	(void)state;
	assert_true(sdp_fmtp_param(f, STR("cif"), &v));
	assert_str(v, "1");
	assert_true(sdp_fmtp_param(f, STR("maxbr"), &v));
	assert_str(v, "100");
	assert_true(sdp_fmtp_param(f, STR("stereo"), &v));
	assert_str(v, "");
	assert_true(sdp_fmtp_param(f, STR("flag"), &v));
	assert_str(v, "");
	assert_true(sdp_fmtp_param(f, STR("x"), &v));
	assert_str(v, "a=b");
	assert_false(sdp_fmtp_param(f, STR("br"), &v));
	assert_false(sdp_fmtp_param(STR_NULL, STR("x"), NULL));
	assert_true(sdp_fmtp_param(STR("0-15"), STR("0-15"), NULL));
}

static void directions_are_answered_from_our_side(void **state)
{
	static const struct { enum sdp_dir offer, both, send, recv; } t[] = {
		{ SDP_SENDRECV, SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY },
		{ SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE, SDP_RECVONLY },
		{ SDP_RECVONLY, SDP_SENDONLY, SDP_SENDONLY, SDP_INACTIVE },
		{ SDP_INACTIVE, SDP_INACTIVE, SDP_INACTIVE, SDP_INACTIVE },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(sdp_dir_answer(t[i].offer, true, true), t[i].both);
		assert_int_equal(sdp_dir_answer(t[i].offer, true, false), t[i].send);
		assert_int_equal(sdp_dir_answer(t[i].offer, false, true), t[i].recv);
		assert_int_equal(sdp_dir_answer(t[i].offer, false, false), SDP_INACTIVE);
	}
	assert_string_equal(sdp_dir_name(SDP_RECVONLY), "recvonly");
}

static void an_answer_is_written_line_by_line(void **state)
{
	struct sdp s = { .sess_id = 7, .sess_version = 8, .nmedia = 2 };
	struct sdp_media *m = &s.media[0];
	struct buf b;

	(void)state;
	s.origin_user = STR("-");
	s.origin_addr = STR("198.51.100.5");
	*m = (struct sdp_media){ .type = STR("audio"), .proto = STR("RTP/SAVP"), .port = 50010, .conn = STR("198.51.100.5"),
		.dir = SDP_RECVONLY, .rtcp_mux = true, .ptime = 20, .nfmts = 2, .ncrypto = 1, .nextmap = 1,
		.label = STR("main-audio") };
	m->fmts[0]   = (struct sdp_fmt){ STR("96"), 96, STR("opus"), 48000, 2, STR("useinbandfec=1") };
	m->fmts[1]   = (struct sdp_fmt){ STR("0"), 0, STR("PCMU"), 8000, 1, STR_NULL };
	m->crypto[0] = (struct sdp_crypto){ 2, STR("AES_CM_128_HMAC_SHA1_80"), STR("inline:abc|2^31"), STR_NULL };
	m->extmap[0] = (struct sdp_extmap){ 1, STR("urn:x") };
	s.media[1] = (struct sdp_media){ .type = STR("video"), .proto = STR("RTP/AVP"), .nfmts = 1, .mid = STR("1"),
		.label = STR("no") };
	s.media[1].fmts[0] = (struct sdp_fmt){ .id = STR("34"), .pt = 34, .enc = STR("H263"), .clock = 90000 };
	buf_init(&b, 0);
	assert_int_equal(sdp_encode(&b, &s), 0);
	assert_string_equal(b.p,
		"v=0\r\no=- 7 8 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\n"
		"m=audio 50010 RTP/SAVP 96 0\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n"
		"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:abc|2^31\r\na=extmap:1 urn:x\r\na=rtcp-mux\r\na=ptime:20\r\n"
		"a=recvonly\r\na=label:main-audio\r\n"
		"m=video 0 RTP/AVP 34\r\na=mid:1\r\n");
	buf_fini(&b);
}

static void what_was_read_is_written_and_read_the_same(void **state)
{
	struct sdp *s = decode(softphone), *t = NULL;
	struct buf x, y;

	(void)state;
	buf_init(&x, 0);
	buf_init(&y, 0);
	assert_int_equal(sdp_encode(&x, s), 0);
	assert_int_equal(sdp_decode(&t, buf_view(&x)), 0);
	assert_int_equal(sdp_encode(&y, t), 0);
	assert_string_equal(x.p, y.p);
	mem_deref(s);
	mem_deref(t);
	buf_fini(&x);
	buf_fini(&y);
}

static void addresses_of_both_families_are_written(void **state)
{
	struct sdp s = { .nmedia = 2 };
	struct buf b;

	(void)state;
	s.origin_addr = STR("2001:db8::1");
	for (unsigned i = 0; i < 2; i++)
		s.media[i] = (struct sdp_media){ .type = STR("audio"), .proto = STR("RTP/AVP"), .port = 4000, .nfmts = 1,
			.fmts = { { .id = STR("0") } } };
	s.media[0].conn = STR("2001:db8::1");
	s.media[1].conn = STR("192.0.2.1");
	buf_init(&b, 0);
	assert_int_equal(sdp_encode(&b, &s), 0);
	assert_non_null(strstr(b.p, "o=- 0 0 IN IP6 2001:db8::1\r\n"));
	assert_non_null(strstr(b.p, "s=-\r\nc=IN IP6 2001:db8::1\r\n"));
	assert_non_null(strstr(b.p, "RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"));
	buf_fini(&b);
}

static void a_value_cannot_start_a_line_of_its_own(void **state)
{
	struct sdp s = { .nmedia = 1 };
	struct buf b;

	(void)state;
	s.media[0] = (struct sdp_media){ .type = STR("audio"), .proto = STR("RTP/AVP"), .port = 1, .nfmts = 1,
		.label = STR("x\r\na=y"),
		.fmts = { { .id = STR("0") } } };
	buf_init(&b, 0);
	assert_int_equal(sdp_encode(&b, &s), -EINVAL);
	s.media[0].label = STR_NULL;
	buf_reset(&b);
	assert_int_equal(sdp_encode(&b, &s), 0);
	s.media[0].nfmts = 0;                   /* nothing offered, yet not refused */
	buf_reset(&b);
	assert_int_equal(sdp_encode(&b, &s), -EINVAL);
	buf_fini(&b);
}

static void without_memory_nothing_is_read(void **state)
{
	struct sdp *s = NULL;

	(void)state;
	mem_fail_after(1);
	assert_int_equal(sdp_decode(&s, STR(softphone)), -ENOMEM);
	mem_fail_after(0);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_offer_of_a_softphone_is_read),
		cmocka_unit_test(static_numbers_need_no_rtpmap),
		cmocka_unit_test(a_connection_line_without_an_address_gives_none),
		cmocka_unit_test(what_stands_at_session_level_holds_for_every_line),
		cmocka_unit_test(lines_of_other_media_kinds_are_read),
		cmocka_unit_test(a_broken_description_is_refused),
		cmocka_unit_test(attributes_without_sense_are_passed_over),
		cmocka_unit_test(every_bound_holds_and_not_one_earlier),
		cmocka_unit_test(format_parameters_are_split_at_semicolons_and_spaces),
		cmocka_unit_test(directions_are_answered_from_our_side),
		cmocka_unit_test(an_answer_is_written_line_by_line),
		cmocka_unit_test(what_was_read_is_written_and_read_the_same),
		cmocka_unit_test(addresses_of_both_families_are_written),
		cmocka_unit_test(a_value_cannot_start_a_line_of_its_own),
		cmocka_unit_test(without_memory_nothing_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
