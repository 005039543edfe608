/* SPDX-License-Identifier: Apache-2.0 */
/* media_jbuf.c - the jitter buffer against made-up networks: virtual time, no sockets */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mcu/media/jbuf.h"

#define CLOCK 8000u
#define FRAME 160u
#define TICK  20000

static struct pool pool;
static struct jbuf j;

static int setup(void **state)
{
	(void)state;
	memset(&pool, 0, sizeof(pool));
	jbuf_init(&j, &pool, CLOCK);
	srand(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	jbuf_flush(&j);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
	return 0;
}

static int push(unsigned i, int64_t at)
{
	uint8_t data[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
	struct jbuf_pkt p = { .data = data, .len = 4, .ts = 1000 + i * FRAME, .dur = FRAME, .level = -20,
			      .seq = (uint16_t)(65000 + i) };

	return jbuf_push(&j, &p, at);
}

static enum jbuf_what get(int64_t at, bool quiet, unsigned *i)
{
	struct jbuf_pkt p;
	enum jbuf_what w = jbuf_get(&j, at, quiet, &p);

	*i = 0;
	if (w == JBUF_PLAY) {
		*i = (unsigned)p.data[0] << 24 | (unsigned)p.data[1] << 16 | (unsigned)p.data[2] << 8 | p.data[3];
		pool_put(&pool, p.data);
	}
	return w;
}

/* A network: packet i is sent at i * period and takes delay(i) (negative: lost). Ticks run every 20 ms. */
struct result { unsigned played, dry, lost, idle, disorder; int64_t worst, last; };
static struct result simulate(unsigned n, double period_us, int (*delay)(unsigned i), bool quiet)
{
	struct result r = { 0 };
	struct { int64_t at; unsigned i; } *in = calloc(n, sizeof(*in)), t;
	unsigned k = 0, m = 0, got, next = 0;

	for (unsigned i = 0; i < n; i++) {
		int d = delay(i);

		if (d < 0)
			continue;
		in[m].at = (int64_t)(i * period_us) + 3000 + d;
		in[m++].i = i;
	}
	for (unsigned a = 1; a < m; a++)
		for (unsigned b = a; b > 0 && in[b].at < in[b - 1].at; b--) {
			t.at = in[b].at; t.i = in[b].i;
			in[b] = in[b - 1];
			in[b - 1].at = t.at; in[b - 1].i = t.i;
		}
	for (int64_t now = TICK; now < (int64_t)(n * period_us) + 400000; now += TICK) {
		for (; k < m && in[k].at <= now; k++)
			push(in[k].i, now);                      /* the worker sees it with its tick */
		switch (get(now, quiet, &got)) {
		case JBUF_PLAY:
			r.played++;
			r.disorder += got < next;
			next = got + 1;
			r.last = now - (int64_t)(got * period_us);
			if (now > 5000000 && r.last > r.worst)
				r.worst = r.last;
			break;
		case JBUF_DRY:  r.dry++; break;
		case JBUF_LOST: r.lost++; break;
		case JBUF_IDLE: r.idle++; break;
		}
	}
	free(in);
	return r;
}

static int none(unsigned i) { (void)i; return 0; }
static int jitter30(unsigned i) { (void)i; return rand() % 30000; }
static int jitter90(unsigned i) { (void)i; return rand() % 90000; }
static int lose10(unsigned i) { return i > 10 && i % 10 == 5 ? -1 : 0; }
static int swap(unsigned i) { return i > 100 && i % 20 == 0 ? 25000 : 0; }
static int spike(unsigned i) { return i >= 200 && i < 208 ? (int)(208 - i) * TICK : 0; }

static void a_steady_network_adds_less_than_two_frames(void **state)
{
	struct result r;

	(void)state;
	r = simulate(1000, TICK, none, false);
	assert_int_equal(r.disorder, 0);
	assert_int_equal(j.late, 0);
	assert_int_equal(j.lost, 0);
	assert_true(r.dry <= 6);                                 /* the end of the stream */
	assert_true(r.worst <= 40000);
	assert_true(r.last <= 20000 || r.last <= 40000);
	assert_true(j.target_us <= 10000);
}

static void jitter_raises_the_delay_to_what_it_needs(void **state)
{
	struct result r;

	(void)state;
	r = simulate(2000, TICK, jitter30, true);
	assert_int_equal(r.disorder, 0);
	assert_true(j.late + r.dry < 40);
	assert_true(r.worst <= 30000 + 60000);
	teardown(NULL);
	setup(NULL);
	r = simulate(2000, TICK, jitter90, true);
	assert_int_equal(r.disorder, 0);
	assert_true(j.target_us >= 60000 && j.target_us <= 110000);
	assert_true(r.dry < 120);
	assert_true(r.worst <= 90000 + 80000);
}

static void lost_packets_are_told_and_counted_once(void **state)
{
	struct result r;

	(void)state;
	r = simulate(1000, TICK, lose10, false);
	assert_int_equal(r.disorder, 0);
	assert_int_equal(j.lost, 99);
	assert_true(r.lost + r.dry >= 99 && r.lost + r.dry <= 99 + 8);
	assert_int_equal(r.played, 901);
	assert_true(r.worst <= 45000);                           /* loss is not jitter: the delay does not grow */
}

static void reordered_packets_play_in_order(void **state)
{
	struct result r;

	(void)state;
	r = simulate(1000, TICK, swap, false);
	assert_int_equal(r.disorder, 0);
	assert_true(j.late <= 2);
	assert_true(r.played >= 996);
}

static void duplicates_and_late_packets_are_counted_and_dropped(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(push(0, 0), 0);
	assert_int_equal(push(1, 20000), 0);
	assert_int_equal(push(1, 20000), -EALREADY);
	assert_int_equal(j.dups, 1);
	for (int64_t t = 40000; t <= 60000; t += TICK)
		assert_int_equal(get(t, false, &i), JBUF_PLAY);
	assert_int_equal(push(0, 60000), -ETIME);
	assert_int_equal(push(1, 60000), -ETIME);
	assert_int_equal(j.late, 2);
}

static void a_burst_after_a_stall_does_not_keep_its_delay(void **state)
{
	struct result r;

	(void)state;
	r = simulate(1500, TICK, spike, true);
	assert_int_equal(r.disorder, 0);
	assert_true(j.skipped >= 4);
	assert_true(r.last <= 45000);
}

static void a_fast_or_slow_sender_neither_overflows_nor_starves(void **state)
{
	struct result r;

	(void)state;
	r = simulate(6000, TICK * 0.999, none, true);            /* 1000 ppm fast: one frame in 20 s too many */
	assert_int_equal(r.disorder, 0);
	assert_true(j.skipped >= 4 && j.skipped <= 10);
	assert_true(r.last <= 60000);
	teardown(NULL);
	setup(NULL);
	r = simulate(6000, TICK * 1.001, none, true);
	assert_int_equal(r.disorder, 0);
	assert_int_equal(j.late, 0);
	assert_true(r.dry >= 4 && r.dry <= 20);
	assert_true(r.last <= 60000);
}

static void talk_spurts_start_at_the_target_again(void **state)
{
	unsigned i, played = 0;

	(void)state;
	for (unsigned s = 0; s < 5; s++) {           /* 20 packets, then 400 ms of nothing; dense sequence numbers */
		for (unsigned k = 0; k < 20; k++) {
			uint8_t d[1] = { 0 };
			struct jbuf_pkt p = { .data = d, .len = 1, .seq = (uint16_t)(s * 20 + k),
					      .ts = (s * 40 + k) * FRAME, .dur = FRAME };
			int64_t t = (int64_t)(s * 40 + k) * TICK;
			struct jbuf_pkt o;

			assert_int_equal(jbuf_push(&j, &p, t), 0);
			if (jbuf_get(&j, t, true, &o) == JBUF_PLAY) {
				pool_put(&pool, o.data);
				played++;
			}
		}
		for (unsigned k = 20; k < 40; k++)
			played += get((int64_t)(s * 40 + k) * TICK, true, &i) == JBUF_PLAY;
	}
	assert_int_equal(j.lost, 0);
	assert_int_equal(j.late, 0);
	assert_int_equal(j.restarts, 0);
	assert_true(played + j.skipped == 100);
}

static void a_jump_of_sequence_or_timestamp_starts_over(void **state)
{
	unsigned i;

	(void)state;
	push(0, 0);
	push(5000, 20000);
	assert_int_equal(j.restarts, 1);
	assert_int_equal(j.n, 1);
	assert_int_equal(get(20000 + 20000, false, &i), JBUF_PLAY);
	assert_int_equal(i, 5000);
}

static void telephone_events_between_are_not_a_loss(void **state)
{
	unsigned i;

	(void)state;
	push(0, 0);
	jbuf_nonaudio(&j, (uint16_t)65001);
	jbuf_nonaudio(&j, (uint16_t)65002);
	push(3, 60000);
	for (int64_t t = 0; t <= 200000; t += TICK)
		get(t, false, &i);
	assert_int_equal(j.lost, 0);
}

static void random_input_never_breaks_it(void **state)
{
	uint8_t data[1600] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct jbuf_pkt p = { .data = data, .len = (uint16_t)(rand() % 1600),
				      .ts = (uint32_t)(rand() % 3 ? i * FRAME : (unsigned)rand()),
				      .seq = (uint16_t)(rand() % 3 ? i : (unsigned)rand()), .dur = (uint32_t)(1 + rand() % 1600) }, o;

		jbuf_push(&j, &p, (int64_t)i * TICK + rand() % 100000);
		if (rand() % 2 && jbuf_get(&j, (int64_t)i * TICK, rand() % 2, &o) == JBUF_PLAY)
			pool_put(&pool, o.data);
		assert_true(j.n <= JBUF_SLOTS);
	}
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
static void a_packet_without_data_has_its_time_all_the_same(void **state)
{
	struct jbuf_pkt p = { .ts = 1000, .dur = FRAME, .level = -70, .seq = 65000 };
	unsigned i, played = 0;

	(void)state;
	assert_int_equal(jbuf_push(&j, &p, 0), 0);
	assert_int_equal(pool.used, 0);
	assert_false(jbuf_has_data(&j));
	assert_int_equal(push(1, TICK), 0);
	assert_true(jbuf_has_data(&j));
	for (int64_t at = 0; at < 10 * TICK && played < 2; at += TICK) {
		struct jbuf_pkt out;

		if (jbuf_get(&j, at, false, &out) != JBUF_PLAY)
			continue;
		assert_true(played ? out.data && out.len == 4 : !out.data && !out.len && out.level == -70);
		pool_put(&pool, out.data);
		played++;
	}
	assert_int_equal(played, 2);
	assert_int_equal(j.lost, 0);
	(void)get(20 * TICK, false, &i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_steady_network_adds_less_than_two_frames), T(jitter_raises_the_delay_to_what_it_needs),
		T(lost_packets_are_told_and_counted_once), T(reordered_packets_play_in_order),
		T(duplicates_and_late_packets_are_counted_and_dropped), T(a_burst_after_a_stall_does_not_keep_its_delay),
		T(a_fast_or_slow_sender_neither_overflows_nor_starves), T(talk_spurts_start_at_the_target_again),
		T(a_jump_of_sequence_or_timestamp_starts_over), T(telephone_events_between_are_not_a_loss),
		T(random_input_never_breaks_it), T(a_packet_without_data_has_its_time_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
