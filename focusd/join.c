/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - INVITE to the focus with addUser: admits the user and makes the focus dialog (docs/c3p.md, join) */
#include <errno.h>
#include <stdio.h>
#include "focusd/farewell.h"
#include "focusd/life.h"
#include "focusd/passcode.h"
#include "focusd/policy.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/info.h"

static struct metric joins   = METRIC_COUNTER("conclave_focus_joins_total", "Focus dialogs made");
static struct metric refused = METRIC_COUNTER("conclave_focus_joins_refused_total", "Joins refused");

struct add_user {                        /* what the request says, borrowed from its document */
	struct c3p_req  req;
	struct c3p_user user;
	const char     *endpoint;
};

static int decode(struct uas_req *rq, struct add_user *au, enum diag *diag, const char **text)
{
	const struct xml_node *n, *e;
	int code;

	*diag = DIAG_NOT_C3P;
	*text = "the body is not a C3P request";
	if (c3p_req_decode(&au->req, sip_msg_body(rq->m)))
		return 400;
	code = uas_c3p_check(rq, &au->req, rq->conf->focus_uri, diag, text);
	if (code)
		return code;
	*diag = DIAG_ADD_USER;
	*text = "addUser with one user and one endpoint is needed";
	n = xml_child(au->req.cmd, NULL, "user");
	if (!cstr_eq(au->req.command, "addUser") || !n || xml_next(n, NULL, "user") || c3p_user_decode(&au->user, n))
		return 400;
	*diag = DIAG_USER;
	*text = "the user is not the sender";
	if (!str_ieq(str_c(au->user.entity), str_c(rq->caller.entity)))
		return 400;
	*diag = DIAG_ROLE;
	*text = "a role is presenter or attendee";
	if (au->user.role && !cstr_eq(au->user.role, "presenter") && !cstr_eq(au->user.role, "attendee"))
		return 400;
	*diag = DIAG_ENDPOINT;
	*text = "the endpoint needs an entity";
	e = xml_child(n, NULL, "endpoint");
	au->endpoint = e ? xml_attr(e, NULL, "entity") : NULL;
	if (!au->endpoint || !*au->endpoint || strlen(au->endpoint) > 128)
		return 400;
	*diag = DIAG_NONE;
	return 0;
}

static void write_response(struct buf *b, const struct user *u, const char *endpoint, const char *request_id, const char *to)
{
	struct c3p_env env = { .request_id = request_id, .from = u->conf->focus_uri, .to = to };
	struct c3p_endpoint e = { .entity = endpoint };
	struct c3p_user cu = { .entity = u->entity, .role = user_role_name(u), .nendpoints = 1, .endpoints = &e };
	struct c3p_keys k = { .conf_entity = u->conf->focus_uri, .conf_id = "", .user_entity = "", .endpoint_entity = "", .media_id = "" };
	struct xmlw w;

	c3p_begin_response(&w, b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "addUser");
	c3p_write_keys(&w, "conferenceKeys", &k);
	c3p_user_encode(&w, false, &cu);
	xmlw_end(&w);
	c3p_end(&w);
}

static void answer_join(struct uas_req *rq, const struct endpoint *e, const char *request_id, const char *session)
{
	struct buf b;
	char *hdrs = str_printf("Contact: <%s>;isfocus\r\nAllow: INVITE, ACK, CANCEL, BYE, INFO, OPTIONS, UPDATE\r\n"
				"Supported: timer\r\nAllow-Events: conference\r\n%s", e->user->conf->focus_uri, session);

	buf_init(&b, 0);
	write_response(&b, e->user, e->entity, request_id, e->user->entity);
	if (b.err || !hdrs)
		answer_error(rq->app, rq->st, 503, DIAG_NONE, "out of memory");
	else
		answer(rq->app, rq->st, &(struct answer){ .code = 200, .to_tag = e->local_tag, .hdrs = hdrs, .ctype = C3P_CTYPE,
							   .body = buf_view(&b) });
	buf_fini(&b);
	mem_deref(hdrs);
}

