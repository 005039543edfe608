/* SPDX-License-Identifier: Apache-2.0 */
/* tls_seal.c - secrets at rest: what was sealed comes back, and nothing else passes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/tls/seal.h"

static char         dir[64], path[96], err[256];
static struct seal *seal;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/tls_seal.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/focus.key", dir);
	assert_int_equal(seal_alloc(&seal, path, err, sizeof(err)), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	seal = mem_deref(seal);
	unlink(path);
	return rmdir(dir);                       /* nothing else was left in it */
}

static char *closed(const char *context, const char *plain)
{
	char *t = NULL;

	assert_int_equal(seal_close(seal, &t, str_c(context), str_c(plain)), 0);
	return t;
}

static void what_was_sealed_comes_back(void **state)
{
	char *t = closed("room", "4711"), *p = NULL;

	(void)state;
	assert_null(strstr(t, "4711"));
	assert_int_equal(seal_open(seal, &p, STR("room"), str_c(t)), 0);
	assert_string_equal(p, "4711");
	assert_true(seal_is(seal, STR("room"), str_c(t), STR("4711")));
	assert_false(seal_is(seal, STR("room"), str_c(t), STR("4712")));
	assert_false(seal_is(seal, STR("room"), str_c(t), STR("47110")));
	assert_false(seal_is(seal, STR("room"), str_c(t), STR("")));
	seal_wipe(p);
	assert_int_equal(p[0], 0);
	mem_deref(p);
	mem_deref(t);
}

static void the_same_secret_looks_different_each_time(void **state)
{
	char *a = closed("room", "4711"), *b = closed("room", "4711");

	(void)state;
	assert_string_not_equal(a, b);
	mem_deref(a);
	mem_deref(b);
}

static void another_context_does_not_open_it(void **state)
{
	char *t = closed("room", "4711"), *p = NULL;

	(void)state;
	assert_int_equal(seal_open(seal, &p, STR("other"), str_c(t)), -EBADMSG);
	assert_int_equal(seal_open(seal, &p, STR(""), str_c(t)), -EBADMSG);
	assert_null(p);
	mem_deref(t);
}

static void any_changed_or_missing_digit_is_found(void **state)
{
	char *t = closed("room", "4711"), *p = NULL;
	size_t n = strlen(t);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char was = t[i];

		assert_int_equal(seal_open(seal, &p, STR("room"), (struct str){ t, i }), -EBADMSG);
		t[i] = was == '0' ? '1' : '0';
		assert_int_equal(seal_open(seal, &p, STR("room"), str_c(t)), -EBADMSG);
		t[i] = was;
	}
	assert_int_equal(seal_open(seal, &p, STR("room"), STR("4711")), -EBADMSG);
	assert_null(p);
	mem_deref(t);
}

static void the_key_is_made_once_and_read_again(void **state)
{
	char *t = closed("room", "4711");
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	seal = mem_deref(seal);
	assert_int_equal(seal_alloc(&seal, path, err, sizeof(err)), 0);
	assert_true(seal_is(seal, STR("room"), str_c(t), STR("4711")));
	seal = mem_deref(seal);
	unlink(path);
	assert_int_equal(seal_alloc(&seal, path, err, sizeof(err)), 0);
	assert_false(seal_is(seal, STR("room"), str_c(t), STR("4711")));
	mem_deref(t);
}

static void a_key_file_that_others_may_read_is_refused(void **state)
{
	struct seal *s = NULL;

	(void)state;
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(seal_alloc(&s, path, err, sizeof(err)), -EACCES);
	assert_non_null(strstr(err, "0600"));
	assert_null(s);
}

static void a_key_of_another_length_is_refused(void **state)
{
	struct seal *s = NULL;

	(void)state;
	assert_int_equal(truncate(path, 31), 0);
	assert_int_equal(seal_alloc(&s, path, err, sizeof(err)), -EBADMSG);
	assert_int_equal(truncate(path, 33), 0);
	assert_int_equal(seal_alloc(&s, path, err, sizeof(err)), -EBADMSG);
	assert_null(s);
}

static void a_place_where_no_key_can_be_made_is_an_error(void **state)
{
	struct seal *s = NULL;

	(void)state;
	assert_true(seal_alloc(&s, "/nonexistent/x.key", err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "/nonexistent/x.key"));
}

static void empty_and_endless_secrets_are_refused(void **state)
{
	static char big[SEAL_MAX + 1];
	char *t = NULL;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(seal_close(seal, &t, STR("room"), STR("")), -EINVAL);
	assert_int_equal(seal_close(seal, &t, STR("room"), (struct str){ big, sizeof(big) }), -EINVAL);
	assert_int_equal(seal_close(seal, &t, STR("room"), (struct str){ big, SEAL_MAX }), 0);
	assert_true(seal_is(seal, STR("room"), str_c(t), (struct str){ big, SEAL_MAX }));
	mem_deref(t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_sealed_comes_back), T(the_same_secret_looks_different_each_time), T(another_context_does_not_open_it),
		T(any_changed_or_missing_digit_is_found), T(the_key_is_made_once_and_read_again),
		T(a_key_file_that_others_may_read_is_refused), T(a_key_of_another_length_is_refused),
		T(a_place_where_no_key_can_be_made_is_an_error), T(empty_and_endless_secrets_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
