/* SPDX-License-Identifier: Apache-2.0 */
/* mcunews.c - see mcunews.h and docs/interfaces.md
 *
 *   POST /LiveServer/Focus/ oc:notify -> apply() to the model -> 204 after the commit
 *   a gap in its versions, or a restart of ours -> getConference -> apply() as full
 *
 * The MCU owns its endpoints and their media; everything else in its documents is ignored.
 */
#include <errno.h>
#include "focusd/answer.h"
#include "focusd/dialout.h"
#include "focusd/factory.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/c3phttp.h"
#include "focusd/mcunews.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "lib/c3p/info.h"
#include "lib/c3p/uri.h"
#include "lib/http/http.h"

#define MAX_LEG_BYTES 32768u             /* oc:leg of one endpoint */

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_mcu_news_total", "Notifications taken from MCUs"),
	METRIC_COUNTER("conclave_focus_mcu_news_refused_total", "Notifications refused: unknown conference, old epoch, not C3P"),
	METRIC_COUNTER("conclave_focus_mcu_syncs_total", "Times an MCU was asked for its whole state"),
};
enum { M_NEWS, M_REFUSED, M_SYNCS };

void mcunews_init(void)
{
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
}

/* --- one endpoint as the MCU says it */
static bool clean(const char *s)                 /* stored in a '|' list, shown to clients */
{
	return !s || (strlen(s) < 60 && !strpbrk(s, "|\r\n"));
}

static bool apply_media(struct endpoint *e, const struct c3p_endpoint *news)
{
	bool changed = e->nmedia != news->nmedia;
	unsigned n = 0;

	for (unsigned i = 0; i < news->nmedia && n < EP_MAX_MEDIA; i++) {
		const struct c3p_media *m = &news->media[i];
		bool in = cstr_eq(m->ingress, "block"), out = cstr_eq(m->egress, "block");
		struct ep_media *was = n < e->nmedia ? &e->media[n] : NULL;

		if (!clean(m->id) || !clean(m->type) || !clean(m->label) || !clean(m->status))
			continue;
		changed |= !was || was->in_blocked != in || was->out_blocked != out || !cstr_eq(was->status, m->status) ||
			   !cstr_eq(was->id, m->id) || !cstr_eq(was->type, m->type);
		if (endpoint_set_media(e, n, m->id, m->type, m->label, m->status, in, out) == 0)
			n++;
	}
	e->nmedia = n;
	return changed;
}

static void apply_connected(struct app *a, struct endpoint *e)
{
	char *now;

	e->ticket = mem_deref(e->ticket);
	if (!e->needs_focus || user_has(e->user, SESSION_FOCUS))
		e->drop_at_ms = 0;
	if (e->joined)
		return;
	now = app_utc(app_wall_s());
	cstr_set(&e->joined, now);
	mem_deref(now);
	trace_add(e->call_id, "%s is connected on %s", e->user->entity, e->user->conf->mcu[e->session].node ? e->user->conf->mcu[e->session].node : "an MCU");
	log_info(conf, "%s: %s is connected", e->user->conf->key, e->user->entity);
	life_review(a, e->user->conf);
}

static void apply_endpoint(struct app *a, struct conf *c, enum conf_session s, const char *user, const struct c3p_endpoint *news)
{
	struct endpoint *e = endpoint_find(c, news->entity);
	int status = news->status ? ep_status_find(news->status) : EP_CONNECTED;
	bool changed;

	if (cstr_eq(news->state, "deleted") || status == EP_DISCONNECTED) {
		if (e && e->session == s) {
			trace_add(e->call_id, "%s: leg ended", e->user->entity);
			log_info(conf, "%s: leg of %s ended", c->key, e->user->entity);
			life_leg_gone(a, e);
		}
		return;
	}
	if (!e || e->session != s) {    /* not announced by us: it must not stay there */
		log_warn(conf, "%s: MCU reports an unknown leg %s of %s", c->key, news->entity, user);
		mculink_delete_user(a, c, s, user, news->entity, NULL, NULL);
		return;
	}
	changed = apply_media(e, news);
	changed |= e->talking != news->talking || e->hand != news->hand;
	e->talking = news->talking;
	e->hand = news->hand;
	if (news->leg && strlen(news->leg) < MAX_LEG_BYTES)
		cstr_set(&e->leg, news->leg);
	confs_mark(&a->confs, &e->dirt);
	if (status >= EP_ON_HOLD)
		apply_connected(a, e);
	if (status == EP_ALERTING && e->dialed_out && e->status != EP_ALERTING)
		dialout_alerting(a, e);
	if (status >= 0 && status != EP_PENDING)
		endpoint_set_status(&a->confs, e, (enum ep_status)status);
	if (changed)
		endpoint_touch(&a->confs, e);
}

