/* SPDX-License-Identifier: Apache-2.0 */
/* chat.c - members and messages of a chat, see chat.h
 *
 * A message is shared by its copies; it lives until the last copy is settled. What the author is told is gathered in
 * it. Callbacks must not end members; what they learn while sending they act on afterwards.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "mcu/chat/chat.h"
#include "mcu/chat/imdoc.h"

#define MAX_RESULTS 2000u                    /* told in one report */

enum { POSTED, COPIES, DELIVERED, FAILED, REPORTS, LIMITED, TYPING, NSTATS };
static struct metric stats[NSTATS] = {
	[POSTED]    = METRIC_COUNTER("conclave_chat_messages_total", "Messages taken from authors"),
	[COPIES]    = METRIC_COUNTER("conclave_chat_copies_total", "Copies sent to recipients"),
	[DELIVERED] = METRIC_COUNTER("conclave_chat_delivered_total", "Copies that were answered 2xx"),
	[FAILED]    = METRIC_COUNTER("conclave_chat_failed_total", "Copies that were not delivered"),
	[REPORTS]   = METRIC_COUNTER("conclave_chat_reports_total", "Delivery reports to authors"),
	[LIMITED]   = METRIC_COUNTER("conclave_chat_limited_total", "Messages refused because an author sends too many"),
	[TYPING]    = METRIC_COUNTER("conclave_chat_typing_total", "Typing events relayed"),
};

struct result { char *uri; int code; };

struct chat_msg {
	struct chat_room   *room;            /* NULL: no longer on its way */
	struct chat_member *author;          /* borrowed; NULL: gone */
	uint64_t            id, made_ms;
	char               *text, *ctype, *sender, *name;
	struct body         body;            /* pieces of text and ctype */
	unsigned            open;            /* copies not settled */
	struct result      *results;
	unsigned            nresults;
	TAILQ_ENTRY(chat_msg) te;            /* of room->msgs, oldest first */
};

struct copy {
	struct chat_msg   *msg;
	TAILQ_ENTRY(copy)  te;
};

struct chat_member {
	struct chat_room  *room;             /* reference */
	char              *entity, *display;
	void              *arg;
	struct mime_accept accept;
	bool               ms_sender, open, ready, busy, leaving;
	unsigned           nqueue;
	TAILQ_HEAD(, copy) queue;            /* the first one is out while busy */
	uint64_t           tokens, filled_ms;        /* thousandths of a message */
	uint64_t           typing_ms;
	LIST_ENTRY(chat_member) le;
};

struct chat_room {
	struct chat_prm        prm;
	const struct chat_ops *ops;
	uint64_t               next_id;
	LIST_HEAD(, chat_member) members;
	TAILQ_HEAD(msgs, chat_msg) msgs;
	unsigned               nmsgs;
};

/* --- messages */

static void msg_destructor(void *arg)
{
	struct chat_msg *m = arg;

	for (unsigned i = 0; i < m->nresults; i++)
		mem_deref(m->results[i].uri);
	mem_deref(m->results);
	mem_deref(m->text);
	mem_deref(m->ctype);
	mem_deref(m->sender);
	mem_deref(m->name);
}

/* Out of the room; its reference is the caller's. */
static void msg_leave(struct chat_msg *m)
{
	TAILQ_REMOVE(&m->room->msgs, m, te);
	m->room->nmsgs--;
	m->room = NULL;
}

static const char *diag_of(int code)
{
	switch (code) {
	case 408: return "6001;reason=\"the recipient did not answer in time\";source=\"mcu\";component=\"im\"";
	case 415:
		return "6012;reason=\"the recipient takes none of the types of this message\";source=\"mcu\";component=\"im\"";
	case 503: return "6014;reason=\"too many messages wait for the recipient\";source=\"mcu\";component=\"im\"";
	default:  return NULL;
	}
}

static void report(struct chat_room *r, struct chat_msg *m)
{
	struct imdoc_result *list = mem_zalloc((m->nresults + 1) * sizeof(*list), NULL);
	struct buf b;

	if (!list)
		return;
	for (unsigned i = 0; i < m->nresults; i++)
		list[i] = (struct imdoc_result){ m->results[i].uri, m->results[i].code, diag_of(m->results[i].code) };
	buf_init(&b, 200 * 1024);
	if (!imdoc_imdn(&b, m->id, list, m->nresults)) {
		metric_inc(&stats[REPORTS]);
		r->ops->report(m->author, buf_view(&b), m->author->arg);
	}
	buf_fini(&b);
	mem_deref(list);
}

