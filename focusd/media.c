/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - the media INVITE: a room's plain address, or an audio-video URI by somebody with a focus dialog
 *
 *   admit -> user and pending endpoint -> an MCU for the conference -> addUser with a ticket -> 302 to the MCU
 *
 * The edge follows the 302; the MCU's oc:notify makes the endpoint visible. One that never shows up is forgotten after
 * pending_s (sweep.c).
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/attendant.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/mcunews.h"
#include "focusd/passcode.h"
#include "focusd/policy.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_calls_total", "Media INVITEs sent on to an MCU"),
	METRIC_COUNTER("conclave_focus_calls_refused_total", "Media INVITEs refused"),
};

struct invite {                          /* one media INVITE on its way to a 302; survives its conference */
	struct app    *app;
	struct sip_st *st;
	enum conf_session session;
	char          *key, *entity, *call_id, *ticket, *user;
	char          *node;             /* the MCU that was asked */
	bool           plain_ok, retried, over;
};

static void on_invite_destroy(void *arg)
{
	struct invite *i = arg;

	mem_deref(i->st);
	mem_deref(i->key);
	mem_deref(i->entity);
	mem_deref(i->call_id);
	mem_deref(i->ticket);
	mem_deref(i->user);
	mem_deref(i->node);
}

static struct endpoint *endpoint_of(const struct invite *i)
{
	struct conf *c = conf_find_key(&i->app->confs, i->key);

	return c ? endpoint_find(c, i->entity) : NULL;
}

static void finish(struct invite *i)
{
	sip_st_set_cb(i->st, NULL, NULL, NULL);
	mem_deref(i);
}

static void refuse(struct invite *i, int code, enum diag diag, const char *text)
{
	struct endpoint *e = endpoint_of(i);

	metric_inc(&metrics[1]);
	if (e)
		life_leg_gone(i->app, e);
	if (!i->over)
		answer_error(i->app, i->st, code, diag, text);
	finish(i);
}

static void redirect(struct invite *i, const struct endpoint *e)
{
	const struct conf *c = e->user->conf;
	char *hdrs = str_printf("Contact: <%s;oc-mcu=%s;oc-ticket=%s>\r\n", c->mcu[i->session].uri, c->mcu[i->session].node, i->ticket);

	trace_add(i->call_id, "sent on to %s as %s", c->mcu[i->session].node, e->user->entity);
	log_info(conf, "%s: %s is called into %s", c->key, e->user->entity, c->mcu[i->session].node);
	metric_inc(&metrics[0]);
	if (hdrs)
		answer(i->app, i->st, &(struct answer){ .code = 302, .hdrs = hdrs });
	else
		answer_error(i->app, i->st, 503, DIAG_NONE, "out of memory");
	mem_deref(hdrs);
	finish(i);
}

static void announce_user(struct invite *i);

static void on_ready(int err, const char *reason, void *arg)
{
	struct invite *i = arg;

	if (!err) {
		announce_user(i);
		return;
	}
	trace_add(i->call_id, "no MCU: %s", reason);
	refuse(i, cstr_eq(reason, "mcuTypeNotAvailable") ? 480 : 503, DIAG_MCU_URI,
	       cstr_eq(reason, "mcuTypeNotAvailable") ? "no conferencing server of this type is installed"
						      : "no conferencing server can take this call now");
}

/* That server lost the conference or its life. One that is only slow keeps it: its legs are still talking there. */
static bool mcu_lost(int err, const char *reason)
{
	return err == -EPROTO ? cstr_eq(reason, "conferenceDoesntExist")
			      : err == -ECONNREFUSED || err == -ECONNRESET || err == -EPIPE || err == -EHOSTUNREACH;
}