/* Legs that a full report does not mention are gone. */
static void drop_unmentioned(struct app *a, struct conf *c, enum conf_session s, const struct xml_node *users)
{
	struct endpoint *e, *tmp;

	for (e = c->eps; e; e = e->hh.next)
		e->mentioned = e->session != s || (e->status < EP_ON_HOLD &&     /* a report holds who is there or is called */
						   (!e->dialed_out || dialout_waits(a, e)));
	for (const struct xml_node *u = xml_child(users, NULL, "user"); u; u = xml_next(u, NULL, "user"))
		for (const struct xml_node *n = xml_child(u, NULL, "endpoint"); n; n = xml_next(n, NULL, "endpoint")) {
			const char *entity = xml_attr(n, NULL, "entity");

			e = entity ? endpoint_find(c, entity) : NULL;
			if (e)
				e->mentioned = true;
		}
	HASH_ITER(hh, c->eps, e, tmp)
		if (!e->mentioned)
			life_leg_gone(a, e);
}

static const struct xml_node *recording_in(const struct xml_node *info)
{
	return xml_child(xml_child(info, NULL, "conference-state"), C3P_NS_OC, "recording");
}

/* The MCU could not go on. A new order of ours may have crossed it: that is taken back, too. */
static void apply_recording(struct app *a, struct conf *c, const struct xml_node *n)
{
	const char *reason = xml_attr(n, NULL, "reason");

	if (!c->recording || !reason || !cstr_eq(xml_text(n), "false"))
		return;
	log_warn(conf, "%s: the recording ended: %.200s", c->key, reason);
	conf_set_recording(&a->confs, c, false);
	mculink_set_recording(a, c, false, NULL, NULL);
}

void mcunews_apply(struct app *a, struct conf *c, enum conf_session s, const struct xml_node *info)
{
	const struct xml_node *users = xml_child(info, NULL, "users");
	struct c3p_endpoint ep;
	struct c3p_user cu;

	if (s == SESSION_AV)
		apply_recording(a, c, recording_in(info));
	for (const struct xml_node *u = xml_child(users, NULL, "user"); u; u = xml_next(u, NULL, "user")) {
		if (c3p_user_decode(&cu, u))
			continue;
		for (const struct xml_node *n = xml_child(u, NULL, "endpoint"); n; n = xml_next(n, NULL, "endpoint"))
			if (c3p_endpoint_decode(&ep, n) == 0)
				apply_endpoint(a, c, s, cu.entity, &ep);
	}
	if (cstr_eq(xml_attr(info, NULL, "state"), "full"))
		drop_unmentioned(a, c, s, users);
}

