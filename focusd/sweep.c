/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.c - once a second: deadlines of conferences and legs, clients that went silent, expired records */
#include <errno.h>
#include "focusd/dialout.h"
#include "focusd/factory.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/mcunews.h"
#include "focusd/notify.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

#define PURGE_AFTER_S   (14 * 86400)
#define REPROBE_MS      10000u           /* after a first miss */
#define MCU_GRACE_MS    30000u           /* after our start an MCU has this long to report */

static struct metric metrics[] = {
	METRIC_GAUGE("conclave_focus_conferences", "Conference records"),
	METRIC_GAUGE("conclave_focus_conferences_active", "Conferences running"),
	METRIC_GAUGE("conclave_focus_users", "Users in running conferences"),
	METRIC_COUNTER("conclave_focus_silent_total", "Clients removed because they answered nothing"),
	METRIC_COUNTER("conclave_focus_noshow_total", "Announced legs that never came"),
};
enum { M_CONFS, M_ACTIVE, M_USERS, M_SILENT, M_NOSHOW };

struct probe { LIST_ENTRY(probe) le; struct app *app; char *tag; struct sip_ct *ct; };
static LIST_HEAD(, probe) probes = LIST_HEAD_INITIALIZER(probes);

static void on_probe_destroy(void *arg)
{
	struct probe *p = arg;

	LIST_REMOVE(p, le);
	mem_deref(p->ct);
	mem_deref(p->tag);
}

void sweep_stop(struct app *a)
{
	struct probe *p;

	tmr_fini(&a->sweep);
	while ((p = LIST_FIRST(&probes)))
		mem_deref(p);
}

static void on_probed(int err, const struct sip_msg *m, void *arg)
{
	struct probe *p = arg;
	struct endpoint *e;
	int code = m ? sip_msg_scode(m) : 408;

	if (code < 200)
		return;
	e = endpoint_find_tag(&p->app->confs, str_c(p->tag));
	if (e) {
		bool miss = err == -ETIMEDOUT || code == 408 || code == 481 || code == 404 || code == 410;

		e->probing = false;
		e->misses  = miss ? e->misses + 1 : 0;
		if (e->misses >= 2) {
			metric_inc(&metrics[M_SILENT]);
			log_info(conf, "%s: %s answers nothing, removed", e->user->conf->key, e->user->entity);
			life_focus_gone(p->app, e, true);
		}
	}
	mem_deref(p);
}

static void probe(struct app *a, struct endpoint *e)
{
	struct probe *p = mem_zalloc(sizeof(*p), on_probe_destroy);

	if (!p)
		return;
	LIST_INSERT_HEAD(&probes, p, le);
	p->app = a;
	p->tag = mem_ref(e->local_tag);
	e->refreshed_ms = ev_now_ms(a->loop);
	if (sip_dlg_request(a->sip, &p->ct, e->dlg, "OPTIONS", NULL, NULL, STR_NULL, on_probed, p)) {
		mem_deref(p);
		return;
	}
	e->probing = true;
	confs_mark(&a->confs, &e->dirt);
}

/* "127.0.0.1:4711" as the edge writes it into the Contact of a client: ";alias=127.0.0.1~4711~". */
static int alias_of(char *buf, size_t size, struct str addr)
{
	size_t colon = addr.l;

	while (colon && addr.p[colon - 1] != ':')
		colon--;
	if (colon < 2 || addr.l > 64)
		return -EBADMSG;
	snprintf(buf, size, ";alias=%.*s~%.*s~", (int)(colon - 1), addr.p, (int)(addr.l - colon), addr.p + colon);
	return 0;
}

void sweep_gone(struct app *a, struct str addr)
{
	struct endpoint *e, *tmp;
	struct conf *c, *ctmp;
	char alias[96];

	if (alias_of(alias, sizeof(alias), str_trim(addr)))
		return;
	HASH_ITER(hh, a->confs.by_key, c, ctmp) {
		if (!c->active)
			continue;
		HASH_ITER(hh, c->eps, e, tmp) {
			if (e->session != SESSION_FOCUS || !e->dlg || !strstr(e->dlg->remote_target, alias))
				continue;
			e->misses = 1;           /* the edge has said so: one more miss is enough */
			if (!e->probing)
				probe(a, e);
		}
	}
}

static void check_focus(struct app *a, struct endpoint *e, uint64_t now)
{
	uint64_t silent = now - e->refreshed_ms;
	uint64_t every = e->misses ? REPROBE_MS : (uint64_t)a->cfg.probe_s * 1000;

	if (e->misses && every > (uint64_t)a->cfg.probe_s * 1000)
		every = (uint64_t)a->cfg.probe_s * 1000;
	if (e->session_s && silent > (uint64_t)e->session_s * 1000) {
		metric_inc(&metrics[M_SILENT]);
		log_info(conf, "%s: session of %s expired", e->user->conf->key, e->user->entity);
		life_focus_gone(a, e, true);
	} else if (!e->session_s && !e->probing && silent >= every) {
		probe(a, e);
	}
}

static void check_leg(struct app *a, struct endpoint *e, uint64_t now)
{
	bool came = e->status >= EP_ON_HOLD;

	if (!e->drop_at_ms || now < e->drop_at_ms)
		return;
	if (came && user_has(e->user, SESSION_FOCUS)) {
		e->drop_at_ms = 0;               /* the client came back within the hold */
		return;
	}
	if (!came) {
		metric_inc(&metrics[M_NOSHOW]);
		trace_add(e->call_id, "%s never reached the MCU", e->user->entity);
	}
	mculink_delete_user(a, e->user->conf, e->session, e->user->entity, e->entity, NULL, NULL);
	life_leg_gone(a, e);
}

static void check_conf(struct app *a, struct conf *c, uint64_t now)
{
	struct endpoint *e, *tmp;

	FOR_EACH_MCU_TYPE(t) {
		if (c->mcu[t].stale)
			mcunews_sync(a, c, t);
		if (c->mcu[t].state == CONF_MCU_READY && !factory_find(a, c->mcu[t].node) && now > a->started_ms + MCU_GRACE_MS)
			mcunews_lost(a, c, t);
	}
	HASH_ITER(hh, c->eps, e, tmp) {
		if (e->session == SESSION_FOCUS)
			check_focus(a, e, now);
		else
			check_leg(a, e, now);
	}
	if (c->end_at_ms && (int64_t)ev_wall_ms() >= c->end_at_ms)
		life_end(a, c);
}

static void on_sweep(void *arg)
{
	struct app *a = arg;
	uint64_t now = ev_now_ms(a->loop);
	int64_t wall = app_wall_s();
	struct conf *c, *tmp;

	tmr_start(&a->sweep, 1000);
	if (a->resume_due)
		app_resume(a);
	factory_sweep(a);
	mculink_sweep(a);
	dialout_sweep(a);
	notify_sweep(a);
	HASH_ITER(hh, a->confs.by_key, c, tmp) {
		if (c->active)
			check_conf(a, c, now);
		else if (c->expiry_s && c->expiry_s + PURGE_AFTER_S < wall && !c->removing)
			life_remove(a, c);
	}
	metric_set(&metrics[M_CONFS], a->confs.nconf);
	metric_set(&metrics[M_ACTIVE], a->confs.nactive);
	metric_set(&metrics[M_USERS], a->confs.nusers);
}

void sweep_start(struct app *a)
{
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (tmr_init(&a->sweep, a->loop, on_sweep, a) == 0)
		tmr_start(&a->sweep, 20);        /* at once: what was restored is checked before the first calls */
}
