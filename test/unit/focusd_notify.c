/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_notify.c - what subscribers are told: full and partial documents, versions, portions, ends; over real SIP */
#include "test/unit/focusd_world.h"

#define ALICE "alice@" DOMAIN
#define BOB   "bob@" DOMAIN
#define UDP   "user;udp"

static bool tells(const struct got *g, const char *text) { return strstr(g->body, text) != NULL; }

static void add_users(unsigned from, unsigned n)
{
	char entity[64], ep[32], name[64];
	struct endpoint *e;
	struct user *u;

	for (unsigned i = from; i < from + n; i++) {
		snprintf(entity, sizeof(entity), "sip:user%u@" DOMAIN, i);
		snprintf(ep, sizeof(ep), "{user-%u}", i);
		snprintf(name, sizeof(name), "User %u", i);
		assert_int_equal(user_add(&u, &app.confs, the_conf(), entity, entity, name, ROLE_ATTENDEE, AUTH_ENTERPRISE), 0);
		assert_int_equal(endpoint_add(&e, &app.confs, u, ep, SESSION_AV), 0);
		endpoint_set_status(&app.confs, e, EP_CONNECTED);
	}
}

static void the_first_document_is_full_and_the_next_ones_partial_without_a_gap(void **state)
{
	struct dlg sub;
	unsigned v;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	assert_true(nth_for(&sub, 0)->full);
	assert_true(tells(nth_for(&sub, 0), "sip:" ALICE));
	assert_string_equal(nth_for(&sub, 0)->method, "NOTIFY");
	assert_memory_equal(nth_for(&sub, 0)->state, "active;expires=", 15);
	v = nth_for(&sub, 0)->version;
	join(BOB, "{b}");
	wait_for(&sub, 2);
	assert_false(nth_for(&sub, 1)->full);
	assert_int_equal(nth_for(&sub, 1)->version, v + 1);
	assert_true(tells(nth_for(&sub, 1), "sip:" BOB));
	assert_false(tells(nth_for(&sub, 1), "<user entity=\"sip:" ALICE));
	assert_true(tells(nth_for(&sub, 1), "<user-count>2<"));
	assert_true(nth_for(&sub, 1)->cseq > nth_for(&sub, 0)->cseq);
}

static void who_leaves_is_told_as_deleted(void **state)
{
	struct dlg sub, bob;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	bob = join(BOB, "{b}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	assert_int_equal(ask(&bob, &(struct ask){ .method = "BYE", .pai = BOB }), 200);
	wait_for(&sub, 2);
	assert_true(tells(last_for(&sub), "<user entity=\"sip:" BOB "\" state=\"deleted\"/>"));
	assert_true(tells(last_for(&sub), "<user-count>1<"));
}

static void every_subscriber_gets_the_same_versions(void **state)
{
	struct dlg s[8];
	unsigned n;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	for (unsigned i = 0; i < 8; i++)
		s[i] = subscribe(ALICE, NULL, i % 2 ? "Supported: ms-benotify\r\n" : NULL);
	for (unsigned i = 0; i < 8; i++)
		wait_for(&s[i], 1);
	pass(50);
	for (unsigned k = 0; k < 5; k++) {
		add_users(k, 1);
		pass(40);
	}
	for (unsigned i = 0; i < 8; i++) {
		n = count_for(&s[i]);
		assert_in_range(n, 2, 6);
		for (unsigned k = 1; k < n; k++) {
			assert_int_equal(nth_for(&s[i], k)->version, nth_for(&s[i], k - 1)->version + 1);
			assert_string_equal(nth_for(&s[i], k)->method, i % 2 ? "BENOTIFY" : "NOTIFY");
		}
		assert_int_equal(last_for(&s[i])->version, the_conf()->version);
		assert_string_equal(last_for(&s[i])->body, last_for(&s[0])->body);
	}
}

/* All users that the documents of a subscription told of, as a client would put them together. */
static unsigned users_told(const struct dlg *d)
{
	static bool seen[2000];
	unsigned n = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < count_for(d); i++)
		for (const char *p = nth_for(d, i)->body; (p = strstr(p, "<user entity=\"sip:user")); p++)
			seen[atoi(p + 22)] = true;
	for (unsigned i = 0; i < 2000; i++)
		n += seen[i];
	return n;
}

struct told { const struct dlg *d; unsigned n; };
static bool all_told(void *arg) { const struct told *t = arg; return users_told(t->d) >= t->n; }

static void check_portions(const struct dlg *d, size_t limit)
{
	for (unsigned i = 0; i < count_for(d); i++) {
		const struct got *g = nth_for(d, i);

		assert_true(strlen(g->body) <= limit);
		assert_int_equal(g->full, i == 0);
		if (i)
			assert_int_equal(g->version, nth_for(d, i - 1)->version + 1);
	}
}

static void a_roster_too_large_for_one_message_comes_in_any_number_of_portions(void **state)
{
	struct dlg udp, tcp;
	unsigned n;

	(void)state;
	app.cfg.doc_udp_bytes = 4096;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	add_users(0, 300);                       /* some 40 portions: more than a queue holds */
	pass(50);
	udp = subscribe(ALICE, UDP, NULL);
	tcp = subscribe(ALICE, NULL, NULL);
	assert_true(wait_until(all_told, &(struct told){ &udp, 300 }, 10000));
	pass(100);
	check_portions(&udp, 4096);
	n = count_for(&udp);
	assert_in_range(n, 20, 200);
	assert_int_equal(count_for(&tcp), 1);
	assert_int_equal(users_told(&tcp), 300);
	add_users(300, 1);
	wait_for(&udp, n + 1);
	wait_for(&tcp, 2);
	check_portions(&udp, 4096);
	assert_true(tells(last_for(&udp), "sip:user300@"));
	assert_null(sub_find(&app, str_c(udp.to_tag))->rest);
	assert_int_equal(the_conf()->nsplit, 0);
}

