/* SPDX-License-Identifier: Apache-2.0 */
/* ice_agent.c - the agent: whom it answers, which way it chooses, when it changes its mind */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/ice/ice.h"

#define S 1000000ll

static struct ice_prm prm;
static struct ice *agent;
static uint8_t reply[STUN_MAX];
static size_t nreply;
static unsigned news;

static void start(enum ice_form form)
{
	prm = (struct ice_prm){ .form = form, .npeers = 1 };
	ice_credentials(&prm);
	if (form == ICE_DRAFT6) {
		snprintf(prm.peer[0].user, sizeof(prm.peer[0].user), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
		snprintf(prm.peer[0].pwd, sizeof(prm.peer[0].pwd), "EBESExQVFhcYGRobHB0eHw");
	}
	assert_int_equal(ice_alloc(&agent, &prm), 0);
}

static int stop(void **st)
{
	(void)st;
	agent = mem_deref(agent);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static union ice_addr addr(const char *ip, uint16_t port)
{
	union ice_addr a;

	assert_int_equal(ice_addr_parse(&a, str_c(ip), port), 0);
	return a;
}

enum { USE = 1, MS = 2, CONTROLLED = 4, NO_MI = 8, WRONG_KEY = 16, NO_FP = 32, STRANGE = 64, NO_USER = 128 };

/* A check of the RFC forms */
static void check(unsigned comp, const union ice_addr *from, uint32_t priority, unsigned how, int64_t now)
{
	static const uint8_t id[16] = { 0x21, 0x12, 0xa4, 0x42, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2 };
	uint8_t buf[STUN_MAX];
	char user[ICE_TEXT + 8];
	struct stun_key key;
	struct stun_out o;
	size_t n;

	stun_key_init(&key, prm.pwd, strlen(prm.pwd) - (how & WRONG_KEY ? 1 : 0));
	stun_begin(&o, buf, sizeof(buf), how & MS ? STUN_MSICE2 : STUN_RFC5389, STUN_REQUEST, id);
	snprintf(user, sizeof(user), "%s:peer", prm.user);
	if (!(how & NO_USER))
		stun_attr(&o, STUN_USERNAME, user, strlen(user));
	stun_attr_u32(&o, STUN_PRIORITY, priority);
	stun_attr(&o, how & CONTROLLED ? STUN_ICE_CONTROLLED : STUN_ICE_CONTROLLING, "12345678", 8);
	if (how & USE)
		stun_attr(&o, STUN_USE_CANDIDATE, NULL, 0);
	if (how & MS)
		stun_attr_u32(&o, STUN_MS_VERSION, 2);
	if (how & STRANGE)
		stun_attr_u32(&o, 0x0033, 1);
	n = stun_end(&o, how & NO_MI ? NULL : &key);
	if (how & NO_FP) {
		n -= 8;
		buf[3] = (uint8_t)(n - STUN_HDR);
	}
	nreply = ice_input(agent, comp, buf, n, &from->sa, reply, sizeof(reply), now, &news);
}

static void answered(uint16_t type, uint16_t error, enum stun_dialect d)
{
	struct stun_key key;
	struct stun_msg m;

	stun_key_init(&key, prm.pwd, strlen(prm.pwd));
	assert_int_equal(stun_decode(&m, reply, nreply), 0);
	assert_int_equal(m.type, type);
	assert_int_equal(m.error, error);
	assert_true(stun_authentic(&m, &key, d));
	assert_true(stun_fingerprint_ok(&m, d));
}

static void a_check_is_answered_in_its_dialect_and_makes_a_way(void **st)
{
	union ice_addr a = addr("192.0.2.7", 5000), b = addr("192.0.2.7", 5001);
	struct stun_msg m;

	(void)st;
	start(ICE_RFC5245);
	assert_null(ice_way(agent, 0));
	check(0, &a, 100, 0, S);
	answered(STUN_SUCCESS, 0, STUN_RFC5389);
	assert_int_equal(news, ICE_ALIVE | ICE_WAY);
	assert_true(ice_addr_eq(ice_way(agent, 0), &a));
	assert_null(ice_way(agent, 1));
	check(1, &b, 100, MS, S);
	answered(STUN_SUCCESS, 0, STUN_MSICE2);
	assert_int_equal(stun_decode(&m, reply, nreply), 0);
	assert_true(m.ms && ice_addr_eq(&m.mapped, &b));
	assert_true(ice_known(agent, 0, &a.sa) && ice_known(agent, 1, &b.sa) && !ice_known(agent, 0, &b.sa));
}

static void what_is_not_authentic_gets_no_answer_and_makes_no_way(void **st)
{
	static const unsigned how[] = { NO_MI, WRONG_KEY, NO_FP, NO_USER, NO_MI | MS, WRONG_KEY | MS, WRONG_KEY | CONTROLLED,
					WRONG_KEY | STRANGE };
	union ice_addr a = addr("192.0.2.7", 5000);

	(void)st;
	start(ICE_RFC5245);
	for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		check(0, &a, 1, how[i], S);
		assert_int_equal(nreply, 0);
		assert_int_equal(news, 0);
	}
	assert_null(ice_way(agent, 0));
	assert_int_equal(ice_stats(agent)->foreign, sizeof(how) / sizeof(how[0]));
}

static void a_peer_that_wants_to_be_led_and_strange_attributes_get_their_errors(void **st)
{
	union ice_addr a = addr("192.0.2.7", 5000);

	(void)st;
	start(ICE_RFC5245);
	check(0, &a, 1, CONTROLLED, S);
	answered(STUN_ERROR, 487, STUN_RFC5389);
	check(0, &a, 1, STRANGE, S);
	answered(STUN_ERROR, 420, STUN_RFC5389);
	assert_null(ice_way(agent, 0));
}

static void the_nominated_way_with_the_highest_priority_is_chosen(void **st)
{
	union ice_addr a = addr("192.0.2.7", 5000), b = addr("192.0.2.8", 5000), c = addr("192.0.2.9", 5000);

	(void)st;
	start(ICE_RFC5245);
	check(0, &a, 10, 0, S);
	check(0, &b, 100, 0, S);
	assert_true(ice_addr_eq(ice_way(agent, 0), &a));
	check(0, &b, 100, USE, S);
	assert_int_equal(news, ICE_ALIVE | ICE_WAY);
	check(0, &c, 50, USE, S);
	check(0, &a, 10, USE, S);
	assert_true(ice_addr_eq(ice_way(agent, 0), &b));
	check(0, &c, 50, USE, 9 * S);                    /* b was not checked any more: the peer has moved */
	assert_true(ice_addr_eq(ice_way(agent, 0), &c));
}

static void the_second_offer_decides_before_or_after_the_check(void **st)
{
	union ice_addr a = addr("192.0.2.7", 5000), b = addr("192.0.2.8", 5000);

	(void)st;
	start(ICE_RFC5245);
	check(0, &a, 100, USE, S);
	assert_false(ice_choose(agent, 0, &b));
	assert_true(ice_addr_eq(ice_way(agent, 0), &a));
	check(0, &b, 1, 0, S);
	assert_true(ice_addr_eq(ice_way(agent, 0), &b));
	check(0, &a, 100, USE, S);
	assert_true(ice_addr_eq(ice_way(agent, 0), &b));
	assert_true(ice_choose(agent, 0, &a));
	assert_false(ice_choose(agent, 0, &a));
	assert_true(ice_addr_eq(ice_way(agent, 0), &a));
}

static void many_ways_push_out_the_oldest_but_never_the_chosen_one(void **st)
{
	union ice_addr first = addr("192.0.2.7", 5000);

	(void)st;
	start(ICE_RFC5245);
	check(0, &first, 100, USE, S);
	for (uint16_t i = 0; i < 20; i++) {
		union ice_addr a = addr("192.0.2.9", (uint16_t)(6000 + i));

		check(0, &a, 1, 0, S + i);
		assert_true(ice_known(agent, 0, &a.sa));
	}
	assert_true(ice_addr_eq(ice_way(agent, 0), &first));
	first = addr("192.0.2.9", 6010);
	assert_false(ice_known(agent, 0, &first.sa));
}

/* --- draft 6 */
static size_t d6_name(uint8_t out[256], const char *to, const char *from, unsigned comp)
{
	uint8_t a[ICE_TEXT], b[ICE_TEXT];
	int n = ice_base64(a, sizeof(a), str_c(to)), k = ice_base64(b, sizeof(b), str_c(from));
	size_t at = (size_t)n;

	assert_true(n > 0 && k > 0);
	memcpy(out, a, at);
	at += (size_t)sprintf((char *)out + at, ":%u:", comp + 1);
	memcpy(out + at, b, (size_t)k);
	at += (size_t)k;
	return at + (size_t)sprintf((char *)out + at, ":%u", comp + 1);
}

static struct stun_key d6_key(const char *pwd)
{
	uint8_t raw[ICE_TEXT];
	struct stun_key k;
	int n = ice_base64(raw, sizeof(raw), str_c(pwd));

	assert_true(n > 0);
	stun_key_init(&k, raw, (size_t)n);
	return k;
}

static void d6_check(unsigned comp, const union ice_addr *from)
{
	static const uint8_t id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct stun_key key = d6_key(prm.pwd);
	uint8_t buf[STUN_MAX], user[256];
	struct stun_out o;

	stun_begin(&o, buf, sizeof(buf), STUN_RFC3489, STUN_REQUEST, id);
	stun_attr(&o, STUN_USERNAME, user, d6_name(user, prm.user, prm.peer[0].user, comp));
	nreply = ice_input(agent, comp, buf, stun_end(&o, &key), &from->sa, reply, sizeof(reply), S, &news);
}

static void a_check_of_draft_6_is_answered_and_returned_until_the_peer_answers(void **st)
{
	union ice_addr a = addr("192.0.2.7", 5000);
	struct stun_key ours, theirs;
	uint8_t buf[STUN_MAX], user[256], out[STUN_MAX];
	struct stun_msg m;
	struct stun_out o;
	size_t n;

	(void)st;
	start(ICE_DRAFT6);
	ours = d6_key(prm.pwd);
	theirs = d6_key(prm.peer[0].pwd);
	d6_check(1, &a);
	assert_int_equal(news, ICE_ALIVE | ICE_WAY | ICE_RETURN);
	assert_int_equal(stun_decode(&m, reply, nreply), 0);
	assert_int_equal(m.type, STUN_SUCCESS);
	assert_true(stun_authentic(&m, &ours, STUN_RFC3489));
	assert_true(ice_addr_eq(&m.mapped, &a));
	n = ice_check(agent, 1, &a.sa, buf, sizeof(buf));
	assert_int_equal(stun_decode(&m, buf, n), 0);
	assert_int_equal(m.type, STUN_REQUEST);
	assert_true(stun_authentic(&m, &theirs, STUN_RFC3489));
	assert_true(str_eq(m.user, (struct str){ (char *)user, d6_name(user, prm.peer[0].user, prm.user, 1) }));
	d6_check(1, &a);
	assert_int_equal(news, ICE_ALIVE | ICE_RETURN);
	stun_begin(&o, out, sizeof(out), STUN_RFC3489, STUN_SUCCESS, m.id);
	n = stun_end(&o, &ours);                         /* the wrong key */
	assert_int_equal(ice_input(agent, 1, out, n, &a.sa, reply, sizeof(reply), S, &news), 0);
	assert_int_equal(news, 0);
	stun_begin(&o, out, sizeof(out), STUN_RFC3489, STUN_SUCCESS, m.id);
	n = stun_end(&o, &theirs);
	assert_int_equal(ice_input(agent, 1, out, n, &a.sa, reply, sizeof(reply), S, &news), 0);
	assert_int_equal(news, ICE_HEARD);
	d6_check(1, &a);
	assert_int_equal(news, ICE_ALIVE);
}

static void credentials_that_cannot_be_are_refused(void **st)
{
	struct ice_prm p = { .form = ICE_DRAFT6, .user = "not base64!", .pwd = "AAAA" };
	struct ice *i = NULL;

	(void)st;
	assert_int_equal(ice_alloc(&i, &p), -EINVAL);
	p.form = ICE_RFC5245;
	p.pwd[0] = '\0';
	assert_int_equal(ice_alloc(&i, &p), -EINVAL);
	p.form = ICE_OFF;
	assert_int_equal(ice_alloc(&i, &p), -EINVAL);
	ice_credentials(&(struct ice_prm){ .form = ICE_DRAFT6 });
	p = (struct ice_prm){ .form = ICE_RFC5245 };
	ice_credentials(&p);
	mem_fail_after(1);
	assert_int_equal(ice_alloc(&i, &p), -ENOMEM);
	mem_fail_after(0);
	assert_null(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_check_is_answered_in_its_dialect_and_makes_a_way, stop),
		cmocka_unit_test_teardown(what_is_not_authentic_gets_no_answer_and_makes_no_way, stop),
		cmocka_unit_test_teardown(a_peer_that_wants_to_be_led_and_strange_attributes_get_their_errors, stop),
		cmocka_unit_test_teardown(the_nominated_way_with_the_highest_priority_is_chosen, stop),
		cmocka_unit_test_teardown(the_second_offer_decides_before_or_after_the_check, stop),
		cmocka_unit_test_teardown(many_ways_push_out_the_oldest_but_never_the_chosen_one, stop),
		cmocka_unit_test_teardown(a_check_of_draft_6_is_answered_and_returned_until_the_peer_answers, stop),
		cmocka_unit_test_teardown(credentials_that_cannot_be_are_refused, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
