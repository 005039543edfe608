/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_policy.c - admission: policy x who x lock x full x pass code x trunk, each combination against the rules written
 * out a second time; and who may do what to whom */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "focusd/policy.h"
#include "lib/base/mem.h"

#define MAX_USERS 10u

enum who { W_ORGANIZER, W_PRESENTER, W_LISTED, W_ENTERPRISE, W_FED_LISTED, W_FEDERATED, W_FED_ORGANIZER, W_TRUNK, W_TRUNK_ORGANIZER,
	   W_ANONYMOUS, W_N };
static const struct { const char *name, *entity; enum conf_auth auth; bool trunk, listed; } whos[W_N] = {
	[W_ORGANIZER]       = { "organizer",            "sip:alice@example.net", AUTH_ENTERPRISE, false, false },
	[W_PRESENTER]       = { "listed presenter",     "sip:carol@example.net", AUTH_ENTERPRISE, false, true },
	[W_LISTED]          = { "listed attendee",      "sip:dave@example.net",  AUTH_ENTERPRISE, false, true },
	[W_ENTERPRISE]      = { "user of the domain",   "sip:bob@example.net",   AUTH_ENTERPRISE, false, false },
	[W_FED_LISTED]      = { "listed, federated",    "sip:fred@other.org",    AUTH_FEDERATED,  false, true },
	[W_FEDERATED]       = { "federated",            "sip:fay@other.org",     AUTH_FEDERATED,  false, false },
	[W_FED_ORGANIZER]   = { "federated as organizer", "sip:alice@example.net", AUTH_FEDERATED, false, false },
	[W_TRUNK]           = { "trunk",                "sip:+4930@trunk",       AUTH_NONE,       true,  false },
	[W_TRUNK_ORGANIZER] = { "trunk as presenter",   "sip:carol@example.net", AUTH_NONE,       true,  false },
	[W_ANONYMOUS]       = { "anonymous",            NULL,                    AUTH_NONE,       false, false },
};

struct world { enum conf_policy policy; enum who who; bool locked, full, pin, pin_shown, trunk_ok, present; int access; };

static enum conf_role role_of(enum who w)
{
	return w == W_ORGANIZER ? ROLE_ORGANIZER : w == W_PRESENTER ? ROLE_PRESENTER : ROLE_ATTENDEE;
}

/* The rules, in the order of docs/c3p.md */
static enum policy_no expected(const struct world *w)
{
	bool anonymous = whos[w->who].auth == AUTH_NONE && !whos[w->who].trunk;

	if (w->who == W_ORGANIZER)
		return POLICY_OK;
	if (w->access == 2 && whos[w->who].entity)
		return POLICY_DENIED;
	if (w->present)
		return POLICY_OK;
	if (w->access == 1 && whos[w->who].auth != AUTH_NONE)
		return w->full ? POLICY_FULL : POLICY_OK;
	if (whos[w->who].trunk && !w->trunk_ok && w->policy != POLICY_ANONYMOUS)
		return POLICY_NO_TRUNK;
	if (anonymous && w->policy != POLICY_ANONYMOUS)
		return POLICY_NO_ANONYMOUS;
	if (whos[w->who].auth == AUTH_NONE && w->pin && !w->pin_shown)
		return POLICY_NEEDS_PIN;
	if (whos[w->who].auth != AUTH_NONE && !whos[w->who].listed && w->policy == POLICY_CLOSED)
		return POLICY_NOT_LISTED;
	if (whos[w->who].auth == AUTH_FEDERATED && !whos[w->who].listed && w->policy == POLICY_OPEN)
		return POLICY_NOT_LISTED;
	if (w->locked && role_of(w->who) == ROLE_ATTENDEE)
		return POLICY_LOCKED;
	return w->full ? POLICY_FULL : POLICY_OK;
}