/* Every copy is settled, or time is up. */
static void msg_done(struct chat_msg *m)
{
	struct chat_room *r = m->room;

	if (!r)
		return;
	msg_leave(m);
	if (m->author && m->nresults && m->author->ready)
		report(r, m);
	mem_deref(m);
}

static void add_result(struct chat_msg *m, const char *uri, int code)
{
	unsigned size = m->nresults ? 1u << (32 - __builtin_clz(m->nresults)) : 1;

	if (m->nresults == MAX_RESULTS)
		return;
	if (!(m->nresults & (m->nresults - 1))) {            /* full at every power of two */
		struct result *more = mem_zalloc(size * sizeof(*more), NULL);

		if (!more)
			return;
		if (m->nresults)
			memcpy(more, m->results, m->nresults * sizeof(*more));
		mem_deref(m->results);
		m->results = more;
	}
	m->results[m->nresults].uri  = str_dup(str_c(uri));
	m->results[m->nresults].code = code;
	m->nresults += m->results[m->nresults].uri != NULL;
}

/* One copy is settled; m may be gone afterwards unless it is held. */
static void settle(struct chat_msg *m, const char *uri, int code)
{
	metric_inc(&stats[code < 300 ? DELIVERED : FAILED]);
	if (!m->room)
		return;
	if (code >= 300 || m->room->prm.report_all)
		add_result(m, uri, code);
	if (!--m->open)
		msg_done(m);
}

/* --- members */

static void drop_copy(struct chat_member *m, struct copy *c)
{
	TAILQ_REMOVE(&m->queue, c, te);
	m->nqueue--;
	mem_deref(c->msg);
	mem_deref(c);
}

static void settle_first(struct chat_member *m, int code)
{
	struct copy *c = TAILQ_FIRST(&m->queue);

	settle(c->msg, m->entity, code);
	drop_copy(m, c);
}

static void member_destructor(void *arg)
{
	struct chat_member *m = arg;
	struct chat_msg *msg;

	if (m->room) {
		m->leaving = true;
		LIST_REMOVE(m, le);
		TAILQ_FOREACH(msg, &m->room->msgs, te)
			if (msg->author == m)
				msg->author = NULL;
		while (!TAILQ_EMPTY(&m->queue))
			settle_first(m, 480);
	}
	mem_deref(m->entity);
	mem_deref(m->display);
	mem_deref(m->room);
}

int chat_member_alloc(struct chat_member **mp, struct chat_room *r, const char *entity, const char *display, void *arg)
{
	struct chat_member *m = mem_zalloc(sizeof(*m), member_destructor);

	if (!m)
		return -ENOMEM;
	TAILQ_INIT(&m->queue);
	m->entity  = str_dup(str_c(entity));
	m->display = str_dup(str_c(display ? display : ""));
	if (!m->entity || !m->display) {
		mem_deref(m);
		return -ENOMEM;
	}
	mime_accept_decode(&m->accept, STR("text/plain"));
	m->arg    = arg;
	m->tokens = (uint64_t)r->prm.burst * 1000;
	m->room   = mem_ref(r);
	LIST_INSERT_HEAD(&r->members, m, le);
	*mp = m;
	return 0;
}

void chat_member_caps(struct chat_member *m, const struct mime_accept *accept, bool ms_sender)
{
	m->accept    = *accept;
	m->ms_sender = ms_sender;
}

void chat_member_open(struct chat_member *m)
{
	m->open = true;
}

static void member_pump(struct chat_member *m);

void chat_member_ready(struct chat_member *m)
{
	m->open = m->ready = true;
	member_pump(m);
}

int chat_member_rename(struct chat_member *m, const char *display)
{
	return cstr_set(&m->display, display ? display : "") ? -ENOMEM : 0;
}

