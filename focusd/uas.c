/* SPDX-License-Identifier: Apache-2.0 */
/* uas.c - requests from the edge, see uas.h
 *
 * Outside a dialog: Request-URI -> conference, headers -> caller, method -> handler. Inside: To tag -> endpoint or
 * subscription, whose owner must be the caller; then CSeq, then the handler.
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/attendant.h"
#include "focusd/life.h"
#include "focusd/notify.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

#define ALLOW "Allow: INVITE, ACK, CANCEL, BYE, INFO, SUBSCRIBE, REFER, SERVICE, OPTIONS, UPDATE\r\n"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_requests_total", "SIP requests from the edge"),
	METRIC_COUNTER("conclave_focus_foreign_total", "In-dialog requests that were not sent by the dialog's owner"),
	METRIC_COUNTER("conclave_focus_unauthenticated_total", "Requests without an identity from the edge"),
};
enum { M_REQUESTS, M_FOREIGN, M_NO_IDENTITY };

void uas_init(void)
{
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
}

/* --- outside a dialog */
static void find_target(struct uas_req *rq)
{
	struct str ruri = sip_msg_ruri(rq->m);
	struct sip_uri u;

	if (c3p_uri_decode(&rq->uri, ruri) == 0) {
		rq->type = rq->uri.type;
		rq->conf = conf_find(&rq->app->confs, rq->uri.user, rq->uri.domain, rq->uri.id);
	} else {
		rq->plain = true;
		rq->type  = C3P_AUDIO_VIDEO;
		if (sip_uri_decode(&u, ruri) == 0)
			rq->conf = conf_find_name(&rq->app->confs, u.user);
		if (!rq->conf && str_eq(sip_msg_method(rq->m), STR("INVITE")) && !str_empty(u.user))
			rq->conf = attendant_conf(rq->app, u.user);
	}
	if (rq->conf && rq->conf->removing)
		rq->conf = NULL;                 /* gone at the end of this turn: nobody may come in any more */
}

static void on_options(struct uas_req *rq)
{
	int code = rq->app->draining ? 503 : 200;
	struct str gone;

	/* what the edge itself sends bears no Conclave-Access: everything of clients does */
	for (unsigned i = 0; str_empty(sip_msg_to_tag(rq->m)) && str_empty(sip_msg_hdr(rq->m, "Conclave-Access", 0)) && !str_empty(gone = sip_msg_hdr(rq->m, "Conclave-Gone", i)); i++)
		sweep_gone(rq->app, gone);
	announce_now(rq->app);                   /* an edge that has just started probes us and knows no MCU yet */
	sip_reply(rq->st, &(struct sip_reply){ .code = code, .hdrs = ALLOW "Accept: application/cccp+xml, application/sdp\r\n"
							  "Allow-Events: conference\r\n" });
}

static bool has_c3p_body(const struct sip_msg *m)
{
	return str_istarts(sip_msg_hdr(m, "Content-Type", 0), STR(C3P_CTYPE));
}

static void on_invite(struct uas_req *rq)
{
	int session = rq->type == C3P_FOCUS ? SESSION_AV : conf_session_find(str_c(c3p_type_names[rq->type]));

	if (!rq->conf)
		answer_error(rq->app, rq->st, 404, DIAG_CONF_URI, "no such conference");
	else if (rq->type == C3P_FOCUS && has_c3p_body(rq->m))
		join_on_invite(rq);
	else if (session < 0 || !conf_offers(rq->conf, (enum conf_session)session))
		answer_error(rq->app, rq->st, 480, DIAG_MCU_URI, "this conference has no conferencing server of this type");
	else {
		rq->session = (enum conf_session)session;
		media_on_invite(rq);
	}
}

static void on_subscribe(struct uas_req *rq)
{
	if (!rq->conf)
		answer_error(rq->app, rq->st, 404, DIAG_CONF_URI, "no such conference");
	else
		subscribe_on_request(rq);
}

static void on_refer(struct uas_req *rq)
{
	if (!rq->conf || !rq->conf->active)
		answer_error(rq->app, rq->st, 404, DIAG_CONF_URI, "no such conference is running");
	else
		refer_on_request(rq);
}

static const struct method { struct str name; void (*handler)(struct uas_req *rq); bool starts; } methods[] = {
	{ STR("INVITE"),    on_invite,          true },
	{ STR("SUBSCRIBE"), on_subscribe,       true },
	{ STR("REFER"),     on_refer,           true },
	{ STR("SERVICE"),   service_on_request, true },
};

