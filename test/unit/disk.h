/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h - for tests: a disk that is full, which for this process is a limit on how large a file may grow */
#ifndef TEST_UNIT_DISK_H
#define TEST_UNIT_DISK_H
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

static struct rlimit disk_was;

static inline void disk_full(rlim_t file_max)
{
	struct rlimit now;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &disk_was), 0);
	now = disk_was;
	now.rlim_cur = file_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static inline void disk_free(void)
{
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &disk_was), 0);
}

#endif
