/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_store.c - batches over a real SQLite file and a real loop: commit, then the deferred calls; failures; shutdown */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "test/unit/disk.h"

static struct ev_loop *loop;
static struct store   *store;
static char            dir[64], path[96];
static unsigned        turns, fails;
static int             fail_err;
static char            trail[256];       /* what happened, in order */

static void note(const char *s) { strncat(trail, s, sizeof(trail) - strlen(trail) - 1); }

static void on_turn(void *arg)
{
	(void)arg;
	turns++;
}

static void on_fail(int err, void *arg)
{
	(void)arg;
	fails++;
	fail_err = err;
	note("F");
}

static void open_store(void)
{
	struct store_prm p = { .loop = loop, .path = path, .turncb = on_turn, .failcb = on_fail };
	char err[256] = "";

	if (store_alloc(&store, &p, err, sizeof(err)))
		fail_msg("%s", err);
}

static int setup(void **state)
{
	(void)state;
	log_set(NULL, "error");
	strcpy(dir, "/tmp/focusd_store.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s.sqlite", dir);
	turns = fails = 0;
	fail_err = 0;
	trail[0] = '\0';
	assert_int_equal(ev_loop_alloc(&loop), 0);
	open_store();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	store = mem_deref(store);
	loop  = mem_deref(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) ? -1 : 0;
}

/* --- running the loop */
static void on_stop(void *arg)
{
	(void)arg;
	ev_loop_stop(loop);
}

static void run_for(unsigned ms)
{
	struct tmr t;

	assert_int_equal(tmr_init(&t, loop, on_stop, NULL), 0);
	tmr_start(&t, ms);
	ev_loop_run(loop);
	tmr_fini(&t);
}

/* --- rows */
static void put(int64_t id, const char *entity)
{
	char *s = str_dup(str_c(entity));
	const struct store_val v[] = { SV_INT(1), SV_STR(s), SV_STR(NULL), SV_STR(s), SV_INT(0), SV_INT(0) };

	store_put(store, STORE_USER, id, v, 6);
	mem_deref(s);
}

static int on_row(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	char *out = arg;

	assert_int_equal(n, 6);
	assert_true(v[0].is_int);
	assert_null(v[2].s);
	sprintf(out + strlen(out), "%d=%s ", (int)id, v[1].s);
	return 0;
}

static const char *rows(void)
{
	static char out[4096];

	out[0] = '\0';
	assert_int_equal(store_load(store, STORE_USER, on_row, out), 0);
	return out;
}

struct step { const char *name, *want; int err; unsigned n; };

static void on_done(int err, void *arg)
{
	struct step *s = arg;

	s->err = err;
	s->n++;
	note(s->name);
	if (s->want)
		assert_string_equal(rows(), s->want);
}

/* --- commit */
static void deferred_calls_come_after_the_commit_and_in_order(void **state)
{
	struct step a = { "a", "1=x 2=y ", 1, 0 }, b = { "b", NULL, 1, 0 }, c = { "c", NULL, 1, 0 };

	(void)state;
	store_defer(store, on_done, &a);
	put(1, "x");
	store_defer(store, on_done, &b);
	put(2, "y");
	store_defer(store, on_done, &c);
	assert_string_equal(rows(), "");
	assert_string_equal(trail, "");
	run_for(200);
	assert_string_equal(trail, "abc");
	assert_int_equal(a.err | b.err | c.err, 0);
	assert_true(turns > 0);
}

static void what_only_reads_waits_for_nothing_but_what_is_under_way(void **state)
{
	struct step a = { "a", NULL, 1, 0 }, b = { "b", NULL, 1, 0 };

	(void)state;
	store_defer(store, on_done, &a);
	run_for(20);
	assert_string_equal(trail, "a");
	put(1, "x");
	store_defer(store, on_done, &b);
	run_for(200);
	assert_string_equal(trail, "ab");
}

static void on_chain(int err, void *arg)
{
	on_done(err, arg);
	put(7, "from a call");
	store_defer(store, on_done, (struct step *)arg + 1);
}

static void a_call_may_write_and_defer_again(void **state)
{
	struct step s[2] = { { "a", NULL, 1, 0 }, { "b", "1=x 7=from a call ", 1, 0 } };

	(void)state;
	put(1, "x");
	store_defer(store, on_chain, s);
	run_for(300);
	assert_string_equal(trail, "ab");
}