static uint32_t version_of(const struct xml_node *info)
{
	const char *s = xml_attr(info, NULL, "version");
	uint64_t v;

	return s && str_u64(str_c(s), &v) == 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

/* --- asking for all of it */
struct sync { struct app *app; enum conf_session session; char *key, *node, *instance; uint32_t epoch; };

static void on_sync_destroy(void *arg)
{
	struct sync *y = arg;

	mem_deref(y->key);
	mem_deref(y->node);
	mem_deref(y->instance);
}

static void on_synced(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct sync *y = arg;
	struct conf *c = conf_find_key(&y->app->confs, y->key);
	struct conf_mcu *m = c ? &c->mcu[y->session] : NULL;
	const struct xml_node *info = resp ? xml_child(resp->cmd, NULL, "conference-info") : NULL;

	/* another MCU may have the conference by now: what the old one says is no news */
	if (c && c->epoch == y->epoch && c->active && cstr_eq(m->node, y->node) && cstr_eq(m->instance, y->instance)) {
		m->syncing = false;
		if (!err && info && version_of(info) >= m->version) {
			m->stale   = false;
			m->version = version_of(info);
			conf_touch(&y->app->confs, c);
			mcunews_apply(y->app, c, y->session, info);
			if (y->session == SESSION_AV && c->filters)
				mculink_set_filters(y->app, c);  /* committed, but perhaps never sent */
			if (y->session == SESSION_AV && cstr_eq(xml_text(recording_in(info)), "true") != c->recording)
				mculink_set_recording(y->app, c, c->recording, NULL, NULL);
		} else if (err == -EPROTO && cstr_eq(reason, "conferenceDoesntExist")) {
			mcunews_lost(y->app, c, y->session);
		}                                /* else: still stale, the sweep asks again */
	}
	mem_deref(y);
}

void mcunews_sync(struct app *a, struct conf *c, enum conf_session s)
{
	struct conf_mcu *m = &c->mcu[s];
	struct sync *y;

	m->stale = true;
	if (m->syncing || !factory_find(a, m->node))
		return;
	y = mem_zalloc(sizeof(*y), on_sync_destroy);
	if (!y)
		return;
	y->app      = a;
	y->session  = s;
	y->key      = mem_ref(c->key);
	y->node     = mem_ref(m->node);
	y->instance = mem_ref(m->instance);
	y->epoch    = c->epoch;
	metric_inc(&metrics[M_SYNCS]);
	if (mculink_get_conference(a, c, s, on_synced, y))
		mem_deref(y);
	else
		m->syncing = true;
}

/* --- MCUs come and go */
void mcunews_lost(struct app *a, struct conf *c, enum conf_session s)
{
	struct endpoint *e, *tmp;

	log_warn(conf, "%s: its MCU %s is lost", c->key, c->mcu[s].node ? c->mcu[s].node : "?");
	conf_set_mcu(&a->confs, c, s, CONF_MCU_NONE, NULL, NULL);
	HASH_ITER(hh, c->eps, e, tmp)
		if (e->session == s && e->status != EP_PENDING) {
			trace_add(e->call_id, "%s: leg lost with its MCU", e->user->entity);
			life_leg_gone(a, e);
		}
}

static bool on_node(const struct conf *c, enum conf_session s, const char *id)
{
	return c->active && c->mcu[s].state == CONF_MCU_READY && cstr_eq(c->mcu[s].node, id);
}

void on_mcu_up(struct app *a, struct mcu *m)
{
	for (struct conf *c = a->confs.by_key; c; c = c->hh.next)
		FOR_EACH_MCU_TYPE(s) {
			if (on_node(c, s, m->id) && cstr_eq(c->mcu[s].instance, m->instance))
				mcunews_sync(a, c, s);
			else if (on_node(c, s, m->id))
				mcunews_lost(a, c, s);
		}
}

void on_mcu_down(struct app *a, const char *id, const char *instance, const char *why)
{
	(void)why;
	for (struct conf *c = a->confs.by_key; c; c = c->hh.next)
		FOR_EACH_MCU_TYPE(s)
			if (on_node(c, s, id) && cstr_eq(c->mcu[s].instance, instance))
				mcunews_lost(a, c, s);
}

/* --- HTTP */
/* One that was taken for dead, or lost the conference to another, ends it when it is told so (409). Which type of MCU
 * speaks stands in its own URI. */
static int session_of(const struct conf *c, const struct c3p_req *r)
{
	struct c3p_uri u;
	int s;

	if (c3p_uri_decode(&u, str_c(r->from)))
		return -EBADMSG;
	s = conf_session_find(str_c(c3p_type_names[u.type]));
	if (s < 0 || c->mcu[s].state == CONF_MCU_NONE)
		return -ENOENT;
	return str_empty(u.mcu) || !c->mcu[s].node || str_eq(u.mcu, str_c(c->mcu[s].node)) ? s : -ENOENT;
}

void mcunews_on_notify(struct app *a, struct http_req *rq, const struct c3p_req *r)
{
	const struct xml_node *info = xml_child(r->cmd, NULL, "conference-info");
	struct conf *c = c3phttp_conf(a, info ? xml_attr(info, NULL, "entity") : NULL);
	uint32_t version = info ? version_of(info) : 0;
	struct conf_mcu *m;
	uint64_t epoch;
	int s;

	if (!info || !version || !r->epoch || str_u64(str_c(r->epoch), &epoch)) {
		metric_inc(&metrics[M_REFUSED]);
		http_reply(rq, 400, NULL, STR_NULL);
		return;
	}
	s = c && c->active && c->epoch == epoch ? session_of(c, r) : -ENOENT;
	if (s < 0) {
		metric_inc(&metrics[M_REFUSED]);
		log_warn(conf, "notification of %s, epoch %s: not here", r->from, r->epoch);
		http_reply(rq, 409, NULL, STR_NULL);
		return;
	}
	metric_inc(&metrics[M_NEWS]);
	m = &c->mcu[s];
	if (version > m->version) {
		bool gap = version != m->version + 1;

		m->version = version;
		conf_touch(&a->confs, c);
		mcunews_apply(a, c, (enum conf_session)s, info);
		if (gap)
			mcunews_sync(a, c, (enum conf_session)s);
	}
	answer_http(a, rq, 204, NULL, NULL);
}

/* An MCU that reconnects asks whether its conference is still wanted. */
void mcunews_on_get_conference(struct app *a, struct http_req *rq, const struct c3p_req *r)
{
	struct conf *c = c3phttp_conf(a, r->keys.conf_entity);
	uint64_t epoch = 0;

	if (c && c->active && (!r->epoch || (str_u64(str_c(r->epoch), &epoch) == 0 && epoch == c->epoch)))
		c3phttp_reply(rq, r, C3P_SUCCESS, NULL);
	else
		c3phttp_reply(rq, r, C3P_FAILURE, "conferenceDoesntExist");
}

/* The outcome of a dial-out that was answered `pending`. */
bool mcunews_late_response(struct app *a, struct http_req *rq)
{
	struct c3p_resp resp;

	if (c3p_resp_decode(&resp, http_req_body(rq)))
		return false;
	mculink_late(a, &resp);
	c3p_resp_fini(&resp);
	answer_http(a, rq, 204, NULL, NULL);
	return true;
}
