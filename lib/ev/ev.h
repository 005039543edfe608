/* SPDX-License-Identifier: Apache-2.0 */
/* ev.h - the loop, timers, mailboxes and work off the loop: the only caller of libuv (media workers apart)
 *
 * One thread, one loop. Objects here may be freed at any time, also from their own callback: the libuv handle
 * outlives its owner until its close callback has run, and no callback comes after fini/deref.
 */
#ifndef EV_EV_H
#define EV_EV_H
#include <stdbool.h>
#include <stdint.h>

struct ev_loop;

int      ev_loop_alloc(struct ev_loop **lp);              /* mem_deref() ends it */
int      ev_loop_run(struct ev_loop *l);                  /* until ev_loop_stop() */
void     ev_loop_stop(struct ev_loop *l);
uint64_t ev_now_ms(const struct ev_loop *l);              /* monotonic, cached per turn */
uint64_t ev_wall_ms(void);                                /* milliseconds since 1970 */
void    *ev_loop_uv(struct ev_loop *l);                   /* uv_loop_t *, for lib/http and lib/tls only */

/* Called once at the end of every loop turn (before it blocks): the place for "one transaction per turn". */
typedef void (ev_turn_cb)(void *arg);
void     ev_loop_on_turn(struct ev_loop *l, ev_turn_cb *cb, void *arg);
void     ev_loop_off_turn(struct ev_loop *l, ev_turn_cb *cb, void *arg);   /* when arg ends before the loop */

/* A one-shot task behind all on_turn callbacks of the turn it was posted in: embed it; how lib/tls writes once a turn. */
struct ev_tasks;
struct ev_task {
	struct ev_loop  *loop;
	ev_turn_cb      *cb;
	void            *arg;
	struct ev_tasks *queue;                           /* NULL while not posted */
	struct ev_task  *next, **prev;
};
void     ev_task_init(struct ev_task *t, struct ev_loop *l, ev_turn_cb *cb, void *arg);
void     ev_task_post(struct ev_task *t);                 /* harmless when posted already */
void     ev_task_post_end(struct ev_task *t);             /* runs when the loop ends, for what closes by itself */
void     ev_task_cancel(struct ev_task *t);

typedef void (ev_signal_cb)(int signum, void *arg);
int      ev_signal(struct ev_loop *l, int signum, ev_signal_cb *cb, void *arg);   /* for the life of the loop */

/* --- timers: embed in your object; one shot */
typedef void (tmr_cb)(void *arg);
struct tmr { struct tmr_uv *h; };
int  tmr_init(struct tmr *t, struct ev_loop *l, tmr_cb *cb, void *arg);
void tmr_start(struct tmr *t, uint64_t delay_ms);         /* restarts when running */
void tmr_stop(struct tmr *t);
bool tmr_running(const struct tmr *t);
void tmr_fini(struct tmr *t);                             /* idempotent; the callback never runs afterwards */

/* --- mailbox: any thread posts, the loop's thread receives in order */
typedef void (mbox_cb)(void *msg, void *arg);
struct mbox;
int  mbox_alloc(struct mbox **mp, struct ev_loop *l, mbox_cb *cb, void *arg);   /* mem_deref() on the loop's thread */
/* What was posted and not received when the mailbox ends is not delivered: stop the senders and mbox_drain() first. */
void mbox_drain(struct mbox *m);                          /* on the loop's thread: receives now what is there */
int  mbox_post(struct mbox *m, void *msg);                /* thread-safe; the receiver owns msg */

/* --- blocking work off the loop (thread pool); done runs on the loop's thread */
typedef void (work_cb)(void *arg);
int  ev_work(struct ev_loop *l, work_cb *work, work_cb *done, void *arg);

#endif
