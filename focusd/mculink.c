/* SPDX-License-Identifier: Apache-2.0 */
/* mculink.c - C3P commands to the MCUs, see mculink.h
 *
 *   mculink_x() writes the document -> deferred until the commit -> http_post -> on_http -> the caller's callback
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/attendant.h"
#include "focusd/factory.h"
#include "focusd/filters.h"
#include "focusd/mculink.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/http/http.h"

#define ANSWER_MS 5000u
#define PROBE_MS  1500u
#define LATE_MS   200000u                 /* a call that nobody answers ends at the MCU after three minutes */

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_mcu_commands_total", "C3P commands sent to MCUs"),
	METRIC_COUNTER("conclave_focus_mcu_failures_total", "C3P commands that an MCU refused or did not answer"),
};

struct call {
	TAILQ_ENTRY(call) le;
	struct app *app;
	mculink_cb *cb;
	void       *arg;
	struct http_call *http;
	bool        posted;              /* else it waits for its commit */
	bool        may_wait;            /* `pending` is not the end of it */
	bool        waiting;             /* for the late response */
	uint64_t    until_ms;
	char       *request_id;
	char       *url, *what;          /* what: "addUser alice@.../ID", for the log */
	uint64_t    timeout_ms;
	struct buf  body;
};

static TAILQ_HEAD(, call) calls = TAILQ_HEAD_INITIALIZER(calls);         /* all that wait for a commit or an answer */
static bool stopping;
static unsigned long counter;            /* of requests; another start counts elsewhere, late answers are for the old one */

static void on_call_destroy(void *arg)
{
	struct call *k = arg;

	TAILQ_REMOVE(&calls, k, le);
	mem_deref(k->request_id);
	mem_deref(k->url);
	mem_deref(k->what);
	buf_fini(&k->body);
}

static void finish(struct call *k, int err, const char *reason, const struct c3p_resp *resp)
{
	if (err) {
		metric_inc(&metrics[1]);
		if (k->timeout_ms != PROBE_MS)
			log_warn(factory, "%s at %s: %s%s", k->what, k->url, err == -EPROTO ? "refused, " : "",
				 err == -EPROTO ? reason : strerror(-err));
	}
	if (k->cb)
		k->cb(err, reason, resp, k->arg);
	mem_deref(k);
}

/* Before the HTTP client goes: whoever waits for an answer is told, while there still is something to tell it to. */
void mculink_stop(struct app *a)
{
	struct call *k, *next;

	(void)a;
	stopping = true;
	for (k = TAILQ_FIRST(&calls); k; k = next) {
		mculink_cb *cb = k->cb;

		next  = TAILQ_NEXT(k, le);
		k->cb = NULL;
		if (cb)
			cb(-ECANCELED, "serverBusy", NULL, k->arg);
		if (k->posted) {
			mem_deref(k->http);
			mem_deref(k);
		}
	}
}

void mculink_init(void)
{
	stopping = false;
	counter  = (unsigned long)(ev_wall_ms() / 10);
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
}

static void on_http(int err, int status, struct str body, void *arg)
{
	struct call *k = arg;
	struct c3p_resp r;

	k->http = mem_deref(k->http);
	if (err) {
		finish(k, err, "timeout", NULL);
		return;
	}
	if (status != 200 && status != 503) {
		finish(k, -EPROTO, "otherFailure", NULL);
		return;
	}
	if (c3p_resp_decode(&r, body)) {
		finish(k, -EPROTO, status == 503 ? "serverBusy" : "otherFailure", NULL);
		return;
	}
	if (r.code == C3P_PENDING && k->may_wait) {
		k->waiting  = true;
		k->until_ms = ev_now_ms(k->app->loop) + LATE_MS;
		c3p_resp_fini(&r);
		return;
	}
	finish(k, r.code == C3P_FAILURE ? -EPROTO : 0, r.code == C3P_FAILURE ? r.reason : "", &r);
	c3p_resp_fini(&r);
}

void mculink_late(struct app *a, const struct c3p_resp *resp)
{
	struct call *k;

	(void)a;
	TAILQ_FOREACH(k, &calls, le)
		if (k->waiting && cstr_eq(k->request_id, resp->request_id) && resp->code != C3P_PENDING) {
			finish(k, resp->code == C3P_FAILURE ? -EPROTO : 0, resp->code == C3P_FAILURE ? resp->reason : "", resp);
			return;
		}
	log_debug(factory, "late response %s: nobody waits for it", resp->request_id);
}

