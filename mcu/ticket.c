/* SPDX-License-Identifier: Apache-2.0 */
/* ticket.c - tickets by value, in the order of their making, see ticket.h */
#include <errno.h>
#include <sys/queue.h>
#include <uthash.h>
#include "lib/base/mem.h"
#include "mcu/ticket.h"

struct ticket {
	char          *value, *call_id, *conf;
	void          *owner;                /* reference; NULL: used or too late */
	bool           used;
	uint64_t       made_ms;
	TAILQ_ENTRY(ticket) te;
	UT_hash_handle hh;
};

struct ticket_box {
	struct ticket        *by_value;
	TAILQ_HEAD(, ticket)  by_age;
};

static void ticket_destructor(void *arg)
{
	struct ticket *t = arg;

	mem_deref(t->value);
	mem_deref(t->call_id);
	mem_deref(t->conf);
	mem_deref(t->owner);
}

static void drop(struct ticket_box *b, struct ticket *t)
{
	HASH_DEL(b->by_value, t);
	TAILQ_REMOVE(&b->by_age, t, te);
	mem_deref(t);
}

static void box_destructor(void *arg)
{
	struct ticket_box *b = arg;
	struct ticket *t;

	while ((t = TAILQ_FIRST(&b->by_age)))
		drop(b, t);
}

int ticket_box_alloc(struct ticket_box **bp)
{
	struct ticket_box *b = mem_zalloc(sizeof(*b), box_destructor);

	if (!b)
		return -ENOMEM;
	TAILQ_INIT(&b->by_age);
	*bp = b;
	return 0;
}

static struct ticket *find(struct ticket_box *b, struct str value)
{
	struct ticket *t = NULL;

	if (!str_empty(value))
		HASH_FIND(hh, b->by_value, value.p, value.l, t);
	return t;
}

static void put(struct ticket_box *b, struct ticket *t, uint64_t now_ms)
{
	t->made_ms = now_ms;
	TAILQ_INSERT_TAIL(&b->by_age, t, te);
}

int ticket_add(struct ticket_box *b, const char *value, const char *call_id, const char *conf, void *owner,
	       uint64_t now_ms)
{
	struct ticket *t = find(b, str_c(value));

	if (t && (t->owner != owner || !cstr_eq(t->call_id, call_id) || !cstr_eq(t->conf, conf)))
		return -EEXIST;
	if (t) {
		TAILQ_REMOVE(&b->by_age, t, te);
		put(b, t, now_ms);
		return 0;
	}
	if (HASH_COUNT(b->by_value) >= TICKET_MAX)
		return -ENOSPC;
	t = mem_zalloc(sizeof(*t), ticket_destructor);
	if (!t)
		return -ENOMEM;
	t->value   = str_dup(str_c(value));
	t->call_id = str_dup(str_c(call_id));
	t->conf    = str_dup(str_c(conf));
	if (!t->value || !t->call_id || !t->conf) {
		mem_deref(t);
		return -ENOMEM;
	}
	t->owner = mem_ref(owner);
	HASH_ADD_KEYPTR(hh, b->by_value, t->value, strlen(t->value), t);
	put(b, t, now_ms);
	return 0;
}

int ticket_take(struct ticket_box *b, struct str value, struct str call_id, const char *conf, uint64_t now_ms,
		void **ownerp)
{
	struct ticket *t = find(b, value);

	if (!t)
		return -ENOENT;
	if (!str_eq(str_c(t->call_id), call_id) || !cstr_ieq(t->conf, conf))
		return -EPERM;
	if (t->used)
		return -EALREADY;
	if (!t->owner || now_ms - t->made_ms > TICKET_MS)
		return -ETIMEDOUT;
	t->used  = true;
	*ownerp  = t->owner;
	t->owner = NULL;
	return 0;
}

void ticket_forget(struct ticket_box *b, const void *owner)
{
	struct ticket *t, *next;

	for (t = TAILQ_FIRST(&b->by_age); t; t = next) {
		next = TAILQ_NEXT(t, te);
		if (t->owner == owner)
			drop(b, t);
	}
}

void ticket_sweep(struct ticket_box *b, uint64_t now_ms)
{
	struct ticket *t;

	while ((t = TAILQ_FIRST(&b->by_age)) && now_ms - t->made_ms > 2 * TICKET_MS)
		drop(b, t);
	TAILQ_FOREACH(t, &b->by_age, te) {
		if (now_ms - t->made_ms <= TICKET_MS)
			break;
		t->owner = mem_deref(t->owner);
	}
}

unsigned ticket_count(const struct ticket_box *b)
{
	return HASH_COUNT(b->by_value);
}

const char *ticket_error(int err)
{
	switch (err) {
	case -ENOENT:    return "this call was not announced by the focus; dial the conference, not the server";
	case -ETIMEDOUT: return "the ticket of this call is too old; dial again";
	case -EALREADY:  return "the ticket of this call was used before; dial again";
	case -EPERM:     return "the ticket belongs to another call or conference";
	default:         return "no ticket";
	}
}
