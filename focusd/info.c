/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - C3P commands inside the focus dialog (docs/c3p.md)
 *
 * envelope checks -> the command's row -> rights -> handler. What the focus executes itself is answered in the 200; what
 * an MCU must do is answered 202 with `pending`, the MCU is asked after the commit, and its answer goes to the client in
 * an INFO of ours. The roster notification is what clients follow, whatever order the two arrive in.
 */
#include <errno.h>
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/notify.h"
#include "focusd/policy.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/info.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_commands_total", "C3P commands taken in focus dialogs"),
	METRIC_COUNTER("conclave_focus_commands_refused_total", "C3P commands refused"),
};

struct cmd_ctx {
	struct uas_req       *rq;
	const struct c3p_req *req;
	struct user          *by;
};
enum mcu_uri { MCU_NEVER, MCU_MAY };
struct command {
	const char  *name;
	bool         presenter;          /* else the handler looks at the target */
	enum mcu_uri mcu;
	void       (*handler)(struct cmd_ctx *x);
};

static struct c3p_env env_of(const struct c3p_req *r)
{
	return (struct c3p_env){ .request_id = r->request_id, .from = r->to, .to = r->from };
}

static void respond(struct cmd_ctx *x, int code, enum c3p_code c3p, enum diag diag, const char *reason, const char *text)
{
	struct c3p_env env = env_of(x->req);
	struct buf b;

	buf_init(&b, 0);
	c3p_simple_response(&b, &env, c3p, x->req->command, reason, &x->req->keys);
	if (c3p == C3P_FAILURE)
		metric_inc(&metrics[1]);
	answer_c3p(x->rq->app, x->rq->st, code, &b, diag, text);
}

static void done(struct cmd_ctx *x)
{
	respond(x, 200, C3P_SUCCESS, DIAG_NONE, NULL, NULL);
}

static void fail(struct cmd_ctx *x, int code, enum diag diag, const char *reason, const char *text)
{
	respond(x, code, C3P_FAILURE, diag, reason, text);
}

/* The type of MCU that mcuUri names, SESSION_FOCUS (0): none of this conference's. */
static enum conf_session mcu_of(const struct cmd_ctx *x)
{
	FOR_EACH_MCU_TYPE(s)
		if (x->req->mcu_uri && conf_offers(x->rq->conf, s) && c3p_uri_same(str_c(x->req->mcu_uri), str_c(x->rq->conf->mcu[s].uri)))
			return s;
	return SESSION_FOCUS;
}

static struct user *target(struct cmd_ctx *x)
{
	struct user *u = user_find(x->rq->conf, x->req->keys.user_entity);

	if (!u || !user_visible(u)) {
		fail(x, 603, DIAG_NONE, "userDoesntExist", "no such user in this conference");
		return NULL;
	}
	return u;
}

/* --- executed by the focus */
static void on_get_conference(struct cmd_ctx *x)
{
	struct c3p_env env = env_of(x->req);
	struct roster_doc rd = { .conf = x->rq->conf, .version = x->rq->conf->version, .full = true };
	struct xmlw w;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "getConference");
	roster_write(&w, false, &rd);
	xmlw_end(&w);
	c3p_end(&w);
	answer_c3p(x->rq->app, x->rq->st, 200, &b, DIAG_NONE, NULL);
}

static void on_lock(struct cmd_ctx *x)
{
	const char *v = xml_text(xml_child(x->req->cmd, NULL, "locked"));
	bool locked = cstr_ieq(v, "true") || cstr_eq(v, "1");

	if (!locked && !cstr_ieq(v, "false") && !cstr_eq(v, "0")) {
		fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "'locked' is neither true nor false");
		return;
	}
	if (x->rq->conf->locked != locked) {
		conf_set_locked(&x->rq->app->confs, x->rq->conf, locked);
		mculink_set_locked(x->rq->app, x->rq->conf, locked);
		log_info(conf, "%s: %s by %s", x->rq->conf->key, locked ? "locked" : "unlocked", x->by->entity);
	}
	done(x);
}

