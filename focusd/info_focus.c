/* SPDX-License-Identifier: Apache-2.0 */
/* info_focus.c - commands that the focus executes itself, see info.c */
#include <errno.h>
#include "focusd/control.h"
#include "focusd/info_priv.h"

void info_get_conference(struct cmd_ctx *x)
{
	struct c3p_env env = c3p_env_of(x->req);
	struct roster_doc rd = { .conf = x->rq->conf, .version = x->rq->conf->version, .full = true };
	struct xmlw w;
	struct buf b;

	buf_init(&b, 1024 * 1024);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "getConference");
	roster_write(&w, false, &rd);
	xmlw_end(&w);
	c3p_end(&w);
	if (b.err == -EMSGSIZE || (!b.err && b.l > (size_t)x->rq->app->cfg.doc_bytes)) {
		buf_fini(&b);
		info_fail(x, 603, DIAG_NONE, "requestTooLarge", "the document is larger than one message may be: refresh the subscription, which gets it in parts");
		return;
	}
	info_body(x, 200, &b, DIAG_NONE, NULL);
}

void info_lock(struct cmd_ctx *x)
{
	const char *v = xml_text(xml_child(x->req->cmd, NULL, "locked"));
	bool locked = cstr_ieq(v, "true") || cstr_eq(v, "1");

	if (!locked && !cstr_ieq(v, "false") && !cstr_eq(v, "0")) {
		info_fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "'locked' is neither true nor false");
		return;
	}
	control_lock(x->rq->app, x->rq->conf, locked, x->by->entity);
	info_done(x);
}

void info_modify_roles(struct cmd_ctx *x)
{
	const struct xml_node *roles = xml_child(x->req->cmd, NULL, "user-roles");
	const struct xml_node *entry = xml_child(roles ? roles : xml_child(x->req->cmd, NULL, "roles"), NULL, "entry");
	const char *name = xml_text(entry);
	enum conf_role role = cstr_ieq(name, "presenter") ? ROLE_PRESENTER : ROLE_ATTENDEE;
	struct user *u = info_target(x);

	if (!u)
		return;
	if (role == ROLE_ATTENDEE && !cstr_ieq(name, "attendee")) {
		info_fail(x, 603, DIAG_ROLE, "invalidRole", "a role is presenter or attendee");
		return;
	}
	if (!policy_may_set_role(x->by, u, role)) {
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "the organizer stays presenter");
		return;
	}
	if (u->role != ROLE_ORGANIZER && u->role != role) {
		user_set_role(&x->rq->app->confs, u, role);
		mculink_set_role(x->rq->app, x->rq->conf, u, x->by);
	}
	info_done(x);
}

void info_delete_conference(struct cmd_ctx *x)
{
	info_done(x);
	life_end(x->rq->app, x->rq->conf);
}

void info_delete_user(struct cmd_ctx *x)
{
	struct user *u = info_target(x);
	struct relay *r;

	if (!u)
		return;
	if (!policy_may_remove(x->by, u)) {
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", u->role == ROLE_ORGANIZER ? "the organizer cannot be removed"
										       : "only presenters remove others");
		return;
	}
	if (x->req->mcu_uri) {                   /* from that MCU only */
		r = info_relay_start(x);
		info_pending(x, r, r ? mculink_delete_user(x->rq->app, x->rq->conf, info_mcu_of(x), u->entity, NULL, info_relay_done, r) : -ENOMEM);
		return;
	}
	info_done(x);
	life_eject(x->rq->app, u);
}

void info_modify_user(struct cmd_ctx *x)
{
	const struct xml_node *n = xml_child(x->req->cmd, NULL, "user");
	const char *display = xml_text(xml_child(n, NULL, "display-text"));
	const char *entity = n ? xml_attr(n, NULL, "entity") : NULL;
	struct user *u = info_target(x);

	if (!u)
		return;
	if (!policy_may_act_on(x->by, u)) {
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters rename others");
		return;
	}
	if (!display || !*display || (entity && !cstr_ieq(entity, u->entity))) {
		info_fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "a user element of this user with display-text is needed");
		return;
	}
	if (user_set_display(&x->rq->app->confs, u, display)) {
		info_fail(x, 503, DIAG_NONE, "serverBusy", "out of memory");
		return;
	}
	FOR_EACH_MCU_TYPE(s)
		if (user_has(u, s))
			mculink_forward(x->rq->app, x->rq->conf, s, x->req->cmd, x->by, NULL, NULL);
	info_done(x);
}

