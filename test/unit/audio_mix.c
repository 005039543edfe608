/* SPDX-License-Identifier: Apache-2.0 */
/* audio_mix.c - sums, gains and the limiter */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mcu/audio/mix.h"

#define N 960u

static void noise(int16_t *pcm, size_t n, int amp)
{
	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)(rand() % (2 * amp + 1) - amp);
}

static int biggest_step(const int16_t *pcm, size_t n)
{
	int max = 0;

	for (size_t i = 1; i < n; i++)
		if (abs(pcm[i] - pcm[i - 1]) > max)
			max = abs(pcm[i] - pcm[i - 1]);
	return max;
}

static void a_talker_hears_everybody_but_himself(void **st)
{
	int16_t pcm[3][N], out[N];
	int32_t acc[N], rest[N];

	(void)st;
	mix_clear(acc, N);
	for (unsigned k = 0; k < 3; k++) {
		noise(pcm[k], N, 5000);
		mix_add(acc, pcm[k], N);
	}
	for (unsigned k = 0; k < 3; k++) {
		mix_minus(rest, acc, pcm[k], N);
		mix_saturate(out, rest, N);
		for (size_t i = 0; i < N; i++)
			assert_int_equal(out[i], pcm[(k + 1) % 3][i] + pcm[(k + 2) % 3][i]);
	}
	for (unsigned k = 0; k < 3; k++)
		mix_minus(acc, acc, pcm[k], N);                  /* in place */
	assert_int_equal(mix_peak(acc, N), 0);
}

static void any_length_works(void **st)
{
	int16_t pcm[37], out[37];
	int32_t acc[37];

	(void)st;
	noise(pcm, 37, 32767);
	for (size_t n = 0; n <= 37; n++) {
		struct mix_limiter l = { 0 };
		struct mix_gain g;

		mix_clear(acc, n);
		mix_add(acc, pcm, n);
		mix_add(acc, pcm, n);
		mix_limit(&l, out, acc, n);
		mix_gain_init(&g, 12345);
		mix_gain_apply(&g, out, n);
		mix_saturate(out, acc, n);
	}
}

static void saturation_clips_at_both_ends(void **st)
{
	static const int32_t acc[] = { 40000, -40000, 32767, -32768, 32768, -32769, 0, INT32_MAX, INT32_MIN + 1 };
	static const int16_t want[] = { 32767, -32768, 32767, -32768, 32767, -32768, 0, 32767, -32768 };
	int16_t out[9];

	(void)st;
	mix_saturate(out, acc, 9);
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(mix_peak(acc, 6), 40000);
	assert_int_equal(mix_peak(acc, 0), 0);
}