static void on_modify_roles(struct cmd_ctx *x)
{
	const struct xml_node *roles = xml_child(x->req->cmd, NULL, "user-roles");
	const struct xml_node *entry = xml_child(roles ? roles : xml_child(x->req->cmd, NULL, "roles"), NULL, "entry");
	const char *name = xml_text(entry);
	enum conf_role role = cstr_ieq(name, "presenter") ? ROLE_PRESENTER : ROLE_ATTENDEE;
	struct user *u = target(x);

	if (!u)
		return;
	if (role == ROLE_ATTENDEE && !cstr_ieq(name, "attendee")) {
		fail(x, 603, DIAG_ROLE, "invalidRole", "a role is presenter or attendee");
		return;
	}
	if (!policy_may_set_role(x->by, u, role)) {
		fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "the organizer stays presenter");
		return;
	}
	if (u->role != ROLE_ORGANIZER && u->role != role) {
		user_set_role(&x->rq->app->confs, u, role);
		mculink_set_role(x->rq->app, x->rq->conf, u, x->by);
	}
	done(x);
}

static void on_delete_conference(struct cmd_ctx *x)
{
	done(x);
	life_end(x->rq->app, x->rq->conf);
}

/* --- executed by an MCU */
struct relay {
	struct app     *app;
	char           *tag;             /* of the dialog: it may be another object, or gone, when the answer comes */
	char           *request_id, *from, *to, *command, *entity[5];
};

static void on_relay_destroy(void *arg)
{
	struct relay *r = arg;

	mem_deref(r->tag);
	mem_deref(r->request_id);
	mem_deref(r->from);
	mem_deref(r->to);
	mem_deref(r->command);
	for (int i = 0; i < 5; i++)
		mem_deref(r->entity[i]);
}

static struct relay *relay_start(struct cmd_ctx *x)
{
	const struct c3p_keys *k = &x->req->keys;
	const char *const keys[5] = { k->conf_entity, k->conf_id, k->user_entity, k->endpoint_entity, k->media_id };
	struct relay *r = mem_zalloc(sizeof(*r), on_relay_destroy);
	int err = 0;

	if (!r)
		return NULL;
	r->app = x->rq->app;
	r->tag = mem_ref(x->rq->ep->local_tag);
	err |= cstr_set(&r->request_id, x->req->request_id);
	err |= cstr_set(&r->from, x->req->to);
	err |= cstr_set(&r->to, x->req->from);
	err |= cstr_set(&r->command, x->req->command);
	for (int i = 0; i < 5; i++)
		err |= cstr_set(&r->entity[i], keys[i]);
	return err ? mem_deref(r) : r;
}

static const char *failure_reason(int err, const char *reason)
{
	return err == -EPROTO ? reason : err == -ETIMEDOUT ? "timeout" : "mcuTypeNotAvailable";
}

static void on_mcu_answer(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct relay *r = arg;
	struct c3p_env env = { .request_id = r->request_id, .from = r->from, .to = r->to };
	struct c3p_keys keys = { r->entity[0], r->entity[1], r->entity[2], r->entity[3], r->entity[4] };
	const struct endpoint *e = endpoint_find_tag(&r->app->confs, str_c(r->tag));
	struct buf b;

	(void)resp;
	buf_init(&b, 0);
	if (e && !c3p_simple_response(&b, &env, err ? C3P_FAILURE : C3P_SUCCESS, r->command, err ? failure_reason(err, reason) : NULL, &keys))
		say_later(r->app, e->dlg, "INFO", NULL, C3P_CTYPE, buf_view(&b));
	buf_fini(&b);
	mem_deref(r);
}

static void pending(struct cmd_ctx *x, struct relay *r, int err)
{
	if (!err) {
		respond(x, 202, C3P_PENDING, DIAG_NONE, NULL, NULL);
		return;
	}
	mem_deref(r);
	fail(x, 603, DIAG_MCU_URI, "mcuTypeNotAvailable", "this conference has no audio-video conferencing server now");
}

/* blocks: true/false from the filter element, else from the status a client writes with it (c3p.md 2.24) */
static const char *ingress_of(const struct c3p_media *m)
{
	if (m->ingress)
		return m->ingress;
	return cstr_eq(m->status, "recvonly") || cstr_eq(m->status, "inactive") ? "block"
	       : cstr_eq(m->status, "sendrecv") || cstr_eq(m->status, "sendonly") ? "unblock" : NULL;
}

