/* SPDX-License-Identifier: Apache-2.0 */
/* store_priv.h - what a database behind store.c does; written by the worker thread, one call at a time */
#ifndef FOCUSD_STORE_PRIV_H
#define FOCUSD_STORE_PRIV_H
#include <stddef.h>
#include "focusd/store.h"

struct store_op {                        /* v NULL: delete */
	enum store_table  table;
	int64_t           id;
	struct store_val *v;
	unsigned          n;
};
struct store_db;                         /* mem_deref() closes it */
int store_db_open(struct store_db **dp, const char *path, bool sync_full, char *err, size_t errsz);
int store_db_write(struct store_db *d, const struct store_op *ops, size_t n);     /* all or nothing; any thread */
int store_db_backup(struct store_db *d, const char *path);          /* any thread; writers get their turns meanwhile */
int store_db_load(struct store_db *d, enum store_table t, store_row_cb *cb, void *arg);

#endif