/* Copies that wait are taken back and nobody is told of them; one that is out cannot be called back. */
void chat_member_eject(struct chat_member *m)
{
	struct chat_member *to;
	struct chat_msg *msg, *next;
	struct copy *c, *cn;

	LIST_FOREACH(to, &m->room->members, le) {
		for (c = TAILQ_FIRST(&to->queue); c; c = cn) {
			cn = TAILQ_NEXT(c, te);
			if (c->msg->author == m && !(to->busy && c == TAILQ_FIRST(&to->queue)))
				drop_copy(to, c);
		}
	}
	for (msg = TAILQ_FIRST(&m->room->msgs); msg; msg = next) {
		next = TAILQ_NEXT(msg, te);
		if (msg->author != m)
			continue;
		msg->author = NULL;
		msg_leave(msg);
		mem_deref(msg);
	}
	m->open = m->ready = false;
}

/* --- posting */

static bool may_post(struct chat_member *m, uint64_t now_ms)
{
	uint64_t full = (uint64_t)m->room->prm.burst * 1000;

	if (!m->room->prm.rate)
		return true;
	m->tokens += (now_ms - m->filled_ms) * m->room->prm.rate;
	m->filled_ms = now_ms;
	if (m->tokens > full)
		m->tokens = full;
	if (m->tokens < 1000) {
		metric_inc(&stats[LIMITED]);
		return false;
	}
	m->tokens -= 1000;
	return true;
}

static char *sender_of(const struct chat_member *m)
{
	return str_printf("<%s>", m->entity);
}

/* The name as it is told in text: the display name, else the user part of the URI. */
static char *name_of(const struct chat_member *m)
{
	struct str rest = str_c(m->entity), user;

	if (*m->display)
		return str_dup(str_c(m->display));
	if (memchr(rest.p, ':', rest.l))
		str_cut(&rest, ':');
	user = str_cut(&rest, '@');
	return str_dup(user);
}

static struct chat_msg *msg_make(struct chat_member *author, struct str ctype, struct str body)
{
	struct chat_msg *m = mem_zalloc(sizeof(*m), msg_destructor);

	if (!m)
		return NULL;
	m->text   = str_dup(body);
	m->ctype  = str_dup(ctype);
	m->sender = sender_of(author);
	m->name   = name_of(author);
	if (!m->text || !m->ctype || !m->sender || !m->name)
		return mem_deref(m);
	body_init(&m->body, str_c(m->ctype), (struct str){ m->text, body.l });
	return m;
}

static void enqueue(struct chat_member *to, struct chat_msg *m)
{
	struct copy *c = to->nqueue >= to->room->prm.queue ? NULL : mem_zalloc(sizeof(*c), NULL);

	m->open++;
	if (!c) {
		settle(m, to->entity, 503);
		return;
	}
	c->msg = mem_ref(m);
	TAILQ_INSERT_TAIL(&to->queue, c, te);
	to->nqueue++;
}

int chat_post(struct chat_member *author, struct str ctype, struct str body, uint64_t now_ms, uint64_t *id)
{
	struct chat_room *r = author->room;
	struct chat_member *to;
	struct chat_msg *m;

	if (str_empty(body))
		return -ENODATA;
	if (body.l > r->prm.max_bytes)
		return -EMSGSIZE;
	if (str_empty(ctype) || mime_is(ctype, "text/x-msmsgsinvite"))
		return -ENOTSUP;
	if (!may_post(author, now_ms))
		return -EAGAIN;
	m = msg_make(author, ctype, body);
	if (!m)
		return -ENOMEM;
	metric_inc(&stats[POSTED]);
	m->room    = r;
	m->author  = author;
	m->made_ms = now_ms;
	m->id      = *id = ++r->next_id;
	TAILQ_INSERT_TAIL(&r->msgs, m, te);
	r->nmsgs++;
	m->open = 1;                                     /* held open until every copy is in its queue */
	LIST_FOREACH(to, &r->members, le)
		if (to->open && !cstr_ieq(to->entity, author->entity))
			enqueue(to, m);
	m->open--;                                       /* chat_pump() ends it when nobody waits for it */
	return 0;
}

/* --- copies out */

