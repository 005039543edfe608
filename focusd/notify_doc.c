/* SPDX-License-Identifier: Apache-2.0 */
/* notify_doc.c - end of turn: which conferences changed, their documents, and to whom they go after the commit
 *
 * Documents are rendered from the state that this turn's transaction writes, and leave when it is committed; one that
 * cannot be committed never leaves.
 */
#include <errno.h>
#include <stdlib.h>
#include "focusd/notify_priv.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define FRAME_BYTES 3072u                /* what a document has besides its users, at most */
#define NOMEM_MS    1000u                /* a document that could not be made is tried again */

static void on_doc_destroy(void *arg)
{
	buf_fini(&((struct doc *)arg)->text);
}

static struct doc *render(const struct roster_doc *rd)
{
	struct doc *d = mem_zalloc(sizeof(*d), on_doc_destroy);

	if (!d)
		return NULL;
	d->version = rd->version;
	roster_encode(&d->text, rd);
	return d->text.err ? mem_deref(d) : d;
}

/* --- after the commit */
struct delivery {
	struct app *app;
	struct sub *sub;                 /* one, or NULL: all of the conference */
	char       *key;
	int64_t     conf_id;             /* another one may have that key by then */
	struct doc *doc;
};

static void on_delivery_destroy(void *arg)
{
	struct delivery *v = arg;

	mem_deref(v->sub);
	mem_deref(v->key);
	mem_deref(v->doc);
}

static void to_all(struct conf *c, struct doc *d)
{
	struct sub *s, *next;

	for (s = TAILQ_FIRST(&c->subs); s; s = next) {
		next = TAILQ_NEXT(s, le);
		if (!s->want_full && !(s->flags & SUB_OWN_VERSION) && d->version > s->last_version)
			sub_push(s, d);
	}
}

static void on_committed(int err, void *arg)
{
	struct delivery *v = arg;
	struct conf *c;

	if (v->sub) {
		v->sub->due--;
		if (err)
			sub_settled(v->sub);
		else
			sub_push(v->sub, v->doc);
	} else if (!err) {
		c = conf_find_key(&v->app->confs, v->key);
		if (c && c->dirt.id == v->conf_id)
			to_all(c, v->doc);
	}
	mem_deref(v);
}

static void deliver(struct app *a, struct conf *c, struct sub *s, struct doc *d)
{
	struct delivery *v = mem_zalloc(sizeof(*v), on_delivery_destroy);

	if (!v)
		return;                          /* a gap: the subscriber asks for a full document */
	v->app = a;
	v->sub = mem_ref(s);
	v->key = mem_ref(c->key);
	v->doc = mem_ref(d);
	v->conf_id = c->dirt.id;
	if (s)
		s->due++;
	store_defer(a->store, on_committed, v);
}

/* --- a subscription whose documents are split: its own version, rendered for it alone */
static size_t limit_of(const struct app *a, const struct sub *s)
{
	return (size_t)(s->flags & SUB_UDP ? a->cfg.doc_udp_bytes : a->cfg.doc_bytes);
}

static void send_part(struct app *a, struct sub *s, struct roster_doc *rd)
{
	struct doc *d;

	rd->version = ++s->own_version;
	d = render(rd);
	if (d)
		deliver(a, s->conf, s, d);
	mem_deref(d);
}

/* users in portions that fit; the first portion also carries what else rd says */
static void send_split(struct app *a, struct sub *s, struct roster_doc rd, struct user **users, unsigned n)
{
	size_t limit = limit_of(a, s), bytes = FRAME_BYTES;
	unsigned from = 0;

	for (unsigned i = 0; i <= n; i++) {
		size_t size = i < n ? roster_user_size(users[i]) : 0;

		if (i < n && (bytes + size <= limit || i == from)) {
			bytes += size;
			continue;
		}
		rd.users  = users + from;
		rd.nusers = i - from;
		send_part(a, s, &rd);
		rd = (struct roster_doc){ .conf = rd.conf };
		from  = i;
		bytes = FRAME_BYTES + size;
	}
	confs_mark(&a->confs, &s->dirt);
}

/* The next portion of a full document. Each follows when the one before has left, so a large roster needs no large queue;
 * what changes meanwhile goes between them, whole users as always. */
static void send_portion(struct app *a, struct conf *c, struct sub *s, bool first)
{
	struct roster_doc rd = { .conf = c, .full = first };
	struct user **users = malloc((s->nrest - s->rest_at + 1) * sizeof(*users));
	size_t limit = limit_of(a, s), bytes = FRAME_BYTES;

	if (!users) {
		s->want_full = true;
		return;
	}
	for (; s->rest_at < s->nrest; s->rest_at++) {
		struct user *u = user_find(c, s->rest[s->rest_at]);
		size_t size = u && user_visible(u) ? roster_user_size(u) : 0;

		if (rd.nusers && bytes + size > limit)
			break;
		if (size)
			users[rd.nusers++] = u;
		bytes += size;
	}
	rd.users = users;
	if (first || rd.nusers) {
		send_part(a, s, &rd);
		confs_mark(&a->confs, &s->dirt);
	}
	if (s->rest_at == s->nrest)
		sub_rest_clear(s);
	free(users);
}