/* granted: through the lock and a closed list until the conference ends; denied: out, and not in again. */
void info_set_access(struct cmd_ctx *x)
{
	const char *access = xml_text(xml_child(x->req->cmd, NULL, "access"));
	bool granted = cstr_ieq(access, "granted");
	struct c3p_env env = c3p_env_of(x->req);
	struct xmlw w;
	struct buf b;

	if ((!granted && !cstr_ieq(access, "denied")) || !xml_child(x->req->cmd, NULL, "userKeys")) {
		info_fail(x, 603, DIAG_NOT_C3P, "requestMalformed", "userKeys are needed, and access is granted or denied");
		return;
	}
	buf_init(&b, 65536);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "setUserAccess");
	for (const struct xml_node *k = xml_child(x->req->cmd, NULL, "userKeys"); k; k = xml_next(k, NULL, "userKeys")) {
		const char *entity = xml_attr(k, NULL, "userEntity");
		struct user *u = entity ? user_find(x->rq->conf, entity) : NULL;
		bool organizer = u && u->role == ROLE_ORGANIZER;
		bool himself = !granted && u == x->by;           /* who wants to go leaves */
		int err = entity && !organizer && !himself ? conf_set_access(&x->rq->app->confs, x->rq->conf, entity, granted) : -1;

		xmlw_start(&w, "userKeys");
		xmlw_attr(&w, "confEntity", x->rq->conf->focus_uri);
		xmlw_attr(&w, "userEntity", entity);
		xmlw_attr(&w, "result", !err ? "success" : organizer ? "unauthorized" : "otherFailure");
		xmlw_end(&w);
		if (!err && !granted && u)
			life_eject(x->rq->app, u);
	}
	xmlw_end(&w);
	c3p_end(&w);
	info_body(x, 200, &b, DIAG_NONE, NULL);
}

/* With mcuUri: an MCU's own state. Without: what the running conference is called and whom it admits. */
void info_modify_conference(struct cmd_ctx *x)
{
	const struct xml_node *info = xml_child(x->req->cmd, NULL, "conference-info");
	const struct xml_node *d = xml_child(info, NULL, "conference-description");
	const char *subject = xml_text(xml_child(d, NULL, "subject")), *policy = xml_text(xml_child(d, NULL, "admission-policy"));
	const char *entity = info ? xml_attr(info, NULL, "entity") : NULL;
	struct conf *c = x->rq->conf;
	int p = 0;

	if (x->req->mcu_uri) {
		info_modify_mcu(x);
		return;
	}
	if (!info || (entity && *entity && !c3p_uri_same(str_c(entity), str_c(c->focus_uri)))) {
		info_fail(x, 603, DIAG_CONF_ENTITY, "requestMalformed", "conference-info of this conference is needed");
		return;
	}
	while (policy && p < POLICY_N && !cstr_eq(policy, conf_policy_names[p]))
		p++;
	if (p == POLICY_N || (subject && strlen(subject) > 512)) {
		info_fail(x, 603, DIAG_NONE, p == POLICY_N ? "invalidAdmissionPolicy" : "requestTooLarge",
			  "the policy is unknown or the subject too long");
		return;
	}
	if (subject && cstr_set(&c->subject, subject)) {
		info_fail(x, 503, DIAG_NONE, "serverBusy", "out of memory");
		return;
	}
	if (policy)
		c->policy_now = (enum conf_policy)p;
	c->chg_desc = true;
	conf_touch(&x->rq->app->confs, c);
	confs_changed(&x->rq->app->confs, c);
	info_done(x);
}
