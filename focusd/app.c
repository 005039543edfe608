/* SPDX-License-Identifier: Apache-2.0 */
/* app.c - wiring: makes each service once, in the order of the layers, and ends them in the other one */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "focusd/attendant.h"
#include "focusd/c3phttp.h"
#include "focusd/factory.h"
#include "focusd/farewell.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/mcunews.h"
#include "focusd/notify.h"
#include "focusd/passcode.h"
#include "focusd/service.h"
#include "focusd/pin.h"
#include "focusd/store.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/opts.h"
#include "lib/http/http.h"

#define EDGE_NAMES "edge.conclave.internal"
#define C3P_NAMES  "mcu.conclave.internal,focus.conclave.internal"
#define SUBS_PER_S 500                   /* restored subscriptions that get their full document each second */

char *app_utc(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	gmtime_r(&t, &tm);
	return str_printf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			  tm.tm_sec);
}

/* "Z", nothing, or an offset like +02:00 in seconds */
static bool parse_zone(const char *s, int64_t *offset)
{
	int h, m, n = 0;

	*offset = 0;
	if (!*s || (s[0] == 'Z' && !s[1]))
		return true;
	if ((*s != '+' && *s != '-') || strspn(s + 1, "0123456789:") != 5 || sscanf(s + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5 ||
	    s[6] || h > 14 || m > 59)
		return false;
	*offset = (*s == '+' ? 1 : -1) * (h * 3600 + m * 60);
	return true;
}

int64_t app_utc_parse(const char *s)
{
	struct tm tm = { 0 };
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t offset;

	if (!end)
		return -EINVAL;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	return parse_zone(end, &offset) ? (int64_t)timegm(&tm) - offset : -EINVAL;
}

static void on_turn(void *arg)
{
	struct app *a = arg;

	notify_turn(a);
	persist_turn(a);
}

/* A call out that no MCU was told of before the end is not made any more: who asked for it asks again. */
static void hold_legs(struct app *a, struct conf *c, uint64_t now)
{
	struct endpoint *e, *tmp;

	HASH_ITER(hh, c->eps, e, tmp)
		if (e->dialed_out && e->status < EP_ON_HOLD && c->mcu[e->session].state != CONF_MCU_READY)
			life_leg_gone(a, e);
		else if (e->needs_focus && !e->drop_at_ms && !user_has(e->user, SESSION_FOCUS))
			e->drop_at_ms = now + (uint64_t)a->cfg.focus_hold_s * 1000;
}

/* What came from the store goes on: MCUs are asked, every subscriber gets a full document of the next version. */
void app_resume(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop);
	unsigned n = 0;
	struct sub *s;

	a->resume_due = false;
	factory_mark(a);
	for (struct conf *c = a->confs.by_key; c; c = c->hh.next) {
		FOR_EACH_MCU_TYPE(t)
			c->mcu[t].stale = c->active && c->mcu[t].state == CONF_MCU_READY;
		if (!c->active)
			continue;
		c->chg_full = true;
		confs_changed(&a->confs, c);
		hold_legs(a, c, now);
		TAILQ_FOREACH(s, &c->subs, le) {
			if (s->flags & SUB_AUTOEXTEND)
				s->expires_at_s = app_wall_s() + a->cfg.sub_default_s;
			s->retry_at_ms = n++ / SUBS_PER_S ? now + n / SUBS_PER_S * 1000 : 0;
		}
	}
}

/* Memory is what the store has again. Going on with it is left to the sweep, a second later: each attempt writes, and a
 * disk that is full now is full at the next turn too. */
static void on_store_failed(int err, void *arg)
{
	struct app *a = arg;
	int64_t next_id = a->confs.next_id;

	(void)err;
	a->reads++;
	notify_fini(a);
	persist_forget(a);
	confs_fini(&a->confs);
	confs_init(&a->confs);
	a->confs.gonecb = persist_on_gone;
	a->confs.arg    = a;
	if (notify_init(a) || persist_load(a)) {
		log_error(store, "the store cannot be read back, giving up");
		exit(1);
	}
	if (a->confs.next_id < next_id)
		a->confs.next_id = next_id;      /* rows that were not written had these */
	a->resume_due = true;
}

static void on_metrics(struct http_req *rq, void *arg)
{
	struct buf b;

	(void)arg;
	if (!str_eq(http_req_path(rq), STR("/metrics"))) {
		http_reply(rq, 404, "text/plain", STR("see /metrics\n"));
		return;
	}
	buf_init(&b, 0);
	metric_render(&b);
	http_reply(rq, 200, "text/plain; version=0.0.4", buf_view(&b));
	buf_fini(&b);
}

static int start_tls(struct app *a, char *err, size_t errsz)
{
	struct tls_prm p = { .cert_file = a->cfg.cert, .key_file = a->cfg.key, .ca_file = a->cfg.ca, .peer_names = EDGE_NAMES,
			     .mutual = true };
	int rc = tls_ctx_alloc(&a->server_tls, &p, err, errsz);

	return rc ? rc : tls_ctx_alloc(&a->client_tls, &p, err, errsz);
}

