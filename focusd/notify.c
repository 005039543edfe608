/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - subscriptions and the path of a document to them, see notify.h; rendering is in notify_doc.c */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "focusd/answer.h"
#include "focusd/notify_priv.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/msg.h"

#define RETRY_MS 2000u
#define FIRST_MS 2000u                   /* a SUBSCRIBE waits for its document so long, then it is answered without */

static struct metric metrics[] = {
	METRIC_GAUGE("conclave_focus_subscriptions", "Subscriptions to conferences"),
	METRIC_COUNTER("conclave_focus_notifications_total", "NOTIFY and BENOTIFY requests sent"),
	METRIC_COUNTER("conclave_focus_notify_failures_total", "NOTIFY requests refused or unanswered"),
	METRIC_COUNTER("conclave_focus_notify_overtaken_total", "Subscriptions that fell behind and got a full document instead"),
};
enum { M_SUBS, M_SENT, M_FAILED, M_BEHIND };

/* An answer goes back over the connection of its request, notifications over others: they could come first. */
#define SETTLE_MS 150u
static LIST_HEAD(, sub) settling = LIST_HEAD_INITIALIZER(settling);

static void send_next(struct sub *s);

static void settled(struct sub *s)
{
	if (s->settle_ms)
		LIST_REMOVE(s, settle_le);
	s->settle_ms = 0;
}

uint64_t sub_settle(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop), wait = 0;
	struct sub *s, *next;

	for (s = LIST_FIRST(&settling); s; s = next) {
		next = LIST_NEXT(s, settle_le);
		if (now < s->settle_ms) {
			wait = !wait || s->settle_ms - now < wait ? s->settle_ms - now : wait;
			continue;
		}
		settled(s);
		send_next(s);                    /* s may be gone */
	}
	return wait;
}

static void clear_queue(struct sub *s)
{
	for (unsigned i = 0; i < s->nqueue; i++)
		mem_deref(s->queue[i]);
	s->nqueue = 0;
}

void sub_rest_clear(struct sub *s)
{
	if (s->rest && s->conf)
		s->conf->nsplit--;
	for (unsigned i = 0; i < s->nrest; i++)
		mem_deref(s->rest[i]);
	free(s->rest);
	s->rest  = NULL;
	s->nrest = s->rest_at = 0;
}

int sub_rest_fill(struct sub *s)
{
	struct conf *c = s->conf;

	sub_rest_clear(s);
	s->rest = malloc((c->nusers + 1) * sizeof(*s->rest));
	if (!s->rest)
		return -ENOMEM;
	c->nsplit++;
	for (const struct user *u = c->users; u; u = u->hh.next)
		if (user_visible(u))
			s->rest[s->nrest++] = mem_ref(u->entity);
	return 0;
}

static void on_sub_destroy(void *arg)
{
	struct sub *s = arg;

	settled(s);
	if (s->first)
		sip_replyf(s->first, 503, DIAG_NONE, "the conference store cannot be written, try again later");
	mem_deref(s->first);
	sub_rest_clear(s);
	clear_queue(s);
	mem_deref(s->ct);
	mem_deref(s->dlg);
	mem_deref(s->local_tag);
	mem_deref(s->user_entity);
	mem_deref(s->event_id);
	mem_deref(s->contact);
}

static void count_for_user(const struct sub *s, int n)
{
	struct user *u = user_find(s->conf, s->user_entity);

	if (u && (n > 0 || u->nsubs))            /* may be another one of that name, who came after */
		u->nsubs += (unsigned)n;
}

int sub_add(struct sub **sp, struct app *a, const struct sub_prm *prm)
{
	struct sub *s = mem_zalloc(sizeof(*s), on_sub_destroy);

	if (!s)
		return -ENOMEM;
	s->app          = a;
	s->conf         = prm->conf;
	s->dlg          = prm->dlg;
	s->expires_at_s = prm->expires_at_s;
	s->flags        = prm->flags;
	s->want_full    = true;
	if (cstr_set(&s->local_tag, prm->local_tag) || cstr_set(&s->user_entity, prm->user_entity) ||
	    cstr_set(&s->event_id, prm->event_id) || cstr_set(&s->contact, prm->conf->focus_uri)) {
		s->dlg = NULL;                   /* stays the caller's */
		mem_deref(s);
		return -ENOMEM;
	}
	s->first        = mem_ref(prm->first);
	s->granted_s    = sub_expires_in(s);
	s->first_by_ms  = ev_now_ms(a->loop) + FIRST_MS;
	s->dirt = (struct dirt){ .kind = DIRT_SUB, .id = a->confs.next_id++, .obj = s };
	TAILQ_INSERT_TAIL(&s->conf->subs, s, le);
	HASH_ADD_KEYPTR(hh, a->subs_by_tag, s->local_tag, strlen(s->local_tag), s);
	s->conf->nsubs++;
	count_for_user(s, 1);
	confs_mark(&a->confs, &s->dirt);
	confs_changed(&a->confs, s->conf);
	metric_set(&metrics[M_SUBS], (int64_t)HASH_COUNT(a->subs_by_tag));
	*sp = s;
	return 0;
}

