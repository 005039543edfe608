/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_prompts.c - which recording is played for a name: the operator's, an installed one, a tone, or nothing */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/prompts.h"

static char dir[64];

static void path(char *out, size_t n, const char *name)
{
	snprintf(out, n, "%s/%s", dir, name);
}

/* So many ms of silence at 8 kHz; ms 0: no WAV at all. */
static void put(const char *name, unsigned ms)
{
	uint8_t head[44] = "RIFF....WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data";
	uint32_t n = ms * 16;
	char file[256];
	FILE *f;

	path(file, sizeof(file), name);
	f = fopen(file, "wb");
	assert_non_null(f);
	memcpy(head + 40, &n, 4);
	if (ms) {
		fwrite(head, 1, sizeof(head), f);
		for (uint32_t i = 0; i < n; i++)
			fputc(0, f);
	} else {
		fputs("no recording", f);
	}
	fclose(f);
}

static unsigned length(const struct prompts *p, enum prompt id)
{
	return prompts_clip(p, id) ? clip_ms(prompts_clip(p, id)) : 0;
}

static int setup(void **state)
{
	char sub[128];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conclave-prompts-XXXXXX");
	assert_non_null(mkdtemp(dir));
	path(sub, sizeof(sub), "xx");
	assert_int_equal(mkdir(sub, 0700), 0);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "xx/muted.wav", "muted.wav", "unmuted.wav", "xx/unmuted.wav", "xx/7.wav", "music.wav" };
	char file[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path(file, sizeof(file), names[i]);
		unlink(file);
	}
	path(file, sizeof(file), "xx");
	rmdir(file);
	rmdir(dir);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static void the_language_comes_before_what_holds_for_all_and_a_tone_is_the_last(void **state)
{
	struct prompts *p;

	(void)state;
	put("muted.wav", 500);
	put("xx/muted.wav", 300);
	put("unmuted.wav", 700);
	put("xx/unmuted.wav", 0);
	put("xx/7.wav", 200);
	assert_int_equal(prompts_alloc(&p, "xx", dir), 0);
	assert_true(prompts_spoken(p));
	assert_in_range(length(p, PROMPT_MUTED), 300, 320);
	assert_in_range(length(p, PROMPT_UNMUTED), 700, 720);    /* the one of the language is broken */
	assert_in_range(length(p, PROMPT_0 + 7), 200, 220);
	assert_int_equal(length(p, PROMPT_LOCKED), 300);         /* a tone: there is none */
	assert_int_equal(length(p, PROMPT_HELP_MUTE), 0);        /* what a tone could not say */
	put("xx/muted.wav", 900);
	prompts_load(p, "xx", dir);
	assert_in_range(length(p, PROMPT_MUTED), 900, 920);
	mem_deref(p);
}

static void without_a_language_there_are_tones_only(void **state)
{
	struct prompts *p;

	(void)state;
	put("muted.wav", 500);
	put("music.wav", 500);
	assert_int_equal(prompts_alloc(&p, "", dir), 0);
	assert_false(prompts_spoken(p));
	assert_int_equal(length(p, PROMPT_MUTED), 160);
	assert_int_equal(length(p, PROMPT_MUSIC), 0);
	assert_int_equal(length(p, PROMPT_ALONE), 0);
	assert_int_equal(length(p, PROMPT_ENTER_NUMBER), 400);
	prompts_load(p, "../etc", dir);                          /* a language is a name, no path */
	assert_int_equal(length(p, PROMPT_MUTED), 160);
	mem_deref(p);
}

static void numbers_are_words_up_to_twenty_and_then_digits(void **state)
{
	enum prompt ids[4];

	(void)state;
	assert_int_equal(prompts_number(20, ids, 4), 1);
	assert_int_equal(ids[0], PROMPT_0 + 20);
	assert_int_equal(prompts_number(305, ids, 4), 3);
	assert_int_equal(ids[0], PROMPT_0 + 3);
	assert_int_equal(ids[1], PROMPT_0);
	assert_int_equal(ids[2], PROMPT_0 + 5);
	assert_int_equal(prompts_number(4000000000u, ids, 4), 4);
	assert_int_equal(prompts_key('*'), PROMPT_STAR);
	assert_int_equal(prompts_key('#'), PROMPT_POUND);
	assert_int_equal(prompts_key('9'), PROMPT_0 + 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_language_comes_before_what_holds_for_all_and_a_tone_is_the_last, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_language_there_are_tones_only, setup, teardown),
		cmocka_unit_test(numbers_are_words_up_to_twenty_and_then_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
