/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_filters.c - the rules of a conference as text: what a change makes of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "focusd/filters.h"
#include "lib/base/mem.h"

static char *merged(char *text, const struct c3p_rule *r, unsigned n, bool full)
{
	char *out;

	assert_int_equal(filters_merge(&out, text, r, n, full), 0);
	mem_deref(text);
	return out;
}

static void what_a_rule_leaves_unsaid_stays_and_its_exceptions_are_new(void **state)
{
	const struct c3p_rule mute = { .role = "attendee", .ingress = C3P_YES, .nexcept = 2, .except = { "sip:a@x", "sip:b@x" } };
	const struct c3p_rule deaf = { .role = "attendee", .egress = C3P_YES, .nexcept = 1, .except = { "sip:c@x" } };
	const struct c3p_rule own = { .role = "default", .may_own = C3P_NO };
	struct filters f;
	char *text;

	(void)state;
	text = merged(NULL, &mute, 1, false);
	assert_string_equal(text, "rule attendee 2 0 0\nbut sip:a@x\nbut sip:b@x\n");
	text = merged(text, &deaf, 1, false);
	text = merged(text, &own, 1, false);
	assert_string_equal(text, "rule default 0 0 1\nrule attendee 2 2 0\nbut sip:c@x\n");
	assert_int_equal(filters_read(&f, text), 0);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.rule[1].egress, C3P_YES);
	assert_string_equal(f.rule[1].except[0], "sip:c@x");
	filters_fini(&f);
	text = merged(text, &own, 1, true);
	assert_string_equal(text, "rule default 0 0 1\n");
	text = merged(text, NULL, 0, true);
	assert_null(text);
	assert_int_equal(mem_live(), 0);
}

static void a_text_that_nobody_wrote_does_no_harm(void **state)
{
	static const char *const texts[] = { "", "\n\n", "rule", "rule king 1 1 1\nbut x", "but sip:a@x\n", "rule default\n", "rule default 9 9 9",
					     "rule default 1 1 1\nrule default 1 1 1\nrule default 1 1 1\nrule default 1 1 1\nbut y" };
	struct filters f;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(filters_read(&f, texts[i]), 0);
		assert_true(f.n <= C3P_NRULES);
		filters_fini(&f);
	}
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_rule_leaves_unsaid_stays_and_its_exceptions_are_new),
		cmocka_unit_test(a_text_that_nobody_wrote_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
