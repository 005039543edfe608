/* SPDX-License-Identifier: Apache-2.0 */
/* info_mcu.c - commands that an MCU executes: 202 `pending`, the MCU, an INFO with the outcome; see info.c */
#include <errno.h>
#include "focusd/info_priv.h"
#include "lib/base/mem.h"

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

struct relay *info_relay_start(struct cmd_ctx *x)
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

struct c3p_env info_relay_env(const struct relay *r)
{
	return (struct c3p_env){ .request_id = r->request_id, .from = r->from, .to = r->to };
}

struct app *info_relay_app(const struct relay *r)
{
	return r->app;
}

/* The outcome: to the client in its dialog, which may be another object by now, or gone; and for a repeated request. */
void info_relay_body(struct relay *r, enum c3p_code code, struct buf *b)
{
	struct endpoint *e = endpoint_find_tag(&r->app->confs, str_c(r->tag));

	if (e && !b->err) {
		say_later(r->app, e->dlg, "INFO", NULL, C3P_CTYPE, buf_view(b));
		if (code != C3P_PENDING)
			info_kept_final(e, r->request_id, r->command, buf_view(b));
	}
	buf_fini(b);
	if (code != C3P_PENDING)
		mem_deref(r);
}

int info_relay_pending(const struct relay *r, const struct c3p_env *env, struct buf *b)
{
	struct c3p_keys keys = { r->entity[0], r->entity[1], r->entity[2], r->entity[3], r->entity[4] };

	return c3p_simple_response(b, env, C3P_PENDING, r->command, NULL, &keys);
}

void info_relay_done(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct relay *r = arg;
	struct c3p_env env = info_relay_env(r);
	struct c3p_keys keys = { r->entity[0], r->entity[1], r->entity[2], r->entity[3], r->entity[4] };
	struct buf b;

	(void)resp;
	buf_init(&b, 0);
	b.err = c3p_simple_response(&b, &env, err ? C3P_FAILURE : C3P_SUCCESS, r->command, err ? failure_reason(err, reason) : NULL, &keys);
	info_relay_body(r, err ? C3P_FAILURE : C3P_SUCCESS, &b);
}

void info_pending(struct cmd_ctx *x, struct relay *r, int err)
{
	if (!err) {
		info_respond(x, 202, C3P_PENDING, DIAG_NONE, NULL, NULL);
		return;
	}
	mem_deref(r);
	info_fail(x, 603, DIAG_MCU_URI, "mcuTypeNotAvailable", "this conference has no conferencing server of this type now");
}

/* blocks: true/false from the filter element, else from the status a client writes with it (c3p.md 2.24) */
static const char *ingress_of(const struct c3p_media *m)
{
	if (m->ingress)
		return m->ingress;
	return cstr_eq(m->status, "recvonly") || cstr_eq(m->status, "inactive") ? "block"
	       : cstr_eq(m->status, "sendrecv") || cstr_eq(m->status, "sendonly") ? "unblock" : NULL;
}

static bool is_filter(const char *v)
{
	return !v || cstr_eq(v, "block") || cstr_eq(v, "unblock");
}

void info_modify_media(struct cmd_ctx *x)
{
	const struct xml_node *n = xml_child(x->req->cmd, NULL, "media");
	const struct c3p_keys *k = &x->req->keys;
	struct user *u = info_target(x);
	struct endpoint *e = u ? endpoint_find(x->rq->conf, k->endpoint_entity) : NULL;
	struct ep_media *had;
	struct c3p_media m;
	struct relay *r;

	if (!u)
		return;
	if (!policy_may_act_on(x->by, u)) {
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters mute others");
		return;
	}
	if (!e || e->user != u || e->session == SESSION_FOCUS || (x->req->mcu_uri && e->session != info_mcu_of(x))) {
		info_fail(x, 603, DIAG_ENDPOINT, "endpointDoesntExist", "no such media endpoint of this user");
		return;
	}
	had = endpoint_media(e, k->media_id);
	if (!had) {
		info_fail(x, 603, DIAG_NONE, "mediaDoesntExist", "no such media in this endpoint");
		return;
	}
	if (!n || c3p_media_decode(&m, n) || (!ingress_of(&m) && !m.egress) ||
	    !is_filter(xml_text(xml_child(n, NULL, "media-ingress-filter"))) || !is_filter(xml_text(xml_child(n, NULL, "media-egress-filter")))) {
		info_fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "a media element with a filter or a status is needed");
		return;
	}
	r = info_relay_start(x);
	info_pending(x, r, r ? mculink_modify_media(x->rq->app, x->rq->conf, e->session, k, had->type, ingress_of(&m), m.egress, x->by,
					       info_relay_done, r) : -ENOMEM);
}

