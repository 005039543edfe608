/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - pending and flying changes of a conference, see report.h */
#include <errno.h>
#include <sys/queue.h>
#include <uthash.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "mcu/report.h"

struct item {
	struct report_item it;
	char              *key;              /* "user endpoint" */
	char              *user, *endpoint;
	TAILQ_ENTRY(item)  te;
	UT_hash_handle     hh;
};

TAILQ_HEAD(items, item);

struct report {
	struct item  *by_key;                /* the waiting ones */
	struct items  waiting, flying;
	uint64_t      version;
	unsigned      nstates;               /* waiting ones with more than talking */
};

static void item_destructor(void *arg)
{
	struct item *i = arg;

	mem_deref(i->key);
	mem_deref(i->user);
	mem_deref(i->endpoint);
}

static void clear(struct items *list)
{
	struct item *i;

	while ((i = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, i, te);
		mem_deref(i);
	}
}

static void destructor(void *arg)
{
	struct report *r = arg;

	HASH_CLEAR(hh, r->by_key);
	clear(&r->waiting);
	clear(&r->flying);
}

int report_alloc(struct report **rp)
{
	struct report *r = mem_zalloc(sizeof(*r), destructor);

	if (!r)
		return -ENOMEM;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->flying);
	*rp = r;
	return 0;
}

static struct item *make(const char *key, const char *user, const char *endpoint)
{
	struct item *i = mem_zalloc(sizeof(*i), item_destructor);

	if (!i)
		return NULL;
	i->key      = str_dup(str_c(key));
	i->user     = str_dup(str_c(user));
	i->endpoint = str_dup(str_c(endpoint));
	if (!i->key || !i->user || !i->endpoint)
		return mem_deref(i);
	i->it.user     = i->user;
	i->it.endpoint = i->endpoint;
	return i;
}

static void add_what(struct report *r, struct item *i, unsigned what)
{
	if ((what & REPORT_STATE) && !(i->it.what & REPORT_STATE))
		r->nstates++;
	i->it.what |= what;
}

int report_mark(struct report *r, const char *user, const char *endpoint, enum report_what what)
{
	char *key = str_printf("%s %s", user, endpoint);
	struct item *i = NULL;

	if (!key)
		return -ENOMEM;
	HASH_FIND_STR(r->by_key, key, i);
	if (!i) {
		i = make(key, user, endpoint);
		if (i) {
			HASH_ADD_KEYPTR(hh, r->by_key, i->key, strlen(i->key), i);
			TAILQ_INSERT_TAIL(&r->waiting, i, te);
		}
	}
	mem_deref(key);
	if (!i)
		return -ENOMEM;
	add_what(r, i, what);
	return 0;
}

bool report_pending(const struct report *r)
{
	return !TAILQ_EMPTY(&r->waiting);
}

bool report_urgent(const struct report *r)
{
	return r->nstates;
}

bool report_busy(const struct report *r)
{
	return !TAILQ_EMPTY(&r->flying);
}

uint64_t report_version(const struct report *r)
{
	return r->version;
}

uint64_t report_take(struct report *r, unsigned max, report_each_cb *each, void *arg)
{
	struct item *i;
	unsigned n = 0;

	if (report_busy(r) || !report_pending(r))
		return 0;
	while (n < max && (i = TAILQ_FIRST(&r->waiting))) {
		if (!each(&i->it, arg) && n)
			break;
		n++;
		HASH_DEL(r->by_key, i);
		TAILQ_REMOVE(&r->waiting, i, te);
		if (i->it.what & REPORT_STATE)
			r->nstates--;
		TAILQ_INSERT_TAIL(&r->flying, i, te);
	}
	return ++r->version;
}

void report_done(struct report *r)
{
	clear(&r->flying);
}

/* Back to the front in their old order; one that was marked again meanwhile merges. */
void report_untake(struct report *r)
{
	struct item *i, *again;

	if (!report_busy(r))
		return;
	while ((i = TAILQ_LAST(&r->flying, items))) {
		TAILQ_REMOVE(&r->flying, i, te);
		again = NULL;
		HASH_FIND_STR(r->by_key, i->key, again);
		if (again) {
			add_what(r, again, i->it.what);
			mem_deref(i);
			continue;
		}
		HASH_ADD_KEYPTR(hh, r->by_key, i->key, strlen(i->key), i);
		TAILQ_INSERT_HEAD(&r->waiting, i, te);
		if (i->it.what & REPORT_STATE)
			r->nstates++;
	}
	r->version--;
}