struct sub *sub_find(const struct app *a, struct str tag)
{
	struct sub *s;

	HASH_FIND(hh, a->subs_by_tag, tag.p, tag.l, s);
	return s;
}

unsigned sub_expires_in(const struct sub *s)
{
	int64_t left = s->expires_at_s - app_wall_s();

	return left > 0 ? (unsigned)left : 0;
}

void sub_end(struct app *a, struct sub *s, const char *reason)
{
	if (s->ending)
		return;
	s->ending = reason;
	confs_changed(&a->confs, s->conf);
}

void sub_end_of_user(struct app *a, struct conf *c, const char *user_entity, const char *reason)
{
	struct sub *s;

	TAILQ_FOREACH(s, &c->subs, le)
		if (cstr_ieq(s->user_entity, user_entity))
			sub_end(a, s, reason);
}

/* Off the model: the object lives on until its queue is out. */
void sub_detach(struct app *a, struct sub *s)
{
	TAILQ_REMOVE(&s->conf->subs, s, le);
	s->conf->nsubs--;
	count_for_user(s, -1);
	sub_rest_clear(s);
	s->conf = NULL;
	HASH_DELETE(hh, a->subs_by_tag, s);
	if (s->dirt.on)
		TAILQ_REMOVE(&a->confs.dirty, &s->dirt, le);
	s->dirt.on = false;
	store_del(a->store, STORE_SUB, s->dirt.id);
	s->dying = true;
	TAILQ_INSERT_TAIL(&a->dying, s, le);
	metric_set(&metrics[M_SUBS], (int64_t)HASH_COUNT(a->subs_by_tag));
}

static void bury(struct sub *s)
{
	s->dying = false;
	TAILQ_REMOVE(&s->app->dying, s, le);
	mem_deref(s);
}

/* Its last document may still wait for the commit: it stays until that has come. */
void sub_settled(struct sub *s)
{
	if (s->dying && !s->nqueue && !s->due)
		bury(s);
}

/* A subscription that cannot be reached any more (RFC 6665 4.2.2). */
static void give_up(struct sub *s, int code)
{
	log_info(conf, "subscription of %s: ended, NOTIFY was answered %d", s->user_entity, code);
	clear_queue(s);
	if (s->conf)
		sub_end(s->app, s, "");
	else
		sub_settled(s);
}

static void fall_behind(struct sub *s)
{
	clear_queue(s);
	s->want_full = true;
	if (s->conf)
		confs_changed(&s->app->confs, s->conf);
	metric_inc(&metrics[M_BEHIND]);
}

static void on_notified(int err, const struct sip_msg *m, void *arg)
{
	struct sub *s = arg;
	int code = m ? sip_msg_scode(m) : 0;

	if (m && code < 200)
		return;
	s->ct = mem_deref(s->ct);
	if (code >= 200 && code < 300) {
		mem_deref(s->queue[0]);
		s->nqueue--;
		memmove(s->queue, s->queue + 1, s->nqueue * sizeof(s->queue[0]));
		send_next(s);
		return;
	}
	metric_inc(&metrics[M_FAILED]);
	if (err == -ETIMEDOUT || (m && code != 503 && code != 500 && code != 491) || !s->conf) {
		give_up(s, m ? code : 408);
		return;
	}
	s->retry_at_ms = ev_now_ms(s->app->loop) + RETRY_MS;     /* the edge is away: later, with a full document */
	fall_behind(s);
}

static void headers(struct buf *b, const struct sub *s, const struct doc *d)
{
	buf_printf(b, "Event: conference%s%s\r\n", s->event_id ? ";id=" : "", s->event_id ? s->event_id : "");
	if (d->reason)
		buf_printf(b, "Subscription-State: terminated;reason=%s\r\n", d->reason);
	else
		buf_printf(b, "Subscription-State: active;expires=%u\r\n", sub_expires_in(s));
	buf_printf(b, "Contact: <%s>;isfocus\r\n", s->contact);
}