static void on_added(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct invite *i = arg;
	struct endpoint *e = endpoint_of(i);
	struct conf *c = conf_find_key(&i->app->confs, i->key);

	(void)resp;
	if (i->over || !e) {                     /* cancelled meanwhile, or thrown out */
		if (!err && c && c->active)
			mculink_delete_user(i->app, c, i->session, i->user, i->entity, NULL, NULL);
		refuse(i, 480, DIAG_CONF_URI, "the conference has ended");
	} else if (!err) {
		redirect(i, e);
	} else if (!i->retried && mcu_lost(err, reason)) {
		i->retried = true;
		if (c->mcu[i->session].state == CONF_MCU_READY && cstr_eq(c->mcu[i->session].node, i->node))
			mcunews_lost(i->app, c, i->session);             /* else another call has seen to it */
		if (mculink_ensure(i->app, c, i->session, on_ready, i))
			refuse(i, 503, DIAG_MCU_URI, "out of memory");
	} else {
		refuse(i, 503, DIAG_MCU_URI, "the conferencing server did not take the call");
	}
}

static void announce_user(struct invite *i)
{
	struct endpoint *e = endpoint_of(i);
	struct mculink_user p = { .ticket = i->ticket, .call_id = i->call_id, .plain_ok = i->plain_ok };

	if (!e)
		refuse(i, 480, DIAG_CONF_URI, "the conference has ended");
	else if (cstr_set(&i->node, e->user->conf->mcu[i->session].node) || mculink_add_user(i->app, e->user->conf, e, &p, on_added, i))
		refuse(i, 503, DIAG_MCU_URI, "the conferencing server cannot be reached");
}

static void on_cancel(struct sip_st *st, void *arg)
{
	struct invite *i = arg;

	i->over = true;                          /* the endpoint goes when the answer under way comes */
	trace_add(i->call_id, "cancelled");
	answer(i->app, st, &(struct answer){ .code = 487 });
}

/* --- who and what */
/* An MCU's own URI is for those who joined; the room's address and the focus URI with SDP are for phones. */
static bool needs_focus(const struct uas_req *rq)
{
	return !rq->plain && rq->type != C3P_FOCUS;
}

static struct user *find_user(const struct uas_req *rq)
{
	if (caller_auth(&rq->caller) != AUTH_NONE)
		return user_find_caller(rq->conf, rq->caller.entity, caller_auth(&rq->caller));
	if (rq->caller.access == ACCESS_ANONYMOUS && rq->caller.entity && needs_focus(rq))
		return user_find(rq->conf, rq->caller.entity);   /* showed the pass code when he joined */
	return NULL;                             /* every unauthenticated call is somebody of its own */
}

static int make_user(const struct uas_req *rq, struct user **up, enum conf_role role)
{
	enum conf_auth auth = caller_auth(&rq->caller);
	char hex[9], *entity;
	int err;

	if (auth != AUTH_NONE)
		return user_add(up, &rq->app->confs, rq->conf, rq->caller.entity, rq->caller.entity, rq->caller.display, role, auth);
	if (str_random_hex(hex, 8))
		return -ENOMEM;
	entity = str_printf("sip:phone-%s@%s", hex, rq->app->cfg.domain);
	err = entity ? user_add(up, &rq->app->confs, rq->conf, entity, rq->caller.entity, rq->caller.display, role, auth) : -ENOMEM;
	mem_deref(entity);
	return err;
}

/* The same device calls again: its old leg goes (a phone that lost its network). */
static void replace_old(const struct uas_req *rq, const struct user *u)
{
	struct endpoint *old = endpoint_find_instance(u, rq->session, rq->caller.instance);

	if (!old)
		return;
	if (old->status != EP_PENDING)
		mculink_delete_user(rq->app, rq->conf, rq->session, u->entity, old->entity, NULL, NULL);
	endpoint_remove(&rq->app->confs, old, true);
}

static int make_endpoint(const struct uas_req *rq, struct endpoint **ep, struct user *u, const char *call_id)
{
	char *guid = str_guid(), hex[33];
	struct endpoint *e;
	int err = guid ? str_random_hex(hex, 32) : -ENOMEM;

	if (!err)
		err = endpoint_add(&e, &rq->app->confs, u, guid, rq->session);
	mem_deref(guid);
	if (err)
		return err;
	cstr_set(&e->instance, rq->caller.instance);
	cstr_set(&e->address, rq->caller.address);
	cstr_set(&e->call_id, call_id);
	cstr_set(&e->ticket, hex);
	e->needs_focus = needs_focus(rq);
	e->drop_at_ms  = ev_now_ms(rq->app->loop) + (uint64_t)rq->app->cfg.pending_s * 1000;
	*ep = e;
	return 0;
}

