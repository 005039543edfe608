/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the batches, see store.h; SQLite itself is in store_sqlite.c
 *
 *   store_put/del/defer -> batch `cur` -> (end of turn) -> worker: one transaction -> on_written -> deferred calls
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "focusd/store_priv.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_store_commits_total", "Transactions committed"),
	METRIC_COUNTER("conclave_focus_store_rows_total", "Rows written or deleted"),
	METRIC_COUNTER("conclave_focus_store_failures_total", "Transactions that failed"),
};
enum { M_COMMITS, M_ROWS, M_FAILURES };

#define HOLD_MS      500u                /* after a failure: a full disk must not become a busy loop of reading all again */
#define FLUSH_ROUNDS 4

struct deferred { store_done_cb *cb; void *arg; };
struct batch {
	struct store    *st;
	struct store_op *ops;
	struct deferred *calls;
	size_t           nops, ops_size, ncalls, calls_size;
	int              err;
	bool             done;           /* by the worker, under the store's lock */
};
struct store {
	struct ev_loop *loop;
	struct store_db *db;
	store_turn_cb  *turncb;
	store_done_cb  *failcb;
	void           *arg;
	struct batch   *cur;             /* collecting */
	struct batch   *writing;         /* on the worker, or NULL */
	struct tmr      hold;
	pthread_mutex_t lock;
	pthread_cond_t  written;
	bool            copying;         /* a back-up is under way */
	bool            closing, ended;  /* ended: what is deferred now never runs, so it fails at once */
};

static void *grow(void *p, size_t n, size_t *size, size_t each)
{
	size_t want = *size ? *size * 2 : 32;
	void *q;

	if (n < *size)
		return p;
	q = realloc(p, want * each);
	if (q)
		*size = want;
	return q;
}

static void drop_ops(struct batch *b)
{
	for (size_t i = 0; i < b->nops; i++) {
		for (unsigned k = 0; k < b->ops[i].n; k++)
			mem_deref(b->ops[i].v[k].s);
		free(b->ops[i].v);
	}
	b->nops = 0;
}

static void on_batch_destroy(void *arg)
{
	struct batch *b = arg;

	drop_ops(b);
	free(b->ops);
	free(b->calls);
}

static struct store_op *add_op(struct store *s)
{
	struct batch *b = s->cur;
	struct store_op *ops = s->ended ? NULL : grow(b->ops, b->nops, &b->ops_size, sizeof(*ops));

	if (s->ended)
		return NULL;
	if (!ops) {
		b->err = -ENOMEM;                /* the whole batch fails: nothing half done */
		return NULL;
	}
	b->ops = ops;
	ops[b->nops] = (struct store_op){ 0 };
	return &ops[b->nops++];
}

void store_put(struct store *s, enum store_table t, int64_t id, const struct store_val *v, unsigned n)
{
	struct store_op *op = add_op(s);

	if (!op)
		return;
	op->table = t;
	op->id    = id;
	op->v     = malloc(n * sizeof(*v));
	if (!op->v) {
		s->cur->err = -ENOMEM;
		return;
	}
	op->n = n;
	memcpy(op->v, v, n * sizeof(*v));
	for (unsigned i = 0; i < n; i++)
		mem_ref(op->v[i].s);
}

void store_del(struct store *s, enum store_table t, int64_t id)
{
	struct store_op *op = add_op(s);

	if (op)
		*op = (struct store_op){ .table = t, .id = id };
}

void store_defer(struct store *s, store_done_cb *cb, void *arg)
{
	struct batch *b = s->cur;
	struct deferred *calls = s->ended ? NULL : grow(b->calls, b->ncalls, &b->calls_size, sizeof(*calls));

	if (!calls) {
		cb(s->ended ? -ECANCELED : -ENOMEM, arg);
		return;
	}
	b->calls = calls;
	calls[b->ncalls++] = (struct deferred){ cb, arg };
}

static struct batch *new_batch(struct store *s)
{
	struct batch *b = mem_zalloc(sizeof(*b), on_batch_destroy);

	if (b)
		b->st = s;
	return b;
}

static void run_calls(struct batch *b, int err)
{
	for (size_t i = 0; i < b->ncalls; i++)
		b->calls[i].cb(err, b->calls[i].arg);
	b->ncalls = 0;
}

static void on_write(void *arg)          /* worker thread: touches the batch and the database only */
{
	struct batch *b = arg;
	struct store *s = b->st;

	if (!b->err)
		b->err = store_db_write(s->db, b->ops, b->nops);
	pthread_mutex_lock(&s->lock);
	b->done = true;
	pthread_cond_broadcast(&s->written);
	pthread_mutex_unlock(&s->lock);
}

static void count(const struct batch *b)
{
	metric_add(&metrics[M_ROWS], (int64_t)b->nops);
	metric_inc(&metrics[b->err ? M_FAILURES : M_COMMITS]);
}

static void start_turn(struct store *s);

/* What was collected meanwhile was built on what failed; so is what the failed calls themselves changed. */
static void on_failure(struct store *s, int err)
{
	struct batch *next = s->cur;

	log_error(store, "transaction failed: %s; state is read again", strerror(-err));
	s->cur = new_batch(s);
	if (!s->cur)
		abort();                         /* cannot even hold an empty batch: a restart reads the store */
	run_calls(next, err);
	mem_deref(next);
	drop_ops(s->cur);
	tmr_start(&s->hold, HOLD_MS);
	s->failcb(err, s->arg);
}

