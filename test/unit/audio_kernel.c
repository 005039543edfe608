/* SPDX-License-Identifier: Apache-2.0 */
/* audio_kernel.c - every set of loops gives the bits of the scalar one; G.711 by its definition */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mcu/audio/kernel.h"

#define N 1027u

static uint32_t seed = 1;

static uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

/* Each pair gets the same input, at every length up to 70 and a few beyond, at odd addresses too. */
static void each(void (*one)(const struct kernel *k, const struct kernel *ref, size_t n, size_t off))
{
	const struct kernel *k;

	assert_ptr_equal(kernel_get(0), &kernel_scalar);
	assert_non_null(kernel_get(1));
	for (unsigned i = 1; (k = kernel_get(i)); i++)
		for (size_t n = 0; n < N - 8; n += n < 70 ? 1 : 119)
			for (size_t off = 0; off < 3; off++)
				one(k, &kernel_scalar, n, off);
}

static int16_t pcm[N], a16[N], b16[N];
static int32_t acc[N], a32[N], b32[N];
static uint8_t codes[N], a8[N], b8[N];

static void fill(void)
{
	for (unsigned i = 0; i < N; i++) {
		uint32_t r = rnd();

		pcm[i] = r % 11 == 0 ? INT16_MIN : r % 7 == 0 ? INT16_MAX : (int16_t)(r >> 8);
		acc[i] = (int32_t)rnd() >> (rnd() % 3 ? 8 : 14);
		codes[i] = (uint8_t)rnd();
	}
	memset(a16, 0x55, sizeof(a16));
	memset(b16, 0x55, sizeof(b16));
	memset(a8, 0x55, sizeof(a8));
	memset(b8, 0x55, sizeof(b8));
	memcpy(a32, acc, sizeof(a32));
	memcpy(b32, acc, sizeof(b32));
}

static void one_sum(const struct kernel *k, const struct kernel *ref, size_t n, size_t off)
{
	fill();
	k->add(a32 + off, pcm + off, n);
	ref->add(b32 + off, pcm + off, n);
	assert_memory_equal(a32, b32, sizeof(a32));
	k->minus(a32 + off, acc, pcm + off, n);
	ref->minus(b32 + off, acc, pcm + off, n);
	assert_memory_equal(a32, b32, sizeof(a32));
	k->minus(a32, a32, pcm + off, n);                /* in place */
	ref->minus(b32, b32, pcm + off, n);
	assert_memory_equal(a32, b32, sizeof(a32));
	k->saturate(a16 + off, acc, n);
	ref->saturate(b16 + off, acc, n);
	assert_memory_equal(a16, b16, sizeof(a16));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(a16[off + i], acc[i] > INT16_MAX ? INT16_MAX : acc[i] < INT16_MIN ? INT16_MIN : acc[i]);
}

static void sums_differences_and_clipping_are_the_same_bits(void **state)
{
	(void)state;
	each(one_sum);
}

static void one_level(const struct kernel *k, const struct kernel *ref, size_t n, size_t off)
{
	uint64_t sum = 0;

	fill();
	for (size_t i = 0; i < n; i++)
		sum += (uint64_t)((int64_t)pcm[off + i] * pcm[off + i]);
	assert_true(k->power(pcm + off, n) == sum && ref->power(pcm + off, n) == sum);
	assert_int_equal(k->peak(acc + off, n), ref->peak(acc + off, n));
}

static void levels_and_peaks_are_the_same(void **state)
{
	(void)state;
	each(one_level);
}

