/* SPDX-License-Identifier: Apache-2.0 */
/* sip_wheel - many timers on one: all fire, none early, stopped ones never */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/sip/sip_priv.h"

#define N 2000u

static struct ev_loop *loop;
static struct wheel   *wheel;
static struct one { struct wtmr t; uint64_t want; unsigned fired; struct one *victim; } all[N];
static unsigned left;
static uint64_t latest;

static void on_fire(void *arg)
{
	struct one *o = arg;
	uint64_t now = wheel_now(wheel);

	assert_true(now >= o->want);
	if (now - o->want > latest)
		latest = now - o->want;
	o->fired++;
	left--;
	if (o->victim && o->victim->t.on) {
		wheel_stop(wheel, &o->victim->t);
		left--;
	}
	if (!left)
		ev_loop_stop(loop);
}

static int setup(void **state)
{
	(void)state;
	return ev_loop_alloc(&loop) || wheel_alloc(&wheel, loop);
}

static int teardown(void **state)
{
	(void)state;
	wheel = mem_deref(wheel);
	loop  = mem_deref(loop);
	return 0;
}

static void start(struct one *o, unsigned ms)
{
	o->t.cb  = on_fire;
	o->t.arg = o;
	o->want  = wheel_now(wheel) + ms;
	wheel_start(wheel, &o->t, ms);
	left++;
}

static void timers_fire_once_and_never_early(void **state)
{
	unsigned fired = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < N; i++) {
		start(&all[i], (unsigned)rand() % 300);
		all[i].victim = i % 3 == 0 ? &all[(i * 7 + 1) % N] : NULL;
	}
	wheel_start(wheel, &all[0].t, 300);             /* moved: still once */
	all[0].want = wheel_now(wheel) + 300;
	ev_loop_run(loop);
	for (unsigned i = 0; i < N; i++) {
		assert_true(all[i].fired <= 1 && !all[i].t.on);
		fired += all[i].fired;
	}
	assert_true(fired > N / 2 && fired < N);
	print_message("%u of %u fired, latest %llu ms late\n", fired, N, (unsigned long long)latest);
}

static struct wtmr ender;

static void on_end(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10; i++)
		wheel_stop(wheel, &all[i].t);
	wheel = mem_deref(wheel);                       /* from its own callback */
	ev_loop_stop(loop);
}

static void the_wheel_may_end_in_a_callback_and_long_delays_wait(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		all[i].fired = 0;
		start(&all[i], i < 5 ? 40960 : 600000);       /* one turn of the wheel, and many */
	}
	ender.cb = on_end;
	wheel_start(wheel, &ender, 50);
	ev_loop_run(loop);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(all[i].fired, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(timers_fire_once_and_never_early, setup, teardown),
		cmocka_unit_test_setup_teardown(the_wheel_may_end_in_a_callback_and_long_delays_wait, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