/* A dialog that nobody acknowledged is not one (RFC 3261 13.3.1.4). */
static void on_ack(struct sip_st *st, const struct sip_msg *ack, int err, void *arg)
{
	struct app *a = arg;
	struct endpoint *e = endpoint_find_tag(&a->confs, str_c(sip_st_to_tag(st)));

	(void)ack;
	if (!err || !e)
		return;
	log_warn(conf, "%s: %s never acknowledged, removed", e->user->conf->key, e->user->entity);
	life_focus_gone(a, e, true);
}

static void on_cancel(struct sip_st *st, void *arg)
{
	struct app *a = arg;
	struct endpoint *e = endpoint_find_tag(&a->confs, str_c(sip_st_to_tag(st)));

	if (e)
		life_focus_gone(a, e, false);
	answer(a, st, &(struct answer){ .code = 487 });
}

static void replace_old(struct uas_req *rq, struct user *u, const char *endpoint)
{
	struct endpoint *old = endpoint_find(rq->conf, endpoint);

	if (!old || old->user != u)
		old = endpoint_find_instance(u, SESSION_FOCUS, rq->caller.instance);
	if (!old)
		return;
	if (old->dlg)
		farewell(rq->app, old->dlg);
	endpoint_remove(&rq->app->confs, old, true);
}

static int make_endpoint(struct uas_req *rq, struct endpoint **ep, struct user *u, const char *entity, uint32_t session_s,
			 struct sip_dlg *dlg)
{
	struct confs *cs = &rq->app->confs;
	struct endpoint *e;
	char *joined;
	int err = endpoint_add(&e, cs, u, entity, SESSION_FOCUS);

	if (err)
		return err;
	endpoint_bind(cs, e, mem_ref(dlg), sip_st_to_tag(rq->st));
	joined = app_utc(app_wall_s());
	cstr_set(&e->joined, joined);
	cstr_set(&e->instance, rq->caller.instance);
	mem_deref(joined);
	e->session_s    = session_s;
	e->refreshed_ms = ev_now_ms(rq->app->loop);
	endpoint_set_status(cs, e, EP_CONNECTED);
	*ep = e;
	return 0;
}

static void refuse_admit(struct uas_req *rq, int err)
{
	if (err == -EBADMSG)
		answer_error(rq->app, rq->st, 400, DIAG_NONE, "a dialog needs a Contact");
	else if (err == -EEXIST)
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "a user of this name is known in another way");
	else if (err == -E2BIG)
		answer_error(rq->app, rq->st, 480, DIAG_ENDPOINT, "too many endpoints of this user");
	else
		answer_error(rq->app, rq->st, 503, DIAG_NONE, "out of memory");
}

/* OCS-style clients that were started in the same second choose the same name for their endpoint. The later one gets another,
 * which his answer and the roster tell. New reference. */
static char *endpoint_name(const struct uas_req *rq, const struct user *u, const char *wanted)
{
	const struct endpoint *other = endpoint_find(rq->conf, wanted);

	return other && other->user != u ? str_guid() : str_dup(str_c(wanted));
}

static void admit(struct uas_req *rq, const struct add_user *au, enum conf_role role, uint32_t session_s, const char *session)
{
	struct confs *cs = &rq->app->confs;
	const char *name = au->user.display_text && *au->user.display_text ? au->user.display_text : rq->caller.display;
	struct user *u = user_find_caller(rq->conf, rq->caller.entity, caller_auth(&rq->caller));
	struct endpoint *e;
	struct sip_dlg *dlg = NULL;
	char *entity = endpoint_name(rq, u, au->endpoint);
	bool fresh = !u;
	int err = entity ? sip_dlg_uas(&dlg, rq->m, sip_st_to_tag(rq->st)) : -ENOMEM;

	if (err) {                               /* before anything of his is replaced */
		mem_deref(entity);
		refuse_admit(rq, err);
		return;
	}
	conf_activate(cs, rq->conf, app_wall_s());
	if (fresh)
		err = user_add(&u, cs, rq->conf, rq->caller.entity, rq->caller.entity, name, role, caller_auth(&rq->caller));
	else
		replace_old(rq, u, entity);
	if (!err && role == ROLE_ORGANIZER)
		user_set_role(cs, u, role);      /* somebody may have called him in before */
	if (!err)
		err = make_endpoint(rq, &e, u, entity, session_s, dlg);
	mem_deref(dlg);
	mem_deref(entity);
	if (err) {
		if (u && TAILQ_EMPTY(&u->eps))
			user_remove(cs, u);
		life_review(rq->app, rq->conf);
		refuse_admit(rq, err);
		return;
	}
	metric_inc(&joins);
	log_info(conf, "%s: %s joined as %s", rq->conf->key, u->entity, user_role_name(u));
	life_review(rq->app, rq->conf);
	sip_st_set_cb(rq->st, on_cancel, on_ack, rq->app);
	answer_join(rq, e, au->req.request_id, session);
}

