/* SPDX-License-Identifier: Apache-2.0 */
/* base_metric.c - what a scraper reads: rows of one name under one head, histograms with sum and count */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/metric.h"

static void every_kind_is_written_as_prometheus_reads_it(void **state)
{
	static struct metric calls[] = { METRIC_LABEL("calls_total", "how=\"in\"", "Calls"), METRIC_LABEL("calls_total", "how=\"out\"", "Calls") };
	static struct metric now = METRIC_GAUGE("now", "At the moment");
	static struct metric quality[] = { METRIC_PART("quality", "_bucket", "le=\"3\"", "How good"), METRIC_PART("quality", "_bucket", "le=\"+Inf\"", "How good"),
					   { .name = "quality", .part = "_sum", .help = "How good", .milli = true },
					   METRIC_PART("quality", "_count", NULL, "How good") };
	struct buf b;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		metric_register(calls, 2);
		metric_register(&now, 1);
		metric_register(quality, 4);
	}
	metric_inc(&calls[1]);
	metric_set(&now, -7);
	metric_inc(&quality[1]);
	metric_add(&quality[2], 4090);
	metric_inc(&quality[3]);
	buf_init(&b, 0);
	metric_render(&b);
	assert_int_equal(b.err, 0);
	assert_string_equal(b.p, "# HELP calls_total Calls\n# TYPE calls_total counter\ncalls_total{how=\"in\"} 0\ncalls_total{how=\"out\"} 1\n"
				 "# HELP now At the moment\n# TYPE now gauge\nnow -7\n"
				 "# HELP quality How good\n# TYPE quality histogram\nquality_bucket{le=\"3\"} 0\nquality_bucket{le=\"+Inf\"} 1\n"
				 "quality_sum 4.090\nquality_count 1\n");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_kind_is_written_as_prometheus_reads_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
