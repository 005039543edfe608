/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_nego_ice.c - ICE in offers and answers: the two forms, the second INVITE, restart, what is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/nego.h"

#define HEAD "v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=session\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
#define AUDIO(profile) HEAD "m=audio 43423 " profile " 104 0 8 101\r\n"
#define TAIL "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:zF1+bEN1cZMVqKzJmHxRl7vZr1CPHr9CQIYvOmiB|2^31\r\n" \
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:54900\r\n"
#define U1 "0fEcfbWhlHs28jloMa8JnslnVgDt+i7rxDVetR8rvDs"
#define P1 "1IJVI4kcyitDakZMHb04Qw"
#define D6(user, pwd) "a=candidate:" user " 1 " pwd " UDP 0.830 192.0.2.2 43423\r\n" \
	"a=candidate:" user " 2 " pwd " UDP 0.830 192.0.2.2 54900\r\n"
#define D6_TCP "a=candidate:K4uo5wB1YC98lRJ/NHjQAYGMPVSBSCKkLh7ZxNlY9GM 1 fcgs7fZASIfGqH6oW397xQ TCP 0.830 192.0.2.2 51419\r\n"
#define UFRAG(u) "a=ice-ufrag:" u "\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
#define C5245 "a=candidate:1 1 UDP 2130706431 192.0.2.2 43423 typ host\r\n" \
	"a=candidate:1 2 UDP 2130705918 192.0.2.2 54900 typ host\r\n"
#define MS_TCP "a=candidate:2 1 TCP-ACT 2120613887 192.0.2.2 50009 typ host\r\n"

static const struct nego_policy policy = {
	.ip = "198.51.100.1", .name = "mcu-1", .order = { MCODEC_OPUS, MCODEC_G722, MCODEC_PCMU, MCODEC_PCMA },
	.ncodecs = 4, .ptime_ms = 20,
};
static struct nego_prm prm;
static struct nego n;
static char line[256];

static int setup(void **st)
{
	(void)st;
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

static const char *fmt(const char *f, const char *a, const char *b)
{
	snprintf(line, sizeof(line), f, a, b);
	return line;
}

static void an_offer_of_draft_6_is_answered_in_its_form(void **st)
{
	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) D6_TCP TAIL), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0 101\r\n");
	has(fmt("a=candidate:%s 1 %s UDP 0.830 198.51.100.1 20000\r\n", n.set.ice.user, n.set.ice.pwd));
	has(fmt("a=candidate:%s 2 %s UDP 0.830 198.51.100.1 20001\r\n", n.set.ice.user, n.set.ice.pwd));
	has("a=rtcp:20001\r\n");
	has("|2^31\r\n");
	has_not("ice-");
	has_not("remote-candidate");
	has_not(" TCP ");
	assert_int_equal(strlen(n.set.ice.user), 43);
	assert_int_equal(strlen(n.set.ice.pwd), 22);
	assert_int_equal(n.set.ice.form, ICE_DRAFT6);
	assert_int_equal(n.set.ice.npeers, 1);
	assert_string_equal(n.set.ice.peer[0].user, U1);
}

static void the_second_invite_of_draft_6_keeps_all_and_chooses(void **st)
{
	char first[ICE_TEXT], offer[2048];
	union ice_addr want;

	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) D6_TCP TAIL), NEGO_OK);
	snprintf(first, sizeof(first), "%s", n.set.ice.user);
	snprintf(offer, sizeof(offer), AUDIO("RTP/SAVP") D6(U1, P1) "a=remote-candidate:%s\r\n" TAIL, first);
	assert_int_equal(answer(offer), NEGO_OK);
	assert_string_equal(n.set.ice.user, first);
	has("a=remote-candidate:" U1 "\r\n");
	has("m=audio 20000 RTP/SAVP 0 101\r\n");
	assert_int_equal(ice_addr_parse(&want, STR("192.0.2.2"), 43423), 0);
	assert_true(ice_addr_eq(&n.set.ice.chosen[0], &want));
	assert_int_equal(ice_addr_parse(&want, STR("192.0.2.2"), 54900), 0);
	assert_true(ice_addr_eq(&n.set.ice.chosen[1], &want));
}

static void other_names_start_again(void **st)
{
	char first[ICE_TEXT];

	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) TAIL), NEGO_OK);
	snprintf(first, sizeof(first), "%s", n.set.ice.user);
	assert_int_equal(answer(AUDIO("RTP/AVP") D6("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", P1) TAIL), NEGO_OK);
	assert_string_not_equal(n.set.ice.user, first);
	assert_int_equal(answer(AUDIO("RTP/AVP") UFRAG("q1Wx") C5245 TAIL), NEGO_OK);
	snprintf(first, sizeof(first), "%s", n.set.ice.user);
	assert_int_equal(n.set.ice.form, ICE_RFC5245);
	assert_int_equal(answer(AUDIO("RTP/AVP") UFRAG("q1Wx") C5245 "a=sendonly\r\n" TAIL), NEGO_OK);
	assert_string_equal(n.set.ice.user, first);
	assert_int_equal(answer(AUDIO("RTP/AVP") UFRAG("other") C5245 TAIL), NEGO_OK);
	assert_string_not_equal(n.set.ice.user, first);
}