void mculink_sweep(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop);
	struct call *k, *next;

	for (k = TAILQ_FIRST(&calls); k; k = next) {
		next = TAILQ_NEXT(k, le);
		if (k->waiting && now > k->until_ms)
			finish(k, -ETIMEDOUT, "timeout", NULL);
	}
}

static int post(struct call *k)
{
	k->posted = true;
	return http_post(k->app->mcus, &k->http, k->url, C3P_HTTP_CTYPE, buf_view(&k->body), k->timeout_ms, on_http, k);
}

static void on_committed(int err, void *arg)
{
	struct call *k = arg;

	if (stopping)
		err = -ECANCELED;
	if (!err) {
		metric_inc(&metrics[0]);
		err = post(k);
	}
	if (err)
		finish(k, err, "serverBusy", NULL);
}

/* --- documents. The caller writes the command between begin() and send(). */
static struct call *begin(struct app *a, const char *url, const char *to, const struct conf *c, const char *what,
			  const struct user *by, struct xmlw *w)
{
	struct call *k = stopping ? NULL : mem_zalloc(sizeof(*k), on_call_destroy);
	char id[40], epoch[16];
	struct c3p_env env = { .request_id = id, .from = c ? c->focus_uri : a->contact_host, .to = to };

	if (!k)
		return NULL;
	TAILQ_INSERT_TAIL(&calls, k, le);
	buf_init(&k->body, 1024 * 1024);
	k->app        = a;
	k->timeout_ms = ANSWER_MS;
	k->what       = str_printf("%s %s", what, c ? c->key : "");
	if (cstr_set(&k->url, url) || !k->what)
		return mem_deref(k);
	snprintf(id, sizeof(id), "%u.%lu", c ? c->epoch : 0, ++counter);
	if (cstr_set(&k->request_id, id))
		return mem_deref(k);
	if (c) {
		snprintf(epoch, sizeof(epoch), "%u", c->epoch);
		env.epoch = epoch;
	}
	if (by) {
		env.requested_by   = by->entity;
		env.requested_role = user_role_name(by);
	}
	c3p_begin_request(w, &k->body, &env);
	return k;
}

static int send(struct call *k, struct xmlw *w, mculink_cb *cb, void *arg)
{
	int err = c3p_end(w);

	if (err) {
		mem_deref(k);
		return err;
	}
	k->cb  = cb;
	k->arg = arg;
	store_defer(k->app->store, on_committed, k);
	return 0;
}

/* At once: nothing of ours depends on it yet. */
static int send_now(struct call *k, struct xmlw *w, mculink_cb *cb, void *arg)
{
	int err = c3p_end(w);

	k->cb  = cb;
	k->arg = arg;
	if (!err)
		err = post(k);
	if (err)
		mem_deref(k);
	return err;
}

static struct call *begin_conf(struct app *a, struct conf *c, enum conf_session s, const char *what, const struct user *by,
			       struct xmlw *w)
{
	const struct mcu *m = factory_find(a, c->mcu[s].node);

	return m ? begin(a, m->url, c->mcu[s].uri, c, what, by, w) : NULL;
}

int mculink_ping(struct app *a, const struct mcu *m, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin(a, m->url, m->id, NULL, "ping", NULL, &w);

	if (!k)
		return -ENOMEM;
	xmlw_leaf(&w, "ping", "");
	k->timeout_ms = PROBE_MS;
	return send_now(k, &w, cb, arg);
}

int mculink_get_mcu(struct app *a, const struct conf *c, enum conf_session s, const char *exclude, mculink_cb *cb, void *arg)
{
	struct str rest = str_c(exclude);
	struct xmlw w;
	struct call *k = begin(a, a->factory_url, "sip:mcufactory", c, "getMCU", NULL, &w);

	if (!k)
		return -ENOMEM;
	xmlw_start(&w, "getMCU");
	xmlw_start(&w, "conferenceKeys");
	xmlw_attr(&w, "confEntity", c->focus_uri);
	xmlw_end(&w);
	xmlw_leaf(&w, "mcuType", conf_session_names[s]);
	if (c->mcu[s].wish)
		xmlw_leaf(&w, "oc:prefer", c->mcu[s].wish);
	while (!str_empty(rest)) {
		char *id = str_dup(str_cut(&rest, ','));

		xmlw_leaf(&w, "exclude", id);
		mem_deref(id);
	}
	xmlw_end(&w);
	return send_now(k, &w, cb, arg);
}