void join_on_invite(struct uas_req *rq)
{
	struct add_user au = { 0 };
	struct policy_caller who = { .entity = rq->caller.entity, .auth = caller_auth(&rq->caller) };
	char session[96];
	enum conf_role role;
	enum policy_no no;
	enum diag diag;
	const char *text;
	uint32_t session_s;
	int code;

	metric_register(&joins, 1);
	metric_register(&refused, 1);
	if (caller_auth(&rq->caller) == AUTH_NONE && (rq->caller.access != ACCESS_ANONYMOUS || !rq->caller.entity)) {
		/* what a trunk asserts proves nothing */
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "joining the focus needs an authenticated user");
		return;
	}
	code = decode(rq, &au, &diag, &text);
	if (code) {
		answer_error(rq->app, rq->st, code, diag, text);
		goto out;
	}
	if (session_negotiate(rq->m, rq->app->cfg.session_s, &session_s, session, sizeof(session))) {
		answer(rq->app, rq->st, &(struct answer){ .code = 422, .hdrs = session, .text = "session interval too small" });
		goto out;
	}
	if (rq->conf->expiry_s && rq->conf->expiry_s < app_wall_s() && !rq->conf->active) {
		answer_error(rq->app, rq->st, 404, DIAG_CONF_URI, "the conference has expired");
		goto out;
	}
	/* an anonymous one shows the pass code each time: his name stands in the roster for all to read */
	who.present = who.auth != AUTH_NONE && user_find_caller(rq->conf, rq->caller.entity, who.auth);
	no = policy_admit(rq->conf, &who, (unsigned)rq->app->cfg.max_users, &role);
	if (no == POLICY_NEEDS_PIN) {
		if (!passcode_shown(rq))
			goto out;
		who.pin_ok = true;
		no = policy_admit(rq->conf, &who, (unsigned)rq->app->cfg.max_users, &role);
	}
	if (no != POLICY_OK) {
		metric_inc(&refused);
		log_info(conf, "%s: %s refused: %s", rq->conf->key, rq->caller.entity, policy_answers[no].text);
		answer_error(rq->app, rq->st, policy_answers[no].code, policy_answers[no].diag, policy_answers[no].text);
		goto out;
	}
	admit(rq, &au, role, session_s, session);
out:
	c3p_req_fini(&au.req);
}

/* A refresh: the same answer again; a re-INVITE for media in the focus dialog has no media to offer. */
void join_on_refresh(struct uas_req *rq)
{
	bool invite = str_eq(sip_msg_method(rq->m), STR("INVITE"));
	struct c3p_req r = { 0 };
	char session[96];
	uint32_t session_s;

	if (str_istarts(sip_msg_hdr(rq->m, "Content-Type", 0), STR("application/sdp"))) {
		answer_error(rq->app, rq->st, 488, DIAG_NONE, "the focus dialog has no media, call the audio-video URI");
		return;
	}
	if (session_negotiate(rq->m, rq->app->cfg.session_s, &session_s, session, sizeof(session))) {
		answer(rq->app, rq->st, &(struct answer){ .code = 422, .hdrs = session, .text = "session interval too small" });
		return;
	}
	rq->ep->session_s = session_s;
	sip_dlg_target_refresh(rq->ep->dlg, rq->m);
	if (invite && sip_msg_body(rq->m).l && c3p_req_decode(&r, sip_msg_body(rq->m)) == 0)
		answer_join(rq, rq->ep, r.request_id, session);
	else {
		char *hdrs = str_printf("Contact: <%s>;isfocus\r\n%s", rq->ep->user->conf->focus_uri, session);

		answer(rq->app, rq->st, &(struct answer){ .code = hdrs ? 200 : 503, .hdrs = hdrs });
		mem_deref(hdrs);
	}
	c3p_req_fini(&r);
}
