/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_model.c - conferences, users and endpoints: marks, tables, who is visible, who is told as gone, deadlines */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include "focusd/conf.h"
#include "lib/base/mem.h"

static struct confs cs;
static struct conf *c;
static unsigned     gone[8];             /* rows that went, by kind */
static size_t       live;

static void on_gone(enum dirt_kind kind, int64_t id, void *arg)
{
	assert_ptr_equal(arg, &cs);
	assert_true(id > 0);
	gone[kind]++;
}

static struct conf *add_conf(const char *organizer, const char *id, const char *name)
{
	struct conf *made = NULL;
	const struct conf_prm p = { .organizer = organizer, .domain = "example.net", .conf_id = id, .name = name, .policy = POLICY_OPEN,
				    .invited = "presenter sip:carol@example.net\nattendee sip:dave@example.net\n" };

	assert_int_equal(conf_add(&made, &cs, &p), 0);
	return made;
}

static int setup(void **state)
{
	(void)state;
	live = mem_live();
	memset(gone, 0, sizeof(gone));
	confs_init(&cs);
	cs.gonecb = on_gone;
	cs.arg    = &cs;
	c = add_conf("Alice", "ABCD1234", NULL);
	conf_activate(&cs, c, 1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	confs_fini(&cs);
	assert_int_equal(mem_live(), live);
	return 0;
}

static struct user *add_user(const char *entity, enum conf_auth auth)
{
	struct user *u = NULL;

	assert_int_equal(user_add(&u, &cs, c, entity, entity, "Somebody", ROLE_ATTENDEE, auth), 0);
	return u;
}

static struct endpoint *add_ep(struct user *u, const char *entity, enum conf_session s, enum ep_status st)
{
	struct endpoint *e = NULL;

	assert_int_equal(endpoint_add(&e, &cs, u, entity, s), 0);
	endpoint_set_status(&cs, e, st);
	return e;
}

static void settle(void)                 /* as if written and told */
{
	struct dirt *d;
	struct conf *x;

	while ((d = TAILQ_FIRST(&cs.dirty))) {
		TAILQ_REMOVE(&cs.dirty, d, le);
		d->on = false;
	}
	while ((x = TAILQ_FIRST(&cs.changed)))
		conf_told(&cs, x);
}

static unsigned dirty(void)
{
	const struct dirt *d;
	unsigned n = 0;

	TAILQ_FOREACH(d, &cs.dirty, le)
		n++;
	return n;
}

/* --- the registry */
static void a_conference_is_found_without_regard_to_case_and_once(void **state)
{
	struct conf *other = NULL;
	const struct conf_prm again = { .organizer = "ALICE", .domain = "EXAMPLE.net", .conf_id = "abcd1234" };

	(void)state;
	assert_ptr_equal(conf_find(&cs, STR("alice"), STR("Example.Net"), STR("abcD1234")), c);
	assert_ptr_equal(conf_find_key(&cs, "alice@example.net/abcd1234"), c);
	assert_null(conf_find(&cs, STR("bob"), STR("example.net"), STR("ABCD1234")));
	assert_int_equal(conf_add(&other, &cs, &again), -EEXIST);
	assert_int_equal(cs.nconf, 1);
	assert_string_equal(c->focus_uri, "sip:Alice@example.net;gruu;opaque=app:conf:focus:id:ABCD1234");
}

static void a_room_has_one_name_and_an_id_made_of_it(void **state)
{
	struct conf *room = add_conf("rooms", "LOBBY000", "lobby"), *other = NULL;
	const struct conf_prm p = { .organizer = "rooms", .domain = "example.net", .conf_id = "OTHER000", .name = "lobby" };
	char a[33], b[33], small[10];

	(void)state;
	assert_ptr_equal(conf_find_name(&cs, STR("lobby")), room);
	assert_null(conf_find_name(&cs, STR("lobb")));
	assert_int_equal(conf_add(&other, &cs, &p), -EEXIST);
	assert_int_equal(conf_room_id(a, sizeof(a), "lobby"), 0);
	assert_int_equal(conf_room_id(b, sizeof(b), "l-obby"), 0);
	assert_string_not_equal(a, b);
	assert_in_range(strlen(a), 8, 32);
	assert_int_equal(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), strlen(a));
	assert_int_equal(conf_room_id(a, sizeof(a), "a-very-long-name-of-a-room-that-does-not-fit-at-all-in-an-id"), 0);
	assert_in_range(strlen(a), 8, 32);
	assert_int_equal(conf_room_id(small, sizeof(small), "lobby"), -EINVAL);
	conf_remove(&cs, room);
	assert_null(conf_find_name(&cs, STR("lobby")));
}