void info_relay_fail(struct relay *r, const char *reason)
{
	info_relay_done(-EPROTO, reason, NULL, r);
}

/* --- forwarded as they are: the MCU knows what they mean, the focus only who may say them */
void info_forward(struct cmd_ctx *x)
{
	struct relay *r = info_relay_start(x);

	info_pending(x, r, r ? mculink_forward(x->rq->app, x->rq->conf, info_mcu_of(x), x->req->cmd, x->by, info_relay_done, r)
			     : -ENOMEM);
}

void info_announcements(struct cmd_ctx *x)
{
	static const char *const known[] = { "true", "false", "1", "0" };
	const char *v = xml_text(xml_child(x->req->cmd, NULL, "enabled"));

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (cstr_ieq(v, known[i])) {
			info_forward(x);
			return;
		}
	info_fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "'enabled' is neither true nor false");
}

/* Own endpoints, or presenters those of others. */
void info_endpoint_media(struct cmd_ctx *x)
{
	const struct c3p_keys *k = &x->req->keys;
	struct endpoint *e;
	struct user *u;

	if (!*k->user_entity || !*k->endpoint_entity) {
		info_fail(x, 400, DIAG_USER, "requestMalformed", "endpointKeys or mediaKeys are needed");
		return;
	}
	u = info_target(x);
	if (!u)
		return;
	e = endpoint_find(x->rq->conf, k->endpoint_entity);
	if (!policy_may_act_on(x->by, u))
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters do this to others");
	else if (!e || e->user != u || e->session != info_mcu_of(x))
		info_fail(x, 603, DIAG_ENDPOINT, "endpointDoesntExist", "no such endpoint of this user on that MCU");
	else
		info_forward(x);
}

/* --- modifyEndpointRole: the MCU applies it, the roster shows it then */
struct role_change { struct relay *relay; struct app *app; char *key, *entity, *role; };

static void on_role_change_destroy(void *arg)
{
	struct role_change *r = arg;

	mem_deref(r->key);
	mem_deref(r->entity);
	mem_deref(r->role);
}

static void on_role_changed(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct role_change *r = arg;
	struct conf *c = conf_find_key(&r->app->confs, r->key);
	struct endpoint *e = c && !err ? endpoint_find(c, r->entity) : NULL;

	if (e && cstr_set(&e->role, r->role) == 0)
		endpoint_touch(&r->app->confs, e);
	info_relay_done(err, reason, resp, r->relay);
	mem_deref(r);
}

void info_endpoint_role(struct cmd_ctx *x)
{
	const struct xml_node *roles = xml_child(x->req->cmd, NULL, "roles");
	const char *role = xml_text(xml_child(roles, NULL, "entry"));
	struct user *u = info_target(x);
	struct endpoint *e = u ? endpoint_find(x->rq->conf, x->req->keys.endpoint_entity) : NULL;
	struct role_change *r;
	int err = -ENOMEM;

	if (!u)
		return;
	if (!e || e->user != u || e->session != info_mcu_of(x)) {
		info_fail(x, 603, DIAG_ENDPOINT, "endpointDoesntExist", "no such endpoint of this user on that MCU");
		return;
	}
	if (!cstr_eq(role, "presenter") && !cstr_eq(role, "attendee")) {
		info_fail(x, 603, DIAG_ROLE, "invalidRole", "a role is presenter or attendee");
		return;
	}
	r = mem_zalloc(sizeof(*r), on_role_change_destroy);
	if (r && (r->relay = info_relay_start(x))) {
		r->app    = x->rq->app;
		r->key    = mem_ref(x->rq->conf->key);
		r->entity = mem_ref(e->entity);
		err = cstr_set(&r->role, role);
		if (!err)
			err = mculink_forward(r->app, x->rq->conf, e->session, x->req->cmd, x->by, on_role_changed, r);
	}
	info_pending(x, r ? r->relay : NULL, err);
	if (err)
		mem_deref(r);
}
