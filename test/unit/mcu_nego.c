/* SPDX-License-Identifier: Apache-2.0 */
/* Offers of real phones and of bad ones, and our answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/nego.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
#define KEY1 "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
#define KEY2 "inline:HRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
#define KEY64 "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ=="
#define CRYPTO "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY1 "\r\n"
#define DESK HEAD "m=audio 11780 RTP/SAVP 9 0 8 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n" \
	"a=fmtp:101 0-15\r\na=ptime:20\r\n"

static const struct nego_policy policy = {
	.ip = "198.51.100.1", .name = "mcu-1", .order = { MCODEC_OPUS, MCODEC_G722, MCODEC_PCMU, MCODEC_PCMA },
	.ncodecs = 4, .ptime_ms = 20,
};
static struct nego_policy ours_first, v6;
static struct nego_prm prm;
static struct nego n;

static int setup(void **st)
{
	(void)st;
	ours_first = v6 = policy;
	ours_first.ours_first = true;
	v6.ip = "2001:db8::1";
	prm = (struct nego_prm){ .policy = &policy, .port = 20000, .may_send = true, .may_recv = true };
	nego_init(&n);
	return 0;
}

static int teardown(void **st)
{
	(void)st;
	nego_fini(&n);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static enum nego_fault answer(const char *offer)
{
	return nego_answer(&n, &prm, str_c(offer));
}

static void has(const char *text)
{
	if (!n.local || !strstr(n.local, text))
		fail_msg("'%s' is not in:\n%s", text, n.local ? n.local : "(nothing)");
}

static void has_not(const char *text)
{
	if (strstr(n.local, text))
		fail_msg("'%s' is in:\n%s", text, n.local);
}

static void a_desk_phone_with_sdes_gets_its_first_codec_and_our_key(void **st)
{
	(void)st;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 9 101\r\n");
	has("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:");
	has("c=IN IP4 198.51.100.1\r\n");
	has_not(KEY1);
	assert_int_equal(n.set.codec, MCODEC_G722);
	assert_int_equal(n.set.pt_send, 9);
	assert_int_equal(n.set.dtmf_pt, 101);
	assert_int_equal(n.set.key_len, 30);
	assert_int_equal(n.set.key_in[29], 29);
	assert_string_equal(n.set.addr, "192.0.2.7");
	assert_int_equal(n.set.port, 11780);
	assert_int_equal(n.set.rtcp_port, 11781);
	assert_true(n.set.send && n.set.recv && n.set.srtp);
}

static void keys_with_an_mki_are_passed_over_for_one_without(void **st)
{
	(void)st;
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY1 "|2^31|1:1\r\n"
				"a=crypto:2 AES_CM_128_HMAC_SHA1_80 " KEY2 "|2^31\r\n"), NEGO_OK);
	has("a=crypto:2 ");
	assert_int_equal(n.set.key_in[0], 29);
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY1 "|2^31|1:4\r\n"), NEGO_NO_CRYPTO);
}

static void the_preferred_suite_wins_wherever_it_stands(void **st)
{
	(void)st;
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_32 " KEY1 "\r\n"
				"a=crypto:2 AES_256_CM_HMAC_SHA1_80 " KEY64 "\r\n"
				"a=crypto:3 AES_CM_128_HMAC_SHA1_80 " KEY2 "\r\n"), NEGO_OK);
	has("a=crypto:3 AES_CM_128_HMAC_SHA1_80");
	assert_int_equal(answer(DESK "a=crypto:7 F8_128_HMAC_SHA1_80 " KEY1 "\r\n"
				"a=crypto:8 AES_CM_128_HMAC_SHA1_32 " KEY1 "\r\n"), NEGO_OK);
	has("a=crypto:8 AES_CM_128_HMAC_SHA1_32");
}

static void keys_that_are_unusable_are_refused(void **st)
{
	(void)st;
	assert_int_equal(answer(DESK), NEGO_NO_CRYPTO);
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAEC\r\n"), NEGO_NO_CRYPTO);
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY1 " UNENCRYPTED_SRTP\r\n"), NEGO_NO_CRYPTO);
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:!!!!\r\n"), NEGO_NO_CRYPTO);
	assert_null(n.local);
}

static void plain_rtp_needs_permission(void **st)
{
	const char *plain = HEAD "m=audio 4000 RTP/AVP 0 8\r\n";

	(void)st;
	assert_int_equal(answer(plain), NEGO_INSECURE);
	prm.plain_ok = true;
	assert_int_equal(answer(plain), NEGO_OK);
	has("m=audio 20000 RTP/AVP 0\r\n");
	has_not("crypto");
	assert_false(n.set.srtp);
}

static void best_effort_encryption_keeps_the_profile_except_for_communicator(void **st)
{
	const char *offer = HEAD "m=audio 4000 RTP/AVP 0\r\n" CRYPTO;

	(void)st;
	assert_int_equal(answer(offer), NEGO_OK);
	has("m=audio 20000 RTP/AVP 0\r\n");
	has("a=crypto:1");
	prm.ms_kind = true;
	assert_int_equal(answer(offer), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0\r\n");
}

static void of_two_audio_lines_the_secure_one_is_taken(void **st)
{
	(void)st;
	prm.plain_ok = true;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/AVP 8\r\nm=audio 4002 RTP/SAVP 0\r\n" CRYPTO), NEGO_OK);
	has("m=audio 0 RTP/AVP 8\r\n");
	has("m=audio 20000 RTP/SAVP 0\r\n");
	assert_int_equal(n.set.port, 4002);
	assert_true(strstr(n.local, "m=audio 0") < strstr(n.local, "m=audio 20000"));
}

static void baresip_is_answered_with_opus_and_without_video(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 14540 RTP/SAVPF 96 9 0 8 101\r\na=rtpmap:96 opus/48000/2\r\n"
				"a=fmtp:96 stereo=1;sprop-stereo=1\r\na=rtpmap:101 telephone-event/8000\r\n" CRYPTO
				"a=rtcp-mux\r\nm=video 20002 RTP/SAVPF 96 97\r\na=rtpmap:96 VP8/90000\r\n" CRYPTO),
			 NEGO_OK);
	has("m=audio 20000 RTP/SAVPF 96 101\r\na=rtpmap:96 opus/48000/2\r\n");
	has("m=video 0 RTP/SAVPF 96\r\n");
	has("a=rtcp-mux\r\n");
	assert_int_equal(n.set.rtcp_port, 14540);
}

static void silence_is_thinned_out_for_who_asks_and_comfort_noise_for_who_may(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1;usedtx=1\r\n" CRYPTO), NEGO_OK);
	assert_true(n.set.dtx);
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=0\r\n" CRYPTO), NEGO_OK);
	assert_false(n.set.dtx);
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 0 13\r\n" CRYPTO), NEGO_OK);
	assert_true(n.set.cn_pt == 13 && !n.set.dtx);
	ours_first.comfort_noise = ours_first.agc = true;
	prm.policy = &ours_first;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 0 13\r\n" CRYPTO), NEGO_OK);
	assert_true(n.set.cn_pt == 13 && n.set.dtx && n.set.agc && !n.set.denoise);
}

static void communicators_opus_of_one_channel_is_passed_over_for_pcmu(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 50124 RTP/SAVP 103 96 0 8 98 100\r\na=rtpmap:103 SPEEX/16000\r\n"
		"a=rtpmap:96 OPUS/48000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:98 telephone-event/48000\r\n"
		"a=rtpmap:100 telephone-event/8000\r\n" CRYPTO), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0 100\r\n");
	assert_int_equal(n.set.codec, MCODEC_PCMU);
}

static void linphone_without_rtpmaps_and_with_three_telephone_events(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 7078 RTP/SAVP 97 98 0 8 18 99 100 101\r\na=rtpmap:97 speex/16000\r\n"
				"a=rtpmap:98 speex/8000\r\na=rtpmap:99 telephone-event/48000\r\n"
				"a=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n"
				"a=rtcp-fb:* trr-int 5000\r\n" CRYPTO), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n");
	assert_int_equal(n.set.codec, MCODEC_PCMU);
}

static void telephone_event_has_the_clock_of_the_codec_where_it_can(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 7078 RTP/SAVP 101 96 100\r\na=rtpmap:96 opus/48000/2\r\n"
				"a=rtpmap:101 telephone-event/8000\r\na=rtpmap:100 telephone-event/48000\r\n" CRYPTO),
			 NEGO_OK);
	assert_int_equal(n.set.dtmf_pt, 100);
	has("a=rtpmap:100 telephone-event/48000\r\n");
}

static void our_order_decides_when_so_configured(void **st)
{
	(void)st;
	prm.policy = &ours_first;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 8 0 9 13\r\n" CRYPTO), NEGO_OK);
	assert_int_equal(n.set.codec, MCODEC_G722);
	assert_int_equal(n.set.cn_pt, 13);
	has("m=audio 20000 RTP/SAVP 9 13\r\n");
}

static void packet_length_follows_the_peer_within_reason(void **st)
{
	static const struct { const char *lines; unsigned ms; } rows[] = {
		{ "a=ptime:30\r\n", 30 }, { "a=ptime:200\r\n", 60 }, { "a=ptime:5\r\n", 10 }, { "a=maxptime:10\r\n", 10 },
		{ "a=ptime:40\r\na=maxptime:30\r\n", 30 }, { "", 20 },
	};
	char offer[1024];

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(offer, sizeof(offer), HEAD "m=audio 4000 RTP/SAVP 0\r\n" CRYPTO "%s", rows[i].lines);
		assert_int_equal(answer(offer), NEGO_OK);
		assert_int_equal(n.set.ptime_ms, rows[i].ms);
	}
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 96\r\na=rtpmap:96 opus/48000/2\r\na=ptime:30\r\n" CRYPTO), NEGO_OK);
	assert_int_equal(n.set.ptime_ms, 20);
}

static void audio_levels_and_rtcp_ports_are_taken_over(void **st)
{
	(void)st;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 0\r\na=rtcp:4711\r\na=mid:a0\r\na=label:main-audio\r\n"
				"a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on\r\n"
				"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n" CRYPTO), NEGO_OK);
	assert_int_equal(n.set.level_ext, 3);
	assert_int_equal(n.set.rtcp_port, 4711);
	has("a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n");
	has_not("extmap:4");
	has("a=label:main-audio\r\n");
	has("a=mid:a0\r\n");
}

static void hold_and_its_old_form(void **st)
{
	static const struct { const char *line, *addr, *ours; bool send, recv; } rows[] = {
		{ "a=sendonly\r\n", "192.0.2.7", "a=recvonly\r\n", false, true },
		{ "a=recvonly\r\n", "192.0.2.7", "a=sendonly\r\n", true, false },
		{ "a=inactive\r\n", "192.0.2.7", "a=inactive\r\n", false, false },
		{ "",               "0.0.0.0",   "a=recvonly\r\n", false, true },
		{ "a=recvonly\r\n", "0.0.0.0",   "a=inactive\r\n", false, false },
		{ "",               "192.0.2.7", "m=audio 20000",  true, true },
	};
	char offer[1024];

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(offer, sizeof(offer), "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
			 "c=IN IP4 %s\r\n" CRYPTO "%s", rows[i].addr, rows[i].line);
		assert_int_equal(answer(offer), NEGO_OK);
		has(rows[i].ours);
		assert_int_equal(n.set.send, rows[i].send);
		assert_int_equal(n.set.recv, rows[i].recv);
		assert_string_equal(n.set.addr, strcmp(rows[i].addr, "0.0.0.0") ? rows[i].addr : "");
	}
}

static void rights_of_the_focus_bound_the_direction(void **st)
{
	(void)st;
	prm.may_send = false;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	has("a=sendonly\r\n");
	assert_false(n.set.recv);
	prm.may_recv = false;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	has("a=inactive\r\n");
}

static void the_same_offer_gets_the_same_answer_and_a_change_a_new_version(void **st)
{
	uint8_t key[SRTP_MAX_KEY];
	char *first;
	uint64_t version;

	(void)st;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	first = str_dup(str_c(n.local));
	version = n.version;
	memcpy(key, n.set.key_out, sizeof(key));
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	assert_string_equal(n.local, first);
	assert_int_equal(answer(DESK CRYPTO "a=sendonly\r\n"), NEGO_OK);
	assert_int_equal(n.version, version + 1);
	assert_memory_equal(n.set.key_out, key, 30);
	assert_string_not_equal(n.local, first);
	mem_deref(first);
}

static void a_new_peer_key_renews_ours(void **st)
{
	uint8_t key[SRTP_MAX_KEY];

	(void)st;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	memcpy(key, n.set.key_out, sizeof(key));
	assert_int_equal(answer(DESK "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY2 "\r\n"), NEGO_OK);
	assert_memory_not_equal(n.set.key_out, key, 30);
	assert_int_equal(n.set.key_in[0], 29);
}

static void a_refused_offer_leaves_the_session_as_it_was(void **st)
{
	struct nego before;

	(void)st;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	before = n;
	assert_int_equal(answer(HEAD "m=audio 4000 RTP/SAVP 18\r\n" CRYPTO), NEGO_NO_CODEC);
	assert_int_equal(answer("x"), NEGO_SYNTAX);
	assert_memory_equal(&before, &n, sizeof(n));
}

static void offers_that_cannot_be_taken_say_why(void **st)
{
	static const struct { const char *offer; enum nego_fault want; } rows[] = {
		{ "", NEGO_SYNTAX },
		{ "hello", NEGO_SYNTAX },
		{ HEAD, NEGO_NO_AUDIO },
		{ HEAD "m=audio 0 RTP/SAVP 0\r\n" CRYPTO, NEGO_NO_AUDIO },
		{ HEAD "m=video 4000 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\n" CRYPTO, NEGO_NO_AUDIO },
		{ HEAD "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n", NEGO_TRANSPORT },
		{ HEAD "m=audio 4000 TCP/RTP/SAVP 0\r\n" CRYPTO, NEGO_TRANSPORT },
		{ HEAD "m=audio 4000 RTP/SAVP 18 4\r\n" CRYPTO, NEGO_NO_CODEC },
		{ HEAD "m=audio 4000 RTP/SAVP 96\r\na=rtpmap:96 opus/16000\r\n" CRYPTO, NEGO_NO_CODEC },
		{ HEAD "m=audio 4000 RTP/SAVP 101\r\na=rtpmap:101 telephone-event/8000\r\n" CRYPTO, NEGO_NO_CODEC },
		{ HEAD "m=audio 4000 RTP/AVP 0\r\nk=base64:QUJD\r\n", NEGO_INSECURE },
		{ HEAD "m=audio 4000 RTP/AVP 0\r\na=encryption:required\r\n", NEGO_NO_CRYPTO },
		{ "v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n" CRYPTO,
		  NEGO_FAMILY },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum nego_fault f = answer(rows[i].offer);

		if (f != rows[i].want)
			fail_msg("row %zu: '%s' instead of '%s'", i, nego_fault_text(f), nego_fault_text(rows[i].want));
		assert_null(n.local);
	}
}

static void ipv6_on_both_sides_is_fine(void **st)
{
	(void)st;
	prm.policy = &v6;
	assert_int_equal(answer("v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\n"
				"m=audio 4000 RTP/SAVP 0\r\n" CRYPTO), NEGO_OK);
	has("c=IN IP6 2001:db8::1\r\n");
}

static void our_offer_takes_the_answer_of_the_peer(void **st)
{
	(void)st;
	assert_int_equal(nego_offer(&n, &prm), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 96 9 0 8 101 13\r\n");
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 4000 RTP/SAVP 120 102\r\n"
		"a=rtpmap:120 opus/48000/2\r\na=rtpmap:102 telephone-event/8000\r\n" CRYPTO)), NEGO_OK);
	assert_true(n.done);
	assert_int_equal(n.set.pt_send, 120);
	assert_int_equal(n.set.pt_recv, 96);
	assert_int_equal(n.set.dtmf_pt, 102);
	assert_false(n.set.rtcp_mux);
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 4000 RTP/SAVP 0\r\n" CRYPTO)), NEGO_ANSWER);
}

static void answers_that_do_not_fit_are_refused(void **st)
{
	(void)st;
	assert_int_equal(nego_offer(&n, &prm), NEGO_OK);
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 0 RTP/SAVP 0\r\n")), NEGO_ANSWER);
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 4000 RTP/SAVP 0\r\na=crypto:9 "
		"AES_CM_128_HMAC_SHA1_80 " KEY1 "\r\n")), NEGO_ANSWER);
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 "
		"AES_CM_128_HMAC_SHA1_32 " KEY1 "\r\n")), NEGO_ANSWER);
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD)), NEGO_ANSWER);
	assert_false(n.done);
	prm.plain_ok = true;
	assert_int_equal(nego_take_answer(&n, &prm, STR(HEAD "m=audio 4000 RTP/AVP 0\r\n")), NEGO_OK);
	assert_false(n.set.srtp);
}

static void a_later_offer_of_ours_keeps_lines_numbers_and_key(void **st)
{
	uint64_t version;

	(void)st;
	assert_int_equal(answer(DESK CRYPTO "m=video 4002 RTP/SAVP 96\r\na=rtpmap:96 VP8/90000\r\n"), NEGO_OK);
	version = n.version;
	assert_int_equal(nego_offer(&n, &prm), NEGO_OK);
	assert_int_equal(n.version, version);
	has("m=audio 20000 RTP/SAVP 9 101\r\n");
	has("m=video 0 RTP/SAVP 96\r\n");
	nego_abandon(&n);
	assert_int_equal(answer(DESK CRYPTO "a=sendonly\r\n"), NEGO_OK);
	assert_int_equal(nego_offer(&n, &prm), NEGO_OK);
	has_not("a=recvonly");
	assert_true(n.version >= version + 1);
}

static void what_is_kept_elsewhere_has_no_keys(void **st)
{
	char *text;

	(void)st;
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
	text = nego_keepable(&n);
	assert_null(strstr(text, "inline:"));
	assert_non_null(strstr(text, "m=audio 20000"));
	mem_deref(text);
}

static void short_memory_refuses_and_changes_nothing(void **st)
{
	(void)st;
	for (unsigned i = 1; i < 6; i++) {
		enum nego_fault f;

		mem_fail_after(i);
		f = answer(DESK CRYPTO);
		mem_fail_after(0);
		if (f == NEGO_OK)
			break;
		assert_int_equal(f, NEGO_NO_MEMORY);
		assert_null(n.local);
	}
	assert_int_equal(answer(DESK CRYPTO), NEGO_OK);
}

static void random_changes_of_an_offer_never_break_the_session(void **st)
{
	char offer[] = DESK CRYPTO "m=video 20002 RTP/SAVPF 96 97\r\na=rtpmap:96 VP8/90000\r\n";
	char changed[sizeof(offer)];

	(void)st;
	srandom(1);
	for (unsigned i = 0; i < 5000; i++) {
		memcpy(changed, offer, sizeof(offer));
		for (unsigned k = 0; k < 4; k++)
			changed[(size_t)random() % (sizeof(offer) - 1)] = (char)(random() % 95 + 32);
		nego_answer(&n, &prm, (struct str){ changed, (size_t)random() % sizeof(offer) });
	}
	assert_int_equal(answer(offer), NEGO_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_desk_phone_with_sdes_gets_its_first_codec_and_our_key),
		T(keys_with_an_mki_are_passed_over_for_one_without),
		T(the_preferred_suite_wins_wherever_it_stands),
		T(keys_that_are_unusable_are_refused),
		T(plain_rtp_needs_permission),
		T(best_effort_encryption_keeps_the_profile_except_for_communicator),
		T(of_two_audio_lines_the_secure_one_is_taken),
		T(baresip_is_answered_with_opus_and_without_video),
		T(silence_is_thinned_out_for_who_asks_and_comfort_noise_for_who_may),
		T(communicators_opus_of_one_channel_is_passed_over_for_pcmu),
		T(linphone_without_rtpmaps_and_with_three_telephone_events),
		T(telephone_event_has_the_clock_of_the_codec_where_it_can),
		T(our_order_decides_when_so_configured),
		T(packet_length_follows_the_peer_within_reason),
		T(audio_levels_and_rtcp_ports_are_taken_over),
		T(hold_and_its_old_form),
		T(rights_of_the_focus_bound_the_direction),
		T(the_same_offer_gets_the_same_answer_and_a_change_a_new_version),
		T(a_new_peer_key_renews_ours),
		T(a_refused_offer_leaves_the_session_as_it_was),
		T(offers_that_cannot_be_taken_say_why),
		T(ipv6_on_both_sides_is_fine),
		T(our_offer_takes_the_answer_of_the_peer),
		T(answers_that_do_not_fit_are_refused),
		T(a_later_offer_of_ours_keeps_lines_numbers_and_key),
		T(what_is_kept_elsewhere_has_no_keys),
		T(short_memory_refuses_and_changes_nothing),
		T(random_changes_of_an_offer_never_break_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
