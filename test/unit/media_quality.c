/* SPDX-License-Identifier: Apache-2.0 */
/* media_quality.c - the E-model against its known answers, and what a leg's reports and counters become */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mcu/media/emodel.h"
#include "mcu/media/quality.h"

#define NEAR(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))

static double r_of(enum mcodec codec, double loss, double burst, double ms)
{
	return emodel_r(&(struct emodel_path){ codec, loss, burst, ms });
}

static void r_becomes_the_mos_of_the_recommendation(void **st)
{
	static const struct { double r, mos; } rows[] = {
		{ 93.2, 4.409 }, { 90, 4.339 }, { 80, 4.024 }, { 70, 3.597 }, { 60, 3.1 }, { 50, 2.575 }, { 0, 1 }, { 100, 4.5 },
		{ 120, 4.5 }, { -5, 1 }, { NAN, 1 }, { 3, 1 },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		NEAR(emodel_mos(rows[i].r), rows[i].mos, 0.001);
}

static void delay_costs_little_up_to_177_ms_and_much_beyond(void **st)
{
	(void)st;
	NEAR(r_of(MCODEC_PCMU, 0, 1, 0), 93.2, 1e-9);
	NEAR(r_of(MCODEC_PCMU, 0, 1, 150), 89.6, 1e-6);
	NEAR(r_of(MCODEC_PCMU, 0, 1, 177.3), 88.9448, 1e-6);
	NEAR(r_of(MCODEC_PCMU, 0, 1, 400), 59.103, 1e-6);
}

static void loss_costs_by_the_codecs_robustness_and_more_in_bursts(void **st)
{
	(void)st;
	NEAR(r_of(MCODEC_PCMA, 1, 1, 0), 93.2 - 95.0 / 26.1, 1e-6);
	NEAR(r_of(MCODEC_PCMU, 5, 1, 0), 93.2 - 475.0 / 30.1, 1e-6);
	NEAR(r_of(MCODEC_PCMU, 5, 2, 0), 93.2 - 475.0 / 27.6, 1e-6);
	assert_true(r_of(MCODEC_OPUS, 5, 1, 0) > r_of(MCODEC_G722, 5, 1, 0));
	NEAR(r_of(MCODEC_PCMU, 5, 0, 0), r_of(MCODEC_PCMU, 5, 1, 0), 1e-9);      /* a ratio that cannot be is random loss */
}

static void nonsense_stays_within_the_scale(void **st)
{
	static const double odd[] = { -1, 0, 50, 100, 1e9, -1e9, NAN, INFINITY, -INFINITY };
	const size_t n = sizeof(odd) / sizeof(odd[0]);

	(void)st;
	for (size_t i = 0; i < n * n * n; i++) {
		double r = r_of((enum mcodec)(i % 4), odd[i % n], odd[i / n % n], odd[i / n / n]);

		assert_true(r >= 0 && r <= 93.2);
		assert_true(emodel_mos(r) >= 1 && emodel_mos(r) <= 4.5);
	}
}

static void mos_falls_with_everything_that_grows(void **st)
{
	(void)st;
	for (double v = 0; v < 100; v += 1) {
		assert_true(emodel_mos(r_of(MCODEC_OPUS, v + 1, 1, 50)) <= emodel_mos(r_of(MCODEC_OPUS, v, 1, 50)));
		assert_true(r_of(MCODEC_OPUS, 1, 1, 10 * v + 10) <= r_of(MCODEC_OPUS, 1, 1, 10 * v));
	}
}

static void runs_of_lost_packets_make_the_burst_ratio(void **st)
{
	(void)st;
	NEAR(emodel_burst_ratio(1000, 100, 10), 9, 1e-9);
	NEAR(emodel_burst_ratio(1000, 100, 90), 1, 1e-9);        /* as random loss: 1 / (1 - 0.1) */
	NEAR(emodel_burst_ratio(1000, 0, 0), 1, 1e-9);
	NEAR(emodel_burst_ratio(1000, 3, 5), 1, 1e-9);
	NEAR(emodel_burst_ratio(10, 10, 1), 1, 1e-9);
	NEAR(emodel_burst_ratio(1000000, 5000, 1), 100, 1e-9);
}

static void report(struct quality *q, uint32_t ext, int32_t lost, uint32_t rtt_us)
{
	quality_report(q, &(struct rtcp_report){ .ext_seq = ext, .lost = lost, .jitter = 80 }, 8000, rtt_us);
}

static void the_peers_loss_is_summed_over_its_reports(void **st)
{
	struct quality q = { 0 };

	(void)st;
	quality_start(&q, 1000, 1);
	report(&q, 1099, 10, 0);
	assert_int_equal(q.peer_expected, 100);
	assert_int_equal(q.peer_lost, 10);
	report(&q, 1199, 15, 0);
	assert_int_equal(q.peer_expected, 200);
	assert_int_equal(q.peer_lost, 15);
	report(&q, 1199, 15, 0);                                 /* says nothing new */
	assert_int_equal(q.peer_expected, 200);
	assert_int_equal(q.peer_jitter_us, 10000);
}

static void a_peer_that_counts_anew_or_lies_does_not_spoil_the_sum(void **st)
{
	struct quality q = { 0 };

	(void)st;
	quality_start(&q, 65530, 1);
	report(&q, 65536 + 5, 2, 0);                             /* its cycles; ours is the first packet of 65530 */
	assert_int_equal(q.peer_expected, 12);
	report(&q, 7, 0, 0);
	assert_int_equal(q.peer_expected, 12);
	report(&q, 107, 3, 0);
	assert_int_equal(q.peer_expected, 112);
	assert_int_equal(q.peer_lost, 5);
	report(&q, 207, 0x7fffff, 0);
	report(&q, 307, -0x800000, 0);
	assert_int_equal(q.peer_lost, 5);
	report(&q, 407, -0x800000 - 50, 0);                      /* duplicates */
	assert_int_equal(q.peer_lost, 0);
	for (int i = 0; i < 100000; i++)
		report(&q, (uint32_t)rand() ^ (uint32_t)rand() << 16, (rand() & 0xffffff) - 0x800000, (uint32_t)rand());
	assert_true(q.peer_lost <= q.peer_expected);
}

static void round_trips_are_averaged_and_unknown_ones_left_out(void **st)
{
	struct mleg_stats s = { .codec = MCODEC_PCMU };
	struct quality q = { 0 };
	struct jbuf j = { 0 };

	(void)st;
	quality_start(&q, 1, 1);
	report(&q, 100, 0, 40000);
	report(&q, 200, 0, 0);
	report(&q, 300, 0, 60000);
	quality_stats(&q, &j, 20, &s);
	assert_int_equal(s.rtt_us, 60000);
	assert_int_equal(s.rtt_avg_us, 50000);
	assert_int_equal(s.rtt_max_us, 60000);
	NEAR(s.mos_out, emodel_mos(93.2 - 0.024 * (25 + 40 + 20)), 1e-6);
	assert_true(s.mos_in == 0);                              /* nothing came */
	assert_int_equal(s.first_media_ms, -1);
}

static void what_came_too_late_counts_once_and_earlier_buffers_count_too(void **st)
{
	struct mleg_stats s = { .codec = MCODEC_PCMU, .rx_packets = 950 };
	struct quality q = { 0 };
	struct jbuf j = { .late = 20, .lost = 60, .gaps = 60, .overflow = 1, .dups = 2 };

	(void)st;
	quality_start(&q, 1, 5000000);
	q.first_us = 5040000;
	quality_keep(&q, &j);
	j = (struct jbuf){ .late = 10, .lost = 20, .gaps = 20 };
	for (int i = 0; i < 10; i++)
		quality_second(&q, i < 9 ? 2000 : 12000, 45000);
	q.mix_ticks = 150;
	quality_stats(&q, &j, 20, &s);
	assert_int_equal(s.lost, 80);
	assert_int_equal(s.late, 30);
	assert_int_equal(s.discarded, 3);
	NEAR(s.loss_in, 8.0, 1e-9);                              /* 950 came, 30 of them late, 50 did not: 80 of 1,000 */
	assert_int_equal(s.jitter_avg_us, 3000);
	assert_int_equal(s.jitter_max_us, 12000);
	assert_int_equal(s.buffer_avg_ms, 45);
	assert_int_equal(s.talk_ms, 3000);
	assert_int_equal(s.first_media_ms, 40);
	NEAR(s.mos_in, emodel_mos(93.2 - 0.024 * 65 - 95.0 * 8 / (8 + 25.1)), 1e-6);
}

static void a_moments_sound_has_no_mos(void **st)
{
	struct mleg_stats s = { .codec = MCODEC_PCMU, .rx_packets = 20 };
	struct quality q = { 0 };
	struct jbuf j = { .late = 40 };                          /* more than came cannot be: no underflow */

	(void)st;
	quality_stats(&q, &j, 20, &s);
	assert_true(s.mos_in == 0 && s.loss_in == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(r_becomes_the_mos_of_the_recommendation),
		cmocka_unit_test(delay_costs_little_up_to_177_ms_and_much_beyond),
		cmocka_unit_test(loss_costs_by_the_codecs_robustness_and_more_in_bursts),
		cmocka_unit_test(nonsense_stays_within_the_scale),
		cmocka_unit_test(mos_falls_with_everything_that_grows),
		cmocka_unit_test(runs_of_lost_packets_make_the_burst_ratio),
		cmocka_unit_test(the_peers_loss_is_summed_over_its_reports),
		cmocka_unit_test(a_peer_that_counts_anew_or_lies_does_not_spoil_the_sum),
		cmocka_unit_test(round_trips_are_averaged_and_unknown_ones_left_out),
		cmocka_unit_test(what_came_too_late_counts_once_and_earlier_buffers_count_too),
		cmocka_unit_test(a_moments_sound_has_no_mos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