static void on_written(void *arg)
{
	struct batch *b = arg;
	struct store *s = b->st;
	int err = b->err;

	s->writing = NULL;
	if (!s->closing) {                       /* else store_flush() has seen to it */
		count(b);
		run_calls(b, err);
	}
	mem_deref(b);
	if (err && !s->closing)
		on_failure(s, err);
	if (!s->closing)
		start_turn(s);
	mem_deref(s);
}

static void on_hold(void *arg)
{
	(void)arg;                               /* the end of this turn starts what waits */
}

static bool held(const struct store *s)
{
	return tmr_running(&s->hold) && (s->cur->nops || s->cur->err);
}

static void start_turn(struct store *s)
{
	struct batch *b, *fresh;

	while (!s->writing && !held(s) && (s->cur->nops || s->cur->ncalls || s->cur->err)) {
		fresh = new_batch(s);
		if (!fresh)
			return;                  /* next turn tries again */
		b = s->cur;
		s->cur = fresh;
		if (!b->nops && !b->err) {       /* nothing to write and nothing under way */
			run_calls(b, 0);
			mem_deref(b);
			s->turncb(s->arg);       /* what those calls changed */
			continue;
		}
		s->writing = b;
		mem_ref(s);
		if (ev_work(s->loop, on_write, on_written, b)) {
			b->err = -ENOMEM;
			on_written(b);
		}
	}
}

static void on_turn(void *arg)
{
	struct store *s = arg;

	if (s->closing)
		return;
	s->turncb(s->arg);
	start_turn(s);
}

int store_load(struct store *s, enum store_table t, store_row_cb *cb, void *arg)
{
	return store_db_load(s->db, t, cb, arg);
}

/* --- a copy */
struct copy { struct store *st; char *path; store_done_cb *cb; void *arg; int err; };

static void on_copy_destroy(void *arg)
{
	struct copy *k = arg;

	mem_deref(k->path);
}

static void on_copy(void *arg)           /* worker thread */
{
	struct copy *k = arg;

	k->err = store_db_backup(k->st->db, k->path);
}

static void on_copied(void *arg)
{
	struct copy *k = arg;
	struct store *s = k->st;

	s->copying = false;
	if (k->err)
		log_error(store, "back-up to %s: %s", k->path, strerror(-k->err));
	else
		log_info(store, "back-up written to %s", k->path);
	k->cb(k->err, k->arg);
	mem_deref(k);
	mem_deref(s);
}

int store_backup(struct store *s, const char *path, store_done_cb *cb, void *arg)
{
	struct copy *k;
	int err;

	if (s->copying || s->closing)
		return -EBUSY;
	k = mem_zalloc(sizeof(*k), on_copy_destroy);
	if (!k || cstr_set(&k->path, path)) {
		mem_deref(k);
		return -ENOMEM;
	}
	k->st  = s;
	k->cb  = cb;
	k->arg = arg;
	err = ev_work(s->loop, on_copy, on_copied, k);
	if (err) {
		mem_deref(k);
		return err;
	}
	mem_ref(s);
	s->copying = true;
	return 0;
}

/* The worker may not have begun with its batch: SQLite must see that one before what came later. */
static int await_worker(struct store *s)
{
	struct batch *b = s->writing;

	if (!b)
		return 0;
	pthread_mutex_lock(&s->lock);
	while (!b->done)
		pthread_cond_wait(&s->written, &s->lock);
	pthread_mutex_unlock(&s->lock);
	count(b);
	run_calls(b, b->err);
	return b->err;
}

static int flush_batch(struct store *s, int failed)
{
	struct batch *b = s->cur, *fresh = new_batch(s);
	int err = failed;

	if (!fresh)
		return -ENOMEM;
	s->cur = fresh;
	if (!err)
		err = b->err ? b->err : b->nops ? store_db_write(s->db, b->ops, b->nops) : 0;
	run_calls(b, err);
	mem_deref(b);
	return err;
}

void store_flush(struct store *s)
{
	int err;

	s->closing = true;
	tmr_stop(&s->hold);
	err = await_worker(s);
	if (!err)
		s->turncb(s->arg);
	for (int i = 0; i < FLUSH_ROUNDS && (s->cur->nops || s->cur->ncalls); i++) {
		err = flush_batch(s, err);
		if (!err)
			s->turncb(s->arg);       /* what those calls changed */
	}
	if (err || s->cur->nops)
		log_error(store, "what was left at shutdown could not be written");
	s->ended = true;
	run_calls(s->cur, -ECANCELED);
}

static void on_destroy(void *arg)
{
	struct store *s = arg;

	ev_loop_off_turn(s->loop, on_turn, s);
	tmr_fini(&s->hold);
	mem_deref(s->cur);
	mem_deref(s->db);
	pthread_cond_destroy(&s->written);
	pthread_mutex_destroy(&s->lock);
}

int store_alloc(struct store **sp, const struct store_prm *prm, char *err, size_t errsz)
{
	struct store *s = mem_zalloc(sizeof(*s), on_destroy);
	int rc = -ENOMEM;

	if (!s)
		return rc;
	s->loop   = prm->loop;
	s->turncb = prm->turncb;
	s->failcb = prm->failcb;
	s->arg    = prm->arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->written, NULL);
	s->cur    = new_batch(s);
	if (!s->cur)
		goto out;
	rc = tmr_init(&s->hold, s->loop, on_hold, s);
	if (rc)
		goto out;
	rc = store_db_open(&s->db, prm->path, prm->sync_full, err, errsz);
	if (rc)
		goto out;
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	ev_loop_on_turn(s->loop, on_turn, s);
	*sp = s;
	return 0;
out:
	mem_deref(s);
	return rc;
}
