/* SPDX-License-Identifier: Apache-2.0 */
/* audio_level.c - levels, and who talks */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mcu/audio/level.h"
#include "mcu/audio/vad.h"

static void full_scale_is_zero_and_silence_is_minus_127(void **st)
{
	int16_t pcm[960];

	(void)st;
	for (size_t i = 0; i < 960; i++)
		pcm[i] = -32768;
	assert_int_equal(level_dbov(pcm, 960), 0);
	memset(pcm, 0, sizeof(pcm));
	assert_int_equal(level_dbov(pcm, 960), -127);
	assert_int_equal(level_dbov(pcm, 0), -127);
	pcm[0] = 1;
	assert_int_equal(level_dbov(pcm, 960), -120);
	assert_int_equal(level_of_power(UINT64_MAX, 1), 0);
}

static void a_sine_has_three_decibels_less_than_its_peak(void **st)
{
	int16_t pcm[963];

	(void)st;
	for (int db = -60; db <= 0; db += 5) {
		for (size_t i = 0; i < 963; i++)
			pcm[i] = (int16_t)lrint(32767 * pow(10, db / 20.0) * sin(2 * M_PI * 1000 * (double)i / 48000));
		assert_int_equal(level_dbov(pcm, 960), db - 3);
		assert_in_range(level_dbov(pcm, 963) + 127, db - 4 + 127, db - 2 + 127);
	}
}

/* --- talk detection, 20 ms frames */
static bool feed(struct vad *v, int level, unsigned frames)
{
	while (frames--)
		vad_update(v, level);
	return vad_talking(v);
}

static void talk_starts_with_three_loud_frames_of_five(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	assert_false(feed(&v, -70, 50));
	assert_false(feed(&v, -20, 2));
	assert_false(feed(&v, -70, 2));
	assert_true(feed(&v, -20, 1));
	vad_init(&v, 20);
	assert_false(feed(&v, -20, 2));
	assert_true(feed(&v, -20, 1));                           /* from the very first frame too */
}

static void talk_stops_after_700_ms(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	feed(&v, -20, 10);
	assert_true(feed(&v, -70, 34));
	assert_false(feed(&v, -70, 1));
	vad_init(&v, 20);
	feed(&v, -20, 10);
	for (unsigned i = 0; i < 20; i++) {                      /* pauses shorter than that do not stop it */
		assert_true(feed(&v, -70, 30));
		assert_true(feed(&v, -20, 1));
	}
}

static void steady_noise_is_not_talk_but_a_steady_tone_is(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	feed(&v, -44, 3000);
	assert_false(vad_talking(&v));
	assert_true(feed(&v, -30, 5));
	vad_init(&v, 20);
	assert_true(feed(&v, -20, 3000));                        /* one minute */
}

static void the_gate_follows_the_noise_floor_of_15_seconds(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	feed(&v, -80, 60);
	assert_true(feed(&v, -45, 10));                          /* quiet room: -45 is loud */
	feed(&v, -45, 16 * 50);                                  /* the room has become noisy */
	assert_false(feed(&v, -45, 50));
	assert_int_equal(v.floor, -45);
	feed(&v, -60, 1);
	assert_int_equal(v.floor, -60);                          /* down at once */
}

static void digital_silence_says_nothing_about_the_noise(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	feed(&v, -44, 16 * 50);
	feed(&v, -127, 200);
	assert_int_equal(v.floor, -44);
	assert_false(feed(&v, -44, 10));
}

static void levels_are_smoothed_and_forgotten_after_150_ms_of_nothing(void **st)
{
	struct vad v;

	(void)st;
	vad_init(&v, 20);
	assert_int_equal(vad_level(&v), -127);
	feed(&v, -20, 20);
	assert_int_equal(vad_level(&v), -20);
	feed(&v, -40, 1);
	assert_int_equal(vad_level(&v), -30);
	for (unsigned i = 0; i < 7; i++)
		vad_silence(&v);
	assert_int_equal(vad_level(&v), -30);
	assert_true(vad_silence(&v));                            /* out of the ranking, not yet quiet */
	assert_int_equal(vad_level(&v), -127);
	for (unsigned i = 0; i < 40; i++)
		vad_silence(&v);
	assert_false(vad_talking(&v));
}

static void any_frame_length_and_level_is_taken(void **st)
{
	static const unsigned ms[] = { 0, 1, 10, 60, 1000, 5000 };

	(void)st;
	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		struct vad v;

		vad_init(&v, ms[i]);
		assert_true(v.bucket_frames > 0);
		for (int l = -300; l < 300; l += 7)
			vad_update(&v, l);
		assert_in_range(vad_level(&v) + 127, 0, 127);
		for (unsigned f = 0; f < 2000; f++)
			vad_silence(&v);
		assert_false(vad_talking(&v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_scale_is_zero_and_silence_is_minus_127),
		cmocka_unit_test(a_sine_has_three_decibels_less_than_its_peak),
		cmocka_unit_test(talk_starts_with_three_loud_frames_of_five),
		cmocka_unit_test(talk_stops_after_700_ms),
		cmocka_unit_test(steady_noise_is_not_talk_but_a_steady_tone_is),
		cmocka_unit_test(the_gate_follows_the_noise_floor_of_15_seconds),
		cmocka_unit_test(digital_silence_says_nothing_about_the_noise),
		cmocka_unit_test(levels_are_smoothed_and_forgotten_after_150_ms_of_nothing),
		cmocka_unit_test(any_frame_length_and_level_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
