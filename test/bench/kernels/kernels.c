/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.c - nanoseconds that a frame of 20 ms takes in each loop of mcu/audio/kernel.h, for each set of loops
 *
 * The sums work on 960 samples (48 kHz), G.711 on 160 (8 kHz). The best of several runs counts: what disturbs only adds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "mcu/audio/kernel.h"

#define N    960u
#define N8   160u
#define RUNS 15u
#define EACH 4000u

static int16_t pcm[N], out[N];
static int32_t acc[N], tmp[N];
static uint8_t codes[N8];
static volatile uint64_t sink;

static void run_add(const struct kernel *k)      { k->add(tmp, pcm, N); }
static void run_minus(const struct kernel *k)    { k->minus(tmp, acc, pcm, N); }
static void run_saturate(const struct kernel *k) { k->saturate(out, acc, N); }
static void run_peak(const struct kernel *k)     { sink += (uint64_t)k->peak(acc, N); }
static void run_scale(const struct kernel *k)    { k->scale(out, N, 30000); }
static void run_limit(const struct kernel *k)    { k->limit(out, acc, N, 0.9f, 0); }
static void run_power(const struct kernel *k)    { sink += k->power(pcm, N); }
static void run_ulaw_e(const struct kernel *k)   { k->ulaw_encode(codes, pcm, N8); }
static void run_alaw_e(const struct kernel *k)   { k->alaw_encode(codes, pcm, N8); }
static void run_ulaw_d(const struct kernel *k)   { k->ulaw_decode(out, codes, N8); }
static void run_alaw_d(const struct kernel *k)   { k->alaw_decode(out, codes, N8); }

static const struct { const char *name; void (*run)(const struct kernel *k); } rows[] = {
	{ "add", run_add }, { "minus", run_minus }, { "saturate", run_saturate }, { "peak", run_peak }, { "scale", run_scale },
	{ "limit", run_limit }, { "power", run_power }, { "PCMU encode", run_ulaw_e }, { "PCMA encode", run_alaw_e },
	{ "PCMU decode", run_ulaw_d }, { "PCMA decode", run_alaw_d },
};

static double ns(void (*run)(const struct kernel *k), const struct kernel *k)
{
	double best = 1e9;

	for (unsigned r = 0; r < RUNS; r++) {
		struct timespec a, b;
		double took;

		clock_gettime(CLOCK_MONOTONIC, &a);
		for (unsigned i = 0; i < EACH; i++)
			run(k);
		clock_gettime(CLOCK_MONOTONIC, &b);
		took = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / EACH;
		best = took < best ? took : best;
	}
	return best;
}

int main(void)
{
	const struct kernel *k;

	for (unsigned i = 0; i < N; i++) {
		pcm[i] = (int16_t)(rand() - RAND_MAX / 2);
		acc[i] = (rand() - RAND_MAX / 2) / 16384;
	}
	printf("\nns for a frame of 20 ms; ratio to the scalar set\n  %-14s", "");
	for (unsigned i = 0; (k = kernel_get(i)); i++)
		printf("%10s%s", k->name, i ? "  ratio" : "");
	putchar('\n');
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		double ref = ns(rows[r].run, &kernel_scalar);

		printf("  %-14s%10.0f", rows[r].name, ref);
		for (unsigned i = 1; (k = kernel_get(i)); i++) {
			double t = ns(rows[r].run, k);

			printf("%10.0f%7.2f", t, t / ref);
		}
		putchar('\n');
	}
	return 0;
}
