/* SPDX-License-Identifier: Apache-2.0 */
/* dialout.c - see dialout.h
 *
 *   user and endpoint `dialing-out` -> an MCU of the type -> addUser with the target -> `pending` -> the MCU's reports move
 *   the endpoint to alerting and connected -> its late response ends it
 */
#include <errno.h>
#include "focusd/dialout.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/policy.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/sip/msg.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_dialouts_total", "Calls that conferences made"),
	METRIC_COUNTER("conclave_focus_dialouts_failed_total", "Calls that were not answered or not allowed"),
};

struct dial {
	LIST_ENTRY(dial)  le;
	struct app       *app;
	dialout_cb       *cb;
	dialout_ring_cb  *ringcb;
	bool              alerting;
	uint64_t          told_ms;
	void             *arg;
	enum conf_session session;
	char             *key, *entity, *target, *headers, *by;
};

static LIST_HEAD(, dial) dials = LIST_HEAD_INITIALIZER(dials);          /* those under way */

static void on_dial_destroy(void *arg)
{
	struct dial *d = arg;

	LIST_REMOVE(d, le);
	mem_deref(d->key);
	mem_deref(d->entity);
	mem_deref(d->target);
	mem_deref(d->headers);
	mem_deref(d->by);
}

static void finish(struct dial *d, int err, const char *reason)
{
	struct conf *c = conf_find_key(&d->app->confs, d->key);
	struct endpoint *e = c ? endpoint_find(c, d->entity) : NULL;

	if (err) {
		metric_inc(&metrics[1]);
		log_info(conf, "%s: call to %s failed: %s", d->key, d->target, reason);
		if (e && cstr_eq(reason, "userExists"))          /* the MCU calls already, for that focusd: its reports go on */
			e->drop_at_ms = ev_now_ms(d->app->loop) + (uint64_t)d->app->cfg.pending_s * 1000;
		else if (e && e->status != EP_CONNECTED)
			life_leg_gone(d->app, e);
	}
	d->cb(err, reason, d->arg);
	mem_deref(d);
}

static void on_over(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	(void)resp;
	finish(arg, err, err == -EPROTO ? reason : err ? "timeout" : "");
}

static void on_ready(int err, const char *reason, void *arg)
{
	struct dial *d = arg;
	struct conf *c = conf_find_key(&d->app->confs, d->key);
	struct endpoint *e = c ? endpoint_find(c, d->entity) : NULL;
	struct mculink_dial p = { .target = d->target, .headers = d->headers, .plain_ok = d->app->cfg.dialout_plain,
				  .by = c && d->by ? user_find(c, d->by) : NULL };

	if (err)
		finish(d, err, reason);
	else if (!e)
		finish(d, -ENOENT, "requestCancelled");
	else if (mculink_dial_out(d->app, c, e, &p, on_over, d))
		finish(d, -ENOTCONN, "mcuTypeNotAvailable");
}

static enum conf_auth auth_of(const struct app *a, const char *entity)
{
	struct sip_uri u;

	return sip_uri_decode(&u, str_c(entity)) == 0 && str_ieq(u.host, str_c(a->cfg.domain)) ? AUTH_ENTERPRISE : AUTH_NONE;
}

/* Being called when an earlier focusd died: nobody watches over it, and perhaps no MCU ever heard of it. */
static bool is_orphan(const struct endpoint *e, const struct dialout_prm *p)
{
	return e->dialed_out && e->drop_at_ms && e->status < EP_ON_HOLD && e->session == p->session && cstr_ieq(e->user->entity, p->entity);
}

static int make_endpoint(struct app *a, const struct dialout_prm *p, struct endpoint **ep)
{
	struct user *u = user_find(p->conf, p->entity);
	char *guid = p->endpoint && *p->endpoint ? str_dup(str_c(p->endpoint)) : str_guid();
	struct endpoint *old;
	int err = guid ? 0 : -ENOMEM;

	if (!err && (old = endpoint_find(p->conf, guid))) {
		mem_deref(guid);
		if (!is_orphan(old, p))
			return -EEXIST;
		old->drop_at_ms = 0;
		*ep = old;
		return 0;
	}
	if (!err && !u && p->conf->nusers >= (unsigned)a->cfg.max_users)
		err = -E2BIG;
	if (!err && !u)
		err = user_add(&u, &a->confs, p->conf, p->entity, p->entity, p->display ? p->display : p->entity, p->role,
			       auth_of(a, p->entity));
	if (!err)
		err = endpoint_add(ep, &a->confs, u, guid, p->session);
	if (err && u && TAILQ_EMPTY(&u->eps))
		user_remove(&a->confs, u);
	mem_deref(guid);
	if (err)
		return err;
	(*ep)->dialed_out = true;
	endpoint_set_status(&a->confs, *ep, EP_DIALING_OUT);
	return 0;
}