static void start(struct uas_req *rq, enum conf_role role)
{
	struct invite *i = mem_zalloc(sizeof(*i), on_invite_destroy);
	struct user *u = find_user(rq);
	struct endpoint *e = NULL;
	int err = i ? 0 : -ENOMEM;

	conf_activate(&rq->app->confs, rq->conf, app_wall_s());
	if (!err && !u)
		err = make_user(rq, &u, role);
	else if (u)
		replace_old(rq, u);
	if (!err && role == ROLE_ORGANIZER)
		user_set_role(&rq->app->confs, u, role);
	if (!err) {
		i->app      = rq->app;
		i->session  = rq->session;
		i->st       = mem_ref(rq->st);
		i->key      = mem_ref(rq->conf->key);
		i->plain_ok = rq->caller.plain_ok;
		i->call_id  = str_dup(sip_msg_call_id(rq->m));
		err = i->call_id ? make_endpoint(rq, &e, u, i->call_id) : -ENOMEM;
	}
	if (err) {
		if (u && TAILQ_EMPTY(&u->eps))
			user_remove(&rq->app->confs, u);
		mem_deref(i);
		life_review(rq->app, rq->conf);
		answer_error(rq->app, rq->st, err == -E2BIG ? 480 : err == -EEXIST ? 403 : 503, DIAG_NONE,
			     err == -E2BIG ? "too many endpoints of this user"
			     : err == -EEXIST ? "a user of this name is known in another way" : "out of memory");
		return;
	}
	i->entity = mem_ref(e->entity);
	i->ticket = mem_ref(e->ticket);
	i->user   = mem_ref(u->entity);
	life_review(rq->app, rq->conf);
	sip_st_set_cb(rq->st, on_cancel, NULL, i);
	if (mculink_ensure(rq->app, rq->conf, rq->session, on_ready, i))
		refuse(i, 503, DIAG_NONE, "out of memory");
}

void media_on_invite(struct uas_req *rq)
{
	struct policy_caller who = { .entity = rq->caller.entity, .auth = caller_auth(&rq->caller),
				     .trunk = rq->caller.access == ACCESS_TRUNK };
	struct user *u = find_user(rq);
	enum conf_role role;
	enum policy_no no;

	metric_register(metrics, 2);
	if (rq->conf->expiry_s && rq->conf->expiry_s < app_wall_s() && !rq->conf->active) {
		answer_error(rq->app, rq->st, 404, DIAG_CONF_URI, "the conference has expired");
		return;
	}
	if (needs_focus(rq) && !(u && user_has(u, SESSION_FOCUS))) {
		metric_inc(&metrics[1]);
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "join the focus of this conference first, or call the room's plain address");
		return;
	}
	if (attendant_is(rq->conf) && attendant_paused(rq)) {
		metric_inc(&metrics[1]);
		char *retry = str_printf("Retry-After: %ld\r\n", rq->app->cfg.attendant_pause_s);

		answer(rq->app, rq->st, &(struct answer){ .code = 403, .hdrs = retry, .diag = DIAG_FORBIDDEN,
							   .text = "too many wrong pass codes, try again later" });
		mem_deref(retry);
		return;
	}
	if (u && !passcode_again(rq))
		return;
	who.present = u;
	no = policy_admit(rq->conf, &who, (unsigned)rq->app->cfg.max_users, &role);
	if (no != POLICY_OK) {
		metric_inc(&metrics[1]);
		log_info(conf, "%s: call of %s refused: %s", rq->conf->key, rq->caller.entity ? rq->caller.entity : rq->caller.display,
			 policy_answers[no].text);
		answer_error(rq->app, rq->st, policy_answers[no].code, policy_answers[no].diag, policy_answers[no].text);
		return;
	}
	start(rq, role);
}
