/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - a ring of events per Call-ID, see trace.h
 *
 * trace_add -> the call's ring (hash by Call-ID, list by last use) -> the oldest event of a full ring is overwritten,
 * the call unused for longest gives its memory to a new one. Texts are kept at their own length, not at the bound.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <uthash.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/trace.h"

struct event {
	uint64_t wall_ms;
	char    *text;
};

struct trace {
	char              *call_id;
	struct event       ev[TRACE_EVENTS];
	unsigned           n, head, lost;        /* head: index of the oldest */
	TAILQ_ENTRY(trace) used;
	UT_hash_handle     hh;
};

static struct trace *by_id;
static TAILQ_HEAD(, trace) by_use = TAILQ_HEAD_INITIALIZER(by_use);

static void destructor(void *arg)
{
	struct trace *t = arg;

	for (unsigned i = 0; i < TRACE_EVENTS; i++)
		mem_deref(t->ev[i].text);
	mem_deref(t->call_id);
}

static void drop(struct trace *t)
{
	HASH_DEL(by_id, t);
	TAILQ_REMOVE(&by_use, t, used);
	mem_deref(t);
}

static struct trace *find(const char *call_id)
{
	struct trace *t = NULL;

	HASH_FIND_STR(by_id, call_id, t);
	return t;
}

static struct trace *make(const char *call_id)
{
	struct trace *t = mem_zalloc(sizeof(*t), destructor);

	if (!t)
		return NULL;
	t->call_id = str_dup(str_c(call_id));
	if (!t->call_id)
		return mem_deref(t);
	if (HASH_COUNT(by_id) >= TRACE_CALLS)
		drop(TAILQ_FIRST(&by_use));
	HASH_ADD_KEYPTR(hh, by_id, t->call_id, strlen(t->call_id), t);
	TAILQ_INSERT_TAIL(&by_use, t, used);
	return t;
}

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The slot for one more event: a free one, or the oldest. */
static struct event *slot(struct trace *t)
{
	struct event *e = &t->ev[(t->head + t->n) % TRACE_EVENTS];

	if (t->n < TRACE_EVENTS) {
		t->n++;
		return e;
	}
	e = &t->ev[t->head];
	t->head = (t->head + 1) % TRACE_EVENTS;
	t->lost++;
	return e;
}

void trace_add(const char *call_id, const char *fmt, ...)
{
	char text[TRACE_TEXT], *copy;
	struct trace *t;
	struct event *e;
	va_list ap;

	if (!call_id || !*call_id)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	copy = str_dup(str_c(text));
	if (!copy)
		return;
	t = find(call_id);
	if (!t)
		t = make(call_id);
	if (!t) {
		mem_deref(copy);
		return;
	}
	TAILQ_REMOVE(&by_use, t, used);
	TAILQ_INSERT_TAIL(&by_use, t, used);
	e = slot(t);
	mem_deref(e->text);
	e->text    = copy;
	e->wall_ms = wall_ms();
}

int trace_find(const char *call_id, trace_each_cb *each, void *arg)
{
	struct trace *t = call_id ? find(call_id) : NULL;

	if (!t)
		return -ENOENT;
	for (unsigned i = 0; i < t->n; i++) {
		const struct event *e = &t->ev[(t->head + i) % TRACE_EVENTS];

		each(e->wall_ms, e->text, i ? 0 : t->lost, arg);
	}
	return (int)t->n;
}

unsigned trace_calls(void)
{
	return HASH_COUNT(by_id);
}

void trace_flush(void)
{
	struct trace *t;

	while ((t = TAILQ_FIRST(&by_use)))
		drop(t);
}
