/* SPDX-License-Identifier: Apache-2.0 */
/* guess.c - see guess.h */
#include <errno.h>
#include <sys/queue.h>
#include <uthash.h>
#include "focusd/guess.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

struct entry {
	char              *key;
	unsigned           wrong;
	uint64_t           since_ms, until_ms;   /* until: paused */
	TAILQ_ENTRY(entry) le;                   /* oldest first */
	UT_hash_handle     hh;
};

struct guesses {
	struct entry *by_key;
	TAILQ_HEAD(, entry) list;
	uint64_t      pause_ms, within_ms;
};

static void entry_destructor(void *arg)
{
	mem_deref(((struct entry *)arg)->key);
}

static void drop(struct guesses *g, struct entry *e)
{
	HASH_DEL(g->by_key, e);
	TAILQ_REMOVE(&g->list, e, le);
	mem_deref(e);
}

static void destructor(void *arg)
{
	struct guesses *g = arg;

	while (!TAILQ_EMPTY(&g->list))
		drop(g, TAILQ_FIRST(&g->list));
}

int guesses_alloc(struct guesses **gp, uint64_t pause_ms, uint64_t within_ms)
{
	struct guesses *g = mem_zalloc(sizeof(*g), destructor);

	if (!g)
		return -ENOMEM;
	TAILQ_INIT(&g->list);
	g->pause_ms  = pause_ms;
	g->within_ms = within_ms;
	*gp = g;
	return 0;
}

static struct entry *find(const struct guesses *g, const char *key)
{
	struct entry *e = NULL;

	if (key)
		HASH_FIND(hh, g->by_key, key, strnlen(key, GUESS_KEY), e);
	return e;
}

bool guess_paused(const struct guesses *g, const char *key, uint64_t now_ms)
{
	const struct entry *e = find(g, key);

	return e && now_ms < e->until_ms;
}

static struct entry *make(struct guesses *g, const char *key)
{
	struct entry *e = mem_zalloc(sizeof(*e), entry_destructor);

	if (!e)
		return NULL;
	e->key = str_dup((struct str){ key, strnlen(key, GUESS_KEY) });
	if (!e->key)
		return mem_deref(e);
	if (HASH_COUNT(g->by_key) >= GUESS_MAX)
		drop(g, TAILQ_FIRST(&g->list));
	HASH_ADD_KEYPTR(hh, g->by_key, e->key, strlen(e->key), e);
	TAILQ_INSERT_TAIL(&g->list, e, le);
	return e;
}

void guess_wrong(struct guesses *g, const char *key, unsigned limit, uint64_t now_ms)
{
	struct entry *e = find(g, key);

	if (!key)
		return;
	if (!e)
		e = make(g, key);
	if (!e)
		return;
	TAILQ_REMOVE(&g->list, e, le);
	TAILQ_INSERT_TAIL(&g->list, e, le);
	if (!e->wrong || now_ms - e->since_ms > g->within_ms) {
		e->wrong    = 0;
		e->since_ms = now_ms;
	}
	if (++e->wrong >= limit) {
		e->wrong    = 0;
		e->until_ms = now_ms + g->pause_ms;
	}
}

void guess_right(struct guesses *g, const char *key, uint64_t now_ms)
{
	struct entry *e = find(g, key);

	if (e && now_ms < e->until_ms)
		e->wrong = 0;
	else if (e)
		drop(g, e);
}

unsigned guess_count(const struct guesses *g)
{
	return HASH_COUNT(g->by_key);
}
