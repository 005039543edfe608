/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of events per Call-ID. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/trace.h"

struct seen { unsigned n, lost; char first[TRACE_TEXT], last[TRACE_TEXT]; };

static void on_event(uint64_t wall_ms, const char *text, unsigned lost, void *arg)
{
	struct seen *s = arg;

	assert_true(wall_ms > 1600000000000ull);
	if (!s->n++) {
		s->lost = lost;
		snprintf(s->first, sizeof(s->first), "%s", text);
	}
	snprintf(s->last, sizeof(s->last), "%s", text);
}

static void events_come_back_in_order(void **st)
{
	struct seen s = { 0 };

	(void)st;
	trace_add("a@b", "INVITE %d", 1);
	trace_add("a@b", "200");
	trace_add("c@d", "other");
	assert_int_equal(trace_find("a@b", on_event, &s), 2);
	assert_string_equal(s.first, "INVITE 1");
	assert_string_equal(s.last, "200");
	assert_int_equal(trace_find("nobody", on_event, &s), -ENOENT);
	assert_int_equal(trace_find(NULL, on_event, &s), -ENOENT);
	trace_flush();
	assert_int_equal(mem_live(), 0);
}

static void a_long_call_keeps_its_newest_events_and_counts_the_rest(void **st)
{
	struct seen s = { 0 };

	(void)st;
	for (unsigned i = 0; i < TRACE_EVENTS + 5; i++)
		trace_add("x", "%u", i);
	assert_int_equal(trace_find("x", on_event, &s), TRACE_EVENTS);
	assert_int_equal(s.lost, 5);
	assert_string_equal(s.first, "5");
	trace_flush();
}

static void the_call_unused_for_longest_makes_room(void **st)
{
	struct seen s = { 0 };
	char id[16];

	(void)st;
	for (unsigned i = 0; i < TRACE_CALLS; i++) {
		snprintf(id, sizeof(id), "%u", i);
		trace_add(id, "here");
	}
	trace_add("0", "again");
	trace_add("new", "comes");
	assert_int_equal(trace_calls(), TRACE_CALLS);
	assert_int_equal(trace_find("0", on_event, &s), 2);
	assert_int_equal(trace_find("1", on_event, &s), -ENOENT);
	trace_flush();
	assert_int_equal(mem_live(), 0);
}

static void short_memory_loses_the_event_only(void **st)
{
	(void)st;
	for (unsigned n = 1; n < 6; n++) {
		mem_fail_after(n);
		trace_add("m", "text");
		mem_fail_after(0);
	}
	trace_flush();
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_back_in_order),
		cmocka_unit_test(a_long_call_keeps_its_newest_events_and_counts_the_rest),
		cmocka_unit_test(the_call_unused_for_longest_makes_room),
		cmocka_unit_test(short_memory_loses_the_event_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