static void portions_go_on_while_the_roster_changes(void **state)
{
	struct dlg udp;

	(void)state;
	app.cfg.doc_udp_bytes = 4096;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	add_users(0, 200);
	pass(50);
	udp = subscribe(ALICE, UDP, "Supported: ms-benotify\r\n");
	for (unsigned i = 0; i < 20; i++) {
		add_users(200 + i, 1);
		pass(12);
	}
	user_remove(&app.confs, user_find(the_conf(), "sip:user7@" DOMAIN));
	assert_true(wait_until(all_told, &(struct told){ &udp, 219 }, 10000));
	pass(100);
	for (unsigned i = 1; i < count_for(&udp); i++)
		assert_int_equal(nth_for(&udp, i)->version, nth_for(&udp, i - 1)->version + 1);
}

static void an_unsubscribe_is_answered_with_a_last_document(void **state)
{
	struct dlg sub;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\nExpires: 0\r\n" }), 200);
	wait_for(&sub, 2);
	assert_string_equal(last_for(&sub)->state, "terminated;reason=timeout");
	assert_true(last_for(&sub)->full);
	assert_null(sub_find(&app, str_c(sub.to_tag)));
	pass(50);
	assert_true(TAILQ_EMPTY(&app.dying));
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE }), 481);
}

static void when_a_conference_ends_everybody_hears_it_once(void **state)
{
	struct dlg s[4], alice;

	(void)state;
	schedule(POLICY_OPEN);
	alice = join(ALICE, "{a}");
	for (unsigned i = 0; i < 4; i++)
		s[i] = subscribe(ALICE, NULL, i % 2 ? "Supported: ms-benotify\r\n" : NULL);
	for (unsigned i = 0; i < 4; i++)
		wait_for(&s[i], 1);
	life_end(&app, the_conf());
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&s[i], 2);
		assert_string_equal(last_for(&s[i])->state, "terminated;reason=noresource");
		assert_true(tells(last_for(&s[i]), "<active>false<"));
	}
	wait_for(&alice, 1);
	assert_string_equal(last_for(&alice)->method, "BYE");
	pass(100);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(count_for(&s[i]), 2);
	assert_true(TAILQ_EMPTY(&app.dying));
}

/* The queue runs dry, or the client refuses, between the end of a subscription and the commit of its last document. */
static void a_subscription_may_end_while_a_document_is_under_way(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		struct dlg ben, sub;

		if (!the_conf())
			schedule(POLICY_OPEN);
		join(ALICE, "{a}");
		ben = subscribe(ALICE, NULL, "Supported: ms-benotify\r\n");
		sub = subscribe(ALICE, NULL, NULL);
		wait_for(&sub, 1);
		wait_for(&ben, 1);
		notify_code = round % 3 == 0 ? 481 : round % 3 == 1 ? 200 : 0;
		add_users(round * 10, 3);
		pass(round % 4);                 /* the NOTIFY may be out, its answer not in */
		life_end(&app, the_conf());
		pass(60);
		assert_true(TAILQ_EMPTY(&app.dying));
		assert_null(the_conf()->users);
		notify_code = 200;
	}
}

static void a_client_that_does_not_know_its_subscription_loses_it(void **state)
{
	struct dlg sub;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	notify_code = 481;
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	pass(50);
	assert_null(sub_find(&app, str_c(sub.to_tag)));
	assert_int_equal(count_for(&sub), 1);
	assert_int_equal(the_conf()->nsubs, 0);
	assert_int_equal(user_find(the_conf(), "sip:" ALICE)->nsubs, 0);
}

static void a_refresh_brings_a_full_document(void **state)
{
	struct dlg sub;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, "Event: conference;id=abc\r\n");
	wait_for(&sub, 1);
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference;id=abc\r\n" }), 200);
	wait_for(&sub, 2);
	assert_true(last_for(&sub)->full);
	assert_true(last_for(&sub)->version >= nth_for(&sub, 0)->version);
}

static void a_conference_deleted_with_subscribers_leaves_nothing(void **state)
{
	struct dlg sub;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	life_remove(&app, the_conf());
	wait_for(&sub, 2);
	assert_memory_equal(last_for(&sub)->state, "terminated", 10);
	assert_null(the_conf());
	assert_int_equal(HASH_COUNT(app.subs_by_tag), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_first_document_is_full_and_the_next_ones_partial_without_a_gap), T(who_leaves_is_told_as_deleted),
		T(every_subscriber_gets_the_same_versions), T(a_roster_too_large_for_one_message_comes_in_any_number_of_portions),
		T(portions_go_on_while_the_roster_changes), T(an_unsubscribe_is_answered_with_a_last_document),
		T(when_a_conference_ends_everybody_hears_it_once), T(a_subscription_may_end_while_a_document_is_under_way),
		T(a_client_that_does_not_know_its_subscription_loses_it), T(a_refresh_brings_a_full_document),
		T(a_conference_deleted_with_subscribers_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, world_certs, world_certs_end);
}
