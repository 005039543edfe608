/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_guess.c - wrong tries: who is paused, for how long, and that the table stays bounded */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "focusd/conf.h"
#include "focusd/guess.h"
#include "lib/base/mem.h"

#define PAUSE  600000u
#define WITHIN 60000u

static void who_reaches_the_limit_is_paused_and_then_not_any_more(void **st)
{
	struct guesses *g;

	(void)st;
	assert_int_equal(guesses_alloc(&g, PAUSE, WITHIN), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(guess_paused(g, "user bob", 1000));
		guess_wrong(g, "user bob", 3, 1000);
	}
	assert_true(guess_paused(g, "user bob", 1000));
	assert_false(guess_paused(g, "user carol", 1000));
	assert_true(guess_paused(g, "user bob", 1000 + PAUSE - 1));
	assert_false(guess_paused(g, "user bob", 1000 + PAUSE));
	guess_wrong(g, "user bob", 3, 1000 + PAUSE);             /* begins anew */
	assert_false(guess_paused(g, "user bob", 1000 + PAUSE));
	mem_deref(g);
	assert_int_equal(mem_live(), 0);
}

static void slow_tries_and_right_ones_are_forgotten(void **st)
{
	struct guesses *g;

	(void)st;
	assert_int_equal(guesses_alloc(&g, PAUSE, WITHIN), 0);
	for (unsigned i = 0; i < 10; i++)
		guess_wrong(g, "address 192.0.2.1", 2, 1000 + i * (WITHIN + 1));
	assert_false(guess_paused(g, "address 192.0.2.1", 1000 + 9 * (WITHIN + 1)));
	guess_wrong(g, "user bob", 2, 1000);
	guess_right(g, "user bob", 1000);
	guess_wrong(g, "user bob", 2, 1000);
	assert_false(guess_paused(g, "user bob", 1000));
	guess_wrong(g, "user bob", 2, 1000);
	guess_right(g, "user bob", 1001);                        /* the pause is not lifted by it */
	assert_true(guess_paused(g, "user bob", 1002));
	guess_wrong(g, NULL, 1, 1000);                           /* nobody is nobody */
	assert_false(guess_paused(g, NULL, 1000));
	mem_deref(g);
	assert_int_equal(mem_live(), 0);
}

static void the_table_is_bounded_and_the_oldest_go_first(void **st)
{
	struct guesses *g;
	char key[32];

	(void)st;
	assert_int_equal(guesses_alloc(&g, PAUSE, WITHIN), 0);
	for (unsigned i = 0; i < GUESS_MAX + 100; i++) {
		snprintf(key, sizeof(key), "user %u", i);
		guess_wrong(g, key, 1, 1000);
	}
	assert_int_equal(guess_count(g), GUESS_MAX);
	assert_false(guess_paused(g, "user 99", 1000));
	assert_true(guess_paused(g, "user 100", 1000));
	mem_deref(g);
	assert_int_equal(mem_live(), 0);
}

static void a_long_key_is_kept_by_its_beginning(void **st)
{
	char key[GUESS_KEY + 100], other[GUESS_KEY + 100];
	struct guesses *g;

	(void)st;
	memset(key, 'a', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	memcpy(other, key, sizeof(key));
	other[GUESS_KEY] = 'b';
	assert_int_equal(guesses_alloc(&g, PAUSE, WITHIN), 0);
	guess_wrong(g, key, 1, 1000);
	assert_true(guess_paused(g, other, 1000));
	other[GUESS_KEY - 1] = 'b';
	assert_false(guess_paused(g, other, 1000));
	mem_deref(g);
	assert_int_equal(mem_live(), 0);
}

static void every_conference_has_a_number_of_its_own_that_stays(void **st)
{
	struct confs cs;
	struct conf *c, *d;
	char id[16], number[16];

	(void)st;
	confs_init(&cs);
	for (unsigned i = 0; i < 500; i++) {
		struct conf_prm p = { .organizer = "alice", .domain = "x", .conf_id = id };

		snprintf(id, sizeof(id), "CONF%05u", i);
		assert_int_equal(conf_add(&c, &cs, &p), 0);
		assert_int_equal(strlen(c->number), 7);
		assert_int_equal(strspn(c->number, "0123456789"), 7);
		assert_true(c->number[0] != '0');
		assert_ptr_equal(conf_find_number(&cs, c->number), c);
	}
	snprintf(number, sizeof(number), "%s", c->number);
	assert_int_equal(conf_add(&d, &cs, &(struct conf_prm){ .organizer = "bob", .domain = "x", .conf_id = "FROMSTORE", .number = "42" }), 0);
	assert_ptr_equal(conf_find_number(&cs, "42"), d);
	assert_false(d->number_new);
	assert_int_equal(conf_add(&d, &cs, &(struct conf_prm){ .organizer = "bob", .domain = "x", .conf_id = "TAKENNUMBER", .number = number }), 0);
	assert_string_not_equal(d->number, number);              /* somebody's already: it gets another */
	conf_remove(&cs, c);
	assert_null(conf_find_number(&cs, number));
	confs_fini(&cs);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_reaches_the_limit_is_paused_and_then_not_any_more),
		cmocka_unit_test(slow_tries_and_right_ones_are_forgotten),
		cmocka_unit_test(the_table_is_bounded_and_the_oldest_go_first),
		cmocka_unit_test(a_long_key_is_kept_by_its_beginning),
		cmocka_unit_test(every_conference_has_a_number_of_its_own_that_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
