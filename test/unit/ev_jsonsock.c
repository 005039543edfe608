/* SPDX-License-Identifier: Apache-2.0 */
/* The admin socket: lines in, answers out in order, bounds, left-over files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/ev/jsonsock.h"

static struct ev_loop *loop;
static struct jsonsock *js;
static struct jsonsock_req *held;
static struct tmr stop;
static char path[64];

static void on_stop(void *arg)
{
	(void)arg;
	ev_loop_stop(loop);
}

static void spin(unsigned ms)
{
	tmr_start(&stop, ms);
	ev_loop_run(loop);
}

/* "hold": answered later; "drop": never; else the line itself. */
static void on_line(struct jsonsock_req *rq, struct str line, void *arg)
{
	(void)arg;
	if (str_eq(line, STR("hold")))
		held = mem_ref(rq);
	else if (!str_eq(line, STR("drop")))
		assert_int_equal(jsonsock_reply(rq, line), 0);
}

static int setup(void **st)
{
	(void)st;
	held = NULL;
	snprintf(path, sizeof(path), "/tmp/jsonsock-%d.sock", (int)getpid());
	unlink(path);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	assert_int_equal(tmr_init(&stop, loop, on_stop, NULL), 0);
	return jsonsock_alloc(&js, loop, path, on_line, NULL);
}

static int teardown(void **st)
{
	(void)st;
	js = mem_deref(js);
	held = mem_deref(held);
	tmr_fini(&stop);
	loop = mem_deref(loop);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	spin(20);
}

static void hears(int fd, const char *want)
{
	char text[1024] = "";
	ssize_t got = read(fd, text, sizeof(text) - 1);

	assert_int_equal(got < 0 ? 0 : got, (ssize_t)strlen(want));
	assert_string_equal(text, want);
}

static void a_line_is_answered_whole_even_in_pieces(void **st)
{
	int fd = dial();
	struct stat sb;

	(void)st;
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	say(fd, "{\"cmd\"");
	hears(fd, "");
	say(fd, ":1}\r\n\n{2}\n");
	hears(fd, "{\"cmd\":1}\n{2}\n");
	close(fd);
}

static void answers_leave_in_the_order_of_their_requests(void **st)
{
	int fd = dial();

	(void)st;
	say(fd, "hold\nsecond\n");
	hears(fd, "");
	assert_int_equal(jsonsock_reply(held, STR("fi\nrst")), 0);
	assert_int_equal(jsonsock_reply(held, STR("again")), -EALREADY);
	spin(20);
	hears(fd, "fi rst\nsecond\n");
	close(fd);
}

static void a_request_that_nobody_answers_is_told_so(void **st)
{
	int fd = dial();
	char text[256] = "";

	(void)st;
	say(fd, "hold\n");
	held = mem_deref(held);
	spin(20);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "\"ok\":false"));
	say(fd, "drop\n");
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
}

static void an_answer_to_a_client_that_has_gone_is_harmless(void **st)
{
	int fd = dial();

	(void)st;
	say(fd, "hold\n");
	close(fd);
	spin(20);
	assert_int_equal(jsonsock_reply(held, STR("late")), 0);
}

static void a_line_without_end_closes_its_connection(void **st)
{
	char big[4096], c;
	int fd = dial();

	(void)st;
	memset(big, 'x', sizeof(big));
	for (unsigned i = 0; i < 2 * JSONSOCK_MAX_LINE / sizeof(big); i++)
		if (send(fd, big, sizeof(big), MSG_NOSIGNAL) < 0)
			spin(20);
	spin(50);
	assert_true(read(fd, &c, 1) <= 0 && errno != EAGAIN);
	close(fd);
	fd = dial();
	say(fd, "still here\n");
	hears(fd, "still here\n");
	close(fd);
}

static void a_path_in_use_is_refused_and_a_left_over_one_replaced(void **st)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct jsonsock *other = NULL;
	int fd;

	(void)st;
	assert_int_equal(jsonsock_alloc(&other, loop, path, on_line, NULL), -EADDRINUSE);
	assert_int_equal(jsonsock_alloc(&other, loop, "/tmp", on_line, NULL), -EEXIST);
	js = mem_deref(js);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(jsonsock_alloc(&js, loop, path, on_line, NULL), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_line_is_answered_whole_even_in_pieces),
		T(answers_leave_in_the_order_of_their_requests),
		T(a_request_that_nobody_answers_is_told_so),
		T(an_answer_to_a_client_that_has_gone_is_harmless),
		T(a_line_without_end_closes_its_connection),
		T(a_path_in_use_is_refused_and_a_left_over_one_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
