/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_rules.c - filters of roles, and legs that are called: the model alone, on a conference without media */
#include "test/unit/mcu_chatconf.h"
#include <errno.h>
#include "mcu/rules.h"

static struct leg *ann, *bob, *cy;

static struct leg *enter(const char *entity, const char *role)
{
	return chatconf_dial(entity, role, entity + 4);
}

static int setup(void **state)
{
	chatconf_setup(state);
	ann = enter("sip:ann@x", "presenter");
	bob = enter("sip:bob@x", "attendee");
	cy  = enter("sip:cy@x", "attendee");
	return 0;
}

static int rule(const char *role, enum rule_value ingress, enum rule_value own, const char *except)
{
	struct rule_prm p = { .role = role, .ingress = ingress, .may_own = own, .except = &except, .nexcept = except ? 1 : 0 };

	return rules_set(conf, &p);
}

static void a_rule_reaches_its_role_but_not_who_is_excepted(void **state)
{
	(void)state;
	assert_int_equal(rule("attendee", RULE_YES, RULE_UNSAID, "sip:BOB@x"), 0);
	assert_false(ann->ingress_block);
	assert_false(bob->ingress_block);
	assert_true(cy->ingress_block);
	assert_false(cy->egress_block);
	assert_int_equal(rule("everybody", RULE_YES, RULE_UNSAID, NULL), -EINVAL);
}

static void a_newcomer_of_the_role_is_blocked(void **state)
{
	(void)state;
	assert_int_equal(rule("attendee", RULE_YES, RULE_UNSAID, NULL), 0);
	assert_true(enter("sip:dee@x", "attendee")->ingress_block);
	assert_false(enter("sip:eve@x", "presenter")->ingress_block);
}

static void the_rule_of_the_role_wins_over_that_for_everybody(void **state)
{
	(void)state;
	assert_int_equal(rule("presenter", RULE_NO, RULE_UNSAID, NULL), 0);
	assert_int_equal(rule("default", RULE_YES, RULE_UNSAID, NULL), 0);
	assert_false(ann->ingress_block);
	assert_true(bob->ingress_block);
}

static void a_change_of_role_lifts_what_a_rule_set_and_nothing_else(void **state)
{
	(void)state;
	leg_filter(cy, true, false);                 /* by hand, before the rule */
	assert_int_equal(rule("attendee", RULE_YES, RULE_UNSAID, NULL), 0);
	assert_int_equal(user_set_role(bob->user, "presenter"), 0);
	assert_int_equal(user_set_role(cy->user, "presenter"), 0);
	assert_false(bob->ingress_block);
	assert_true(cy->ingress_block);
	assert_int_equal(user_set_role(bob->user, "attendee"), 0);
	assert_true(bob->ingress_block);
}

static void a_rule_for_others_does_not_mute_again_who_was_opened_by_hand(void **state)
{
	(void)state;
	assert_int_equal(rule("attendee", RULE_YES, RULE_UNSAID, NULL), 0);
	leg_filter(bob, false, false);
	assert_int_equal(rule("presenter", RULE_YES, RULE_UNSAID, NULL), 0);
	assert_false(bob->ingress_block);
	assert_int_equal(rule("attendee", RULE_UNSAID, RULE_NO, NULL), 0);
	assert_false(bob->ingress_block);
}

static void star_six_opens_only_where_participants_may(void **state)
{
	(void)state;
	assert_int_equal(rule("attendee", RULE_YES, RULE_NO, NULL), 0);
	assert_false(rules_may_own(bob));
	assert_true(rules_may_own(ann));
	assert_false(leg_self_mute(bob));
	assert_true(bob->ingress_block);
	assert_int_equal(rule("attendee", RULE_UNSAID, RULE_YES, NULL), 0);
	assert_true(leg_self_mute(bob));
	assert_false(bob->ingress_block);
}

static void all_rules_at_once_touch_only_whom_a_change_concerns(void **state)
{
	const char *but[] = { "sip:cy@x" };
	const struct rule_prm mute = { .role = "attendee", .ingress = RULE_YES, .except = but, .nexcept = 1 };
	const struct rule_prm both[] = { mute, { .role = "presenter", .egress = RULE_YES } };
	const struct rule_prm king = { .role = "king", .ingress = RULE_YES };

	(void)state;
	assert_int_equal(rules_replace(conf, &mute, 1), 0);
	assert_true(bob->ingress_block);
	assert_false(cy->ingress_block);
	leg_filter(bob, false, false);               /* opened by hand */
	assert_int_equal(rules_replace(conf, both, 2), 0);
	assert_false(bob->ingress_block);
	assert_true(ann->egress_block);
	assert_int_equal(rules_replace(conf, &king, 1), -EINVAL);
	assert_int_equal(rules_replace(conf, NULL, 0), 0);
	assert_false(ann->egress_block);
	assert_false(enter("sip:dee@x", "attendee")->ingress_block);
}

static void ended(struct leg *l, enum leg_end why, void *call)
{
	(void)l;
	*(enum leg_end *)call = why;
}

static void filtered(struct leg *l, void *call)
{
	(void)l;
	(void)call;
}

static void a_leg_that_is_called_shows_from_the_first_ring_on(void **state)
{
	static const struct leg_ops ops = { ended, filtered };
	enum leg_end why = LEG_END_HANGUP;

	(void)state;
	assert_false(leg_shown(bob));
	leg_dialing(bob, &ops, &why);
	assert_true(leg_shown(bob));
	leg_alerting(bob, &ops);                     /* of another call: not believed */
	assert_int_equal(bob->state, LEG_DIALING);
	leg_alerting(bob, &why);
	leg_connected(bob, &why);
	assert_int_equal(bob->state, LEG_CONNECTED);
	leg_end(bob, LEG_END_REMOVED);
	assert_int_equal(why, LEG_END_REMOVED);
	assert_null(conf_user(conf, "sip:bob@x"));
}

static void the_same_endpoint_is_not_called_twice(void **state)
{
	struct expect_prm p = { .entity = "sip:bob@x", .endpoint = "bob@x" };
	struct leg *l;

	(void)state;
	assert_int_equal(conf_dial(&l, conf, &p), -EEXIST);
}

static void no_memory_costs_the_rule_and_leaks_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 4; n++) {
		int err;

		mem_fail_after(n);
		err = rule("attendee", RULE_YES, RULE_NO, "sip:bob@x");
		mem_fail_after(0);
		assert_true(!err || err == -ENOMEM);
		assert_int_equal(bob->ingress_block, 0);
		assert_int_equal(cy->ingress_block, !err);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, chatconf_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_rule_reaches_its_role_but_not_who_is_excepted),
		T(a_newcomer_of_the_role_is_blocked),
		T(the_rule_of_the_role_wins_over_that_for_everybody),
		T(a_change_of_role_lifts_what_a_rule_set_and_nothing_else),
		T(a_rule_for_others_does_not_mute_again_who_was_opened_by_hand),
		T(all_rules_at_once_touch_only_whom_a_change_concerns),
		T(star_six_opens_only_where_participants_may),
		T(a_leg_that_is_called_shows_from_the_first_ring_on),
		T(the_same_endpoint_is_not_called_twice),
		T(no_memory_costs_the_rule_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