static void on_modify_media(struct cmd_ctx *x)
{
	const struct xml_node *n = xml_child(x->req->cmd, NULL, "media");
	const struct c3p_keys *k = &x->req->keys;
	struct user *u = target(x);
	struct endpoint *e = u ? endpoint_find(x->rq->conf, k->endpoint_entity) : NULL;
	struct ep_media *had;
	struct c3p_media m;
	struct relay *r;

	if (!u)
		return;
	if (!policy_may_act_on(x->by, u)) {
		fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters mute others");
		return;
	}
	if (!e || e->user != u || e->session == SESSION_FOCUS) {
		fail(x, 603, DIAG_ENDPOINT, "endpointDoesntExist", "no such media endpoint of this user");
		return;
	}
	had = endpoint_media(e, k->media_id);
	if (!had) {
		fail(x, 603, DIAG_NONE, "mediaDoesntExist", "no such media in this endpoint");
		return;
	}
	if (!n || c3p_media_decode(&m, n) || (!ingress_of(&m) && !m.egress)) {
		fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "a media element with a filter or a status is needed");
		return;
	}
	r = relay_start(x);
	pending(x, r, r ? mculink_modify_media(x->rq->app, x->rq->conf, e->session, k, had->type, ingress_of(&m), m.egress, x->by,
					       on_mcu_answer, r) : -ENOMEM);
}

static void on_delete_user(struct cmd_ctx *x)
{
	struct user *u = target(x);
	struct relay *r;

	if (!u)
		return;
	if (!policy_may_remove(x->by, u)) {
		fail(x, 403, DIAG_FORBIDDEN, "unauthorized", u->role == ROLE_ORGANIZER ? "the organizer cannot be removed"
										       : "only presenters remove others");
		return;
	}
	if (x->req->mcu_uri) {                   /* from that MCU only */
		r = relay_start(x);
		pending(x, r, r ? mculink_delete_user(x->rq->app, x->rq->conf, mcu_of(x), u->entity, NULL, on_mcu_answer, r) : -ENOMEM);
		return;
	}
	done(x);
	life_eject(x->rq->app, u);
}

static const struct command commands[] = {
	/* name                    presenter  mcuUri     handler */
	{ "getConference",         false,     MCU_NEVER, on_get_conference },
	{ "modifyConferenceLock",  true,      MCU_NEVER, on_lock },
	{ "modifyUserRoles",       true,      MCU_NEVER, on_modify_roles },
	{ "deleteUser",            false,     MCU_MAY,   on_delete_user },
	{ "modifyEndpointMedia",   false,     MCU_MAY,   on_modify_media },
	{ "deleteConference",      true,      MCU_NEVER, on_delete_conference },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (cstr_eq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void execute(struct cmd_ctx *x)
{
	const struct command *cmd = find(x->req->command);

	if (!cmd)
		fail(x, 501, DIAG_UNKNOWN_COMMAND, "notSupported", "this focus does not know the command");
	else if (x->req->mcu_uri && cmd->mcu == MCU_NEVER)
		fail(x, 400, DIAG_NO_MCU_HERE, "requestMalformed", "this command is not for an MCU");
	else if (x->req->mcu_uri && !mcu_of(x))
		fail(x, 603, DIAG_MCU_URI, "mcuTypeNotAvailable", "mcuUri is not one of this conference's");
	else if (cmd->presenter && !policy_is_presenter(x->by))
		fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters may do this");
	else
		cmd->handler(x);
}

void info_on_request(struct uas_req *rq)
{
	struct c3p_req req = { 0 };
	struct cmd_ctx x = { .rq = rq, .req = &req, .by = rq->ep->user };
	enum diag diag;
	const char *text;
	int code;

	metric_register(metrics, 2);
	metric_inc(&metrics[0]);
	rq->conf = rq->ep->user->conf;
	if (!str_istarts(sip_msg_hdr(rq->m, "Content-Type", 0), STR(C3P_CTYPE))) {
		answer(rq->app, rq->st, &(struct answer){ .code = 415, .hdrs = "Accept: " C3P_CTYPE "\r\n", .text = "C3P is expected here" });
		return;
	}
	if (c3p_req_decode(&req, sip_msg_body(rq->m))) {
		metric_inc(&metrics[1]);
		answer_error(rq->app, rq->st, 400, DIAG_NOT_C3P, "the body is not a C3P request");
		return;
	}
	code = uas_c3p_check(rq, &req, rq->conf->focus_uri, &diag, &text);
	if (code) {
		metric_inc(&metrics[1]);
		answer_error(rq->app, rq->st, code, diag, text);
	} else {
		execute(&x);
	}
	c3p_req_fini(&req);
}
