/* SPDX-License-Identifier: Apache-2.0 */
/* audio_signal.c - tones, resampling and concealment, by listening to what comes out */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/audio/level.h"
#include "mcu/audio/plc.h"
#include "mcu/audio/resample.h"
#include "mcu/audio/tone.h"

static void sine(int16_t *pcm, size_t n, size_t from, uint32_t rate, double hz, double amp)
{
	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)lrint(amp * sin(2 * M_PI * hz * (double)(from + i) / rate));
}

static double purity(const int16_t *pcm, size_t n, uint32_t rate, double hz)
{
	double re = 0, im = 0, all = 1;

	for (size_t i = 0; i < n; i++) {
		re  += pcm[i] * cos(2 * M_PI * hz * (double)i / rate);
		im  += pcm[i] * sin(2 * M_PI * hz * (double)i / rate);
		all += (double)pcm[i] * pcm[i];
	}
	return 2 * (re * re + im * im) / (double)n / all;
}

static int biggest_step(const int16_t *pcm, size_t n)
{
	int max = 0;

	for (size_t i = 1; i < n; i++)
		if (abs(pcm[i] - pcm[i - 1]) > max)
			max = abs(pcm[i] - pcm[i - 1]);
	return max;
}

/* --- tone */
static void a_tone_has_its_length_level_and_pitch(void **st)
{
	int16_t pcm[11 * 960];
	struct tone t;
	size_t got = 0;

	(void)st;
	tone_init(&t, 48000, 440, 200, -20);
	for (unsigned f = 0; f < 11; f++)
		got += tone_fill(&t, pcm + f * 960, 960);
	assert_int_equal(got, 9600);
	assert_false(tone_active(&t));
	assert_in_range(level_dbov(pcm + 960, 8 * 960) + 127, 106, 108);
	assert_true(purity(pcm + 960, 48 * 160, 48000, 440) > 0.99);
	assert_int_equal(level_dbov(pcm + 9600, 960), LEVEL_SILENCE);
}

static void a_tone_begins_and_ends_softly(void **st)
{
	int16_t pcm[960 * 2] = { 0 };
	struct tone t;

	(void)st;
	tone_init(&t, 48000, 1000, 30, -10);
	tone_fill(&t, pcm, 1920);
	assert_int_equal(pcm[0], 0);
	assert_true(abs(pcm[1]) < 50 && abs(pcm[1439]) < 50);
	assert_true(biggest_step(pcm, 1920) < 32768 * 0.45 * 2 * M_PI * 1000 / 48000);
	tone_init(&t, 48000, 1000, 4, -10);                      /* shorter than its fades */
	assert_int_equal(tone_fill(&t, pcm, 1920), 192);
}

static void a_tone_adds_to_a_mix_and_can_be_stopped(void **st)
{
	int32_t acc[960];
	int16_t pcm[960];
	struct tone a, b;

	(void)st;
	tone_init(&a, 48000, 440, 100, -20);
	b = a;
	for (size_t i = 0; i < 960; i++)
		acc[i] = 1000;
	tone_add(&a, acc, 960);
	tone_fill(&b, pcm, 960);
	for (size_t i = 0; i < 960; i++)
		assert_int_equal(acc[i], 1000 + pcm[i]);
	tone_stop(&a);
	assert_false(tone_active(&a));
	assert_int_equal(tone_add(&a, acc, 960), 0);
	memset(&a, 0, sizeof(a));                                /* no tone at all */
	assert_int_equal(tone_fill(&a, pcm, 960), 0);
}

static void odd_tone_parameters_are_bent_into_range(void **st)
{
	int16_t pcm[960];
	struct tone t;

	(void)st;
	tone_init(&t, 8000, 100000, 1000000, 40);
	tone_fill(&t, pcm, 960);
	assert_true(level_dbov(pcm, 960) <= -3);
	tone_init(&t, 0, 440, 100, -20);
	assert_false(tone_active(&t));
	tone_init(&t, 8000, 0, 0, -200);
	assert_false(tone_active(&t));
}

