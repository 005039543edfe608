/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_records.c - call records: the file in good and bad days, and lines of hostile names */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "mcu/callrec.h"
#include "mcu/records.h"
#include "test/unit/disk.h"

static struct ev_loop *loop;
static struct tmr tmr;
static struct records *rec;
static char dir[64], path[96], other[96];

static void on_poll(void *arg)
{
	(void)arg;
	if (records_idle(rec))
		ev_loop_stop(loop);
	else
		tmr_start(&tmr, 1);
}

static void settle(void)
{
	tmr_start(&tmr, 0);
	ev_loop_run(loop);
}

static int setup(void **st)
{
	(void)st;
	strcpy(dir, "/tmp/conclave-records-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/calls.jsonl", dir);
	snprintf(other, sizeof(other), "%s/calls.jsonl.1", dir);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	return tmr_init(&tmr, loop, on_poll, NULL);
}

static int teardown(void **st)
{
	(void)st;
	records_stop(rec);
	rec = NULL;
	tmr_fini(&tmr);
	loop = mem_deref(loop);
	unlink(path);
	unlink(other);
	rmdir(dir);
	return 0;
}

static void begin(const char *p)
{
	assert_int_equal(records_alloc(&rec, loop, p), 0);
	settle();
}

static void is_in(const char *file, const char *want)
{
	char got[8192] = "";
	FILE *f = fopen(file, "r");

	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(got, want);
}

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	fputs(text, f);
	fclose(f);
}

static long lost(void)
{
	struct buf b;
	const char *at;
	long n;

	buf_init(&b, 0);
	metric_render(&b);
	at = strstr(b.p, "\nconclave_mcu_records_lost_total ");
	n = at ? atol(at + strlen("\nconclave_mcu_records_lost_total ")) : -1;
	buf_fini(&b);
	return n;
}

static void lines_are_appended_in_order(void **st)
{
	(void)st;
	put(path, "{old}\n");
	begin(path);
	records_write(rec, STR("{1}\n"));
	records_write(rec, STR("{2}\n"));
	settle();
	records_write(rec, STR("{3}\n"));
	settle();
	is_in(path, "{old}\n{1}\n{2}\n{3}\n");
}

static void a_renamed_file_is_followed_until_it_is_opened_again(void **st)
{
	(void)st;
	begin(path);
	records_write(rec, STR("{1}\n"));
	settle();
	assert_int_equal(rename(path, other), 0);
	records_write(rec, STR("{2}\n"));
	settle();
	assert_int_equal(records_reopen(rec, path), 0);
	settle();
	is_in(path, "");                                         /* there at once, for who waits for it */
	records_write(rec, STR("{3}\n"));
	settle();
	is_in(other, "{1}\n{2}\n");
	is_in(path, "{3}\n");
}

static void what_is_left_at_the_end_is_written(void **st)
{
	(void)st;
	begin(path);
	for (int i = 0; i < 3; i++)
		records_write(rec, STR("{x}\n"));
	records_stop(rec);
	rec = NULL;
	loop = (tmr_fini(&tmr), mem_deref(loop));                /* waits for the worker */
	is_in(path, "{x}\n{x}\n{x}\n");
	assert_int_equal(ev_loop_alloc(&loop), 0);
	assert_int_equal(tmr_init(&tmr, loop, on_poll, NULL), 0);
}

static void a_bad_path_and_a_full_disk_are_counted_and_end(void **st)
{
	long before;

	(void)st;
	begin("/nowhere/at/all/calls.jsonl");
	before = lost();
	records_write(rec, STR("{1}\n"));
	settle();
	assert_int_equal(lost(), before + 1);
	disk_full(0);
	assert_int_equal(records_reopen(rec, other), 0);
	settle();
	records_write(rec, STR("{2}\n"));
	records_write(rec, STR("{3}\n"));
	settle();
	disk_free();
	assert_int_equal(lost(), before + 3);
	assert_int_equal(records_reopen(rec, path), 0);
	records_write(rec, STR("{4}\n"));
	settle();
	assert_int_equal(lost(), before + 3);
	is_in(path, "{4}\n");
}

static void a_file_that_may_not_grow_keeps_whole_lines(void **st)
{
	struct stat s;
	char line[3000];
	long before;

	(void)st;
	memset(line, 'x', sizeof(line));
	line[0] = '{';
	line[sizeof(line) - 1] = '\n';
	begin(path);
	before = lost();
	disk_full(10000);
	for (int i = 0; i < 5; i++)
		records_write(rec, (struct str){ line, sizeof(line) });
	settle();
	disk_free();
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_size, 3 * sizeof(line));
	assert_int_equal(lost() - before, 2);
}

static void half_a_line_of_a_killed_process_goes_foreign_text_stays(void **st)
{
	(void)st;
	put(path, "{\"v\":1}\n{\"v\":1,\"no");
	begin(path);
	records_write(rec, STR("{1}\n"));
	settle();
	is_in(path, "{\"v\":1}\n{1}\n");
	put(other, "a note without an end");
	assert_int_equal(records_reopen(rec, other), 0);
	records_write(rec, STR("{2}\n"));
	settle();
	is_in(other, "a note without an end\n{2}\n");
}

static void without_a_path_nothing_is_kept(void **st)
{
	(void)st;
	begin("");
	records_write(rec, STR("{1}\n"));
	assert_true(records_idle(rec));
}