static void keys_of(struct c3p_keys *k, const struct conf *c, const char *user, const char *endpoint)
{
	*k = (struct c3p_keys){ .conf_entity = c->focus_uri, .conf_id = "", .user_entity = user ? user : "",
				.endpoint_entity = endpoint ? endpoint : "", .media_id = "" };
}

static void write_filters(struct xmlw *w, const struct conf *c, enum conf_session s, bool full)
{
	struct filters f;

	if (s != SESSION_AV || filters_read(&f, c->filters))
		return;
	xmlw_start(w, "msci:entity-state");
	c3p_rules_encode(w, f.rule, f.n, full, SIZE_MAX);
	xmlw_end(w);
	filters_fini(&f);
}

int mculink_add_conference(struct app *a, struct conf *c, enum conf_session s, const struct mcu *m, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin(a, m->url, c->mcu[s].uri, c, "addConference", NULL, &w);
	char n[16];

	if (!k)
		return -ENOMEM;
	snprintf(n, sizeof(n), "%ld", a->cfg.max_users);
	xmlw_start(&w, "addConference");
	xmlw_start(&w, "ci:conference-info");
	xmlw_attr(&w, "entity", c->focus_uri);
	xmlw_start(&w, "ci:conference-description");
	xmlw_leaf(&w, "ci:subject", c->subject);
	xmlw_leaf(&w, "msci:conference-id", c->conf_id);
	xmlw_end(&w);
	xmlw_start(&w, "ci:conference-state");
	xmlw_leaf(&w, "ci:locked", c->locked ? "true" : "false");
	if (c->recording && s == SESSION_AV)
		xmlw_leaf(&w, "oc:recording", "true");
	xmlw_end(&w);
	xmlw_start(&w, "msci:conference-view");
	xmlw_start(&w, "msci:entity-view");
	xmlw_attr(&w, "entity", c->mcu[s].uri);
	write_filters(&w, c, s, false);
	xmlw_end(&w);
	xmlw_end(&w);
	xmlw_leaf(&w, "oc:notifyUrl", a->notify_url);
	if (attendant_is(c))
		xmlw_leaf(&w, "oc:attendant", "true");
	xmlw_start(&w, "oc:limits");
	xmlw_attr(&w, "users", n);
	xmlw_end(&w);
	xmlw_end(&w);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

int mculink_forward(struct app *a, struct conf *c, enum conf_session s, const struct xml_node *cmd, const struct user *by,
		    mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin_conf(a, c, s, xml_name(cmd), by, &w);
	struct buf raw;

	if (!k)
		return -ENOTCONN;
	buf_init(&raw, 256 * 1024);
	if (xml_copy(cmd, &raw)) {
		buf_fini(&raw);
		mem_deref(k);
		return -ENOMEM;
	}
	xmlw_raw(&w, buf_view(&raw));
	buf_fini(&raw);
	return send(k, &w, cb, arg);
}

/* --- commands about users */
static void write_user(struct xmlw *w, const struct endpoint *e, const char *target)
{
	const struct user *u = e->user;

	xmlw_start(w, "ci:user");
	xmlw_attr(w, "entity", u->entity);
	xmlw_leaf(w, "ci:display-text", u->display);
	xmlw_start(w, "ci:roles");
	xmlw_leaf(w, "ci:entry", user_role_name(u));
	xmlw_end(w);
	xmlw_start(w, "ci:endpoint");
	xmlw_attr(w, "entity", e->entity);
	xmlw_attr(w, "msci:session-type", conf_session_names[e->session]);
	xmlw_attr(w, "msci:endpoint-uri", target);
	xmlw_leaf(w, "ci:joining-method", target ? "dialed-out" : "dialed-in");
	xmlw_end(w);
	xmlw_end(w);
}

static struct call *begin_add_user(struct app *a, struct conf *c, const struct endpoint *e, const struct user *by,
				   const char *target, struct xmlw *w)
{
	struct mcu *m = factory_find(a, c->mcu[e->session].node);
	struct call *k = begin_conf(a, c, e->session, "addUser", by, w);

	if (!k)
		return NULL;
	m->announced++;
	xmlw_start(w, "addUser");
	xmlw_attr(w, "mscp:mcuUri", c->mcu[e->session].uri);
	xmlw_start(w, "conferenceKeys");
	xmlw_attr(w, "confEntity", c->focus_uri);
	xmlw_end(w);
	write_user(w, e, target);
	return k;
}

int mculink_add_user(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_user *p, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin_add_user(a, c, e, NULL, NULL, &w);

	if (!k)
		return -ENOTCONN;
	xmlw_start(&w, "oc:ticket");
	xmlw_attr(&w, "value", p->ticket);
	xmlw_attr(&w, "callId", p->call_id);
	xmlw_attr(&w, "media", p->plain_ok ? "any" : "srtp");
	xmlw_end(&w);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

int mculink_move_user(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_move *from, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin_add_user(a, c, e, NULL, NULL, &w);

	if (!k)
		return -ENOTCONN;
	xmlw_start(&w, "oc:move");
	xmlw_attr(&w, "confEntity", from->conf->focus_uri);
	xmlw_attr(&w, "userEntity", from->user);
	xmlw_attr(&w, "endpointEntity", from->endpoint);
	xmlw_end(&w);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

int mculink_dial_out(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_dial *p, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin_add_user(a, c, e, p->by, p->target, &w);

	if (!k)
		return -ENOTCONN;
	xmlw_start(&w, "oc:dialout");
	xmlw_attr(&w, "target", p->target);
	xmlw_attr(&w, "media", p->plain_ok ? "any" : "srtp");
	xmlw_attr(&w, "headers", p->headers);
	xmlw_end(&w);
	xmlw_end(&w);
	k->may_wait = true;
	return send(k, &w, cb, arg);
}

int mculink_delete_user(struct app *a, struct conf *c, enum conf_session s, const char *user, const char *endpoint, mculink_cb *cb, void *arg)
{
	struct c3p_keys keys;
	struct xmlw w;
	struct call *k = begin_conf(a, c, s, "deleteUser", NULL, &w);

	if (!k)
		return -ENOTCONN;
	keys_of(&keys, c, user, endpoint);
	xmlw_start(&w, "deleteUser");
	xmlw_attr(&w, "mscp:mcuUri", c->mcu[s].uri);
	c3p_write_keys(&w, endpoint ? "endpointKeys" : "userKeys", &keys);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

int mculink_modify_media(struct app *a, struct conf *c, enum conf_session s, const struct c3p_keys *keys, const char *type, const char *ingress,
			 const char *egress, const struct user *by, mculink_cb *cb, void *arg)
{
	struct xmlw w;
	struct call *k = begin_conf(a, c, s, "modifyEndpointMedia", by, &w);

	if (!k)
		return -ENOTCONN;
	xmlw_start(&w, "modifyEndpointMedia");
	xmlw_attr(&w, "mscp:mcuUri", c->mcu[s].uri);
	c3p_write_keys(&w, "mediaKeys", keys);
	xmlw_start(&w, "ci:media");
	xmlw_attr(&w, "id", keys->media_id);
	xmlw_leaf(&w, "ci:type", type);
	xmlw_leaf(&w, "msci:media-ingress-filter", ingress);
	xmlw_leaf(&w, "msci:media-egress-filter", egress);
	xmlw_end(&w);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

static int set_role(struct app *a, struct conf *c, enum conf_session s, const struct user *u, const struct user *by)
{
	struct c3p_keys keys;
	struct xmlw w;
	struct call *k = begin_conf(a, c, s, "modifyUserRoles", by, &w);

	if (!k)
		return -ENOTCONN;
	keys_of(&keys, c, u->entity, NULL);
	xmlw_start(&w, "modifyUserRoles");
	xmlw_attr(&w, "mscp:mcuUri", c->mcu[s].uri);
	c3p_write_keys(&w, "userKeys", &keys);
	xmlw_start(&w, "ci:user-roles");
	xmlw_leaf(&w, "ci:entry", user_role_name(u));
	xmlw_end(&w);
	xmlw_end(&w);
	return send(k, &w, NULL, NULL);
}

void mculink_set_role(struct app *a, struct conf *c, const struct user *u, const struct user *by)
{
	FOR_EACH_MCU_TYPE(s)
		if (c->mcu[s].state == CONF_MCU_READY)
			set_role(a, c, s, u, by);
}

static int simple(struct app *a, struct conf *c, enum conf_session s, const char *command, const char *leaf, const char *value,
		  mculink_cb *cb, void *arg)
{
	struct c3p_keys keys;
	struct xmlw w;
	struct call *k = begin_conf(a, c, s, command, NULL, &w);

	if (!k)
		return -ENOTCONN;
	keys_of(&keys, c, NULL, NULL);
	xmlw_start(&w, command);
	xmlw_attr(&w, "mscp:mcuUri", c->mcu[s].uri);
	c3p_write_keys(&w, "conferenceKeys", &keys);
	if (leaf)
		xmlw_leaf(&w, leaf, value);
	xmlw_end(&w);
	return send(k, &w, cb, arg);
}

void mculink_set_locked(struct app *a, struct conf *c, bool locked)
{
	FOR_EACH_MCU_TYPE(s)
		if (c->mcu[s].state == CONF_MCU_READY)
			simple(a, c, s, "modifyConferenceLock", "locked", locked ? "true" : "false", NULL, NULL);
}

struct recording { struct app *app; char *key; uint32_t epoch; bool on; mculink_cb *cb; void *arg; };

static void on_recording_destroy(void *arg)
{
	mem_deref(((struct recording *)arg)->key);
}

static void on_recording(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct recording *r = arg;
	struct conf *c = conf_find_key(&r->app->confs, r->key);

	(void)resp;
	if (err == -EPROTO && r->on && c && c->epoch == r->epoch && c->recording) {
		log_warn(conf, "%s: not recorded: %s", c->key, reason);
		conf_set_recording(&r->app->confs, c, false);
	}
	if (r->cb)
		r->cb(err, reason, NULL, r->arg);
	mem_deref(r);
}

int mculink_set_recording(struct app *a, struct conf *c, bool on, mculink_cb *cb, void *arg)
{
	struct recording *r;
	int err;

	if (c->mcu[SESSION_AV].state != CONF_MCU_READY)
		return -ENOTCONN;
	r = mem_zalloc(sizeof(*r), on_recording_destroy);
	if (!r)
		return -ENOMEM;
	r->app   = a;
	r->key   = mem_ref(c->key);
	r->epoch = c->epoch;
	r->on    = on;
	r->cb    = cb;
	r->arg   = arg;
	err = simple(a, c, SESSION_AV, "oc:record", "oc:recording", on ? "true" : "false", on_recording, r);
	if (err)
		mem_deref(r);
	return err;
}

void mculink_set_filters(struct app *a, struct conf *c)
{
	struct xmlw w;
	struct call *k = c->mcu[SESSION_AV].state == CONF_MCU_READY
			 ? begin_conf(a, c, SESSION_AV, "modifyConference", NULL, &w) : NULL;
	struct c3p_keys keys;

	if (!k)
		return;
	keys_of(&keys, c, NULL, NULL);
	xmlw_start(&w, "modifyConference");
	xmlw_attr(&w, "mscp:mcuUri", c->mcu[SESSION_AV].uri);
	c3p_write_keys(&w, "conferenceKeys", &keys);
	xmlw_start(&w, "ci:conference-info");
	xmlw_attr(&w, "entity", c->focus_uri);
	xmlw_attr(&w, "state", "partial");
	xmlw_start(&w, "msci:conference-view");
	xmlw_attr(&w, "ci:state", "partial");
	xmlw_start(&w, "msci:entity-view");
	xmlw_attr(&w, "ci:state", "partial");
	xmlw_attr(&w, "entity", c->mcu[SESSION_AV].uri);
	write_filters(&w, c, SESSION_AV, true);
	xmlw_end(&w);
	xmlw_end(&w);
	xmlw_end(&w);
	xmlw_end(&w);
	send(k, &w, NULL, NULL);
}

int mculink_delete_conference(struct app *a, struct conf *c, enum conf_session s)
{
	return simple(a, c, s, "deleteConference", NULL, NULL, NULL, NULL);
}

int mculink_get_conference(struct app *a, struct conf *c, enum conf_session s, mculink_cb *cb, void *arg)
{
	return simple(a, c, s, "getConference", NULL, NULL, cb, arg);
}