/* --- full documents that are owed */
static void send_full(struct app *a, struct conf *c, struct sub *s, struct doc **shared)
{
	struct roster_doc rd = { .conf = c, .version = c->version, .full = true };

	if (!*shared)
		*shared = render(&rd);
	if (!*shared)
		return;
	s->want_full = false;
	sub_rest_clear(s);
	if ((*shared)->text.l <= limit_of(a, s)) {
		if (s->flags & SUB_OWN_VERSION) {        /* shrank back, but its versions go on */
			send_part(a, s, &rd);
			confs_mark(&a->confs, &s->dirt);
		} else {
			s->last_version = c->version;
			deliver(a, c, s, *shared);
		}
		return;
	}
	if (!(s->flags & SUB_OWN_VERSION)) {
		s->flags      |= SUB_OWN_VERSION;
		s->own_version = c->version;
	}
	if (sub_rest_fill(s))
		s->want_full = true;
	else
		send_portion(a, c, s, true);
}

/* The final NOTIFY carries the state where somebody waits for it: an unsubscribe (RFC 6665 4.4.1), the conference's end. */
static struct doc *last_doc(struct conf *c, struct sub *s)
{
	struct roster_doc rd = { .conf = c, .version = s->flags & SUB_OWN_VERSION ? ++s->own_version : c->version, .full = true };
	struct doc *d = s->want_full || !c->active ? render(&rd) : NULL;

	if (d && d->text.l > limit_of(s->app, s))
		d = mem_deref(d);
	if (!d)
		d = mem_zalloc(sizeof(*d), on_doc_destroy);
	if (d)
		d->reason = s->ending;
	return d;
}

static void end_sub(struct app *a, struct conf *c, struct sub *s)
{
	struct doc *d = *s->ending ? last_doc(c, s) : NULL;

	if (d)
		deliver(a, c, s, d);
	sub_detach(a, s);
	mem_deref(d);
	sub_settled(s);
}

/* What a subscription is owed; between two documents (paced) portions only: newcomers wait, one full document serves them all. */
static void serve_subs(struct app *a, struct conf *c, bool paced)
{
	struct doc *full = NULL;
	struct sub *s, *next;

	for (s = TAILQ_FIRST(&c->subs); s; s = next) {
		next = TAILQ_NEXT(s, le);
		if (s->want_full && !s->retry_at_ms && !s->ending && !paced)
			send_full(a, c, s, &full);
		else if (s->rest && !s->want_full && !s->nqueue && !s->due && !s->ending)
			send_portion(a, c, s, false);
		if (s->ending && !paced)
			end_sub(a, c, s);
	}
	mem_deref(full);
}

/* --- the change itself */
static bool has_news(const struct conf *c)
{
	return c->chg_state || c->chg_desc || c->chg_view || c->chg_full || c->ngone || !TAILQ_EMPTY(&c->changed_users);
}

static bool publish(struct app *a, struct conf *c)
{
	struct roster_doc rd = { .conf = c, .full = c->chg_full, .desc = c->chg_desc, .view = c->chg_view };
	struct user *u, **users;
	struct sub *s;
	struct doc *d;
	unsigned n = 0;

	conf_hide_users(&a->confs, c);
	rd.gone  = c->gone;
	rd.ngone = c->ngone;
	rd.state = c->chg_state;
	users = malloc((c->nusers + 1) * sizeof(*users));
	if (!users)
		return false;                    /* stays marked */
	TAILQ_FOREACH(u, &c->changed_users, changed_le)
		if (user_visible(u))
			users[n++] = u;
	if (!rd.full) {
		rd.users  = users;
		rd.nusers = n;
	}
	rd.version = ++c->version;
	c->published_ms = ev_now_ms(a->loop);
	conf_touch(&a->confs, c);
	d = c->nsubs ? render(&rd) : NULL;
	if (d) {
		deliver(a, c, NULL, d);
		TAILQ_FOREACH(s, &c->subs, le) {
			if (s->want_full)
				continue;
			if (!(s->flags & SUB_OWN_VERSION) ? d->text.l > limit_of(a, s) : rd.full)
				s->want_full = true;     /* served alone, from here on */
			else if (s->flags & SUB_OWN_VERSION)
				send_split(a, s, rd, users, n);
		}
	}
	mem_deref(d);
	free(users);
	return true;
}

/* The pace, and for a crowd the time that its notifications need: else those of a storm queue up in the edge, and requests behind them. */
static uint64_t due_in(const struct app *a, const struct conf *c)
{
	uint64_t pace = (uint64_t)a->cfg.pace_ms, crowd = (uint64_t)c->nsubs * 1000 / (uint64_t)a->cfg.notify_rate;
	uint64_t now = ev_now_ms(a->loop), due = c->published_ms + (pace > crowd ? pace : crowd);

	return !c->published_ms || due <= now ? 0 : due - now;
}

void notify_on_pace(void *arg)
{
	(void)arg;                               /* the turn's end does it */
}

/* Nobody may hold on to a conference that goes. */
static void end_all(struct app *a, struct conf *c)
{
	struct sub *s;

	TAILQ_FOREACH(s, &c->subs, le)
		sub_end(a, s, "noresource");
}

void notify_turn(struct app *a)
{
	struct conf *c, *next;
	uint64_t wait = 0, in;

	if (a->loading)
		return;
	wait = sub_settle(a);
	for (c = TAILQ_FIRST(&a->confs.changed); c; c = next) {
		next = TAILQ_NEXT(c, changed_le);
		in = has_news(c) && c->active && !c->removing ? due_in(a, c) : 0;
		if (!in && has_news(c) && !publish(a, c))
			in = NOMEM_MS;
		if (in) {
			if (!wait || in < wait)
				wait = in;
			if (c->nsplit)
				serve_subs(a, c, true);
			continue;
		}
		if (c->removing)
			end_all(a, c);
		serve_subs(a, c, false);
		conf_told(&a->confs, c);
		if (c->removing)
			conf_remove(&a->confs, c);
	}
	if (wait)
		tmr_start(&a->pace, wait);
}