static void one_gain(const struct kernel *k, const struct kernel *ref, size_t n, size_t off)
{
	int32_t q15 = (int32_t)(rnd() % 131073);
	float gain = (float)(rnd() % 1000) / 1000, step = -gain / 2000;

	fill();
	memcpy(a16, pcm, sizeof(a16));
	memcpy(b16, pcm, sizeof(b16));
	k->scale(a16 + off, n, q15);
	ref->scale(b16 + off, n, q15);
	assert_memory_equal(a16, b16, sizeof(a16));
	for (size_t i = 0; i < n; i++) {
		int64_t v = ((int64_t)pcm[off + i] * q15 + 16384) >> 15;

		assert_int_equal(a16[off + i], v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
	}
	k->limit(a16 + off, acc, n, gain, step);
	ref->limit(b16 + off, acc, n, gain, step);
	assert_memory_equal(a16, b16, sizeof(a16));
}

static void gains_and_limits_are_the_same_bits(void **state)
{
	(void)state;
	each(one_gain);
}

static void one_code(const struct kernel *k, const struct kernel *ref, size_t n, size_t off)
{
	fill();
	k->ulaw_encode(a8 + off, pcm, n);
	ref->ulaw_encode(b8 + off, pcm, n);
	assert_memory_equal(a8, b8, sizeof(a8));
	k->alaw_encode(a8 + off, pcm, n);
	ref->alaw_encode(b8 + off, pcm, n);
	assert_memory_equal(a8, b8, sizeof(a8));
	k->ulaw_decode(a16 + off, codes, n);
	ref->ulaw_decode(b16 + off, codes, n);
	assert_memory_equal(a16, b16, sizeof(a16));
	k->alaw_decode(a16, codes + off, n);
	ref->alaw_decode(b16, codes + off, n);
	assert_memory_equal(a16, b16, sizeof(a16));
}

static void g711_is_the_same_bits(void **state)
{
	(void)state;
	each(one_code);
}

/* The definitions, by a search for the segment. A value one below zero has the magnitude 0. */
static uint8_t ulaw_by_search(int v)
{
	unsigned seg = 0, mag = (unsigned)(v < 0 ? ~v : v) / 4 + 33;

	mag = mag > 8191 ? 8191 : mag;
	while (mag >= 64u << seg)
		seg++;
	return (uint8_t)~((v < 0 ? 0x80u : 0) | seg << 4 | (mag >> (seg + 1)) % 16);
}

static uint8_t alaw_by_search(int v)
{
	unsigned seg = 0, mag = (unsigned)(v < 0 ? ~v : v) / 8;

	while (mag >= 32u << seg)
		seg++;
	return (uint8_t)(((v < 0 ? 0 : 0x80u) | seg << 4 | (mag >> (seg ? seg : 1)) % 16) ^ 0x55);
}

static void check_law(const struct kernel *k, bool alaw)
{
	static uint8_t all[256], again[256], out[65536];
	static int16_t value[256], in[65536];

	for (int v = -32768; v < 32768; v++)
		in[v + 32768] = (int16_t)v;
	(alaw ? k->alaw_encode : k->ulaw_encode)(out, in, 65536);
	for (int v = -32768; v < 32768; v++)
		assert_int_equal(out[v + 32768], alaw ? alaw_by_search(v) : ulaw_by_search(v));
	for (unsigned c = 0; c < 256; c++)
		all[c] = (uint8_t)c;
	(alaw ? k->alaw_decode : k->ulaw_decode)(value, all, 256);
	(alaw ? k->alaw_encode : k->ulaw_encode)(again, value, 256);
	for (unsigned c = 0; c < 256; c++)               /* u-law has two zeros, and one comes back */
		assert_int_equal(again[c], !alaw && c == 0x7f ? 0xff : c);
}

static void g711_is_what_a_search_for_the_segment_finds(void **state)
{
	const struct kernel *k;

	(void)state;
	for (unsigned i = 0; (k = kernel_get(i)); i++) {
		check_law(k, false);
		check_law(k, true);
	}
}

static void g711_has_the_values_of_its_tables(void **state)
{
	static const struct { uint8_t code; int16_t ulaw, alaw; } known[] = {
		{ 0xff, 0, 848 }, { 0x7f, 0, -848 }, { 0x80, 32124, 5504 }, { 0x00, -32124, -5504 }, { 0xd5, 716, 8 }, { 0x55, -716, -8 },
		{ 0xaa, 5372, 32256 }, { 0x2a, -5372, -32256 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int16_t u, a;

		kernel->ulaw_decode(&u, &known[i].code, 1);
		kernel->alaw_decode(&a, &known[i].code, 1);
		assert_int_equal(u, known[i].ulaw);
		assert_int_equal(a, known[i].alaw);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_differences_and_clipping_are_the_same_bits),
		cmocka_unit_test(levels_and_peaks_are_the_same),
		cmocka_unit_test(gains_and_limits_are_the_same_bits),
		cmocka_unit_test(g711_is_the_same_bits),
		cmocka_unit_test(g711_is_what_a_search_for_the_segment_finds),
		cmocka_unit_test(g711_has_the_values_of_its_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