static void a_standard_agent_gets_a_lite_one(void **st)
{
	(void)st;
	assert_int_equal(answer(AUDIO("RTP/SAVP") UFRAG("q1Wx") C5245 TAIL), NEGO_OK);
	has("a=ice-lite\r\n");
	has(fmt("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", n.set.ice.user, n.set.ice.pwd));
	has("a=candidate:1 1 UDP 2130706431 198.51.100.1 20000 typ host\r\n");
	has("a=candidate:1 2 UDP 2130706430 198.51.100.1 20001 typ host\r\n");
	assert_int_equal(answer(AUDIO("RTP/AVP") UFRAG("mux1") C5245 "a=rtcp-mux\r\n" TAIL), NEGO_OK);
	has("m=audio 20000 RTP/AVP 0 101\r\n");          /* best effort stays that: it is nobody of Communicator's kind */
	has_not("a=candidate:1 2");
	has_not("a=rtcp:");
}

static void communicators_rfc_form_has_no_lite_agent_and_names_the_chosen_pair(void **st)
{
	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") UFRAG("q1Wx") C5245 MS_TCP TAIL), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0 101\r\n");
	has_not("ice-lite");
	assert_int_equal(answer(AUDIO("RTP/SAVP") UFRAG("q1Wx") C5245
				"a=remote-candidates:1 198.51.100.1 20000 2 198.51.100.1 20001\r\n" TAIL), NEGO_OK);
	has("a=remote-candidates:1 192.0.2.2 43423 2 192.0.2.2 54900\r\n");
	has_not("ice-lite");
}

static void candidates_of_no_known_form_are_refused_so_that_the_other_form_is_tried(void **st)
{
	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") "a=candidate:what 1 is this\r\n" TAIL), NEGO_ICE);
	assert_int_equal(answer(AUDIO("RTP/AVP") D6_TCP TAIL), NEGO_ICE);
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) UFRAG("q1Wx") C5245 TAIL), NEGO_ICE);
	assert_null(n.local);
	assert_int_equal(answer(AUDIO("RTP/AVP") "a=candidate:odd one\r\n" D6(U1, P1) TAIL), NEGO_OK);
}

static void a_lite_peer_and_one_behind_a_gateway_are_answered_without_ice(void **st)
{
	(void)st;
	assert_int_equal(answer("v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\na=ice-lite\r\n"
				"m=audio 43423 RTP/SAVP 0\r\n" UFRAG("q1Wx") C5245 TAIL), NEGO_OK);
	has_not("candidate");
	assert_int_equal(n.set.ice.form, ICE_OFF);
	assert_int_equal(answer("v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n"
				"m=audio 43423 RTP/SAVP 0\r\n" UFRAG("q1Wx") C5245 TAIL), NEGO_OK);
	has("a=ice-mismatch\r\n");
	has_not("candidate");
	assert_int_equal(n.set.ice.form, ICE_OFF);
	assert_string_equal(n.set.addr, "203.0.113.9");
	assert_int_equal(answer("v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
				"m=audio 9 RTP/SAVP 0\r\n" UFRAG("q1Wx") TAIL), NEGO_OK);
	has("a=candidate:1 1 UDP");                      /* trickle: checks will tell */
}

static void rejected_encryption_is_plain_rtp_where_that_is_allowed(void **st)
{
	(void)st;
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) "a=encryption:rejected\r\n" TAIL), NEGO_INSECURE);
	prm.plain_ok = true;
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) "a=encryption:rejected\r\n" TAIL), NEGO_OK);
	has("m=audio 20000 RTP/AVP 0 101\r\n");
	has_not("crypto");
	assert_int_equal(answer(AUDIO("RTP/AVP") D6(U1, P1) "a=encryption:optional\r\n" TAIL), NEGO_OK);
	has("m=audio 20000 RTP/SAVP 0 101\r\n");
}

static void what_is_kept_has_no_passwords(void **st)
{
	static const char *const offers[] = { AUDIO("RTP/AVP") D6(U1, P1) TAIL, AUDIO("RTP/AVP") UFRAG("q1Wx") C5245 TAIL };

	(void)st;
	for (unsigned i = 0; i < 2; i++) {
		char *kept;

		assert_int_equal(answer(offers[i]), NEGO_OK);
		kept = nego_keepable(&n);
		assert_non_null(kept);
		assert_null(strstr(kept, n.set.ice.pwd));
		assert_null(strstr(kept, "inline:"));
		mem_deref(kept);
	}
}

static void our_refresh_repeats_the_candidates_and_its_answer_changes_nothing(void **st)
{
	char first[ICE_TEXT];

	(void)st;
	assert_int_equal(answer(AUDIO("RTP/SAVP") UFRAG("q1Wx") C5245 TAIL), NEGO_OK);
	snprintf(first, sizeof(first), "%s", n.set.ice.user);
	assert_int_equal(nego_offer(&n, &prm), NEGO_OK);
	has("a=candidate:1 2 UDP");
	assert_int_equal(nego_take_answer(&n, &prm, STR(AUDIO("RTP/SAVP") UFRAG("q1Wx") C5245 TAIL)), NEGO_OK);
	assert_string_equal(n.set.ice.user, first);
	assert_int_equal(n.set.ice.form, ICE_RFC5245);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_offer_of_draft_6_is_answered_in_its_form),
		T(the_second_invite_of_draft_6_keeps_all_and_chooses),
		T(other_names_start_again),
		T(a_standard_agent_gets_a_lite_one),
		T(communicators_rfc_form_has_no_lite_agent_and_names_the_chosen_pair),
		T(candidates_of_no_known_form_are_refused_so_that_the_other_form_is_tried),
		T(a_lite_peer_and_one_behind_a_gateway_are_answered_without_ice),
		T(rejected_encryption_is_plain_rtp_where_that_is_allowed),
		T(what_is_kept_has_no_passwords),
		T(our_refresh_repeats_the_candidates_and_its_answer_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
