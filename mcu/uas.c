/* SPDX-License-Identifier: Apache-2.0 */
/* uas.c - requests from the edge, see uas.h
 *
 * request -> the edge? -> To tag: its call; INVITE without: conference, ticket, leg -> call_invite(). An INVITE that no
 * focus announced is never taken: who may call is the focus's business, the ticket is its word.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "lib/c3p/uri.h"
#include "mcu/app.h"
#include "mcu/uas.h"

static struct metric m_invites = METRIC_COUNTER("conclave_mcu_invites_total", "INVITEs that would start a call");
static struct metric m_tickets = METRIC_COUNTER("conclave_mcu_bad_tickets_total", "INVITEs without a good ticket");
static struct metric m_unknown = METRIC_COUNTER("conclave_mcu_unknown_conferences_total",
						"INVITEs for conferences that are not here");
static struct metric m_strangers = METRIC_COUNTER("conclave_mcu_strangers_total", "Requests not from the edge");

static void destructor(void *arg)
{
	struct uas *u = arg;
	struct call *c, *next;

	HASH_ITER(hh, u->calls, c, next) {
		HASH_DEL(u->calls, c);
		mem_deref(c);
	}
}

int uas_alloc(struct uas **up, struct app *a)
{
	struct uas *u = mem_zalloc(sizeof(*u), destructor);

	if (!u)
		return -ENOMEM;
	u->app = a;
	metric_register(&m_invites, 1);
	metric_register(&m_tickets, 1);
	metric_register(&m_unknown, 1);
	metric_register(&m_strangers, 1);
	*up = u;
	return 0;
}

unsigned uas_calls(const struct uas *u)
{
	return HASH_COUNT(u->calls);
}

int uas_refuse(struct sip_st *st, int code, int diag, const char *hdrs, const char *fmt, ...)
{
	char text[200];
	struct buf b;
	va_list ap;
	int err;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
			*p = '\'';
	buf_init(&b, 4096);
	buf_puts(&b, hdrs ? hdrs : "");
	if (diag)
		buf_printf(&b, "ms-diagnostics: %d;reason=\"%s\";source=\"mcu\"\r\n", diag, text);
	if (!hdrs || !strstr(hdrs, "Warning:"))
		buf_printf(&b, "Warning: 399 mcu \"%s\"\r\n", text);
	err = b.err ? b.err : sip_reply(st, &(struct sip_reply){ .code = code, .hdrs = b.p });
	buf_fini(&b);
	return err;
}

/* --- the first INVITE */

struct invite {
	struct uas           *u;
	struct sip_st        *st;
	const struct sip_msg *m;
	char                  id[160];       /* Call-ID, for traces */
};

__attribute__((format(printf, 4, 5)))
static void no(const struct invite *in, int code, int diag, const char *fmt, ...)
{
	const char *retry = code == 503 ? "Retry-After: 5\r\n" : NULL;
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	trace_add(in->id, "%d: %s", code, text);
	log_warn(leg, "call %s: %d: %s", in->id, code, text);
	uas_refuse(in->st, code, diag, retry, "%s", text);
}

static bool requirements(const struct invite *in)
{
	struct buf b;
	struct str v;

	buf_init(&b, 1024);
	for (unsigned i = 0; (v = sip_msg_hdr(in->m, "Require", i)).p; i++)
		if (!str_ieq(v, STR("timer")))
			buf_printf(&b, "%s" STR_FMT, b.l ? ", " : "Unsupported: ", STR_ARG(v));
	if (b.l) {
		buf_puts(&b, "\r\n");
		trace_add(in->id, "420: an extension is required that is not known");
		uas_refuse(in->st, 420, 0, b.err ? NULL : b.p, "an extension is required that is not known here");
		buf_fini(&b);
		return false;
	}
	buf_fini(&b);
	return true;
}

static struct conf *which_conf(const struct invite *in, struct c3p_uri *uri, struct service **sp)
{
	struct app *a = in->u->app;
	struct service *s = NULL;
	struct conf *c;

	if (!c3p_uri_decode(uri, sip_msg_ruri(in->m)) && !str_empty(uri->id))
		s = service_by_type(a, uri->type);
	if (!s) {
		no(in, 404, 7002, "the request URI names no conference of a type that is served here");
		return NULL;
	}
	if (!str_empty(uri->mcu) && !str_ieq(uri->mcu, str_c(s->id))) {
		no(in, 404, s->kind->diag_unknown, "this is %s, not the server named in the request URI", s->id);
		return NULL;
	}
	*sp = s;
	c = conf_find(s->confs, uri->user, uri->domain, uri->id);
	if (!c) {
		metric_inc(&m_unknown);
		no(in, 404, s->kind->diag_unknown, "the conference does not exist on this server");
	}
	return c;
}

