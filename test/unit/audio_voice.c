/* SPDX-License-Identifier: Apache-2.0 */
/* audio_voice.c - stretching, voice detection, automatic gain, comfort noise, noise suppression: known signals, known answers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/audio/agc.h"
#include "mcu/audio/cng.h"
#include "mcu/audio/denoise.h"
#include "mcu/audio/level.h"
#include "mcu/audio/stretch.h"
#include "mcu/audio/voicing.h"

static const uint32_t rates[] = { 8000, 16000, 48000 };

static void tone(int16_t *x, size_t n, uint32_t rate, double hz, double amp, double *phase)
{
	for (size_t i = 0; i < n; i++) {
		x[i] = (int16_t)lrint(amp * sin(*phase));
		*phase += 2 * M_PI * hz / rate;
	}
}

static void noise(int16_t *x, size_t n, double amp)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (int16_t)(amp * (2.0 * rand() / RAND_MAX - 1));
}

/* The largest second difference: a click stands out in it. */
static int bend(const int16_t *x, size_t n)
{
	int most = 0;

	for (size_t i = 2; i < n; i++)
		if (abs(x[i] - 2 * x[i - 1] + x[i - 2]) > most)
			most = abs(x[i] - 2 * x[i - 1] + x[i - 2]);
	return most;
}

static unsigned rises(const int16_t *x, size_t n)
{
	unsigned k = 0;

	for (size_t i = 1; i < n; i++)
		k += x[i - 1] < 0 && x[i] >= 0;
	return k;
}

/* --- stretch */
static void a_voiced_frame_gets_longer_and_shorter_by_whole_periods_without_a_click(void **state)
{
	(void)state;
	for (unsigned r = 0; r < 3; r++)
		for (double hz = 125; hz < 400; hz *= 1.13) {
			uint32_t rate = rates[r];
			int16_t x[48 * 40], y[48 * 80];
			size_t n = rate / 1000 * 40, m;
			double phase = 0, period = rate / hz, k;
			int own;

			tone(x, n, rate, hz, 8000, &phase);
			own = bend(x, n);
			memcpy(y, x, n * sizeof(*x));
			m = stretch_shorter(y, n, rate);
			k = (double)(n - m) / period;
			assert_true(m < n && fabs(k - rint(k)) < 0.6 / period * 8);
			assert_true(bend(y, m) <= own * 1.5 + 30);
			assert_true(y[0] == x[0] && y[m - 1] == x[n - 1]);
			memcpy(y, x, n * sizeof(*x));
			m = stretch_longer(y, n, n + rate / 100, rate);
			k = (double)(m - n) / period;
			assert_true(m > n && m <= n + rate / 100 && fabs(k - rint(k)) < 0.6 / period * 8);
			assert_true(bend(y, m) <= own * 1.5 + 30);
			assert_true(y[0] == x[0] && y[m - 1] == x[n - 1]);
		}
}

static void where_a_seam_would_be_heard_nothing_is_changed(void **state)
{
	int16_t x[160 * 2], was[160 * 2];
	unsigned changed = 0;

	(void)state;
	srand(3);
	for (unsigned i = 0; i < 100; i++) {
		noise(x, 320, 8000);
		memcpy(was, x, sizeof(x));
		changed += stretch_shorter(x, 320, 8000) != 320;
		changed += stretch_longer(x, 320, 320, 8000) != 320;     /* no room either */
	}
	assert_true(changed <= 1);
	assert_int_equal(stretch_longer(x, 100, 320, 8000), 100);        /* too little to judge */
	noise(x, 320, 60);
	assert_true(stretch_shorter(x, 320, 8000) < 320);                /* nobody hears that */
}

static void stretching_for_minutes_keeps_the_pitch(void **state)
{
	int16_t x[48 * 20], out[48000];
	double phase = 0;
	size_t n = 0, m;

	(void)state;
	while (n + 48 * 60 < 48000) {
		int16_t y[48 * 40];

		tone(x, 960, 48000, 300, 8000, &phase);
		memcpy(y, x, sizeof(x));
		m = stretch_longer(y, 960, 48 * 40, 48000);
		memcpy(out + n, y, m * sizeof(*y));
		n += m;
	}
	assert_true(abs((int)rises(out, n) - (int)(n * 300 / 48000)) <= 3);
}