static int send_doc(struct sub *s, const struct doc *d)
{
	bool benotify = s->flags & SUB_BENOTIFY;
	struct buf hdrs;
	int err;

	if (s->flags & SUB_AUTOEXTEND)
		s->expires_at_s = app_wall_s() + s->app->cfg.sub_default_s;
	buf_init(&hdrs, 2048);
	headers(&hdrs, s, d);
	err = hdrs.err ? hdrs.err
		       : sip_dlg_request(s->app->sip, benotify ? NULL : &s->ct, s->dlg, benotify ? "BENOTIFY" : "NOTIFY", hdrs.p,
					 d->text.l ? C3P_CTYPE_INFO : NULL, buf_view(&d->text), benotify ? NULL : on_notified, s);
	buf_fini(&hdrs);
	metric_inc(&metrics[M_SENT]);
	if (s->conf && s->dlg->local_cseq + 250 > s->cseq_ceiling)
		confs_mark(&s->app->confs, &s->dirt);
	return err;
}

static void send_next(struct sub *s)
{
	int err = 0;

	if (s->settle_ms)
		return;
	while (s->nqueue && !s->ct && !err) {
		err = send_doc(s, s->queue[0]);
		if (err || !(s->flags & SUB_BENOTIFY))
			break;                   /* a NOTIFY leaves the queue when it is answered */
		mem_deref(s->queue[0]);
		s->nqueue--;
		memmove(s->queue, s->queue + 1, s->nqueue * sizeof(s->queue[0]));
	}
	if (!s->conf) {
		if (err)
			clear_queue(s);
		sub_settled(s);
		return;
	}
	if (s->rest && !s->nqueue)
		confs_changed(&s->app->confs, s->conf);          /* the next portion */
	if (err) {
		log_warn(conf, "subscription of %s: NOTIFY not sent: %s", s->user_entity, strerror(-err));
		s->retry_at_ms = ev_now_ms(s->app->loop) + RETRY_MS;
		fall_behind(s);
	}
}

void sub_push(struct sub *s, struct doc *d)
{
	if (!s->conf && !s->dying)
		return;                          /* the model was thrown away meanwhile */
	if (s->first && subscribe_answer(s, d)) {
		s->last_version = d->version;
		s->settle_ms    = ev_now_ms(s->app->loop) + SETTLE_MS;
		LIST_INSERT_HEAD(&settling, s, settle_le);
		return;
	}
	if (s->nqueue == SUB_QUEUE) {
		struct doc *first = s->ct ? mem_ref(s->queue[0]) : NULL;     /* the one under way stays */

		fall_behind(s);
		if (first)
			s->queue[s->nqueue++] = first;
		if (!d->reason)
			return;
	}
	s->queue[s->nqueue++] = mem_ref(d);
	s->last_version = d->version;
	if (s->nqueue == 1)
		send_next(s);
}

/* Who asked for extension never refreshes: such a subscription lives as long as its user is here. */
static bool is_over(const struct sub *s)
{
	return !sub_expires_in(s) && !(s->flags & SUB_AUTOEXTEND && user_find(s->conf, s->user_entity));
}

void notify_sweep(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop);
	struct sub *s, *tmp;

	HASH_ITER(hh, a->subs_by_tag, s, tmp) {
		if (s->retry_at_ms && now >= s->retry_at_ms) {
			s->retry_at_ms = 0;
			confs_changed(&a->confs, s->conf);
		}
		if (s->first && now >= s->first_by_ms && !s->due)
			subscribe_late(s);
		if (is_over(s))
			sub_end(a, s, "timeout");
	}
}

void notify_edge_up(struct app *a)
{
	struct sub *s, *tmp;

	HASH_ITER(hh, a->subs_by_tag, s, tmp)
		if (s->retry_at_ms)
			s->retry_at_ms = 1;
}

int notify_init(struct app *a)
{
	TAILQ_INIT(&a->dying);
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	return tmr_init(&a->pace, a->loop, notify_on_pace, a);
}

void notify_fini(struct app *a)
{
	struct sub *s, *tmp;

	tmr_fini(&a->pace);
	HASH_ITER(hh, a->subs_by_tag, s, tmp) {
		TAILQ_REMOVE(&s->conf->subs, s, le);
		if (s->dirt.on)
			TAILQ_REMOVE(&a->confs.dirty, &s->dirt, le);
		s->dirt.on = false;
		HASH_DELETE(hh, a->subs_by_tag, s);
		sub_rest_clear(s);
		s->conf = NULL;                  /* a document that waits for its commit may hold s */
		mem_deref(s);
	}
	while ((s = TAILQ_FIRST(&a->dying)))
		bury(s);
}