static void removing_a_conference_forgets_all_below_it(void **state)
{
	struct endpoint *e = add_ep(add_user("sip:bob@example.net", AUTH_ENTERPRISE), "{1}", SESSION_FOCUS, EP_CONNECTED);

	(void)state;
	endpoint_bind(&cs, e, NULL, "tag-1");
	assert_ptr_equal(endpoint_find_tag(&cs, STR("tag-1")), e);
	conf_remove(&cs, c);
	assert_int_equal(gone[DIRT_CONF] + gone[DIRT_USER] + gone[DIRT_ENDPOINT], 3);
	assert_int_equal(dirty(), 0);
	assert_true(TAILQ_EMPTY(&cs.changed));
	assert_null(endpoint_find_tag(&cs, STR("tag-1")));
	assert_int_equal(cs.nconf + cs.nusers + cs.nactive, 0);
}

static void an_activation_counts_up_and_starts_unlocked(void **state)
{
	uint32_t epoch = c->epoch;

	(void)state;
	conf_set_locked(&cs, c, true);
	c->had_auth = true;
	conf_activate(&cs, c, 2000);             /* is active: nothing */
	assert_true(c->locked && c->epoch == epoch);
	conf_set_mcu(&cs, c, SESSION_AV, CONF_MCU_READY, "mcu-1", "i1");
	c->mcu[SESSION_AV].syncing = c->mcu[SESSION_AV].stale = true;
	c->mcu[SESSION_AV].version = 7;
	conf_deactivate(&cs, c);
	assert_false(c->active || c->locked || c->mcu[SESSION_AV].syncing || c->mcu[SESSION_AV].stale);
	assert_null(c->mcu[SESSION_AV].node);
	assert_int_equal(c->mcu[SESSION_AV].version, 0);
	assert_int_equal(cs.nactive, 0);
	conf_activate(&cs, c, 3000);
	assert_int_equal(c->epoch, epoch + 1);
	assert_false(c->had_auth);
	assert_int_equal(c->activated_s, 3000);
}

static void the_invited_are_known_by_their_role(void **state)
{
	bool listed;

	(void)state;
	assert_int_equal(conf_invited_role(c, "SIP:Carol@example.net", &listed), ROLE_PRESENTER);
	assert_true(listed);
	assert_int_equal(conf_invited_role(c, "sip:dave@example.net", &listed), ROLE_ATTENDEE);
	assert_true(listed);
	assert_int_equal(conf_invited_role(c, "sip:eve@example.net", &listed), ROLE_ATTENDEE);
	assert_false(listed);
}

/* --- marks */
static void a_mark_is_set_once_until_it_is_taken(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);

	(void)state;
	settle();
	assert_int_equal(dirty(), 0);
	user_set_role(&cs, u, ROLE_ATTENDEE);    /* is one */
	assert_int_equal(dirty(), 0);
	user_set_role(&cs, u, ROLE_PRESENTER);
	user_touch(&cs, u);
	assert_int_equal(dirty(), 1);
	assert_ptr_equal(TAILQ_FIRST(&cs.changed), c);
	assert_ptr_equal(TAILQ_FIRST(&c->changed_users), u);
	assert_null(TAILQ_NEXT(u, changed_le));
}

static void a_pending_leg_is_stored_but_no_news(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	struct endpoint *e;

	(void)state;
	settle();
	assert_int_equal(endpoint_add(&e, &cs, u, "{1}", SESSION_AV), 0);
	assert_int_equal(dirty(), 1);
	assert_true(TAILQ_EMPTY(&cs.changed));
	assert_false(user_visible(u));
	endpoint_set_status(&cs, e, EP_CONNECTED);
	assert_true(user_visible(u));
	assert_true(user_has(u, SESSION_AV));
	assert_false(user_has(u, SESSION_FOCUS));
	assert_true(c->chg_state);               /* the count grows */
	assert_false(TAILQ_EMPTY(&cs.changed));
}

/* --- who is told as gone */
static void who_was_never_shown_is_never_told_as_gone(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);

	(void)state;
	add_ep(u, "{1}", SESSION_AV, EP_PENDING);
	settle();
	user_remove(&cs, u);
	assert_int_equal(c->ngone, 0);
}

static void who_was_shown_is_told_as_gone_once(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	struct endpoint *e = add_ep(u, "{1}", SESSION_FOCUS, EP_CONNECTED);

	(void)state;
	settle();
	endpoint_remove(&cs, e, false);          /* his last one: he goes with it */
	assert_null(user_find(c, "sip:bob@example.net"));
	assert_int_equal(c->ngone, 1);
	assert_string_equal(c->gone[0], "sip:bob@example.net");
	settle();
	assert_int_equal(c->ngone, 0);
}