static int start_http(struct app *a)
{
	struct http_tls tls = { .cert_file = a->cfg.cert, .key_file = a->cfg.key, .ca_file = a->cfg.ca, .peer_names = C3P_NAMES };
	struct http_srv_prm sp = { .loop = a->loop, .bind = a->cfg.http_bind, .port = (uint16_t)a->cfg.http_port, .tls = &tls,
				   .reqcb = c3phttp_on_request, .arg = a };
	struct http_srv_prm mp = { .loop = a->loop, .bind = a->cfg.metrics_bind, .port = (uint16_t)a->cfg.metrics_port,
				   .reqcb = on_metrics, .arg = a };
	struct http_cli_prm cp = { .loop = a->loop, .tls = &tls, .max_conns = 8 };
	int rc = http_srv_alloc(&a->http, &sp);

	if (!rc)
		rc = http_cli_alloc(&a->mcus, &cp);
	if (!rc && a->cfg.metrics_port)
		rc = http_srv_alloc(&a->metrics, &mp);
	a->factory_url = *a->cfg.factory_url ? str_printf("%s", a->cfg.factory_url)
			 : *a->cfg.http_url ? str_printf("%s/LiveServer/MCUFactory/", a->cfg.http_url)
			 : str_printf("https://%s:%u/LiveServer/MCUFactory/", a->cfg.http_bind, http_srv_port(a->http));
	a->notify_url = *a->cfg.http_url ? str_printf("%s/LiveServer/Focus/", a->cfg.http_url)
					 : str_printf("https://%s:%u/LiveServer/Focus/", a->cfg.http_bind, http_srv_port(a->http));
	return rc ? rc : a->notify_url && a->factory_url ? 0 : -ENOMEM;
}

static int start_sip(struct app *a)
{
	struct sip_prm p = { .loop = a->loop, .server_tls = a->server_tls, .client_tls = a->client_tls, .bind = a->cfg.sip_bind,
			     .port = (uint16_t)a->cfg.sip_port, .name = a->cfg.node, .requestcb = uas_on_request, .arg = a };
	int rc = sip_alloc(&a->sip, &p);

	if (rc)
		return rc;
	a->contact_host = strchr(a->cfg.sip_bind, ':') ? str_printf("[%s]:%u", a->cfg.sip_bind, sip_port(a->sip))
						       : str_printf("%s:%u", a->cfg.sip_bind, sip_port(a->sip));
	return a->contact_host ? 0 : -ENOMEM;
}

static int start_store(struct app *a, char *err, size_t errsz)
{
	struct store_prm p = { .loop = a->loop, .path = a->cfg.store_path, .sync_full = cstr_eq(a->cfg.store_sync, "full"),
			       .turncb = on_turn, .failcb = on_store_failed, .arg = a };
	int rc = pin_start(a, err, errsz);

	if (!rc)
		rc = store_alloc(&a->store, &p, err, errsz);
	if (!rc)
		rc = persist_load(a);
	return rc;
}

static const struct { const char *what; int (*start)(struct app *a); } services[] = {
	{ "subscriptions", notify_init }, { "the SIP listener", start_sip }, { "an HTTP listener", start_http },
	{ "the scheduling listener", service_http_start }, { "the admin socket", admin_start },
};

int app_start(struct app *a, char *err, size_t errsz)
{
	int rc;

	confs_init(&a->confs);
	a->confs.gonecb = persist_on_gone;
	a->confs.arg    = a;
	a->started_ms   = ev_now_ms(a->loop);
	uas_init();
	mculink_init();
	mcunews_init();
	rc = factory_alloc(&a->factory);
	if (!rc)
		rc = attendant_start(a);
	if (!rc)
		rc = passcode_start(a);
	if (!rc)
		rc = start_tls(a, err, errsz);
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]) && !rc; i++) {
		rc = services[i].start(a);
		if (rc)
			snprintf(err, errsz, "%s: %s", services[i].what, strerror(-rc));
		if (!rc && i == 0)
			rc = start_store(a, err, errsz);
	}
	if (rc)
		return rc;
	app_resume(a);
	sweep_start(a);
	announce_start(a);
	return 0;
}

void app_reload(struct app *a)
{
	char err[256] = "";

	if (tls_ctx_reload(a->server_tls, err, sizeof(err)) || tls_ctx_reload(a->client_tls, err, sizeof(err)) ||
	    http_srv_reload(a->http) || (a->schedule && http_srv_reload(a->schedule)) || http_cli_reload(a->mcus))
		log_error(app, "certificates not reloaded: %s", err);
	else
		log_info(app, "certificates reloaded");
	if (opts_log_levels(a->cfg.log_level))
		log_error(app, "[log] level: cannot be read");
}

/* First whoever waits is answered, while everything is still here; then what could call back ends, then the model. */
void app_stop(struct app *a)
{
	if (a->store) {
		mculink_stop(a);
		store_flush(a->store);
	}
	announce_stop();
	sweep_stop(a);
	say_stop();
	farewell_stop();
	tmr_fini(&a->announce);
	a->admin   = mem_deref(a->admin);
	a->http    = mem_deref(a->http);
	a->metrics  = mem_deref(a->metrics);
	a->schedule = mem_deref(a->schedule);
	a->mcus    = mem_deref(a->mcus);
	a->sip     = mem_deref(a->sip);
	notify_fini(a);
	confs_fini(&a->confs);
	a->store      = mem_deref(a->store);
	a->cms          = mem_deref(a->cms);
	a->seal       = mem_deref(a->seal);
	a->factory    = mem_deref(a->factory);
	a->wrong_entries = mem_deref(a->wrong_entries);
	a->wrong_pins = mem_deref(a->wrong_pins);
	a->wrong_logins = mem_deref(a->wrong_logins);
	a->server_tls = mem_deref(a->server_tls);
	a->client_tls = mem_deref(a->client_tls);
	a->notify_url   = mem_deref(a->notify_url);
	a->factory_url  = mem_deref(a->factory_url);
	a->contact_host = mem_deref(a->contact_host);
}
