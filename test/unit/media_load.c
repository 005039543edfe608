/* SPDX-License-Identifier: Apache-2.0 */
/* media_load.c - what a participant costs: rooms full of listeners who send silence, three of them talking
 *
 * Without arguments: one room of 200 for 3 s, which must run without late ticks. `media_load all`: the table of costs.
 * Cost is the CPU time of the worker thread alone (that of the process less that of this thread and of the loop).
 */
#include <pthread.h>
#include "test/unit/media_peer.h"

static double cpu(clockid_t c)
{
	struct timespec ts;

	clock_gettime(c, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double worker_cpu(void) { return cpu(CLOCK_PROCESS_CPUTIME_ID) - cpu(CLOCK_THREAD_CPUTIME_ID); }

struct cost { double us_per_leg, encodes, decodes; long late, skipped, max_us; unsigned lost; };

static struct cost measure(enum mcodec codec, bool srtp, unsigned n, unsigned ms, bool ext)
{
	struct cost c;
	double t0, w0;
	int64_t late, left_out, enc, dec;

	engine_start(n, 0, (uint16_t)(2 * n + 2));
	for (unsigned i = 0; i < n; i++) {
		peers[i].nosound_decode = true;
		peers[i].level_ext = ext ? 1 : 0;
		peer_start(&peers[i], codec, i < 3 ? 400 + 300 * i : 0, srtp);
	}
	run(1500);
	late = metric_get(&media_metrics[M_LATE_TICK]);
	left_out = metric_get(&media_metrics[M_SKIPPED]);
	enc = metric_get(&media_metrics[M_ENCODES]);
	dec = metric_get(&media_metrics[M_DECODES]);
	metric_set(&media_metrics[M_SLOT_MAX], 0);
	for (unsigned i = 0; i < n; i++)
		peers[i].nrecv = peers[i].gaps = 0;
	t0 = cpu(CLOCK_MONOTONIC);
	w0 = worker_cpu();
	run(ms);
	t0 = cpu(CLOCK_MONOTONIC) - t0;
	c.us_per_leg = (worker_cpu() - w0) * 1e6 / t0 / n;
	c.late = metric_get(&media_metrics[M_LATE_TICK]) - late;
	c.skipped = metric_get(&media_metrics[M_SKIPPED]) - left_out;
	c.encodes = (double)(metric_get(&media_metrics[M_ENCODES]) - enc) / t0 / 50;
	c.decodes = (double)(metric_get(&media_metrics[M_DECODES]) - dec) / t0 / 50;
	c.max_us = metric_get(&media_metrics[M_SLOT_MAX]);
	c.lost = 0;
	for (unsigned i = 0; i < n; i++)
		c.lost += peers[i].gaps;
	print_message("%-5s %-5s %4u legs%s: %6.1f us per participant and second, %4.1f encodes %5.1f decodes a tick, "
		      "longest slot %5ld us, %ld late, %ld skipped, %u gaps\n", peer_codecs[codec]->name, srtp ? "SRTP" : "plain", n,
		      ext ? " (levels)" : "", c.us_per_leg, c.encodes, c.decodes, c.max_us, c.late, c.skipped, c.lost);
	engine_stop();
	return c;
}

static void two_hundred_legs_run_without_late_ticks(void **state)
{
	struct cost c;

	(void)state;
	c = measure(MCODEC_PCMU, true, 200, 3000, false);
	assert_true(c.encodes < 4.5);                    /* three talkers and one for all the others */
	assert_true(c.decodes < 4);
	assert_int_equal(c.skipped, 0);
	if (getenv("CONCLAVE_TIMED"))                    /* on a machine of our own */
		assert_int_equal(c.late, 0);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(two_hundred_legs_run_without_late_ticks) };
	static const unsigned sizes[] = { 100, 400 };
	struct rlimit rl;

	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	if (argc > 3) {
		measure((enum mcodec)atoi(argv[1]), atoi(argv[2]), (unsigned)atoi(argv[3]), 4000, true);
		return 0;
	}
	if (argc < 2)
		return cmocka_run_group_tests(tests, NULL, NULL);
	for (unsigned s = 0; s < 2; s++) {
		measure(MCODEC_PCMU, false, sizes[s], 4000, false);
		measure(MCODEC_PCMU, true, sizes[s], 4000, false);
		measure(MCODEC_OPUS, false, sizes[s], 4000, false);
		measure(MCODEC_OPUS, false, sizes[s], 4000, true);
		measure(MCODEC_OPUS, true, sizes[s], 4000, true);
	}
	return 0;
}
