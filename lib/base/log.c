/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - log lines, levels and rate limit, see log.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/log.h"

#define RATE_PER_SECOND 5u

static const char *const area_names[] = {
#define X(a) #a,
	LOG_AREAS(X)
#undef X
};
static const char *const level_names[] = { "error", "warn", "info", "debug" };
static _Atomic int levels[LOG_NAREAS] = {
#define X(a) [LOG_##a] = LOG_LVL_INFO,
	LOG_AREAS(X)
#undef X
};
static const char *self = "conclave";

bool log_on(enum log_area area, enum log_level lvl)
{
	return (int)lvl <= levels[area];
}

void log_ident(const char *ident)
{
	self = ident;
}

static bool allowed(struct log_rate *r, long long now, unsigned *lost)
{
	if (r->window != now) {
		r->window = now;
		r->n = 0;
	}
	if (atomic_fetch_add(&r->n, 1) >= RATE_PER_SECOND) {
		atomic_fetch_add(&r->lost, 1);
		return false;
	}
	*lost = atomic_exchange(&r->lost, 0);
	return true;
}

void log_write(enum log_area area, enum log_level lvl, struct log_rate *rate, const char *fmt, ...)
{
	char line[1024];
	struct timespec ts;
	struct tm tm;
	unsigned lost = 0;
	va_list ap;
	int n, m;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (rate && !allowed(rate, ts.tv_sec, &lost))
		return;
	gmtime_r(&ts.tv_sec, &tm);
	n = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s %s: ",
		     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		     ts.tv_nsec / 1000000, self, level_names[lvl], area_names[area]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 48, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m < (int)sizeof(line) - n - 48 ? m : (int)sizeof(line) - n - 49;
	for (char *c = line; c < line + n; c++)          /* what a peer sent cannot forge a line */
		if ((unsigned char)*c < ' ')
			*c = '?';
	if (lost)
		n += snprintf(line + n, 40, " (%u more like this)", lost);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

static int find(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int log_set(const char *area, const char *level)
{
	int l = find(level_names, 4, level), a;

	if (l < 0)
		return -EINVAL;
	if (!area || strcmp(area, "all") == 0) {
		for (int i = 0; i < LOG_NAREAS; i++)
			levels[i] = l;
		return 0;
	}
	a = find(area_names, LOG_NAREAS, area);
	if (a < 0)
		return -EINVAL;
	levels[a] = l;
	return 0;
}

void log_dump(void (*each)(const char *area, const char *level, void *arg), void *arg)
{
	for (int i = 0; i < LOG_NAREAS; i++)
		each(area_names[i], level_names[levels[i]], arg);
}
