/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - rows in SQLite, one transaction per loop turn, committed off the loop
 *
 * During a turn the daemon puts rows and defers what must wait for them: answers, notifications, MCU commands. At the
 * end of the turn the batch goes to a worker thread as one transaction; when it is committed the deferred calls run in
 * order. While a batch is being written the next one collects; a turn that changed nothing waits for what is under way.
 * A failed batch calls its deferred functions, and those of the batch behind it, with the error, then failcb: memory
 * now holds what the store does not, so the owner loads its state again. The next transaction waits for half a second.
 */
#ifndef FOCUSD_STORE_H
#define FOCUSD_STORE_H
#include <stdbool.h>
#include <stdint.h>
#include "lib/ev/ev.h"

enum store_table { STORE_CONF, STORE_USER, STORE_ENDPOINT, STORE_SUB, STORE_MCU, STORE_BYE, STORE_NTABLES };
#define STORE_MAX_COLS 40

struct store_val {
	char   *s;                       /* mem object (a reference is taken) or NULL */
	int64_t i;
	bool    is_int;
};
#define SV_INT(v) ((struct store_val){ .i = (int64_t)(v), .is_int = true })
#define SV_STR(v) ((struct store_val){ .s = (v) })

struct store;
typedef void (store_done_cb)(int err, void *arg);           /* err: 0 committed, -EIO, -ENOSPC */
typedef void (store_turn_cb)(void *arg);
struct store_prm {
	struct ev_loop *loop;
	const char     *path;
	bool            sync_full;       /* survive a power cut, not just a crash */
	store_turn_cb  *turncb;          /* end of turn, before the batch is closed: put the dirty rows now */
	store_done_cb  *failcb;
	void           *arg;
};
int  store_alloc(struct store **sp, const struct store_prm *prm, char *err, size_t errsz);
/* Row: the id, then the table's columns in the order of store.c. */
void store_put(struct store *s, enum store_table t, int64_t id, const struct store_val *v, unsigned n);
void store_del(struct store *s, enum store_table t, int64_t id);
void store_defer(struct store *s, store_done_cb *cb, void *arg);
/* Reading, at start and after a failure only: blocks the loop. The values are valid during the callback. */
typedef int (store_row_cb)(int64_t id, const struct store_val *v, unsigned n, void *arg);
int  store_load(struct store *s, enum store_table t, store_row_cb *cb, void *arg);
/* A copy of what is committed, made off the loop while writing goes on; path is replaced when it is whole. -EBUSY: one is
 * under way. cb is called on the loop, never when this fails. */
int  store_backup(struct store *s, const char *path, store_done_cb *cb, void *arg);
/* At shutdown: writes what is left, waiting for it, and runs what waits for it. Nothing is deferred any more afterwards: a
 * call is made at once with -ECANCELED. */
void store_flush(struct store *s);

#endif
