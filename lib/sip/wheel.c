/* SPDX-License-Identifier: Apache-2.0 */
/* wheel.c - the timers of all transactions on one loop timer
 *
 * A transaction lives 32 s and its timer is moved a few times, so starting and stopping must cost nothing and cannot
 * be allowed to fail: 4096 slots of 10 ms, each a list threaded through the owners. A delay longer than a turn of
 * the wheel stays in its slot until its time has come. The loop timer runs only to the next slot in use.
 */
#include <errno.h>
#include "lib/sip/sip_priv.h"

#define SLOTS   4096u
#define GRAIN   10u

LIST_HEAD(slot, wtmr);
struct wheel {
	struct ev_loop *loop;
	struct tmr      tmr;
	uint64_t        tick;              /* the last one that was served */
	uint64_t        armed;             /* tick the loop timer runs to; 0: not running */
	unsigned        n;
	bool            serving;
	struct slot     slots[SLOTS];
};

static void destructor(void *arg)
{
	struct wheel *w = arg;

	tmr_fini(&w->tmr);
}

uint64_t wheel_now(const struct wheel *w)
{
	return ev_now_ms(w->loop);
}

static uint64_t tick_of(uint64_t ms)
{
	return (ms + GRAIN - 1) / GRAIN;
}

static void arm(struct wheel *w, uint64_t tick)
{
	uint64_t now = wheel_now(w), at = tick * GRAIN;

	w->armed = tick;
	tmr_start(&w->tmr, at > now ? at - now : 1);
}

static void arm_next(struct wheel *w)
{
	w->armed = 0;
	if (!w->n)
		return;
	for (unsigned i = 1; i <= SLOTS; i++) {
		if (!LIST_EMPTY(&w->slots[(w->tick + i) % SLOTS])) {
			arm(w, w->tick + i);
			return;
		}
	}
}

static void place(struct wheel *w, struct wtmr *t)
{
	uint64_t tick = tick_of(t->due_ms);

	if (tick <= w->tick)
		tick = w->tick + 1;
	LIST_INSERT_HEAD(&w->slots[tick % SLOTS], t, le);
	if (!w->serving && (!w->armed || tick < w->armed))
		arm(w, tick);
}

/* Callbacks may start and stop anything, also what stands in the list being served, and may end the wheel's owner. */
static void serve(struct wheel *w, struct slot *from)
{
	struct slot due = LIST_HEAD_INITIALIZER(due), later = LIST_HEAD_INITIALIZER(later);
	uint64_t now = wheel_now(w);
	struct wtmr *t;

	due.lh_first = from->lh_first;
	due.lh_first->le.le_prev = &due.lh_first;
	LIST_INIT(from);
	while ((t = LIST_FIRST(&due))) {
		LIST_REMOVE(t, le);
		if (t->due_ms > now && tick_of(t->due_ms) > w->tick) {
			LIST_INSERT_HEAD(&later, t, le);
			continue;
		}
		t->on = false;
		w->n--;
		t->cb(t->arg);
	}
	while ((t = LIST_FIRST(&later))) {
		LIST_REMOVE(t, le);
		place(w, t);
	}
}

static void on_tick(void *arg)
{
	struct wheel *w = mem_ref(arg);
	uint64_t upto = wheel_now(w) / GRAIN;

	w->serving = true;
	/* after a long sleep one round serves every slot */
	if (upto > w->tick + SLOTS)
		w->tick = upto - SLOTS;
	while (w->tick < upto) {
		w->tick++;
		if (!LIST_EMPTY(&w->slots[w->tick % SLOTS]))
			serve(w, &w->slots[w->tick % SLOTS]);
	}
	w->serving = false;
	if (mem_nrefs(w) > 1)
		arm_next(w);
	mem_deref(w);
}

int wheel_alloc(struct wheel **wp, struct ev_loop *loop)
{
	struct wheel *w = mem_zalloc(sizeof(*w), destructor);
	int err;

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	err = tmr_init(&w->tmr, loop, on_tick, w);
	if (err) {
		mem_deref(w);
		return err;
	}
	w->tick = wheel_now(w) / GRAIN;
	*wp = w;
	return 0;
}

void wheel_start(struct wheel *w, struct wtmr *t, uint64_t delay_ms)
{
	wheel_stop(w, t);
	if (!w->n && !w->serving)
		w->tick = wheel_now(w) / GRAIN;           /* nothing to serve in between */
	t->due_ms = wheel_now(w) + delay_ms;
	t->on = true;
	w->n++;
	place(w, t);
}

void wheel_stop(struct wheel *w, struct wtmr *t)
{
	if (!t->on)
		return;
	LIST_REMOVE(t, le);
	t->on = false;
	w->n--;
}
