/* SPDX-License-Identifier: Apache-2.0 */
/* base_opts.c - a service manager that reads nothing does not stop a daemon */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "lib/base/opts.h"

static void a_full_notify_socket_loses_the_message_only(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/opts-XXXXXX", got[64] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n = 0;

	(void)state;
	assert_true(fd >= 0 && mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	alarm(10);                                     /* it would wait for ever */
	for (int i = 0; i < 2000; i++)
		opts_notify("READY=1");
	while (recv(fd, got, sizeof(got) - 1, 0) > 0)
		n++;
	assert_in_range(n, 1, 1999);
	assert_string_equal(got, "READY=1");

	opts_notify("STOPPING=1");                     /* there is room again */
	memset(got, 0, sizeof(got));
	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), 10);
	assert_string_equal(got, "STOPPING=1");
	alarm(0);
	unsetenv("NOTIFY_SOCKET");
	opts_notify("READY=1");
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_notify_socket_loses_the_message_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