/* --- voice or not */
static unsigned frames_until_sure(uint32_t rate, void (*make)(int16_t *x, size_t n, uint32_t rate, unsigned frame), unsigned most)
{
	struct voicing v = { 0 };
	int16_t x[960];

	for (unsigned i = 0; i < most; i++) {
		make(x, rate / 50, rate, i);
		voicing_update(&v, x, rate / 50, rate);
		if (voicing_sure(&v))
			return i + 1;
	}
	return 0;
}

/* A vowel: harmonics of 140 Hz under a formant at 600 Hz */
static void vowel(int16_t *x, size_t n, uint32_t rate, unsigned frame)
{
	for (size_t i = 0; i < n; i++) {
		double t = (double)(frame * n + i) / rate, y = 0;

		for (unsigned k = 1; k < 20; k++)
			y += sin(2 * M_PI * 140 * k * t + k) / (1 + pow((140.0 * k - 600) / 300, 2));
		x[i] = (int16_t)(1500 * y);
	}
}

static void knocks(int16_t *x, size_t n, uint32_t rate, unsigned frame)
{
	for (size_t i = 0; i < n; i++)
		x[i] = frame % 5 ? (int16_t)(rand() % 40 - 20)
				 : (int16_t)((rand() % 20000 - 10000) * exp(-(double)i / (0.004 * rate)));
}

static void hiss(int16_t *x, size_t n, uint32_t rate, unsigned frame)
{
	(void)rate;
	(void)frame;
	noise(x, n, 3000);
}

static void humming(int16_t *x, size_t n, uint32_t rate, unsigned frame)
{
	for (size_t i = 0; i < n; i++) {
		double t = (double)(frame * n + i) / rate;

		x[i] = (int16_t)(3000 * (sin(2 * M_PI * 150 * t) + 0.1 * sin(2 * M_PI * 300 * t)));
	}
}

static void test_tone(int16_t *x, size_t n, uint32_t rate, unsigned frame)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (int16_t)(3000 * sin(2 * M_PI * 440 * (double)(frame * n + i) / rate));
}

static void a_vowel_is_known_within_three_frames_at_every_rate(void **state)
{
	(void)state;
	for (unsigned r = 0; r < 3; r++) {
		unsigned n = frames_until_sure(rates[r], vowel, 10);

		assert_true(n >= 2 && n <= 3);
		n = frames_until_sure(rates[r], test_tone, 10);
		assert_true(n >= 2 && n <= 3);
	}
}

static void keys_breath_and_humming_are_never_taken_for_a_voice(void **state)
{
	(void)state;
	srand(5);
	for (unsigned r = 0; r < 3; r++) {
		assert_int_equal(frames_until_sure(rates[r], knocks, 3000), 0);
		assert_int_equal(frames_until_sure(rates[r], hiss, 3000), 0);
		assert_int_equal(frames_until_sure(rates[r], humming, 3000), 0);
	}
}

static void a_voice_is_forgotten_in_silence(void **state)
{
	struct voicing v = { 0 };
	int16_t x[160];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		vowel(x, 160, 8000, i);
		voicing_update(&v, x, 160, 8000);
	}
	assert_true(voicing_sure(&v));
	for (unsigned i = 0; i < VOICING_NFRAMES; i++)
		voicing_quiet(&v);
	assert_false(voicing_sure(&v));
	assert_int_equal(voicing_update(&v, x, 100, 8000), 0);           /* half a frame */
	assert_int_equal(voicing_update(&v, x, 160, 11025), 0);
}

/* --- gain */
static float after(struct agc *a, int level, unsigned frames)
{
	float g = a->gain;

	while (frames--)
		g = agc_update(a, level);
	return g;
}