int dialout_start(struct app *a, const struct dialout_prm *p, dialout_cb *cb, void *arg)
{
	struct dial *d = mem_zalloc(sizeof(*d), on_dial_destroy);
	struct endpoint *e;
	int err = -ENOMEM;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (d)
		LIST_INSERT_HEAD(&dials, d, le);
	if (!d || cstr_set(&d->target, p->target) || cstr_set(&d->headers, p->headers) ||
	    cstr_set(&d->by, p->by ? p->by->entity : NULL))
		goto out;
	d->app     = a;
	d->cb      = cb;
	d->arg     = arg;
	d->ringcb  = p->ringcb;
	d->told_ms = ev_now_ms(a->loop);
	d->session = p->session;
	d->key     = mem_ref(p->conf->key);
	err = make_endpoint(a, p, &e);
	if (err)
		goto out;
	d->entity = mem_ref(e->entity);
	metric_inc(&metrics[0]);
	log_info(conf, "%s: %s calls %s", p->conf->key, p->by ? p->by->entity : "the operator", p->target);
	life_review(a, p->conf);
	err = mculink_ensure(a, p->conf, p->session, on_ready, d);
	if (err) {
		life_leg_gone(a, e);
		goto out;
	}
	return 0;
out:
	mem_deref(d);
	return err;
}

static struct dial *find(const struct app *a, const struct endpoint *e)
{
	struct dial *d;

	LIST_FOREACH(d, &dials, le)
		if (d->app == a && cstr_eq(d->entity, e->entity) && cstr_eq(d->key, e->user->conf->key))
			return d;
	return NULL;
}

bool dialout_waits(const struct app *a, const struct endpoint *e)
{
	return find(a, e) != NULL;
}

static void progress(struct dial *d)
{
	d->told_ms = ev_now_ms(d->app->loop);
	if (d->ringcb)
		d->ringcb(d->alerting, d->arg);
}

void dialout_alerting(struct app *a, const struct endpoint *e)
{
	struct dial *d = find(a, e);

	if (!d || d->alerting)
		return;
	d->alerting = true;
	progress(d);
}

/* A client that hears nothing for three minutes gives up. */
void dialout_sweep(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop), every = (uint64_t)a->cfg.progress_s * 1000;
	struct dial *d;

	LIST_FOREACH(d, &dials, le)
		if (d->app == a && d->entity && now - d->told_ms >= every)
			progress(d);
}

const char *dialout_entity(const struct app *a, const char *entity, const char *target, char *out, size_t size)
{
	struct sip_uri u;
	struct str s;

	if (str_istarts(str_c(target), STR("tel:")))
		return entity;
	if (sip_uri_decode(&u, str_c(target)))
		return NULL;
	if (!str_ieq(u.host, str_c(a->cfg.domain)))
		return entity;
	s = sip_uri_aor(str_c(target), out, size);
	return str_empty(s) || s.l >= size ? NULL : s.p;
}

static bool is_ours(const struct app *a, const char *entity)
{
	return auth_of(a, entity) == AUTH_ENTERPRISE;
}

/* His own address, or a number: whose it is nobody can tell, the edge's policy decides where it leads. */
static bool own(const struct user *by, const char *target)
{
	char aor[256];
	struct str s;

	if (str_istarts(str_c(target), STR("tel:")))
		return true;
	s = sip_uri_aor(str_c(target), aor, sizeof(aor));
	return !str_empty(s) && str_ieq(s, str_c(by->entity));
}

bool dialout_allowed(const struct app *a, const struct user *by, const char *entity, const char *target)
{
	char aor[256];
	const char *who = dialout_entity(a, entity, target, aor, sizeof(aor));

	if (policy_is_presenter(by))
		return true;
	if (!who)
		return a->cfg.attendee_dialout;  /* nonsense: refused as such */
	if (cstr_ieq(by->entity, who))
		return own(by, target) || a->cfg.attendee_dialout;
	/* nobody but a presenter says that some number is one of our users */
	return a->cfg.attendee_dialout && (who == aor || !is_ours(a, who));
}

bool dialout_target_valid(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	struct sip_uri u;

	if (!n || n > 256 || strcspn(s, " \t\r\n<>\"") != n)
		return false;
	if (str_istarts(str_c(s), STR("tel:")))
		return n > 4 && strspn(s + 4, "+0123456789-.()*#") == strcspn(s + 4, ";") && s[4] != ';';
	return sip_uri_decode(&u, str_c(s)) == 0 && !str_empty(u.user) && !str_empty(u.host);
}