static void check(const struct world *w)
{
	char access[128] = "";
	struct conf c = { .organizer = "Alice", .domain = "example.net", .policy = POLICY_CLOSED, .policy_now = w->policy, .active = true, .locked = w->locked,
			  .nusers = w->full ? MAX_USERS : MAX_USERS - 1, .trunk_ok = w->trunk_ok, .pin = w->pin ? "sealed" : NULL,
			  .invited = "presenter sip:carol@example.net\nattendee sip:dave@example.net\nattendee sip:fred@other.org\n",
			  .access = w->access ? access : NULL };
	const struct policy_caller who = { .entity = whos[w->who].entity, .auth = whos[w->who].auth, .trunk = whos[w->who].trunk,
					   .present = w->present, .pin_ok = w->pin_shown };
	enum conf_role role = ROLE_ORGANIZER;
	enum policy_no no;

	snprintf(access, sizeof(access), "denied sip:eve@x\n%s %s\n", w->access == 1 ? "granted" : "denied", whos[w->who].entity);
	no = policy_admit(&c, &who, MAX_USERS, &role);
	if (no != expected(w))
		fail_msg("%s: policy %s locked %d full %d pin %d/%d trunk_ok %d present %d access %d: %d, not %d", whos[w->who].name,
			 conf_policy_names[w->policy], w->locked, w->full, w->pin, w->pin_shown, w->trunk_ok, w->present,
			 w->access, no, expected(w));
	if (no == POLICY_OK)
		assert_int_equal(role, role_of(w->who));
	assert_true(policy_answers[no].code == (no == POLICY_OK ? 200 : no == POLICY_FULL ? 480 : 403));
	assert_true(no == POLICY_OK || *policy_answers[no].reason);
}

static void every_combination_is_decided_by_the_rules(void **state)
{
	unsigned n = 0;

	(void)state;
	for (int policy = 0; policy < POLICY_N; policy++)
		for (int who = 0; who < W_N; who++)
			for (unsigned bits = 0; bits < 192; bits++, n++)
				check(&(struct world){ .policy = (enum conf_policy)policy, .who = (enum who)who, .locked = bits & 1,
						       .full = bits & 2, .pin = bits & 4, .pin_shown = bits & 8, .trunk_ok = bits & 16,
						       .present = bits & 32, .access = (int)(bits / 64) });
	assert_int_equal(n, 3 * W_N * 192);
}

static void a_lock_holds_only_while_the_conference_runs(void **state)
{
	struct conf c = { .organizer = "alice", .domain = "example.net", .policy_now = POLICY_OPEN, .locked = true, .invited = "" };
	const struct policy_caller bob = { .entity = "sip:bob@example.net", .auth = AUTH_ENTERPRISE };
	enum conf_role role;

	(void)state;
	assert_int_equal(policy_admit(&c, &bob, MAX_USERS, &role), POLICY_OK);
	c.active = true;
	assert_int_equal(policy_admit(&c, &bob, MAX_USERS, &role), POLICY_LOCKED);
}

static void presenters_act_on_others_and_everybody_on_himself(void **state)
{
	struct user a = { .role = ROLE_ATTENDEE }, b = { .role = ROLE_ATTENDEE }, p = { .role = ROLE_PRESENTER }, o = { .role = ROLE_ORGANIZER };

	(void)state;
	assert_true(policy_may_act_on(&a, &a));
	assert_false(policy_may_act_on(&a, &b));
	assert_true(policy_may_act_on(&p, &a) && policy_may_act_on(&p, &o) && policy_may_act_on(&o, &p));
	assert_false(policy_is_presenter(&a));
	assert_true(policy_is_presenter(&p) && policy_is_presenter(&o));
}

static void the_organizer_is_neither_removed_nor_demoted(void **state)
{
	struct user a = { .role = ROLE_ATTENDEE }, p = { .role = ROLE_PRESENTER }, q = { .role = ROLE_PRESENTER },
		    o = { .role = ROLE_ORGANIZER };

	(void)state;
	assert_false(policy_may_remove(&p, &o));
	assert_true(policy_may_remove(&o, &o));
	assert_true(policy_may_remove(&p, &q) && policy_may_remove(&o, &p) && policy_may_remove(&a, &a));
	assert_false(policy_may_remove(&a, &p));
	assert_false(policy_may_set_role(&p, &o, ROLE_ATTENDEE));
	assert_true(policy_may_set_role(&p, &o, ROLE_PRESENTER));
	assert_true(policy_may_set_role(&p, &a, ROLE_PRESENTER) && policy_may_set_role(&p, &q, ROLE_ATTENDEE));
	assert_false(policy_may_set_role(&a, &a, ROLE_PRESENTER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_is_decided_by_the_rules),
		cmocka_unit_test(a_lock_holds_only_while_the_conference_runs),
		cmocka_unit_test(presenters_act_on_others_and_everybody_on_himself),
		cmocka_unit_test(the_organizer_is_neither_removed_nor_demoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