/* --- resample */
static void every_pair_of_rates_keeps_frame_length_and_tone(void **st)
{
	static const uint32_t rates[] = { 8000, 16000, 48000 };

	(void)st;
	for (unsigned a = 0; a < 3; a++)
		for (unsigned b = 0; b < 3; b++) {
			size_t nin = rates[a] / 50, nout = rates[b] / 50;
			int16_t in[960], out[20 * 960];
			struct resample *r = NULL;

			assert_int_equal(resample_alloc(&r, rates[a], rates[b]), 0);
			assert_int_equal(resample_room(r, nin), nout);
			assert_int_equal(resample_process(r, in, nin, out, nout - 1), -EMSGSIZE);
			for (unsigned f = 0; f < 20; f++) {
				sine(in, nin, f * nin, rates[a], 1000, 10000);
				assert_int_equal(resample_process(r, in, nin, out + f * nout, nout), nout);
			}
			assert_true(purity(out + 10 * nout, 10 * nout, rates[b], 1000) > 0.999);
			assert_in_range(level_dbov(out + 10 * nout, 10 * nout) + 127, 127 - 14, 127 - 13);
			assert_true(resample_delay_us(r) < 5000);
			assert_true((resample_delay_us(r) == 0) == (a == b));
			resample_reset(r);
			memset(in, 0, sizeof(in));
			assert_int_equal(resample_process(r, in, nin, out, nout), nout);
			assert_int_equal(level_dbov(out, nout), LEVEL_SILENCE);
			mem_deref(r);
		}
}

/* Amplitude of hz, Blackman window */
static double part_of(const int16_t *x, size_t n, double hz, double rate)
{
	double re = 0, im = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		double a = 2 * M_PI * (double)i / (double)n, w = 0.42 - 0.5 * cos(a) + 0.08 * cos(2 * a);

		re  += w * x[i] * cos(2 * M_PI * hz * (double)i / rate);
		im  += w * x[i] * sin(2 * M_PI * hz * (double)i / rate);
		sum += w;
	}
	return 2 * sqrt(re * re + im * im) / sum;
}

static void a_sweep_has_no_mirror_at_any_rate(void **st)
{
	static const uint32_t rates[] = { 8000, 16000, 48000 };
	static int16_t in[9600], out[9600];

	(void)st;
	for (unsigned a = 0; a < 3; a++)
		for (unsigned b = 0; b < 3; b++) {
			uint32_t from = rates[a], to = rates[b], low = from < to ? from : to;
			size_t nin = from / 5, nout = to / 5, skip = nout / 4;

			if (a == b)
				continue;
			for (double hz = 200; hz < from * 0.49; hz += from / 60.0) {
				double mirror = from < to ? from - hz : fabs(hz - to * round(hz / to));
				struct resample *r = NULL;

				if (hz > low * 0.42 && hz < low * 0.55)
					continue;                    /* the edge */
				assert_int_equal(resample_alloc(&r, from, to), 0);
				sine(in, nin, 0, from, hz, 10000);
				assert_int_equal(resample_process(r, in, nin, out, nout), nout);
				if (hz < low * 0.42)
					assert_true(fabs(part_of(out + skip, nout - skip, hz, to) / 10000 - 1) < 0.03);
				if (from < to || hz > low * 0.55)
					assert_true(part_of(out + skip, nout - skip, mirror, to) < 1);       /* -80 dB */
				mem_deref(r);
			}
		}
}

static void what_a_lower_rate_cannot_hold_is_filtered_out(void **st)
{
	struct resample *r = NULL;
	int16_t in[960], out[160];

	(void)st;
	assert_int_equal(resample_alloc(&r, 48000, 8000), 0);
	for (unsigned f = 0; f < 5; f++) {
		sine(in, 960, f * 960, 48000, 7000, 10000);
		assert_int_equal(resample_process(r, in, 960, out, 160), 160);
	}
	assert_true(level_dbov(out, 160) < -50);
	mem_deref(r);
}

static void impossible_rates_are_refused(void **st)
{
	struct resample *r = NULL;

	(void)st;
	assert_int_equal(resample_alloc(&r, 0, 8000), -EINVAL);
	assert_int_equal(resample_alloc(&r, 8000, 96000), -EINVAL);
	mem_fail_after(1);
	assert_int_equal(resample_alloc(&r, 8000, 48000), -ENOMEM);
	mem_fail_after(0);
	assert_null(r);
}

