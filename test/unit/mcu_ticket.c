/* SPDX-License-Identifier: Apache-2.0 */
/* One-time tickets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/ticket.h"

static struct ticket_box *box;
static void *owner;

static int setup(void **st)
{
	(void)st;
	owner = mem_zalloc(8, NULL);
	return ticket_box_alloc(&box);
}

static int teardown(void **st)
{
	(void)st;
	mem_deref(box);
	assert_int_equal(mem_nrefs(owner), 1);
	owner = mem_deref(owner);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static int take(const char *value, const char *call_id, const char *conf, uint64_t now)
{
	void *got = NULL;
	int err = ticket_take(box, str_c(value), str_c(call_id), conf, now, &got);

	if (!err)
		assert_ptr_equal(got, owner);
	mem_deref(got);
	return err;
}

static void a_ticket_is_taken_once(void **st)
{
	(void)st;
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 100), 0);
	assert_int_equal(take("T", "call", "conf", 100 + TICKET_MS), 0);
	assert_int_equal(take("T", "call", "conf", 100 + TICKET_MS), -EALREADY);
}

static void another_call_or_conference_does_not_spend_it(void **st)
{
	(void)st;
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 0), 0);
	assert_int_equal(take("T", "other", "conf", 1), -EPERM);
	assert_int_equal(take("T", "call", "other", 1), -EPERM);
	assert_int_equal(take("T", "call", "CONF", 1), 0);
}

static void a_late_ticket_is_refused_as_late_and_later_as_unknown(void **st)
{
	(void)st;
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 0), 0);
	ticket_sweep(box, TICKET_MS + 1);
	assert_int_equal(take("T", "call", "conf", TICKET_MS + 1), -ETIMEDOUT);
	ticket_sweep(box, 2 * TICKET_MS + 1);
	assert_int_equal(take("T", "call", "conf", 2 * TICKET_MS + 1), -ENOENT);
	assert_int_equal(ticket_count(box), 0);
}

static void the_same_announcement_again_renews(void **st)
{
	void *other = mem_zalloc(1, NULL);

	(void)st;
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 0), 0);
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 5000), 0);
	assert_int_equal(ticket_count(box), 1);
	assert_int_equal(ticket_add(box, "T", "call", "conf", other, 5000), -EEXIST);
	assert_int_equal(ticket_add(box, "T", "call2", "conf", owner, 5000), -EEXIST);
	assert_int_equal(take("T", "call", "conf", 5000 + TICKET_MS), 0);
	mem_deref(other);
}

static void an_owner_that_goes_takes_its_tickets_along(void **st)
{
	(void)st;
	assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 0), 0);
	assert_int_equal(ticket_add(box, "U", "call2", "conf", owner, 0), 0);
	ticket_forget(box, owner);
	assert_int_equal(take("T", "call", "conf", 1), -ENOENT);
	assert_int_equal(take("", "call", "conf", 1), -ENOENT);
}

static void the_box_is_bounded(void **st)
{
	char value[16];

	(void)st;
	for (unsigned i = 0; i < TICKET_MAX; i++) {
		snprintf(value, sizeof(value), "%u", i);
		assert_int_equal(ticket_add(box, value, "c", "f", owner, i), 0);
	}
	assert_int_equal(ticket_add(box, "more", "c", "f", owner, 1), -ENOSPC);
}

static void every_failed_allocation_leaves_the_box_whole(void **st)
{
	(void)st;
	for (unsigned n = 1; n < 5; n++) {
		mem_fail_after(n);
		assert_int_equal(ticket_add(box, "T", "call", "conf", owner, 0), -ENOMEM);
		mem_fail_after(0);
		assert_int_equal(ticket_count(box), 0);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_ticket_is_taken_once),
		T(another_call_or_conference_does_not_spend_it),
		T(a_late_ticket_is_refused_as_late_and_later_as_unknown),
		T(the_same_announcement_again_renews),
		T(an_owner_that_goes_takes_its_tickets_along),
		T(the_box_is_bounded),
		T(every_failed_allocation_leaves_the_box_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