static void outside(struct uas_req *rq)
{
	struct str method = sip_msg_method(rq->m);

	find_target(rq);
	if (rq->conf && attendant_is(rq->conf) && (!rq->plain || !str_eq(method, STR("INVITE")))) {
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "the attendant takes calls to its plain address only");
		return;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!str_eq(method, methods[i].name))
			continue;
		if (rq->app->draining)
			answer(rq->app, rq->st, &(struct answer){ .code = 503, .hdrs = "Retry-After: 5\r\n",
								   .text = "this focus is being drained" });
		else
			methods[i].handler(rq);
		return;
	}
	if (str_eq(method, STR("BYE")) || str_eq(method, STR("INFO")) || str_eq(method, STR("UPDATE")))
		answer_error(rq->app, rq->st, 481, DIAG_NONE, "no such dialog");
	else
		answer(rq->app, rq->st, &(struct answer){ .code = 405, .hdrs = ALLOW, .text = "not a method for a focus" });
}

/* --- inside one */
static void on_bye(struct uas_req *rq)
{
	log_info(conf, "%s: %s left", rq->ep->user->conf->key, rq->ep->user->entity);
	life_focus_gone(rq->app, rq->ep, false);
	answer(rq->app, rq->st, &(struct answer){ .code = 200 });
}

static const struct method in_dialog[] = {
	{ STR("INFO"),    info_on_request, false },
	{ STR("BYE"),     on_bye,          false },
	{ STR("INVITE"),  join_on_refresh, false },
	{ STR("UPDATE"),  join_on_refresh, false },
	{ STR("OPTIONS"), on_options,      false },
};

/* u: NULL when the user has left. Who is known in another way is another one, whatever name he bears. */
static bool owner(const struct uas_req *rq, const struct user *u, const char *entity)
{
	const char *caller = u ? u->caller : NULL;

	if (u && u->auth != caller_auth(&rq->caller))
		;
	else if (rq->caller.entity ? cstr_ieq(rq->caller.entity, caller ? caller : entity) || cstr_ieq(rq->caller.entity, entity)
			      : !caller)
		return true;
	metric_inc(&metrics[M_FOREIGN]);
	log_warn(sip, STR_FMT " in the dialog of %s by %s: refused", STR_ARG(sip_msg_method(rq->m)), entity,
		 rq->caller.entity ? rq->caller.entity : "nobody");
	answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "not your dialog");
	return false;
}

static bool in_order(struct uas_req *rq, struct sip_dlg *d)
{
	switch (sip_dlg_accept(d, rq->m)) {
	case 0:       return true;
	case -EPROTO: answer_error(rq->app, rq->st, 500, DIAG_NONE, "CSeq is not higher than the last one"); return false;
	default:      answer_error(rq->app, rq->st, 481, DIAG_NONE, "no such dialog"); return false;
	}
}

static void endpoint_request(struct uas_req *rq)
{
	struct str method = sip_msg_method(rq->m);

	if (!sip_dlg_match(rq->ep->dlg, rq->m)) {
		answer_error(rq->app, rq->st, 481, DIAG_NONE, "no such dialog");
		return;
	}
	if (!owner(rq, rq->ep->user, rq->ep->user->entity) || !in_order(rq, rq->ep->dlg))
		return;
	rq->ep->refreshed_ms = ev_now_ms(rq->app->loop);
	rq->ep->misses = 0;
	confs_mark(&rq->app->confs, &rq->ep->dirt);
	for (size_t i = 0; i < sizeof(in_dialog) / sizeof(in_dialog[0]); i++)
		if (str_eq(method, in_dialog[i].name)) {
			in_dialog[i].handler(rq);
			return;
		}
	answer(rq->app, rq->st, &(struct answer){ .code = 405, .hdrs = ALLOW, .text = "not a method for a focus dialog" });
}

static void sub_request(struct uas_req *rq, struct sub *s)
{
	const struct user *u = user_find(s->conf, s->user_entity);

	if (!sip_dlg_match(s->dlg, rq->m)) {
		answer_error(rq->app, rq->st, 481, DIAG_NONE, "no such subscription");
		return;
	}
	if (!owner(rq, u, s->user_entity) || !in_order(rq, s->dlg))
		return;
	confs_mark(&rq->app->confs, &s->dirt);
	if (str_eq(sip_msg_method(rq->m), STR("SUBSCRIBE")))
		subscribe_on_refresh(rq, s);
	else
		answer_error(rq->app, rq->st, 405, DIAG_NONE, "not a method for a subscription");
}

static void inside(struct uas_req *rq)
{
	struct str tag = sip_msg_to_tag(rq->m);
	struct sub *s;

	rq->ep = endpoint_find_tag(&rq->app->confs, tag);
	if (rq->ep) {
		endpoint_request(rq);
		return;
	}
	s = sub_find(rq->app, tag);
	if (s)
		sub_request(rq, s);
	else
		answer_error(rq->app, rq->st, 481, DIAG_NONE, "no such dialog");
}

