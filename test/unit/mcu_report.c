/* SPDX-License-Identifier: Apache-2.0 */
/* What the focus does not know yet: merging, one under way, versions without gaps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "mcu/report.h"

static struct report *r;
static struct buf seen;
static unsigned room;        /* items that fit */

static int setup(void **st)
{
	(void)st;
	buf_init(&seen, 0);
	room = 100;
	return report_alloc(&r);
}

static int teardown(void **st)
{
	(void)st;
	buf_fini(&seen);
	mem_deref(r);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static bool on_item(const struct report_item *it, void *arg)
{
	(void)arg;
	if (!room)
		return false;
	room--;
	buf_printf(&seen, "%s/%s/%u ", it->user, it->endpoint, it->what);
	return true;
}

static const char *take(uint64_t version)
{
	buf_reset(&seen);
	assert_int_equal(report_take(r, 10, on_item, NULL), version);
	buf_write(&seen, "", 1);
	return seen.p;
}

static void an_endpoint_stands_once_however_often_it_changes(void **st)
{
	(void)st;
	report_mark(r, "a", "1", REPORT_TALK);
	assert_false(report_urgent(r));
	report_mark(r, "b", "1", REPORT_STATE);
	report_mark(r, "a", "1", REPORT_STATE);
	report_mark(r, "a", "1", REPORT_TALK);
	assert_true(report_urgent(r));
	assert_string_equal(take(1), "a/1/3 b/1/2 ");
	assert_false(report_urgent(r));
}

static void one_is_under_way_and_the_rest_waits(void **st)
{
	(void)st;
	report_mark(r, "a", "1", REPORT_STATE);
	take(1);
	report_mark(r, "a", "1", REPORT_STATE);
	report_mark(r, "b", "2", REPORT_STATE);
	assert_true(report_busy(r));
	assert_int_equal(report_take(r, 10, on_item, NULL), 0);
	assert_int_equal(report_version(r), 1);
	report_done(r);
	assert_string_equal(take(2), "a/1/2 b/2/2 ");
	report_done(r);
	assert_false(report_pending(r));
	assert_int_equal(report_take(r, 10, on_item, NULL), 0);
	assert_int_equal(report_version(r), 2);
}

static void what_does_not_fit_follows_in_order(void **st)
{
	(void)st;
	for (char e[2] = "a"; e[0] < 'f'; e[0]++)
		report_mark(r, "u", e, REPORT_STATE);
	room = 2;
	assert_string_equal(take(1), "u/a/2 u/b/2 ");
	report_done(r);
	room = 100;
	assert_string_equal(take(2), "u/c/2 u/d/2 u/e/2 ");
}

static void a_first_item_that_does_not_fit_is_taken_all_the_same(void **st)
{
	(void)st;
	report_mark(r, "u", "a", REPORT_STATE);
	room = 0;
	take(1);
	report_done(r);
	assert_false(report_pending(r));
}

static void what_could_not_be_written_keeps_its_place_and_version(void **st)
{
	(void)st;
	report_mark(r, "u", "a", REPORT_STATE);
	report_mark(r, "u", "b", REPORT_TALK);
	take(1);
	report_mark(r, "u", "c", REPORT_STATE);
	report_mark(r, "u", "b", REPORT_STATE);
	report_untake(r);
	assert_int_equal(report_version(r), 0);
	assert_string_equal(take(1), "u/a/2 u/c/2 u/b/3 ");
	report_untake(r);
	report_untake(r);
	assert_int_equal(report_version(r), 0);
}

static void every_failed_allocation_is_told(void **st)
{
	(void)st;
	for (unsigned n = 1; n < 6; n++) {
		mem_fail_after(n);
		assert_int_equal(report_mark(r, "u", "a", REPORT_STATE), -ENOMEM);
		mem_fail_after(0);
		assert_false(report_pending(r));
		assert_false(report_urgent(r));
	}
	report_mark(r, "u", "a", REPORT_STATE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_endpoint_stands_once_however_often_it_changes),
		T(one_is_under_way_and_the_rest_waits),
		T(what_does_not_fit_follows_in_order),
		T(a_first_item_that_does_not_fit_is_taken_all_the_same),
		T(what_could_not_be_written_keeps_its_place_and_version),
		T(every_failed_allocation_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
