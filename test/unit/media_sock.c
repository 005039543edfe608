/* SPDX-License-Identifier: Apache-2.0 */
/* media_sock.c - addresses, port pairs, batches and payload cells */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mcu/media/pool.h"
#include "mcu/media/sock.h"

static void addresses_are_numeric_and_of_either_family(void **state)
{
	union usa a, b;
	char s[USA_STRLEN];

	(void)state;
	assert_int_equal(usa_parse(&a, "192.0.2.1", 5004), 0);
	usa_str(&a, s);
	assert_string_equal(s, "192.0.2.1:5004");
	assert_int_equal(usa_parse(&b, "2001:db8::1", 5004), 0);
	usa_str(&b, s);
	assert_string_equal(s, "[2001:db8::1]:5004");
	assert_false(usa_eq(&a, &b));
	assert_int_equal(usa_to_family(&b, AF_INET), -EAFNOSUPPORT);
	assert_int_equal(usa_to_family(&a, AF_INET6), 0);
	usa_str(&a, s);
	assert_string_equal(s, "[::ffff:192.0.2.1]:5004");
	assert_int_equal(usa_parse(&a, "localhost", 1), -EINVAL);
	assert_int_equal(usa_parse(&a, "", 1), -EINVAL);
	assert_int_equal(usa_parse(&a, "0.0.0.0", 1), 0);
	assert_true(usa_any(&a));
	assert_int_equal(usa_parse(&a, "::", 1), 0);
	assert_true(usa_any(&a));
}

static void pairs_are_even_and_odd_and_a_taken_port_is_left_out(void **state)
{
	struct sock_pair s[4], more;
	struct ports p, q;

	(void)state;
	assert_int_equal(ports_init(&p, "127.0.0.1", 29001, 29009), 0);   /* 29002 .. 29009: four pairs */
	assert_int_equal(ports_init(&q, "127.0.0.1", 29002, 29009), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ports_open(&p, &s[i]), 0);
		assert_int_equal(s[i].port % 2, 0);
		assert_in_range(s[i].port, 29002, 29008);
	}
	assert_int_equal(ports_open(&q, &s[3]), 0);              /* the one that p does not have */
	assert_int_equal(ports_open(&p, &more), -EADDRINUSE);
	sock_pair_close(&s[3]);
	ports_put(&q, s[3].port);
	assert_int_equal(ports_open(&p, &s[3]), 0);
	for (unsigned i = 0; i < 4; i++) {
		sock_pair_close(&s[i]);
		ports_put(&p, s[i].port);
	}
	assert_int_equal(p.used, 0);
	ports_fini(&q);
	assert_int_equal(ports_init(&q, "127.0.0.1", 29002, 29002), -EINVAL);
	assert_int_equal(ports_init(&q, "nowhere", 29002, 29010), -EINVAL);
	ports_fini(&p);
	ports_fini(&q);
}

static void carry(const char *ip)
{
	struct inbox *in = calloc(1, sizeof(*in));
	struct outbox *out = calloc(1, sizeof(*out));
	struct sock_pair s, t;
	struct ports p;
	union usa to, from;
	unsigned got = 0;
	int n;

	assert_int_equal(ports_init(&p, ip, 29100, 29131), 0);
	assert_int_equal(ports_open(&p, &s), 0);
	assert_int_equal(ports_open(&p, &t), 0);
	assert_int_equal(usa_parse(&to, ip, t.port), 0);
	assert_int_equal(usa_parse(&from, ip, s.port), 0);
	for (unsigned i = 0; i < 100; i++) {                     /* more than a batch, runs and single ones */
		uint8_t *b = outbox_next(out);

		memset(b, (int)i, 100);
		outbox_add(out, i % 7 ? s.rtp : s.rtcp, &to, 100 + i);
	}
	outbox_flush(out);
	assert_int_equal(out->sent, 100);
	assert_int_equal(out->errors, 0);
	while ((n = inbox_recv(in, t.rtp)) > 0)
		for (int i = 0; i < n; i++, got++) {
			assert_int_equal(in->len[i], 100 + in->buf[i][0]);
			assert_true(usa_same_host(&in->from[i], &from));
		}
	assert_int_equal(n, 0);
	assert_int_equal(got, 100);
	sock_pair_close(&s);
	sock_pair_close(&t);
	ports_fini(&p);
	free(in);
	free(out);
}

static void batches_carry_what_was_sent_over_both_families(void **state)
{
	(void)state;
	carry("127.0.0.1");
	carry("::1");
}

static void what_cannot_be_sent_is_counted(void **state)
{
	struct outbox *out = calloc(1, sizeof(*out));
	union usa to;

	(void)state;
	assert_int_equal(usa_parse(&to, "127.0.0.1", 9), 0);
	for (unsigned i = 0; i < 3; i++) {
		memset(outbox_next(out), 0, 10);
		outbox_add(out, -1, &to, 10);
	}
	outbox_flush(out);
	assert_int_equal(out->errors, 3);
	assert_int_equal(out->n, 0);
	free(out);
}

static void cells_come_back_and_are_used_again(void **state)
{
	struct pool p = { 0 };
	void *c[300];
	size_t total = 0;

	(void)state;
	assert_null(pool_get(&p, POOL_LARGE + 1));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 300; i++) {
			size_t n = i % 3 ? 160 : 1200;

			c[i] = pool_get(&p, n);
			assert_non_null(c[i]);
			memset(c[i], (int)i, n);
		}
		if (!round)
			total = p.total;
		assert_int_equal(p.total, total);
		for (unsigned i = 0; i < 300; i++) {
			assert_int_equal(((uint8_t *)c[i])[100], (uint8_t)i);
			pool_put(&p, c[i]);
		}
		assert_int_equal(p.used, 0);
	}
	pool_put(&p, NULL);
	pool_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_numeric_and_of_either_family),
		cmocka_unit_test(pairs_are_even_and_odd_and_a_taken_port_is_left_out),
		cmocka_unit_test(batches_carry_what_was_sent_over_both_families),
		cmocka_unit_test(what_cannot_be_sent_is_counted),
		cmocka_unit_test(cells_come_back_and_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