/* Another domain asserts an identity of ours, or a name too long to be one. */
static bool identity_ok(struct uas_req *rq)
{
	struct sip_uri u;

	if (rq->caller.access != ACCESS_FEDERATED || sip_uri_decode(&u, str_c(rq->caller.entity)) ||
	    !str_ieq(u.host, str_c(rq->app->cfg.domain)))
		return true;
	metric_inc(&metrics[M_NO_IDENTITY]);
	log_warn(sip, "another domain asserts %s: refused", rq->caller.entity);
	answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "this identity is not of the domain it comes from");
	return false;
}

static bool require_ok(struct uas_req *rq)
{
	char hdr[160];
	struct str v;

	for (unsigned i = 0; !str_empty(v = sip_msg_hdr(rq->m, "Require", i)); i++) {
		if (str_ieq(v, STR("timer")))
			continue;
		snprintf(hdr, sizeof(hdr), "Unsupported: %.*s\r\n", v.l < 100 ? (int)v.l : 100, v.p);
		answer(rq->app, rq->st, &(struct answer){ .code = 420, .hdrs = hdr, .text = "unknown extension required" });
		return false;
	}
	return true;
}

void uas_on_request(struct sip_st *st, const struct sip_msg *m, void *arg)
{
	struct uas_req rq = { .app = arg, .st = st, .m = m };
	struct str method = sip_msg_method(m);
	char *call_id = str_dup(sip_msg_call_id(m));
	int err;

	metric_inc(&metrics[M_REQUESTS]);
	if (!str_eq(method, STR("OPTIONS")))
		trace_add(call_id, STR_FMT " " STR_FMT, STR_ARG(method), STR_ARG(sip_msg_ruri(m)));
	mem_deref(call_id);
	if (str_eq(method, STR("OPTIONS")) && str_empty(sip_msg_to_tag(m))) {
		if (require_ok(&rq))             /* the edge's probe bears no identity */
			on_options(&rq);
		return;
	}
	err = caller_decode(&rq.caller, m);
	if (err) {
		metric_inc(&metrics[M_NO_IDENTITY]);
		answer_error(rq.app, st, err == -EBADMSG ? 400 : err == -ENOMEM ? 503 : 403, err == -EACCES ? DIAG_FORBIDDEN : DIAG_NONE,
			     err == -EACCES ? "the edge tells no identity" : "From or P-Asserted-Identity cannot be read");
		return;
	}
	if (!require_ok(&rq) || !identity_ok(&rq))
		;
	else if (str_empty(sip_msg_to_tag(m)))
		outside(&rq);
	else
		inside(&rq);
	caller_fini(&rq.caller);
}

int session_negotiate(const struct sip_msg *m, long dflt_s, uint32_t *interval_s, char *hdrs, size_t size)
{
	struct str params = sip_msg_hdr(m, "Session-Expires", 0), first = str_trim(str_cut(&params, ';')), who;
	struct str min = sip_msg_hdr(m, "Min-SE", 0);
	uint64_t v = 0, min_s = 0;

	*interval_s = 0;
	hdrs[0] = '\0';
	if (!sip_msg_has_token(m, "Supported", "timer"))
		return 0;
	if (sip_param(params, STR("refresher"), &who) && str_ieq(who, STR("uas")))
		return 0;                        /* we never refresh: no timer then (RFC 4028 7.2), but probes */
	if (str_empty(first) || str_u64(first, &v) || v > 86400)
		v = (uint64_t)dflt_s;
	min = str_trim(str_cut(&min, ';'));
	if (str_u64(min, &min_s) == 0 && min_s <= 86400 && v < min_s)
		v = min_s;
	if (v < 90) {
		snprintf(hdrs, size, "Min-SE: 90\r\n");
		return 422;
	}
	*interval_s = (uint32_t)v;
	snprintf(hdrs, size, "Require: timer\r\nSession-Expires: %u;refresher=uac\r\n", *interval_s);
	return 0;
}

int uas_c3p_check(const struct uas_req *rq, const struct c3p_req *r, const char *to, enum diag *diag, const char **text)
{
	uint64_t id;

	*diag = DIAG_NOT_C3P;
	*text = "requestId is not a number";
	if (str_u64(str_c(r->request_id), &id))
		return 400;
	*diag = DIAG_FROM;
	*text = "'from' is not the sender of this request";
	if (!rq->caller.entity || !str_ieq(str_c(r->from), str_c(rq->caller.entity)))
		return 400;
	*diag = DIAG_TO;
	*text = "'to' is not the target of this request";
	if (!c3p_uri_same(str_c(r->to), str_c(to)))
		return 400;
	*diag = DIAG_CONF_ENTITY;
	*text = "confEntity is not this conference";
	if (rq->conf && !c3p_uri_same(str_c(r->keys.conf_entity), str_c(rq->conf->focus_uri)))
		return 400;
	return 0;
}
