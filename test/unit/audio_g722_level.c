/* SPDX-License-Identifier: Apache-2.0 */
/* audio_g722_level.c - the level of G.722 by its codes alone, against what the encoder was given */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/g722_level.h"

#define FRAME 320u

static struct codec_enc *enc;
static struct g722_level level;
static unsigned at;

static int setup(void **state)
{
	(void)state;
	memset(&level, 0, sizeof(level));
	at = 0;
	return codec_g722.enc_alloc(&enc, 0);
}

static int teardown(void **state)
{
	(void)state;
	enc = mem_deref(enc);
	return 0;
}

static double noise(void) { return (rand() / (double)RAND_MAX * 2 - 1) * 1.732; }

/* A vowel of 130 Hz whose loudness goes up and down */
static double vowel(double t)
{
	double v = 0;

	for (int k = 1; k < 14; k++)
		v += sin(2 * M_PI * 130 * k * t) / k;
	return v * 0.8 * (0.55 + 0.45 * sin(2 * M_PI * 4 * t));
}

static int packet(double noise_db, double voice_db, bool *rises)
{
	double a = 32768 * pow(10, noise_db / 20), b = voice_db < 0 ? 32768 * pow(10, voice_db / 20) : 0;
	int16_t pcm[FRAME];
	uint8_t out[FRAME];
	int n;

	for (unsigned i = 0; i < FRAME; i++, at++) {
		double v = a * noise() + b * vowel(at / 16000.0);

		pcm[i] = (int16_t)fmax(-32768, fmin(32767, lrint(v)));
	}
	n = codec_g722.encode(enc, pcm, FRAME, out, sizeof(out));
	assert_int_equal(n, 160);
	return g722_level(&level, out, (size_t)n, rises);
}

static void noise_is_told_within_six_decibels_and_does_not_rise(void **state)
{
	static const int db[] = { -60, -50, -40, -30, -20 };

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		unsigned up = 0;
		bool rises;

		teardown(NULL);
		setup(NULL);
		for (unsigned k = 0; k < 500; k++) {
			int got = packet(db[i], 0, &rises);

			if (k < 10)                              /* it has just begun */
				continue;
			assert_in_range(got - db[i] + 10, 4, 16);
			up += rises;
		}
		assert_true(up <= 25);                      /* decoded for nothing */
	}
}

static void silence_is_silent(void **state)
{
	bool rises;
	int got = 0;

	(void)state;
	for (unsigned k = 0; k < 100; k++)
		got = packet(-200, 0, &rises);
	assert_true(got < -65 && !rises);
}

static void a_soft_voice_rises_from_a_quiet_place_within_three_packets(void **state)
{
	static const int voice[] = { -34, -28, -20 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		bool rises = false;
		unsigned n;

		for (unsigned k = 0; k < 100; k++)
			packet(-68, 0, &rises);
		assert_false(rises);
		at = 0;
		for (n = 1; n < 10; n++) {
			packet(-68, voice[i], &rises);
			if (rises)
				break;
		}
		print_message("%d dBov: %u packets\n", voice[i], n);
		assert_true(n <= 3);
	}
}

static void louder_noise_is_got_used_to(void **state)
{
	bool rises = false;

	(void)state;
	for (unsigned k = 0; k < 100; k++)
		packet(-60, 0, &rises);
	packet(-45, 0, &rises);
	assert_true(rises);
	for (unsigned k = 0; k < 800; k++)
		packet(-45, 0, &rises);
	assert_false(rises);
}

static void any_bytes_are_survived(void **state)
{
	uint8_t b[320];

	(void)state;
	for (unsigned k = 0; k < 2000; k++) {
		bool rises;

		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = (uint8_t)(k < 256 ? k : (unsigned)rand());
		assert_in_range(-g722_level(&level, b, k % sizeof(b), &rises), 0, 127);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(noise_is_told_within_six_decibels_and_does_not_rise, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(a_soft_voice_rises_from_a_quiet_place_within_three_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(louder_noise_is_got_used_to, setup, teardown),
		cmocka_unit_test_setup_teardown(any_bytes_are_survived, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