static void a_relative_path_is_below_the_service_managers_directory(void **st)
{
	static const struct { const char *env, *path, *want; } rows[] = {
		{ "/var/log/conclave", "calls.jsonl", "/var/log/conclave/calls.jsonl" }, { "/a:/b", "c", "/a/c" },
		{ NULL, "c", "" }, { "", "c", "" }, { "/a", "", "" }, { "/a", "/b/c", "/b/c" }, { NULL, "/b/c", "/b/c" },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *p;

		if (rows[i].env)
			setenv("LOGS_DIRECTORY", rows[i].env, 1);
		else
			unsetenv("LOGS_DIRECTORY");
		p = records_path(rows[i].path);
		assert_string_equal(p, rows[i].want);
		mem_deref(p);
	}
}

/* --- the line */
static json_t *rendered(const struct callrec *r, struct buf *b)
{
	json_t *j;

	buf_init(b, 0);
	callrec_render(b, r, "mcu-1");
	assert_int_equal(b->err, 0);
	assert_ptr_equal(strchr(b->p, '\n'), b->p + b->l - 1);
	for (size_t i = 0; i + 1 < b->l; i++)
		assert_true((unsigned char)b->p[i] >= ' ' && (unsigned char)b->p[i] <= 0x7f);
	j = json_loadb(b->p, b->l, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	return j;
}

static const char *text(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static void a_record_has_what_was_measured(void **st)
{
	struct callrec r = { .start_ms = 1764042589123, .answered_ms = 1764042589200, .end_ms = 1764042599999, .up_ms = 10799,
			     .call_id = "a@b", .user = "sip:alice@x", .conf = "C1", .type = "audio-video", .why = LEG_END_REMOVED,
			     .media = true, .srtp = "AES_CM_128_HMAC_SHA1_80", .mutes = 2, .proto = "RTP/SAVP" };
	struct buf b;
	json_t *j;

	(void)st;
	r.st = (struct mleg_stats){ .started = true, .codec = MCODEC_OPUS, .mos_in = 4.4093, .loss_in = 1.234, .rtt_avg_us = 51234,
				    .lost = 5, .first_media_ms = -1 };
	j = rendered(&r, &b);
	assert_string_equal(text(j, "start"), "2025-11-25T03:49:49.123Z");
	assert_string_equal(text(j, "end"), "2025-11-25T03:49:59.999Z");
	assert_string_equal(text(j, "cause"), "removed");
	assert_string_equal(text(j, "codec"), "opus");
	assert_non_null(strstr(b.p, "\"mos_in\":4.41,"));
	assert_non_null(strstr(b.p, "\"rtt_ms\":51.23,"));
	assert_non_null(strstr(b.p, "\"loss_in\":1.23,"));
	assert_true(json_is_null(json_object_get(j, "mos_out")) && json_is_null(json_object_get(j, "loss_out")));
	assert_true(json_is_null(json_object_get(j, "first_media_ms")) && json_is_null(json_object_get(j, "signalling")));
	assert_int_equal(json_integer_value(json_object_get(j, "mutes")), 2);
	json_decref(j);
	buf_fini(&b);
}

static void hostile_names_stay_inside_their_strings(void **st)
{
	char many[2000] = "";
	struct callrec r = { .call_id = "\"}\n{\"v\":2,\"x\":\"\xff\xc3\x1b[31m\x7f", .user = many, .conf = "\xe2\x80\xae\xc3\xa9", .type = "chat" };
	struct buf b;
	json_t *j;

	(void)st;
	for (int i = 0; i < 600; i++)
		strcat(many, "\xe2\x82\xac");
	j = rendered(&r, &b);
	assert_string_equal(text(j, "call_id"), "\"}\n{\"v\":2,\"x\":\"??\x1b[31m\x7f");
	assert_int_equal(strlen(text(j, "user")), 255);          /* 85 whole characters */
	assert_string_equal(text(j, "conference"), "\xe2\x80\xae\xc3\xa9");
	assert_int_equal(json_integer_value(json_object_get(j, "v")), 1);
	assert_null(json_object_get(j, "codec"));
	json_decref(j);
	buf_fini(&b);
}

static void every_cause_has_a_word_of_its_own_in_the_metrics(void **st)
{
	struct buf b;
	unsigned n = 0;

	(void)st;
	callrec_metrics();
	callrec_metrics();
	buf_init(&b, 0);
	metric_render(&b);
	for (const char *at = b.p; (at = strstr(at, "\nconclave_mcu_call_ends_total{cause=\"")); at++)
		n++;
	assert_int_equal(n, LEG_NENDS);
	assert_non_null(strstr(b.p, "{cause=\"hangup\"} 0\n"));
	assert_non_null(strstr(b.p, "{cause=\"unanswered\"} 0\n"));
	assert_non_null(strstr(b.p, "# TYPE conclave_mcu_call_mos histogram\nconclave_mcu_call_mos_bucket{direction=\"in\",le=\"2\"} 0\n"));
	assert_non_null(strstr(b.p, "conclave_mcu_call_mos_bucket{direction=\"out\",le=\"+Inf\"} 0\n"
			       "conclave_mcu_call_mos_sum{direction=\"out\"} 0.000\nconclave_mcu_call_mos_count{direction=\"out\"} 0\n"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_appended_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_renamed_file_is_followed_until_it_is_opened_again, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_left_at_the_end_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bad_path_and_a_full_disk_are_counted_and_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_may_not_grow_keeps_whole_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_line_of_a_killed_process_goes_foreign_text_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_path_nothing_is_kept, setup, teardown),
		cmocka_unit_test(a_relative_path_is_below_the_service_managers_directory),
		cmocka_unit_test(a_record_has_what_was_measured),
		cmocka_unit_test(hostile_names_stay_inside_their_strings),
		cmocka_unit_test(every_cause_has_a_word_of_its_own_in_the_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
