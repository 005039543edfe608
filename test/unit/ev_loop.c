/* SPDX-License-Identifier: Apache-2.0 */
/* ev_loop.c - unit tests of lib/ev: turns, tasks, timers, mailboxes, signals, work */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/ev/ev.h"

static struct ev_loop *loop;

static int setup(void **state)
{
	(void)state;
	return ev_loop_alloc(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop = mem_deref(loop);
	return mem_live() == 0 ? 0 : -1;
}

static void on_stop(void *arg)
{
	(void)arg;
	ev_loop_stop(loop);
}

struct obj { struct tmr t, other; int fired; };

static void on_fire(void *arg)
{
	struct obj *o = arg;

	o->fired++;
}

static void on_fire_free(void *arg)
{
	struct obj *o = arg;

	tmr_fini(&o->t);
	tmr_fini(&o->t);
	free(o);
	ev_loop_stop(loop);
}

static void a_timer_fires_once_and_can_be_restarted_and_stopped(void **state)
{
	struct obj o = { 0 };
	struct tmr end;
	uint64_t t0;

	(void)state;
	assert_int_equal(tmr_init(&o.t, loop, on_fire, &o), 0);
	assert_int_equal(tmr_init(&o.other, loop, on_fire, &o), 0);
	assert_int_equal(tmr_init(&end, loop, on_stop, NULL), 0);
	assert_false(tmr_running(&o.t));
	tmr_start(&o.t, 5000);
	tmr_start(&o.t, 5);
	tmr_start(&o.other, 5);
	tmr_stop(&o.other);
	assert_true(tmr_running(&o.t));
	assert_false(tmr_running(&o.other));
	tmr_start(&end, 30);
	t0 = ev_now_ms(loop);
	assert_int_equal(ev_loop_run(loop), 0);
	assert_in_range(ev_now_ms(loop) - t0, 30, 2000);
	assert_int_equal(o.fired, 1);
	assert_false(tmr_running(&o.t));
	tmr_fini(&o.t);
	tmr_fini(&o.other);
	tmr_fini(&end);
	tmr_fini(&end);
}

static void a_timer_may_free_its_owner_in_its_callback(void **state)
{
	struct obj *o = calloc(1, sizeof(*o));

	(void)state;
	assert_int_equal(tmr_init(&o->t, loop, on_fire_free, o), 0);
	tmr_start(&o->t, 1);
	ev_loop_run(loop);
}

static void a_timer_outlives_its_loop_harmlessly(void **state)
{
	struct ev_loop *l;
	struct obj o = { 0 };

	(void)state;
	assert_int_equal(ev_loop_alloc(&l), 0);
	assert_int_equal(tmr_init(&o.t, l, on_fire, &o), 0);
	tmr_start(&o.t, 1);
	mem_deref(l);
	tmr_start(&o.t, 1);
	assert_false(tmr_running(&o.t));
	tmr_fini(&o.t);
	assert_int_equal(o.fired, 0);
}

/* --- turns and tasks */
static char   trace[64];
static size_t ntrace;
static struct ev_task task_a, task_b;

static void note(char c)
{
	if (ntrace + 1 < sizeof(trace))
		trace[ntrace++] = c;
	trace[ntrace] = '\0';
}

static void on_turn_1(void *arg)
{
	bool *todo = arg;

	note('1');
	if (*todo)
		ev_task_post(&task_a);
	*todo = false;
}

static void on_turn_2(void *arg)
{
	(void)arg;
	note('2');
}

static void on_task_a(void *arg)
{
	(void)arg;
	note('a');
	ev_task_post(&task_b);
	ev_task_post(&task_b);
}

static void on_task_b(void *arg)
{
	(void)arg;
	note('b');
	ev_loop_stop(loop);
}

static void turn_callbacks_come_in_order_then_tasks_and_the_loop_does_not_block_on_a_task(void **state)
{
	bool todo = true;

	(void)state;
	ntrace = 0;
	ev_task_init(&task_a, loop, on_task_a, NULL);
	ev_task_init(&task_b, loop, on_task_b, NULL);
	ev_loop_on_turn(loop, on_turn_1, &todo);
	ev_loop_on_turn(loop, on_turn_2, NULL);
	ev_loop_run(loop);
	assert_string_equal(trace, "12a12b12");
}

static void a_cancelled_task_does_not_run(void **state)
{
	(void)state;
	ntrace = 0;
	ev_task_init(&task_a, loop, on_turn_2, NULL);
	ev_task_init(&task_b, loop, on_task_b, NULL);
	ev_task_post(&task_a);
	ev_task_post(&task_b);
	ev_task_cancel(&task_a);
	ev_task_cancel(&task_a);
	ev_loop_run(loop);
	assert_string_equal(trace, "b");
}

/* --- mailbox */
enum { MSGS = 20000, SENDERS = 2 };

struct rcv { struct mbox *m; uintptr_t last[SENDERS]; int n; bool disorder; };
struct snd { struct mbox *m; uintptr_t id; pthread_t th; };

static void *sender(void *arg)
{
	struct snd *s = arg;

	for (uintptr_t i = 1; i <= MSGS; i++)
		if (mbox_post(s->m, (void *)(i << 1 | s->id)))
			abort();
	return NULL;
}

static void on_msg(void *msg, void *arg)
{
	struct rcv *r = arg;
	uintptr_t v = (uintptr_t)msg;

	if (v >> 1 != ++r->last[v & 1])
		r->disorder = true;
	if (++r->n == MSGS * SENDERS)
		ev_loop_stop(loop);
}

static void messages_of_each_thread_arrive_in_order(void **state)
{
	struct rcv r = { 0 };
	struct snd s[SENDERS];

	(void)state;
	assert_int_equal(mbox_alloc(&r.m, loop, on_msg, &r), 0);
	for (uintptr_t i = 0; i < SENDERS; i++) {
		s[i] = (struct snd){ .m = r.m, .id = i };
		assert_int_equal(pthread_create(&s[i].th, NULL, sender, &s[i]), 0);
	}
	ev_loop_run(loop);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(s[i].th, NULL);
	assert_int_equal(r.n, MSGS * SENDERS);
	assert_false(r.disorder);
	mem_deref(r.m);
}

static void on_msg_drop(void *msg, void *arg)
{
	struct rcv *r = arg;

	(void)msg;
	r->n++;
	r->m = mem_deref(r->m);
	ev_loop_stop(loop);
}

static void a_mailbox_may_be_dropped_in_its_callback(void **state)
{
	struct rcv r = { 0 };

	(void)state;
	assert_int_equal(mbox_alloc(&r.m, loop, on_msg_drop, &r), 0);
	mbox_post(r.m, (void *)2);
	mbox_post(r.m, (void *)4);
	ev_loop_run(loop);
	assert_int_equal(r.n, 1);
	assert_null(r.m);
}

static void a_mailbox_can_be_drained_before_it_ends(void **state)
{
	struct rcv r = { 0 };

	(void)state;
	assert_int_equal(mbox_alloc(&r.m, loop, on_msg, &r), 0);
	mbox_post(r.m, (void *)2);
	mbox_drain(r.m);
	assert_int_equal(r.n, 1);
	mem_deref(r.m);
}

/* --- signals, work, the end */
static void on_usr1(int signum, void *arg)
{
	*(int *)arg = signum;
	ev_loop_stop(loop);
}

static void a_signal_is_delivered_on_the_loop(void **state)
{
	int got = 0;

	(void)state;
	assert_int_equal(ev_signal(loop, SIGUSR1, on_usr1, &got), 0);
	kill(getpid(), SIGUSR1);
	ev_loop_run(loop);
	assert_int_equal(got, SIGUSR1);
	assert_int_not_equal(ev_signal(loop, 12345, on_usr1, &got), 0);
}

struct job { pthread_t self; bool off_loop; int done; };

static void on_work(void *arg)
{
	struct job *j = arg;

	j->off_loop = !pthread_equal(j->self, pthread_self());
	usleep(2000);
}

static void on_done(void *arg)
{
	struct job *j = arg;

	j->done++;
	if (loop)
		ev_loop_stop(loop);
}

static void work_runs_off_the_loop_and_ends_on_it(void **state)
{
	struct job j = { .self = pthread_self() };

	(void)state;
	assert_int_equal(ev_work(loop, on_work, on_done, &j), 0);
	ev_loop_run(loop);
	assert_true(j.off_loop);
	assert_int_equal(j.done, 1);
}

static void ending_the_loop_waits_for_work(void **state)
{
	struct job j = { .self = pthread_self() };
	struct ev_loop *l;

	(void)state;
	assert_int_equal(ev_loop_alloc(&l), 0);
	assert_int_equal(ev_work(l, on_work, on_done, &j), 0);
	mem_deref(l);
	assert_int_equal(j.done, 1);
}

static void on_drop_loop(void *arg)
{
	struct ev_loop **lp = arg;

	ev_loop_stop(*lp);
	*lp = mem_deref(*lp);
}

static void the_loop_may_be_dropped_in_a_callback(void **state)
{
	struct ev_loop *l;
	struct tmr t;

	(void)state;
	assert_int_equal(ev_loop_alloc(&l), 0);
	assert_int_equal(tmr_init(&t, l, on_drop_loop, &l), 0);
	tmr_start(&t, 0);
	ev_loop_run(l);
	assert_null(l);
	tmr_fini(&t);
}

static void no_memory_is_an_error_and_leaves_nothing_behind(void **state)
{
	struct mbox *m;
	struct tmr t;

	(void)state;
	mem_fail_after(1);
	assert_int_equal(tmr_init(&t, loop, on_stop, NULL), -12);
	tmr_fini(&t);
	for (unsigned i = 1; i <= 2; i++) {
		mem_fail_after(i);
		assert_int_equal(mbox_alloc(&m, loop, on_msg, NULL), -12);
	}
	mem_fail_after(0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_timer_fires_once_and_can_be_restarted_and_stopped),
		T(a_timer_may_free_its_owner_in_its_callback),
		T(a_timer_outlives_its_loop_harmlessly),
		T(turn_callbacks_come_in_order_then_tasks_and_the_loop_does_not_block_on_a_task),
		T(a_cancelled_task_does_not_run),
		T(messages_of_each_thread_arrive_in_order),
		T(a_mailbox_may_be_dropped_in_its_callback),
		T(a_mailbox_can_be_drained_before_it_ends),
		T(a_signal_is_delivered_on_the_loop),
		T(work_runs_off_the_loop_and_ends_on_it),
		T(ending_the_loop_waits_for_work),
		T(the_loop_may_be_dropped_in_a_callback),
		T(no_memory_is_an_error_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
