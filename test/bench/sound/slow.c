/* SPDX-License-Identifier: Apache-2.0 */
/* slow.c - a clock that runs slower than the real one, for machines that others use too
 *
 * The player, libuv and the engine ask the time and sleep through these two functions, which stand in front of the C
 * library's. With SOUND_SLOW=3 all of them live in a time that passes at a third of the pace: the same packets, ticks and
 * sockets, but three times the processor. What is measured is told in that time.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "test/bench/sound/sound.h"

static int64_t began_ns;
static unsigned slow = 1;

static int64_t real_ns(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void slow_init(unsigned times)
{
	began_ns = real_ns();
	slow = times ? times : 1;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t t;

	if (id != CLOCK_MONOTONIC || slow == 1)
		return syscall(SYS_clock_gettime, id, ts) ? -1 : 0;
	t = began_ns + (real_ns() - began_ns) / slow;
	*ts = (struct timespec){ .tv_sec = t / 1000000000, .tv_nsec = t % 1000000000 };
	return 0;
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *want, struct timespec *left)
{
	struct timespec ts = *want;

	if (id == CLOCK_MONOTONIC && flags == TIMER_ABSTIME && slow != 1) {
		int64_t t = (int64_t)want->tv_sec * 1000000000 + want->tv_nsec;

		t = began_ns + (t - began_ns) * slow;
		ts = (struct timespec){ .tv_sec = t / 1000000000, .tv_nsec = t % 1000000000 };
	}
	return syscall(SYS_clock_nanosleep, id, flags, &ts, left) ? errno : 0;
}