static void loud_voices_come_down_at_once_and_soft_ones_come_up_in_a_second(void **state)
{
	struct agc a = { 0 };

	(void)state;
	assert_true(fabsf(after(&a, -20, 50)) < 0.01f);                  /* neither */
	a = (struct agc){ 0 };
	assert_true(after(&a, -6, 10) < -8);
	a = (struct agc){ 0 };
	assert_true(after(&a, -34, 10) < 3);
	assert_true(after(&a, -34, 60) > 10);
	assert_true(after(&a, -60, 500) <= AGC_MAX_DB);
	a = (struct agc){ 0 };
	assert_true(after(&a, 0, 500) >= -AGC_MAX_DB);
}

/* --- comfort noise */
static int level_after(struct cng *c, const uint8_t *p, size_t n)
{
	int16_t x[8000];

	cng_decode(c, p, n);
	cng_fill(c, x, 8000);
	cng_fill(c, x, 8000);
	return level_dbov(x, 8000);
}

static void comfort_noise_has_the_level_that_the_payload_tells(void **state)
{
	struct cng c = { 0 };
	uint8_t b[1];

	(void)state;
	for (int db = -80; db <= -35; db += 5) {
		assert_int_equal(cng_encode(b, db), 1);
		assert_int_equal(b[0], -db);
		assert_true(abs(level_after(&c, b, 1) - db) <= 1);
	}
	assert_true(level_after(&c, (const uint8_t[]){ 3 }, 1) <= CNG_MAX_DBOV + 1);
	assert_int_equal(level_after(&c, (const uint8_t[]){ 127 }, 1), LEVEL_SILENCE);
	assert_int_equal(level_after(&c, NULL, 0), LEVEL_SILENCE);
	assert_true(level_after(&c, (const uint8_t[]){ 0x80 | 50 }, 1) >= -51);      /* the top bit is reserved */
}

static void comfort_noise_keeps_its_level_under_any_spectrum(void **state)
{
	struct cng c = { 0 };
	uint8_t p[40];
	int16_t x[160];

	(void)state;
	srand(11);
	p[0] = 50;
	p[1] = 127 + 80;                                                 /* one pole */
	assert_true(abs(level_after(&c, p, 2) + 50) <= 2);
	for (unsigned i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof(p); k++)
			p[k] = (uint8_t)rand();
		cng_decode(&c, p, (size_t)rand() % sizeof(p));
		cng_fill(&c, x, 160);
		assert_true(isfinite(c.b[0]) && fabsf(c.b[0]) < 1e6f);
	}
}

/* --- noise suppression */
static void noise_suppression_takes_noise_and_leaves_a_voice(void **state)
{
	(void)state;
	for (unsigned r = 0; r < 3; r++) {
		size_t n = rates[r] / 50;
		int16_t x[960];
		struct denoise *d;
		int quiet = 0, loud = 0, said = 0;

		assert_int_equal(denoise_alloc(&d, rates[r]), 0);
		for (unsigned i = 0; i < 150; i++) {
			noise(x, n, 300);
			denoise_apply(d, x, n);
			quiet = level_dbov(x, n);
		}
		assert_true(quiet < -45 - 8);                            /* it was -45 */
		for (unsigned i = 0; i < 20; i++) {
			vowel(x, n, rates[r], i);
			said = level_dbov(x, n);
			denoise_apply(d, x, n);
			loud = level_dbov(x, n);
		}
		assert_true(abs(loud - said) <= 3);
		denoise_apply(d, x, n / 2);                              /* not a frame: untouched */
		mem_deref(d);
	}
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_voiced_frame_gets_longer_and_shorter_by_whole_periods_without_a_click),
		cmocka_unit_test(where_a_seam_would_be_heard_nothing_is_changed),
		cmocka_unit_test(stretching_for_minutes_keeps_the_pitch),
		cmocka_unit_test(a_vowel_is_known_within_three_frames_at_every_rate),
		cmocka_unit_test(keys_breath_and_humming_are_never_taken_for_a_voice),
		cmocka_unit_test(a_voice_is_forgotten_in_silence),
		cmocka_unit_test(loud_voices_come_down_at_once_and_soft_ones_come_up_in_a_second),
		cmocka_unit_test(comfort_noise_has_the_level_that_the_payload_tells),
		cmocka_unit_test(comfort_noise_keeps_its_level_under_any_spectrum),
		cmocka_unit_test(noise_suppression_takes_noise_and_leaves_a_voice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
