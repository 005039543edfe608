/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite.c - the SQLite back end of the store: schema, prepared statements, one transaction per batch */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "focusd/store_priv.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define SCHEMA_VERSION 1

/* Columns after `id`; a row's values come in this order (persist.c). Types are SQLite's: what is bound is stored. */
static const struct { const char *name, *cols; } tables[STORE_NTABLES] = {
	[STORE_CONF] = { "conf",
		"organizer,domain,conf_id,name,subject,display,policy,expiry_s,pin,trunk_ok,invited,types,record_version,"
		"updated_s,activated_s,active,locked,had_auth,epoch,version,end_at_ms,mcus,policy_now,access,filters,"
		"number,recording" },
	[STORE_USER] = { "user", "conf,entity,caller,display,role,auth" },
	[STORE_ENDPOINT] = { "endpoint",
		"user,entity,session,status,joined,instance,call_id,local_tag,remote_tag,local_uri,remote_uri,remote_target,"
		"route,cseq_ceiling,remote_cseq,session_s,media_call_id,ticket,leg,needs_focus,media,role,dialed_out" },
	[STORE_SUB] = { "sub",
		"conf,user_entity,call_id,local_tag,remote_tag,local_uri,remote_uri,remote_target,route,cseq_ceiling,remote_cseq,"
		"expires_at_s,flags,own_version,event_id" },
	[STORE_MCU] = { "mcu", "node,type,instance,url,contact,max_conferences,max_users" },
	[STORE_BYE] = { "bye", "call_id,local_tag,remote_tag,local_uri,remote_uri,remote_target,route,local_cseq,remote_cseq" },
};

struct store_db {
	pthread_mutex_t lock;
	sqlite3        *db;
	sqlite3_stmt   *put[STORE_NTABLES], *del[STORE_NTABLES], *all[STORE_NTABLES], *begin, *commit, *rollback;
	unsigned        ncols[STORE_NTABLES];
};

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK: case SQLITE_DONE: case SQLITE_ROW: return 0;
	case SQLITE_FULL:  return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	default:           return -EIO;
	}
}

static int step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc;
}

static int write_op(struct store_db *d, const struct store_op *op)
{
	sqlite3_stmt *st = op->v ? d->put[op->table] : d->del[op->table];

	sqlite3_bind_int64(st, 1, op->id);
	for (unsigned i = 0; i < op->n; i++) {
		if (op->v[i].is_int)
			sqlite3_bind_int64(st, (int)i + 2, op->v[i].i);
		else if (op->v[i].s)
			sqlite3_bind_text(st, (int)i + 2, op->v[i].s, -1, SQLITE_STATIC);
		else
			sqlite3_bind_null(st, (int)i + 2);
	}
	return step(st);
}

int store_db_write(struct store_db *d, const struct store_op *ops, size_t n)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = step(d->begin);
	for (size_t i = 0; i < n && to_errno(rc) == 0; i++)
		rc = write_op(d, &ops[i]);
	if (to_errno(rc) == 0)
		rc = step(d->commit);
	if (to_errno(rc)) {
		log_error(store, "SQLite: %s", sqlite3_errmsg(d->db));
		if (!sqlite3_get_autocommit(d->db))
			step(d->rollback);
	}
	pthread_mutex_unlock(&d->lock);
	return to_errno(rc);
}

int store_db_load(struct store_db *d, enum store_table t, store_row_cb *cb, void *arg)
{
	struct store_val v[STORE_MAX_COLS];
	sqlite3_stmt *st = d->all[t];
	int rc, err = 0;

	pthread_mutex_lock(&d->lock);
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (unsigned i = 0; i < d->ncols[t]; i++) {
			v[i] = (struct store_val){ .is_int = sqlite3_column_type(st, (int)i + 1) == SQLITE_INTEGER };
			if (v[i].is_int)
				v[i].i = sqlite3_column_int64(st, (int)i + 1);
			else
				v[i].s = (char *)(uintptr_t)sqlite3_column_text(st, (int)i + 1);
		}
		err = cb(sqlite3_column_int64(st, 0), v, d->ncols[t], arg);
	}
	if (!err)
		err = to_errno(rc);
	sqlite3_reset(st);
	pthread_mutex_unlock(&d->lock);
	return err;
}