static void the_last_write_of_a_row_wins_and_deletes_delete(void **state)
{
	(void)state;
	put(1, "x");
	put(1, "y");
	put(2, "z");
	store_del(store, STORE_USER, 2);
	store_del(store, STORE_USER, 99);
	run_for(200);
	assert_string_equal(rows(), "1=y ");
}

static void rows_survive_the_process(void **state)
{
	(void)state;
	put(1, "Gr\xc3\xbc\xc3\x9f'; DROP TABLE user; --");
	run_for(200);
	store = mem_deref(store);
	mem_deref(loop);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	open_store();
	assert_string_equal(rows(), "1=Gr\xc3\xbc\xc3\x9f'; DROP TABLE user; -- ");
}

static void only_the_owner_may_read_the_file(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* --- failure: the file may not grow any more */
static void a_failed_transaction_fails_its_calls_and_those_built_on_it(void **state)
{
	struct step a = { "a", NULL, 0, 0 }, b = { "b", NULL, 0, 0 }, c = { "c", NULL, 1, 0 };

	(void)state;
	put(1, "kept");
	run_for(100);
	disk_full(1);
	put(2, "lost");
	store_defer(store, on_done, &a);
	run_for(1);                              /* on the worker now, or just back */
	put(3, "built on it");
	store_defer(store, on_done, &b);
	run_for(100);
	disk_free();
	assert_true(a.err < 0);
	assert_true(fails >= 1 && fail_err < 0);
	if (b.n && b.err == 0)                   /* the first one had failed before: a new transaction, after the hold */
		assert_string_equal(rows(), "1=kept 3=built on it ");
	put(4, "later");
	store_defer(store, on_done, &c);
	run_for(700);
	assert_int_equal(c.err, 0);
	assert_non_null(strstr(rows(), "1=kept"));
	assert_null(strstr(rows(), "lost"));
	assert_non_null(strstr(rows(), "4=later"));
}

static void on_failed_call(int err, void *arg)
{
	on_done(err, arg);
	put(9, "made by a failed call");         /* its model is about to be thrown away */
	store_defer(store, on_done, (struct step *)arg + 1);
}

static void what_a_failed_call_changes_is_not_written_but_what_it_defers_runs(void **state)
{
	struct step s[2] = { { "a", NULL, 0, 0 }, { "b", NULL, 1, 0 } };

	(void)state;
	disk_full(1);
	put(1, "lost");
	store_defer(store, on_failed_call, s);
	run_for(100);
	disk_free();
	run_for(700);
	assert_true(s[0].err < 0);
	assert_int_equal(s[1].n, 1);
	assert_string_equal(rows(), "");
}

static void on_fail_again(int err, void *arg)
{
	on_fail(err, arg);
	put(1, "again");                         /* as the focus does: a document of every conference */
}

static void a_full_disk_is_no_busy_loop(void **state)
{
	struct store_prm p = { .loop = loop, .path = path, .turncb = on_turn, .failcb = on_fail_again };
	char err[256] = "";

	(void)state;
	store = mem_deref(store);
	mem_deref(loop);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	p.loop = loop;
	assert_int_equal(store_alloc(&store, &p, err, sizeof(err)), 0);
	disk_full(1);
	put(1, "x");
	run_for(1200);
	disk_free();
	assert_in_range(fails, 1, 4);
	run_for(700);
	assert_string_equal(rows(), "1=again ");
}

/* --- shutdown */
static void shutdown_writes_what_is_left_and_runs_what_waits(void **state)
{
	struct step a = { "a", NULL, 1, 0 }, b = { "b", NULL, 1, 0 }, c = { "c", NULL, 1, 0 };

	(void)state;
	for (int i = 0; i < 200; i++)            /* enough that the worker is busy with it */
		put(i + 100, "many");
	put(1, "old");
	store_defer(store, on_done, &a);
	run_for(0);
	put(1, "new");
	store_defer(store, on_done, &b);
	store_flush(store);
	assert_string_equal(trail, "ab");
	assert_int_equal(a.err | b.err, 0);
	assert_memory_equal(rows(), "1=new ", 6);
	store_defer(store, on_done, &c);
	assert_int_equal(c.err, -ECANCELED);
	store = mem_deref(store);
	loop  = mem_deref(loop);                 /* waits for the worker; nothing runs twice */
	assert_string_equal(trail, "abc");
}

static void shutdown_after_a_failure_says_so_and_writes_nothing_more(void **state)
{
	struct step a = { "a", NULL, 0, 0 }, b = { "b", NULL, 0, 0 };

	(void)state;
	disk_full(1);
	put(1, "x");
	store_defer(store, on_done, &a);
	run_for(0);
	put(2, "y");
	store_defer(store, on_done, &b);
	store_flush(store);
	disk_free();
	assert_int_equal(a.n, 1);
	assert_int_equal(b.n, 1);
	assert_true(a.err < 0 && b.err < 0);
	assert_string_equal(rows(), "");
}

/* --- schema */
static void a_file_of_a_newer_focusd_is_refused_and_left_alone(void **state)
{
	struct store_prm p = { .loop = loop, .path = path, .turncb = on_turn, .failcb = on_fail };
	struct store *other = NULL;
	char err[256] = "";
	sqlite3 *db;

	(void)state;
	store = mem_deref(store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_true(store_alloc(&other, &p, err, sizeof(err)) < 0);
	assert_null(other);
	assert_non_null(strstr(err, "newer"));
}

static void a_path_that_cannot_be_opened_is_an_error_with_a_reason(void **state)
{
	struct store_prm p = { .loop = loop, .path = "/nonexistent/x.sqlite", .turncb = on_turn, .failcb = on_fail };
	struct store *other = NULL;
	char err[256] = "";

	(void)state;
	assert_true(store_alloc(&other, &p, err, sizeof(err)) < 0);
	assert_true(err[0] != '\0');
}

static int backup_err = 1;

static void on_backup(int err, void *arg)
{
	(void)arg;
	backup_err = err;
	note("B");
}

static unsigned rows_in(const char *file)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db;
	unsigned n = 0;

	assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM user", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void a_back_up_holds_what_is_committed_and_writing_goes_on(void **state)
{
	char copy[128], left[160];
	struct stat st;

	(void)state;
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	snprintf(left, sizeof(left), "%s.new", copy);
	for (int i = 1; i <= 2000; i++)
		put(i, "sip:somebody@example.net");
	run_for(200);
	assert_int_equal(store_backup(store, copy, on_backup, NULL), 0);
	assert_int_equal(store_backup(store, copy, on_backup, NULL), -EBUSY);
	put(2001, "sip:late@example.net");
	run_for(400);
	assert_int_equal(backup_err, 0);
	assert_int_equal(fails, 0);
	assert_in_range(rows_in(copy), 2000, 2001);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_int_equal(stat(left, &st), -1);
	assert_int_equal(store_backup(store, "/nowhere/at/all", on_backup, NULL), 0);
	run_for(200);
	assert_true(backup_err < 0);
	assert_int_equal(fails, 0);
}

static int on_any_row(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	(void)id;
	*(bool *)arg = cstr_eq(v[0].s, "alice") && !v[n - 1].s && !v[n - 1].i;
	return 0;
}

static void a_file_of_an_older_focusd_gets_the_columns_that_came_since(void **state)
{
	bool found = false;
	sqlite3 *db;

	(void)state;
	store = mem_deref(store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "INSERT INTO conf (id,organizer) VALUES (7,'alice'); ALTER TABLE conf DROP COLUMN filters", NULL,
				      NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_store();
	assert_int_equal(store_load(store, STORE_CONF, on_any_row, &found), 0);
	assert_true(found);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(deferred_calls_come_after_the_commit_and_in_order),
		T(what_only_reads_waits_for_nothing_but_what_is_under_way),
		T(a_call_may_write_and_defer_again),
		T(the_last_write_of_a_row_wins_and_deletes_delete),
		T(rows_survive_the_process),
		T(only_the_owner_may_read_the_file),
		T(a_failed_transaction_fails_its_calls_and_those_built_on_it),
		T(what_a_failed_call_changes_is_not_written_but_what_it_defers_runs),
		T(a_full_disk_is_no_busy_loop),
		T(shutdown_writes_what_is_left_and_runs_what_waits),
		T(shutdown_after_a_failure_says_so_and_writes_nothing_more),
		T(a_file_of_a_newer_focusd_is_refused_and_left_alone),
		T(a_back_up_holds_what_is_committed_and_writing_goes_on),
		T(a_file_of_an_older_focusd_gets_the_columns_that_came_since),
		T(a_path_that_cannot_be_opened_is_an_error_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