/* --- plc */
static void a_gap_in_a_voice_is_filled_with_its_pitch(void **st)
{
	static const uint32_t rates[] = { 8000, 16000 };
	static const double pitch[] = { 80, 123, 210, 380 };

	(void)st;
	for (unsigned k = 0; k < 2; k++)
		for (unsigned j = 0; j < 4; j++) {
			size_t n = rates[k] / 50;
			int16_t pcm[12 * 320];
			struct plc *p = NULL;

			assert_int_equal(plc_alloc(&p, rates[k]), 0);
			for (unsigned f = 0; f < 12; f++) {
				int16_t *at = pcm + f * n;

				if (f == 8) {
					plc_conceal(p, at, n);
					continue;
				}
				for (size_t i = 0; i < n; i++) {         /* three harmonics */
					double x = 2 * M_PI * pitch[j] * (double)(f * n + i) / rates[k];

					at[i] = (int16_t)(6000 * sin(x) + 3000 * sin(2 * x) + 1500 * sin(3 * x));
				}
				plc_good(p, at, n);
			}
			assert_in_range(level_dbov(pcm + 8 * n, n) + 127, level_dbov(pcm + 7 * n, n) + 127 - 4,
					level_dbov(pcm + 7 * n, n) + 127 + 1);
			assert_true(biggest_step(pcm + 7 * n, 3 * n) <= 3 * biggest_step(pcm, 7 * n) + 600);
			mem_deref(p);
		}
}

static void long_loss_ends_in_silence_and_good_frames_fade_in(void **st)
{
	int16_t pcm[160];
	struct plc *p = NULL;

	(void)st;
	assert_int_equal(plc_alloc(&p, 8000), 0);
	for (unsigned f = 0; f < 5; f++) {
		sine(pcm, 160, f * 160, 8000, 200, 9000);
		plc_good(p, pcm, 160);
	}
	for (unsigned f = 0; f < 4; f++)
		plc_conceal(p, pcm, 160);
	assert_int_equal(level_dbov(pcm, 160), LEVEL_SILENCE);
	for (size_t i = 0; i < 160; i++)
		pcm[i] = 9000;
	plc_good(p, pcm, 160);
	assert_true(pcm[0] < 500);
	assert_int_equal(pcm[159], 9000);
	assert_true(biggest_step(pcm, 160) < 500);
	mem_deref(p);
}

static void any_signal_and_frame_length_is_survived(void **st)
{
	int16_t pcm[4000];
	struct plc *p = NULL;

	(void)st;
	assert_int_equal(plc_alloc(&p, 44100), -EINVAL);
	assert_int_equal(plc_alloc(&p, 16000), 0);
	plc_conceal(p, pcm, 320);                                /* nothing before it */
	assert_int_equal(level_dbov(pcm, 320), LEVEL_SILENCE);
	for (unsigned f = 0; f < 300; f++) {
		size_t n = (size_t)rand() % (f % 10 ? 400 : 4000);

		for (size_t i = 0; i < n; i++)
			pcm[i] = (int16_t)(rand() % 3 ? 32767 : -32768);
		if (rand() % 2)
			plc_good(p, pcm, n);
		else
			plc_conceal(p, pcm, n);
	}
	mem_deref(p);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tone_has_its_length_level_and_pitch),
		cmocka_unit_test(a_tone_begins_and_ends_softly),
		cmocka_unit_test(a_tone_adds_to_a_mix_and_can_be_stopped),
		cmocka_unit_test(odd_tone_parameters_are_bent_into_range),
		cmocka_unit_test(every_pair_of_rates_keeps_frame_length_and_tone),
		cmocka_unit_test(a_sweep_has_no_mirror_at_any_rate), cmocka_unit_test(what_a_lower_rate_cannot_hold_is_filtered_out),
		cmocka_unit_test(impossible_rates_are_refused),
		cmocka_unit_test(a_gap_in_a_voice_is_filled_with_its_pitch),
		cmocka_unit_test(long_loss_ends_in_silence_and_good_frames_fade_in),
		cmocka_unit_test(any_signal_and_frame_length_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
