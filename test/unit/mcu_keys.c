/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_keys.c - sequences of keys: which command each is, and what is none */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "mcu/keys.h"

static struct keys defaults(void)
{
	struct keys k = { 0 };

#define X(id, name, dflt, text) assert_int_equal(keys_set(&k, KEY_##id, dflt), 0);
	KEY_CMDS(X)
#undef X
	return k;
}

/* The commands that come of pressing so, a key each 100 ms, as their default sequences. */
static const char *pressed(const struct keys *k, struct keys_in *in, const char *all, uint64_t *now)
{
	static char out[64];

	out[0] = '\0';
	for (const char *p = all; *p; p++, *now += 100) {
		enum key_cmd c = keys_feed(k, in, *p, *now);

		if (c != KEY_NONE)
			strcat(strcat(out, keys_name(c)), " ");
	}
	return out;
}

static void each_default_sequence_is_its_command_and_none_clashes(void **st)
{
	struct keys k = defaults();
	struct keys_in in = { 0 };
	uint64_t now = 5000;

	(void)st;
	assert_int_equal(keys_clash(&k), KEY_NONE);
	assert_string_equal(pressed(&k, &in, "*6*5*8*7*2*9*3*0", &now), "mute hand louder quieter count lock record help ");
}

static void keys_that_are_no_command_ask_for_nothing(void **st)
{
	struct keys k = defaults();
	struct keys_in in = { 0 };
	uint64_t now = 5000;

	(void)st;
	assert_string_equal(pressed(&k, &in, "6123456789#0", &now), "");
	assert_string_equal(pressed(&k, &in, "**6", &now), "mute ");           /* once more from the second star */
	assert_string_equal(pressed(&k, &in, "*16*6", &now), "mute ");
}

static void a_pause_between_the_keys_makes_two_of_them(void **st)
{
	struct keys k = defaults();
	struct keys_in in = { 0 };

	(void)st;
	assert_int_equal(keys_feed(&k, &in, '*', 10000), KEY_NONE);
	assert_int_equal(keys_feed(&k, &in, '6', 10000 + KEYS_GAP_MS + 1), KEY_NONE);
	assert_int_equal(keys_feed(&k, &in, '*', 20000), KEY_NONE);
	assert_int_equal(keys_feed(&k, &in, '6', 20000 + KEYS_GAP_MS), KEY_MUTE);
}

static void longer_sequences_and_ones_that_are_off(void **st)
{
	struct keys k = defaults();
	struct keys_in in = { 0 };
	uint64_t now = 5000;

	(void)st;
	assert_int_equal(keys_set(&k, KEY_LOCK, "#*12#3"), 0);
	assert_int_equal(keys_set(&k, KEY_MUTE, ""), 0);
	assert_int_equal(keys_clash(&k), KEY_NONE);
	assert_string_equal(pressed(&k, &in, "#*12#3*6", &now), "lock ");
	assert_string_equal(pressed(&k, &in, "#*12#4#*12#3", &now), "lock ");
	assert_string_equal(pressed(&k, &in, "***************#*12#3", &now), "lock ");
}

static void sequences_that_could_be_mistaken_are_refused(void **st)
{
	struct keys k = defaults();

	(void)st;
	assert_int_equal(keys_set(&k, KEY_MUTE, "6"), -EINVAL);
	assert_int_equal(keys_set(&k, KEY_MUTE, "66"), -EINVAL);
	assert_int_equal(keys_set(&k, KEY_MUTE, "*"), -EINVAL);
	assert_int_equal(keys_set(&k, KEY_MUTE, "*1234567"), -EINVAL);
	assert_int_equal(keys_set(&k, KEY_MUTE, "*a"), -EINVAL);
	assert_int_equal(keys_set(&k, KEY_MUTE, "*51"), 0);                    /* behind the hand's *5 it would never be known */
	assert_int_equal(keys_clash(&k), KEY_MUTE);
	assert_int_equal(keys_set(&k, KEY_MUTE, "*5"), 0);
	assert_true(keys_clash(&k) != KEY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_default_sequence_is_its_command_and_none_clashes),
		cmocka_unit_test(keys_that_are_no_command_ask_for_nothing),
		cmocka_unit_test(a_pause_between_the_keys_makes_two_of_them),
		cmocka_unit_test(longer_sequences_and_ones_that_are_off),
		cmocka_unit_test(sequences_that_could_be_mistaken_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
