/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the loop: turns, tasks, signals and work off the loop
 *
 * A turn: timers, callbacks of sockets and mailboxes, then (uv_prepare) the on_turn callbacks in the order in which they were
 * registered, then the tasks, then the loop blocks. Tasks come last because an on_turn callback commits and then sends,
 * and what it sends must leave before the loop blocks.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/ev/ev_priv.h"

/* --- end of turn */
void ev_task_init(struct ev_task *t, struct ev_loop *l, ev_turn_cb *cb, void *arg)
{
	*t = (struct ev_task){ .loop = l, .cb = cb, .arg = arg };
}

static void post(struct ev_task *t, struct ev_tasks *q)
{
	if (t->queue)
		return;
	t->queue = q;
	t->next  = NULL;
	t->prev  = q->tail;
	*q->tail = t;
	q->tail  = &t->next;
}

void ev_task_post(struct ev_task *t)
{
	post(t, &t->loop->tasks);
}

void ev_task_post_end(struct ev_task *t)
{
	post(t, &t->loop->at_end);
}

void ev_task_cancel(struct ev_task *t)
{
	if (!t->queue)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		t->queue->tail = t->prev;
	t->queue = NULL;
}

/* A mark ends the pass: tasks posted by tasks wait for the next turn, which then does not block. */
static void run_tasks(struct ev_loop *l, struct ev_tasks *q)
{
	struct ev_task *t;

	if (!q->first)
		return;
	post(&l->mark, q);
	while ((t = q->first) != &l->mark) {
		ev_task_cancel(t);
		t->cb(t->arg);
	}
	ev_task_cancel(&l->mark);
}

static void on_idle(uv_idle_t *h)
{
	(void)h;
}

static void end_turn(struct ev_loop *l)
{
	for (struct turn *t = l->turns; t; t = t->next)
		if (t->cb)
			t->cb(t->arg);
	run_tasks(l, &l->tasks);
}

static void on_prepare(uv_prepare_t *h)
{
	struct ev_loop *l = h->data;

	end_turn(l);
	if (l->tasks.first)
		uv_idle_start(&l->idle, on_idle);
	else
		uv_idle_stop(&l->idle);
}

void ev_loop_on_turn(struct ev_loop *l, ev_turn_cb *cb, void *arg)
{
	struct turn *t = mem_zalloc(sizeof(*t), NULL);

	if (!t) {
		log_error(app, "no memory for a turn callback");
		return;
	}
	t->cb  = cb;
	t->arg = arg;
	*l->turns_tail = t;
	l->turns_tail  = &t->next;
}

/* The entry stays until the loop ends: this may be called from a turn. */
void ev_loop_off_turn(struct ev_loop *l, ev_turn_cb *cb, void *arg)
{
	for (struct turn *t = l->turns; t; t = t->next)
		if (t->cb == cb && t->arg == arg)
			t->cb = NULL;
}

/* --- signals: the handle goes with the loop */
static void on_signal(uv_signal_t *h, int signum)
{
	struct sig *s = h->data;

	s->cb(signum, s->arg);
}

static void on_sig_closed(uv_handle_t *h)
{
	mem_deref(h->data);
}

int ev_signal(struct ev_loop *l, int signum, ev_signal_cb *cb, void *arg)
{
	struct sig *s = mem_zalloc(sizeof(*s), NULL);
	int err;

	if (!s)
		return -ENOMEM;
	s->cb  = cb;
	s->arg = arg;
	err = uv_signal_init(&l->uv, &s->uv);
	if (err) {
		mem_deref(s);
		return err;
	}
	s->uv.data = s;
	err = uv_signal_start(&s->uv, on_signal, signum);
	if (err)
		uv_close((uv_handle_t *)&s->uv, on_sig_closed);
	return err;
}

/* --- work off the loop */
struct work {
	uv_work_t uv;
	work_cb  *work, *done;
	void     *arg;
};

static void on_work(uv_work_t *uv)
{
	struct work *w = uv->data;

	w->work(w->arg);
}

static void on_done(uv_work_t *uv, int status)
{
	struct work *w = uv->data;
	work_cb *done = w->done;
	void *arg = w->arg;

	(void)status;                      /* never cancelled */
	mem_deref(w);
	if (done)
		done(arg);
}

int ev_work(struct ev_loop *l, work_cb *work, work_cb *done, void *arg)
{
	struct work *w;
	int err;

	if (l->ending)
		return -ECANCELED;
	w = mem_zalloc(sizeof(*w), NULL);
	if (!w)
		return -ENOMEM;
	w->work = work;
	w->done = done;
	w->arg  = arg;
	w->uv.data = w;
	err = uv_queue_work(&l->uv, &w->uv, on_work, on_done);
	if (err)
		mem_deref(w);
	return err;
}

/* --- the loop itself */
static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (uv_is_closing(h))
		return;
	uv_close(h, h->type == UV_SIGNAL ? on_sig_closed : NULL);
}

/* Signals, timers and what is closing already are all that can be left: mailboxes and streams hold a reference to the loop.
 * Work under way is waited for and its done callback runs, because only that knows how to free its argument. */
static void drain(struct ev_loop *l)
{
	int tries = 0;

	do {
		run_tasks(l, &l->at_end);
		tmr_orphan_all(l);
		uv_walk(&l->uv, close_handle, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
	} while (uv_loop_close(&l->uv) == UV_EBUSY && ++tries < 10);
	assert(tries < 10);
}

static void destructor(void *arg)
{
	struct ev_loop *l = arg;
	struct turn *t;

	l->ending = true;
	mem_ref(l);                        /* done callbacks may take and drop references meanwhile */
	if (l->inited)
		drain(l);
	while ((t = l->turns)) {
		l->turns = t->next;
		mem_deref(t);
	}
	mem_deref(l);
}

int ev_loop_alloc(struct ev_loop **lp)
{
	struct ev_loop *l = mem_zalloc(sizeof(*l), destructor);
	int err;

	if (!l)
		return -ENOMEM;
	signal(SIGPIPE, SIG_IGN);          /* a peer that is gone is an error of the write, not the end of the process */
	l->turns_tail = &l->turns;
	l->tasks.tail  = &l->tasks.first;
	l->at_end.tail = &l->at_end.first;
	ev_task_init(&l->mark, l, NULL, NULL);
	err = uv_loop_init(&l->uv);
	if (err)
		goto out;
	l->inited = true;
	l->prepare.data = l;
	uv_prepare_init(&l->uv, &l->prepare);
	uv_idle_init(&l->uv, &l->idle);
	err = uv_prepare_start(&l->prepare, on_prepare);
	if (err)
		goto out;
	*lp = l;
out:
	if (err)
		mem_deref(l);
	return err;
}

/* The last turn ends like every other: what was changed in it is committed and leaves. */
int ev_loop_run(struct ev_loop *l)
{
	assert(!l->running);
	mem_ref(l);                        /* a callback may drop the loop */
	l->running = true;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	end_turn(l);
	l->running = false;
	mem_deref(l);
	return 0;
}

void ev_loop_stop(struct ev_loop *l)
{
	uv_stop(&l->uv);
}

uint64_t ev_now_ms(const struct ev_loop *l)
{
	return uv_now(&l->uv);
}

uint64_t ev_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

void *ev_loop_uv(struct ev_loop *l)
{
	return &l->uv;
}
