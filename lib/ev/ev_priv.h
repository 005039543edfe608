/* SPDX-License-Identifier: Apache-2.0 */
/* ev_priv.h - what the files of lib/ev share
 *
 * Everything that owns a libuv handle follows one rule: the handle lives in a small object of its own, which is freed in its
 * close callback. The owner only points to it, so the owner may go at any time.
 */
#ifndef EV_EV_PRIV_H
#define EV_EV_PRIV_H
#include <uv.h>
#include "lib/ev/ev.h"

struct tmr_uv {
	uv_timer_t      uv;
	struct ev_loop *loop;               /* NULL when the loop is gone */
	tmr_cb         *cb;
	void           *arg;
	bool            owned;              /* a struct tmr still points here */
	bool            closed;             /* libuv is done with it */
	struct tmr_uv  *next, **prev;       /* the loop's timers */
};

struct turn {                               /* one ev_loop_on_turn() */
	ev_turn_cb  *cb;
	void        *arg;
	struct turn *next;
};

struct sig {
	uv_signal_t   uv;
	ev_signal_cb *cb;
	void         *arg;
};

struct ev_tasks { struct ev_task *first, **tail; };

struct ev_loop {
	uv_loop_t       uv;
	bool            inited, running, ending;
	uv_prepare_t    prepare;            /* end of turn */
	uv_idle_t       idle;               /* runs while tasks wait, so that the loop does not block on them */
	struct turn    *turns, **turns_tail;
	struct ev_tasks tasks, at_end;
	struct ev_task  mark;               /* end of the tasks of this turn */
	struct tmr_uv  *timers;
};

void tmr_orphan_all(struct ev_loop *l);     /* the loop ends: closes all timers */

#endif