static void who_becomes_invisible_is_told_as_gone_too(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	struct endpoint *e = add_ep(u, "{1}", SESSION_AV, EP_CONNECTED);

	(void)state;
	settle();
	add_ep(u, "{2}", SESSION_AV, EP_PENDING);    /* the same phone calls again */
	endpoint_remove(&cs, e, true);
	conf_hide_users(&cs, c);
	assert_int_equal(c->ngone, 1);
	settle();
	user_remove(&cs, u);
	assert_int_equal(c->ngone, 0);
}

static void many_may_leave_in_one_turn(void **state)
{
	char entity[64];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(entity, sizeof(entity), "sip:u%d@example.net", i);
		snprintf(entity + 40, 24, "{%d}", i);
		add_ep(add_user(entity, AUTH_ENTERPRISE), entity + 40, SESSION_FOCUS, EP_CONNECTED);
	}
	settle();
	while (c->users)
		user_remove(&cs, c->users);
	assert_int_equal(c->ngone, 100);
	assert_int_equal(c->nusers, 0);
	assert_int_equal(gone[DIRT_USER], 100);
}

/* --- who is who */
static void a_user_is_there_once(void **state)
{
	struct user *u = NULL;

	(void)state;
	add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	assert_int_equal(user_add(&u, &cs, c, "sip:bob@example.net", NULL, "B", ROLE_ATTENDEE, AUTH_NONE), -EEXIST);
	assert_int_equal(c->nusers, 1);
}

static void a_trunk_that_claims_a_name_is_not_that_user(void **state)
{
	struct user *bob = add_user("sip:bob@example.net", AUTH_ENTERPRISE), *phone = NULL;

	(void)state;
	assert_int_equal(user_add(&phone, &cs, c, "sip:phone-1@example.net", "sip:+4930@trunk", "P", ROLE_ATTENDEE, AUTH_NONE), 0);
	assert_ptr_equal(user_find_caller(c, "sip:bob@example.net", AUTH_ENTERPRISE), bob);
	assert_null(user_find_caller(c, "sip:bob@example.net", AUTH_NONE));
	assert_null(user_find_caller(c, "sip:bob@example.net", AUTH_FEDERATED));
	assert_ptr_equal(user_find_caller(c, "SIP:+4930@trunk", AUTH_NONE), phone);
	assert_null(user_find_caller(c, "sip:+4930@trunk", AUTH_ENTERPRISE));
}

static void a_display_name_is_cut_between_characters_and_has_no_line_ends(void **state)
{
	char name[400], *p = name;
	struct user *u = NULL;
	size_t n;

	(void)state;
	p = stpcpy(p, "a\r\nb\x7f");
	for (int i = 0; i < 180; i++)
		p = stpcpy(p, "\xc3\xa9");       /* two bytes each: MAX_NAME falls into one */
	assert_int_equal(user_add(&u, &cs, c, "sip:x@y", NULL, name, ROLE_ATTENDEE, AUTH_NONE), 0);
	n = strlen(u->display);
	assert_true(n == MAX_NAME - 1 || n == MAX_NAME);
	assert_memory_equal(u->display, "a  b ", 5);
	assert_memory_equal(u->display + n - 2, "\xc3\xa9", 2);
	assert_int_equal(user_add(&u, &cs, c, "sip:z@y", NULL, NULL, ROLE_ATTENDEE, AUTH_NONE), 0);
	assert_string_equal(u->display, "");
}

static void a_user_has_a_bounded_number_of_endpoints(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	struct endpoint *e = NULL;
	char entity[16];

	(void)state;
	for (int i = 0; i < USER_MAX_EPS; i++) {
		snprintf(entity, sizeof(entity), "{%d}", i);
		assert_int_equal(endpoint_add(&e, &cs, u, entity, SESSION_FOCUS), 0);
	}
	assert_int_equal(endpoint_add(&e, &cs, u, "{more}", SESSION_FOCUS), -E2BIG);
	endpoint_remove(&cs, e, true);
	assert_int_equal(endpoint_add(&e, &cs, u, "{more}", SESSION_FOCUS), 0);
}

static void the_same_device_is_found_by_its_instance_and_kind(void **state)
{
	struct user *u = add_user("sip:bob@example.net", AUTH_ENTERPRISE);
	struct endpoint *e = add_ep(u, "{1}", SESSION_AV, EP_CONNECTED);

	(void)state;
	assert_null(endpoint_find_instance(u, SESSION_AV, NULL));
	cstr_set(&e->instance, "epid=1");
	assert_ptr_equal(endpoint_find_instance(u, SESSION_AV, "epid=1"), e);
	assert_null(endpoint_find_instance(u, SESSION_FOCUS, "epid=1"));
	assert_null(endpoint_find_instance(u, SESSION_AV, "epid=2"));
}