/* 7006: nobody announced this user; 3014: announced, but not this call. */
static struct leg *which_leg(const struct invite *in, const struct c3p_uri *uri, const struct conf *c)
{
	void *owner = NULL;
	struct leg *l;
	int err;

	err = str_empty(uri->ticket) ? -ENOENT
				     : ticket_take(c->set->tickets, uri->ticket, sip_msg_call_id(in->m), c->key,
						   ev_now_ms(c->set->loop), &owner);
	if (err) {
		metric_inc(&m_tickets);
		no(in, 403, err == -EPERM ? 3014 : c->set->kind->diag_unannounced, "%s", ticket_error(err));
		return NULL;
	}
	l = owner;
	if (l->user)
		return l;
	mem_deref(l);
	no(in, 403, c->set->kind->diag_unannounced, "the participant was removed meanwhile");
	return NULL;
}

/* Each holds its ports for half a minute, and whoever sends no ACK need not listen either. */
static bool too_many_open(const struct invite *in, const struct leg *mine)
{
	const struct leg *l;
	long n = 0;

	TAILQ_FOREACH(l, &mine->user->legs, te)
		n += l != mine && l->state == LEG_ANSWERED;
	if (n < in->u->app->cfg.unacknowledged)
		return false;
	no(in, 480, 7000, "too many calls of this user are answered and not acknowledged");
	return true;
}

/* Contact of the conference in the edge's domain (isfocus): a request to it reaches this server in a dialog only. */
char *uas_contact(const struct service *s, const struct conf *c)
{
	char *uri = c3p_uri_make(c->org, c->domain, s->kind->type, c->id), *line = NULL;

	if (uri)
		line = str_printf("Contact: <%s;oc-mcu=%s>;isfocus\r\n", uri, s->id);
	mem_deref(uri);
	return line;
}

static void on_invite(struct uas *u, struct sip_st *st, const struct sip_msg *m)
{
	struct invite in = { .u = u, .st = st, .m = m };
	struct str id = sip_msg_call_id(m);
	struct service *s;
	struct c3p_uri uri;
	struct conf *c;
	struct leg *l;
	char *contact;

	metric_inc(&m_invites);
	snprintf(in.id, sizeof(in.id), STR_FMT, STR_ARG(id));
	trace_add(in.id, "INVITE received, %zu bytes of body", sip_msg_body(m).l);
	if (u->app->draining) {
		no(&in, 503, 7000, "this server is going down");
		return;
	}
	if (!requirements(&in))
		return;
	c = which_conf(&in, &uri, &s);
	l = c ? which_leg(&in, &uri, c) : NULL;
	if (!l)
		return;
	contact = uas_contact(s, c);
	if (too_many_open(&in, l)) {
		leg_refused(l);
	} else if (contact) {
		call_invite(u, st, m, l, contact);
	} else {
		no(&in, 500, 0, "out of memory");
		leg_refused(l);
	}
	mem_deref(contact);
	mem_deref(l);
}

/* --- dispatch */

static void on_options(struct uas *u, struct sip_st *st)
{
	sip_reply(st, &(struct sip_reply){
		.code = u->app->draining ? 503 : 200,
		.hdrs = call_chat.hdrs });
}

static bool from_edge(struct uas *u, struct sip_st *st)
{
	struct str rest = str_c(u->app->cfg.edge_names);

	while (!str_empty(rest))
		if (str_ieq(str_trim(str_cut(&rest, ',')), str_c(sip_st_peer(st))))
			return true;
	metric_inc(&m_strangers);
	log_warn(sip, "request from %s, which is no edge", sip_st_peer(st));
	uas_refuse(st, 403, 3014, NULL, "only the edge may send requests here");
	return false;
}

void uas_on_request(struct sip_st *st, const struct sip_msg *m, void *arg)
{
	struct uas *u = arg;
	struct str method = sip_msg_method(m);
	struct call *c;

	if (!from_edge(u, st))
		return;
	if (!str_empty(sip_msg_to_tag(m))) {
		c = call_find(u, m);
		if (c && !call_is_owner(c, m)) {
			metric_inc(&m_strangers);
			log_warn(sip, STR_FMT " in somebody else's call: refused", STR_ARG(method));
			uas_refuse(st, 403, 3014, NULL, "not your call");
		} else if (c)
			call_on_request(c, st, m);
		else
			uas_refuse(st, 481, 7005, NULL, "no such call on this server");
	} else if (str_eq(method, STR("INVITE"))) {
		on_invite(u, st, m);
	} else if (str_eq(method, STR("OPTIONS"))) {
		on_options(u, st);
	} else if (str_eq(method, STR("MESSAGE"))) {
		uas_refuse(st, 481, 0, NULL, "messages are taken in the dialog of a chat only");
	} else {
		uas_refuse(st, 405, 0, UAS_ALLOW, "not a method of this server outside a call");
	}
}
