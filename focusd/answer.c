/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - see answer.h */
#include <errno.h>
#include "focusd/answer.h"
#include "focusd/life.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "lib/http/http.h"

struct late_answer {
	struct app    *app;
	struct sip_st *st;
	int            code, diag;
	char          *to_tag, *hdrs, *body, *text;
	const char    *ctype;
	size_t         body_len;
};

static void on_answer_destroy(void *arg)
{
	struct late_answer *l = arg;

	mem_deref(l->st);
	mem_deref(l->to_tag);
	mem_deref(l->hdrs);
	mem_deref(l->body);
	mem_deref(l->text);
}

static void trace(struct sip_st *st, int code, const char *text)
{
	struct str id = sip_msg_call_id(sip_st_msg(st)), method = sip_msg_method(sip_st_msg(st));
	char *call_id = str_dup(id);

	trace_add(call_id, STR_FMT " answered %d%s%s", STR_ARG(method), code, text && *text ? ": " : "", text ? text : "");
	mem_deref(call_id);
}

static void on_committed(int err, void *arg)
{
	struct late_answer *l = arg;
	struct sip_reply r = { .code = l->code, .to_tag = l->to_tag, .hdrs = l->hdrs, .ctype = l->ctype,
			       .body = { l->body, l->body_len } };

	if (err) {
		trace(l->st, 503, "the store failed");
		sip_replyf(l->st, 503, DIAG_NONE, "the conference store cannot be written, try again later");
		goto out;
	}
	trace(l->st, l->code, l->text);
	err = sip_reply(l->st, &r);
	if (err && err != -EALREADY && err != -ESHUTDOWN) {      /* too large, or not fit to be sent: say at least that */
		log_warn(sip, "answer %d cannot be written: %s", l->code, strerror(-err));
		sip_replyf(l->st, err == -EMSGSIZE ? 513 : 500, DIAG_NONE, "the answer cannot be written");
	}
out:
	mem_deref(l);
}

static char *diag_header(const struct app *a, const struct answer *an)
{
	const char *hdrs = an->hdrs ? an->hdrs : "";

	if (!an->diag && !an->text)
		return str_printf("%s", hdrs);
	return str_printf("%sms-diagnostics: %d;reason=\"%s\";source=\"%s\"\r\n", hdrs, an->diag ? an->diag : 1000,
			  an->text ? an->text : "", a->cfg.node);
}

void answer(struct app *a, struct sip_st *st, const struct answer *an)
{
	struct late_answer *l = mem_zalloc(sizeof(*l), on_answer_destroy);

	if (!l)
		goto nomem;
	l->app   = a;
	l->st    = mem_ref(st);
	l->code  = an->code;
	l->ctype = an->ctype;
	l->hdrs  = diag_header(a, an);
	l->body  = an->body.l ? str_dup(an->body) : NULL;
	l->body_len = an->body.l;
	if (!l->hdrs || (an->body.l && !l->body) || cstr_set(&l->to_tag, an->to_tag) || cstr_set(&l->text, an->text))
		goto nomem;
	store_defer(a->store, on_committed, l);
	return;
nomem:
	mem_deref(l);
	sip_replyf(st, 503, DIAG_NONE, "out of memory");
}

void answer_error(struct app *a, struct sip_st *st, int code, enum diag diag, const char *text)
{
	answer(a, st, &(struct answer){ .code = code, .diag = diag, .text = text });
}

void answer_c3p(struct app *a, struct sip_st *st, int code, struct buf *b, enum diag diag, const char *text)
{
	if (b->err)
		answer_error(a, st, b->err == -EMSGSIZE ? 513 : 503, diag, "answer too large");
	else
		answer(a, st, &(struct answer){ .code = code, .ctype = C3P_CTYPE, .body = buf_view(b), .diag = diag, .text = text });
	buf_fini(b);
}

/* --- over HTTPS */
struct late_http { struct http_req *rq; int status; const char *ctype; struct buf body; };

static void on_late_http_destroy(void *arg)
{
	struct late_http *l = arg;

	mem_deref(l->rq);
	buf_fini(&l->body);
}

static void on_http_committed(int err, void *arg)
{
	struct late_http *l = arg;

	if (err)
		http_reply_hdrs(l->rq, 503, "Retry-After: 5\r\n", "text/plain", STR("the conference store cannot be written\n"));
	else
		http_reply(l->rq, l->status, l->ctype, buf_view(&l->body));
	mem_deref(l);
}

void answer_http(struct app *a, struct http_req *rq, int status, const char *ctype, struct buf *b)
{
	struct late_http *l = b && b->err ? NULL : mem_zalloc(sizeof(*l), on_late_http_destroy);

	if (!l) {
		http_reply(rq, 503, NULL, STR_NULL);
		if (b)
			buf_fini(b);
		return;
	}
	l->rq     = mem_ref(rq);
	l->status = status;
	l->ctype  = ctype;
	if (b)
		l->body = *b;            /* its memory, too */
	store_defer(a->store, on_http_committed, l);
}

/* --- requests of ours */
struct late_request {
	LIST_ENTRY(late_request) le;
	struct app     *app;
	struct sip_ct  *ct;
	struct sip_dlg *dlg;
	const char     *method, *ctype;
	char           *hdrs, *body;
};
static LIST_HEAD(, late_request) requests = LIST_HEAD_INITIALIZER(requests);

static void on_request_destroy(void *arg)
{
	struct late_request *l = arg;

	LIST_REMOVE(l, le);
	mem_deref(l->ct);
	mem_deref(l->dlg);
	mem_deref(l->hdrs);
	mem_deref(l->body);
}

static void on_said(int err, const struct sip_msg *m, void *arg)
{
	struct late_request *l = arg;
	struct endpoint *e = endpoint_find_tag(&l->app->confs, str_c(l->dlg->local_tag));
	bool gone = m && sip_msg_scode(m) == 481;
	struct app *a = l->app;

	if (m && sip_msg_scode(m) < 200)
		return;
	if (err || sip_msg_scode(m) >= 300)      /* some clients never answer an INFO: harmless */
		log_debug(sip, "%s in dialog %s: %s", l->method, l->dlg->call_id, err ? strerror(-err) : "refused");
	mem_deref(l);
	if (gone && e)                           /* but this one has no such dialog any more */
		life_focus_gone(a, e, false);
}

void say_stop(void)
{
	struct late_request *l;

	while ((l = LIST_FIRST(&requests)))
		mem_deref(l);
}

static void on_request_committed(int err, void *arg)
{
	struct late_request *l = arg;

	if (!err) {
		trace_add(l->dlg->call_id, "%s sent to the client", l->method);
		err = sip_dlg_request(l->app->sip, &l->ct, l->dlg, l->method, l->hdrs, l->ctype, str_c(l->body ? l->body : ""), on_said, l);
	}
	if (err)
		mem_deref(l);
}

void say_later(struct app *a, struct sip_dlg *dlg, const char *method, const char *hdrs, const char *ctype, struct str body)
{
	struct late_request *l = mem_zalloc(sizeof(*l), on_request_destroy);

	if (!l)
		return;
	LIST_INSERT_HEAD(&requests, l, le);
	l->app    = a;
	l->dlg    = mem_ref(dlg);
	l->method = method;
	l->ctype  = ctype;
	l->body   = body.l ? str_dup(body) : NULL;
	if (cstr_set(&l->hdrs, hdrs) || (body.l && !l->body))
		mem_deref(l);
	else
		store_defer(a->store, on_request_committed, l);
}