static void a_dialog_bound_anew_is_found_by_its_new_tag_only(void **state)
{
	struct endpoint *e = add_ep(add_user("sip:bob@example.net", AUTH_ENTERPRISE), "{1}", SESSION_FOCUS, EP_CONNECTED);

	(void)state;
	endpoint_bind(&cs, e, NULL, "old");
	endpoint_bind(&cs, e, NULL, "new");
	assert_null(endpoint_find_tag(&cs, STR("old")));
	assert_ptr_equal(endpoint_find_tag(&cs, STR("new")), e);
}

static void media_are_kept_by_place_and_found_by_id(void **state)
{
	struct endpoint *e = add_ep(add_user("sip:bob@example.net", AUTH_ENTERPRISE), "{1}", SESSION_AV, EP_CONNECTED);

	(void)state;
	assert_int_equal(endpoint_set_media(e, 0, "1", "audio", "main-audio", "sendrecv", true, false), 0);
	assert_int_equal(endpoint_set_media(e, EP_MAX_MEDIA, "9", "x", "y", "z", false, false), -E2BIG);
	assert_int_equal(e->nmedia, 1);
	assert_true(endpoint_media(e, "1")->in_blocked);
	assert_null(endpoint_media(e, "2"));
	assert_int_equal(ep_status_find("on-hold"), EP_ON_HOLD);
	assert_int_equal(ep_status_find("asleep"), -ENOENT);
}

/* --- the end */
#define GRACE 600000
#define EMPTY 60000

static void review(int64_t now) { conf_review_end(&cs, c, now, GRACE, EMPTY); }

static void an_empty_conference_ends_after_a_while(void **state)
{
	(void)state;
	review(1000);
	assert_int_equal(c->end_at_ms, 1000 + EMPTY);
	review(5000);
	assert_int_equal(c->end_at_ms, 1000 + EMPTY);
	add_ep(add_user("sip:bob@example.net", AUTH_ENTERPRISE), "{1}", SESSION_FOCUS, EP_CONNECTED);
	review(6000);
	assert_int_equal(c->end_at_ms, 0);
}

static void phones_alone_may_go_on_when_nobody_else_ever_came(void **state)
{
	(void)state;
	add_ep(add_user("sip:phone-1@example.net", AUTH_NONE), "{1}", SESSION_AV, EP_CONNECTED);
	review(1000);
	assert_int_equal(c->end_at_ms, 0);
}

static void phones_alone_end_some_time_after_the_last_authenticated_one(void **state)
{
	struct user *bob = add_user("sip:bob@example.net", AUTH_FEDERATED);

	(void)state;
	add_ep(bob, "{1}", SESSION_FOCUS, EP_CONNECTED);
	add_ep(add_user("sip:phone-1@example.net", AUTH_NONE), "{2}", SESSION_AV, EP_CONNECTED);
	review(1000);
	assert_int_equal(c->end_at_ms, 0);
	user_remove(&cs, bob);
	review(2000);
	assert_int_equal(c->end_at_ms, 2000 + GRACE);
}

static void who_is_only_announced_does_not_keep_a_conference(void **state)
{
	struct user *bob = add_user("sip:bob@example.net", AUTH_ENTERPRISE);

	(void)state;
	add_ep(bob, "{1}", SESSION_FOCUS, EP_CONNECTED);
	review(1000);
	endpoint_remove(&cs, TAILQ_FIRST(&bob->eps), true);
	add_ep(bob, "{2}", SESSION_AV, EP_PENDING);
	review(2000);
	assert_int_equal(c->end_at_ms, 2000 + GRACE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_conference_is_found_without_regard_to_case_and_once), T(a_room_has_one_name_and_an_id_made_of_it),
		T(removing_a_conference_forgets_all_below_it), T(an_activation_counts_up_and_starts_unlocked),
		T(the_invited_are_known_by_their_role), T(a_mark_is_set_once_until_it_is_taken), T(a_pending_leg_is_stored_but_no_news),
		T(who_was_never_shown_is_never_told_as_gone), T(who_was_shown_is_told_as_gone_once),
		T(who_becomes_invisible_is_told_as_gone_too), T(many_may_leave_in_one_turn), T(a_user_is_there_once),
		T(a_trunk_that_claims_a_name_is_not_that_user), T(a_display_name_is_cut_between_characters_and_has_no_line_ends),
		T(a_user_has_a_bounded_number_of_endpoints), T(the_same_device_is_found_by_its_instance_and_kind),
		T(a_dialog_bound_anew_is_found_by_its_new_tag_only), T(media_are_kept_by_place_and_found_by_id),
		T(an_empty_conference_ends_after_a_while), T(phones_alone_may_go_on_when_nobody_else_ever_came),
		T(phones_alone_end_some_time_after_the_last_authenticated_one), T(who_is_only_announced_does_not_keep_a_conference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