/* Dialogs and pass codes are in it: SQLite keeps the mode it finds, also for its journal. */
static void make_private(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

/* --- a copy of it, some pages at a time. What is written meanwhile goes into it too, for this connection writes it. */
#define BACKUP_PAGES 256

static int copy_to(struct store_db *d, sqlite3 *to)
{
	sqlite3_backup *b;
	int rc, end;

	pthread_mutex_lock(&d->lock);
	b = sqlite3_backup_init(to, "main", d->db, "main");
	pthread_mutex_unlock(&d->lock);
	if (!b)
		return sqlite3_errcode(to);
	do {
		pthread_mutex_lock(&d->lock);
		rc = sqlite3_backup_step(b, BACKUP_PAGES);
		pthread_mutex_unlock(&d->lock);
		if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
			usleep(2000);
		else if (rc == SQLITE_OK)
			usleep(500);             /* whoever waits for the lock may write */
	} while (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
	pthread_mutex_lock(&d->lock);
	end = sqlite3_backup_finish(b);
	pthread_mutex_unlock(&d->lock);
	return rc == SQLITE_DONE ? end : rc;
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;

	if (!err && fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int store_db_backup(struct store_db *d, const char *path)
{
	char *tmp = str_printf("%s.new", path);
	sqlite3 *to = NULL;
	int rc = SQLITE_NOMEM, err;

	if (tmp) {
		unlink(tmp);
		make_private(tmp);
		rc = sqlite3_open_v2(tmp, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	}
	if (rc == SQLITE_OK)
		rc = copy_to(d, to);
	if (rc == SQLITE_OK)                     /* one file, without a journal beside it */
		rc = sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
	sqlite3_close(to);
	err = to_errno(rc);
	if (!err)
		err = sync_file(tmp);
	if (!err && rename(tmp, path))
		err = -errno;
	if (err && tmp)
		unlink(tmp);
	mem_deref(tmp);
	return err;
}

static int prepare(struct store_db *d, sqlite3_stmt **st, char *sql)
{
	int rc = sql ? sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) : SQLITE_NOMEM;

	mem_deref(sql);
	return rc;
}

static unsigned count(const char *cols)
{
	unsigned n = 1;

	for (; *cols; cols++)
		n += *cols == ',';
	return n;
}

/* A store that an older focusd made lacks the columns that came since: they are empty there. */
static int add_columns(struct store_db *d, const char *table, const char *cols)
{
	struct str rest = str_c(cols);
	int rc = SQLITE_OK;

	while (!str_empty(rest) && rc == SQLITE_OK) {
		struct str col = str_cut(&rest, ',');
		char *sql = str_printf("SELECT " STR_FMT " FROM %s LIMIT 0", STR_ARG(col), table);
		char *add = str_printf("ALTER TABLE %s ADD COLUMN " STR_FMT, table, STR_ARG(col));

		rc = !sql || !add ? SQLITE_NOMEM : sqlite3_exec(d->db, sql, NULL, NULL, NULL);
		if (rc == SQLITE_ERROR)
			rc = sqlite3_exec(d->db, add, NULL, NULL, NULL);
		mem_deref(sql);
		mem_deref(add);
	}
	return rc;
}

static int prepare_table(struct store_db *d, unsigned t)
{
	char marks[2 * STORE_MAX_COLS + 2] = "?";
	const char *name = tables[t].name, *cols = tables[t].cols;
	char *sql = str_printf("CREATE TABLE IF NOT EXISTS %s (id INTEGER PRIMARY KEY,%s)", name, cols);
	int rc = sql ? sqlite3_exec(d->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	mem_deref(sql);
	if (rc == SQLITE_OK)
		rc = add_columns(d, name, cols);
	d->ncols[t] = count(cols);
	for (unsigned i = 0; i < d->ncols[t]; i++)
		strcat(marks, ",?");
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->put[t], str_printf("INSERT OR REPLACE INTO %s (id,%s) VALUES (%s)", name, cols, marks));
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->del[t], str_printf("DELETE FROM %s WHERE id=?", name));
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->all[t], str_printf("SELECT id,%s FROM %s ORDER BY id", cols, name));
	return rc;
}

static int check_version(struct store_db *d, char *err, size_t errsz)
{
	sqlite3_stmt *st;
	int v = -1;

	if (sqlite3_prepare_v2(d->db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK) {
		if (sqlite3_step(st) == SQLITE_ROW)
			v = sqlite3_column_int(st, 0);
		sqlite3_finalize(st);
	}
	if (v > SCHEMA_VERSION) {
		snprintf(err, errsz, "made by a newer focusd (schema %d, this one knows %d)", v, SCHEMA_VERSION);
		return SQLITE_ERROR;
	}
	return v < 0 ? SQLITE_ERROR : SQLITE_OK;
}

static void on_destroy(void *arg)
{
	struct store_db *d = arg;

	for (unsigned t = 0; t < STORE_NTABLES; t++) {
		sqlite3_finalize(d->put[t]);
		sqlite3_finalize(d->del[t]);
		sqlite3_finalize(d->all[t]);
	}
	sqlite3_finalize(d->begin);
	sqlite3_finalize(d->commit);
	sqlite3_finalize(d->rollback);
	sqlite3_close(d->db);
	pthread_mutex_destroy(&d->lock);
}

int store_db_open(struct store_db **dp, const char *path, bool sync_full, char *err, size_t errsz)
{
	struct store_db *d = mem_zalloc(sizeof(*d), on_destroy);
	char pragmas[256];
	int rc;

	if (!d)
		return -ENOMEM;
	pthread_mutex_init(&d->lock, NULL);
	err[0] = '\0';
	snprintf(pragmas, sizeof(pragmas), "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA locking_mode=EXCLUSIVE;"
		 "PRAGMA busy_timeout=2000", sync_full ? "FULL" : "NORMAL");
	make_private(path);
	rc = sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(d->db, pragmas, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = check_version(d, err, errsz);
	for (unsigned t = 0; t < STORE_NTABLES && rc == SQLITE_OK; t++)
		rc = prepare_table(d, t);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(d->db, "PRAGMA user_version=1", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->begin, str_printf("BEGIN IMMEDIATE"));
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->commit, str_printf("COMMIT"));
	if (rc == SQLITE_OK)
		rc = prepare(d, &d->rollback, str_printf("ROLLBACK"));
	if (rc != SQLITE_OK) {
		if (!err[0])
			snprintf(err, errsz, "%s", d->db ? sqlite3_errmsg(d->db) : "no memory");
		mem_deref(d);
		return to_errno(rc);
	}
	*dp = d;
	return 0;
}