static int send_copy(struct chat_member *m, const struct chat_msg *msg)
{
	struct chat_out out = { .id = msg->id, .sender = m->ms_sender ? msg->sender : NULL };
	struct mime_part piece;
	struct buf b;
	int err = body_choose(&piece, &msg->body, &m->accept, m->ms_sender);

	if (err)
		return err;
	out.ctype = piece.ctype;
	out.body  = piece.body;
	buf_init(&b, 0);
	if (!m->ms_sender) {
		body_prefix(&b, &piece, str_c(msg->name));
		out.body = buf_view(&b);
		err = b.err;
	}
	if (!err)
		err = m->room->ops->send(m, &out, m->arg);
	buf_fini(&b);
	return err;
}

static void member_pump(struct chat_member *m)
{
	while (m->ready && !m->busy && !m->leaving && !TAILQ_EMPTY(&m->queue)) {
		int err;

		m->busy = true;
		err = send_copy(m, TAILQ_FIRST(&m->queue)->msg);
		if (!err) {
			metric_inc(&stats[COPIES]);
			return;
		}
		m->busy = false;
		settle_first(m, err == -ENOTSUP ? 415 : 500);
	}
}

void chat_pump(struct chat_room *r)
{
	struct chat_member *m;
	struct chat_msg *msg, *mn;

	LIST_FOREACH(m, &r->members, le)
		member_pump(m);
	for (msg = TAILQ_FIRST(&r->msgs); msg; msg = mn) {
		mn = TAILQ_NEXT(msg, te);
		if (!msg->open)
			msg_done(msg);
	}
}

void chat_sent(struct chat_member *m, int code)
{
	if (!m->busy)
		return;
	m->busy = false;
	settle_first(m, code);
	member_pump(m);
}

/* --- time */

/* Whoever still has a copy of it waiting or out has not got it. Copies that wait are too old now and dropped. */
static void expire(struct chat_room *r, struct chat_msg *msg)
{
	struct chat_member *m;
	struct copy *c, *next;

	mem_ref(msg);
	LIST_FOREACH(m, &r->members, le) {
		for (c = TAILQ_FIRST(&m->queue); c; c = next) {
			next = TAILQ_NEXT(c, te);
			if (c->msg != msg)
				continue;
			metric_inc(&stats[FAILED]);
			add_result(msg, m->entity, 408);
			if (!m->busy || c != TAILQ_FIRST(&m->queue))
				drop_copy(m, c);
		}
	}
	msg_done(msg);
	mem_deref(msg);
}

void chat_room_tick(struct chat_room *r, uint64_t now_ms)
{
	struct chat_msg *msg;

	mem_ref(r);
	while ((msg = TAILQ_FIRST(&r->msgs)) && now_ms - msg->made_ms >= CHAT_DEADLINE_MS)
		expire(r, msg);
	mem_deref(r);
}

/* --- typing */

void chat_typing(struct chat_member *author, bool typing, uint64_t now_ms)
{
	struct chat_room *r = author->room;
	struct chat_member *m;
	char *sender;

	if (author->typing_ms && now_ms - author->typing_ms < CHAT_TYPING_MS)
		return;
	author->typing_ms = now_ms;
	sender = sender_of(author);
	if (!sender)
		return;
	LIST_FOREACH(m, &r->members, le) {
		if (!m->ready || !m->ms_sender || cstr_ieq(m->entity, author->entity))
			continue;
		metric_inc(&stats[TYPING]);
		r->ops->typing(m, sender, typing, m->arg);
	}
	mem_deref(sender);
}

/* --- the room */

static void room_destructor(void *arg)
{
	struct chat_room *r = arg;
	struct chat_msg *m;

	while ((m = TAILQ_FIRST(&r->msgs))) {
		msg_leave(m);
		mem_deref(m);
	}
}

int chat_room_alloc(struct chat_room **rp, const struct chat_prm *prm, const struct chat_ops *ops)
{
	struct chat_room *r = mem_zalloc(sizeof(*r), room_destructor);

	if (!r)
		return -ENOMEM;
	r->prm = *prm;
	r->ops = ops;
	LIST_INIT(&r->members);
	TAILQ_INIT(&r->msgs);
	metric_register(stats, NSTATS);
	*rp = r;
	return 0;
}

unsigned chat_room_open(const struct chat_room *r)
{
	return r->nmsgs;
}