static void unity_gain_changes_no_bit_and_zero_is_silence(void **st)
{
	int16_t pcm[N], was[N];
	struct mix_gain g;

	(void)st;
	noise(pcm, N, 32767);
	memcpy(was, pcm, sizeof(pcm));
	mix_gain_init(&g, MIX_UNITY);
	mix_gain_apply(&g, pcm, N);
	assert_memory_equal(pcm, was, sizeof(pcm));
	mix_gain_set(&g, 0, 0);
	assert_true(mix_gain_silent(&g));
	mix_gain_apply(&g, pcm, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(pcm[i], 0);
	pcm[0] = 30000;
	pcm[1] = -30000;
	mix_gain_init(&g, 3 * MIX_UNITY);
	mix_gain_apply(&g, pcm, 2);
	assert_int_equal(pcm[0], 32767);
	assert_int_equal(pcm[1], -32768);
}

static void mute_ramps_without_a_click(void **st)
{
	int16_t pcm[2 * N];
	struct mix_gain g;

	(void)st;
	for (size_t i = 0; i < 2 * N; i++)
		pcm[i] = 20000;
	mix_gain_init(&g, MIX_UNITY);
	mix_gain_set(&g, 0, N + 100);
	mix_gain_apply(&g, pcm, N);
	assert_false(mix_gain_silent(&g));
	mix_gain_apply(&g, pcm + N, N);
	assert_true(mix_gain_silent(&g));
	assert_true(biggest_step(pcm, 2 * N) < 100);
	assert_int_equal(pcm[2 * N - 1], 0);
	for (size_t i = 0; i < 2 * N; i++)
		pcm[i] = 20000;
	mix_gain_set(&g, MIX_UNITY, N);
	mix_gain_apply(&g, pcm, 2 * N);
	assert_true(biggest_step(pcm, 2 * N) < 100);
	assert_int_equal(pcm[2 * N - 1], 20000);
	mix_gain_set(&g, MIX_UNITY / 2, 10000000);               /* slower than a step of 1: goes by 1 */
	assert_int_equal(g.step, -1);
	mix_gain_set(&g, 100 * MIX_UNITY, 100);
	assert_int_equal(g.target, MIX_GAIN_MAX);
	mix_gain_set(&g, -5, 100);
	assert_int_equal(g.target, 0);
}

static void decibels_become_factors(void **st)
{
	(void)st;
	assert_int_equal(mix_gain_db(0), MIX_UNITY);
	assert_int_equal(mix_gain_db(-61), 0);
	assert_int_equal(mix_gain_db(100), mix_gain_db(12));
	for (int db = -60; db <= 12; db++)
		assert_int_equal(mix_gain_db(db), lrint(32768 * pow(10, db / 20.0)));
}

static void a_quiet_sum_passes_the_limiter_bit_for_bit(void **st)
{
	struct mix_limiter l = { 0 };
	int16_t pcm[N], out[N];
	int32_t acc[N];

	(void)st;
	noise(pcm, N, 29000);
	mix_clear(acc, N);
	mix_add(acc, pcm, N);
	mix_limit(&l, out, acc, N);
	assert_memory_equal(out, pcm, sizeof(pcm));
}

/* Sines of very different loudness in turn; f counts frames */
static void loud_frame(int32_t *acc, unsigned f, double amp)
{
	for (size_t i = 0; i < N; i++)
		acc[i] = (int32_t)(amp * sin(2 * M_PI * 200 * (double)(f * N + i) / 48000));
}

static void a_loud_sum_is_kept_below_the_ceiling(void **st)
{
	struct mix_limiter l = { 0 };
	int16_t out[N * 40];
	int32_t acc[N];
	double err = 0, power = 0;

	(void)st;
	for (unsigned f = 0; f < 40; f++) {
		loud_frame(acc, f, 90000);
		mix_limit(&l, out + f * N, acc, N);
	}
	for (size_t i = 30 * N; i < 40 * N; i++) {               /* settled: a clean sine of the ceiling */
		double want = 29204 * sin(2 * M_PI * 200 * (double)i / 48000);

		assert_in_range(out[i] + 40000, 40000 - 29300, 40000 + 29300);
		err   += (out[i] - want) * (out[i] - want);
		power += want * want;
	}
	assert_true(err < power / 1000);
	assert_true(biggest_step(out, N * 40) < 90000 * 2 * M_PI * 200 / 48000 * 1.2);
}

static void the_limiter_works_at_every_rate(void **st)
{
	static const size_t frame[] = { 160, 320, 960 };

	(void)st;
	for (unsigned k = 0; k < 3; k++) {
		struct mix_limiter l = { 0 };
		int16_t out[N];
		int32_t acc[N];

		for (unsigned f = 0; f < 40; f++) {
			for (size_t i = 0; i < frame[k]; i++)
				acc[i] = (int32_t)((f < 20 ? 70000 : 2000) *
						   sin(2 * M_PI * 4 * (double)i / (double)frame[k]));
			mix_limit(&l, out, acc, frame[k]);
			if (f > 5)
				for (size_t i = 0; i < frame[k]; i++)
					assert_true(abs(out[i]) <= 29300);
		}
		assert_true(l.cut < 0.1f);
	}
}

static void the_limiter_lets_go_within_half_a_second(void **st)
{
	struct mix_limiter l = { 0 };
	int16_t out[N], last = 0;
	int32_t acc[N];

	(void)st;
	loud_frame(acc, 0, 120000);
	mix_limit(&l, out, acc, N);
	assert_true(l.cut > 0.7f);
	for (unsigned f = 1; f < 200; f++) {
		loud_frame(acc, f, 3000);
		mix_limit(&l, out, acc, N);
		assert_true(abs(out[0] - last) < 200 && biggest_step(out, N) < 100);
		last = out[N - 1];
		if (f == 25)
			assert_true(l.cut < 0.1f);
	}
	assert_true(l.cut == 0);
}

static void a_peak_out_of_the_blue_is_bent_not_wrapped(void **st)
{
	struct mix_limiter l = { 0 };
	int16_t out[N];
	int32_t acc[N] = { 2000000000, -2000000000, 1000000 };

	(void)st;
	mix_limit(&l, out, acc, N);
	assert_int_equal(out[0], 32767);
	assert_int_equal(out[1], -32768);
	for (size_t i = 3; i < N; i++)
		assert_int_equal(out[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_talker_hears_everybody_but_himself),
		cmocka_unit_test(any_length_works),
		cmocka_unit_test(saturation_clips_at_both_ends),
		cmocka_unit_test(unity_gain_changes_no_bit_and_zero_is_silence),
		cmocka_unit_test(mute_ramps_without_a_click),
		cmocka_unit_test(decibels_become_factors),
		cmocka_unit_test(a_quiet_sum_passes_the_limiter_bit_for_bit),
		cmocka_unit_test(a_loud_sum_is_kept_below_the_ceiling),
		cmocka_unit_test(the_limiter_works_at_every_rate),
		cmocka_unit_test(the_limiter_lets_go_within_half_a_second),
		cmocka_unit_test(a_peak_out_of_the_blue_is_bent_not_wrapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
