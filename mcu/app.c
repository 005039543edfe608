/* SPDX-License-Identifier: Apache-2.0 */
/* app.c - the parts of mcu put together, and its end
 *
 * Start: TLS, media, model, SIP, HTTPS, factory, metrics, admin. SIGTERM: the factories hear `draining`, every call
 * gets its BYE, every focus its last notification; after that, or after three seconds, the process ends. SIGHUP: the
 * certificates, recordings and log levels again, and the file of call records opened anew.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "lib/base/trace.h"
#include "lib/ev/jsonsock.h"
#include "lib/http/http.h"
#include "lib/sip/sip.h"
#include "lib/tls/tls.h"
#include "mcu/app.h"
#include "mcu/bridge.h"
#include "mcu/callrec.h"
#include "mcu/dialout.h"
#include "mcu/factory.h"
#include "mcu/notify.h"
#include "mcu/prompts.h"
#include "mcu/recording.h"
#include "mcu/records.h"
#include "mcu/uas.h"

#define SWEEP_MS 1000u
#define STOP_MS  3000u
#define POLL_MS  50u

/* --- the end */

static bool all_told(const struct app *a)
{
	const struct service *s;

	SERVICES_FOREACH(s, a) {
		for (const struct conf *c = s->confs->by_key; c; c = c->hh.next)
			if (!notify_idle(c))
				return false;
		if (!factory_idle(s->factory))
			return false;
	}
	return dialouts_idle(a);
}

static void on_stop(void *arg)
{
	struct app *a = arg;
	bool done = !uas_calls(a->uas) && !a->uas->byes && all_told(a) && records_idle(a->records);

	if (!done && ev_now_ms(a->loop) < a->stop_ms) {
		tmr_start(&a->stop, POLL_MS);
		return;
	}
	if (!done)
		log_warn(app, "%u calls are left after %u ms", uas_calls(a->uas), STOP_MS);
	ev_loop_stop(a->loop);
}

static void end_legs(struct service *s)
{
	struct conf *c, *cn;
	struct user *u, *un;

	HASH_ITER(hh, s->confs->by_key, c, cn) {
		HASH_ITER(hh, c->users, u, un)
			conf_user_end(u, LEG_END_SHUTDOWN);
		notify_now(c);
	}
}

static void on_term(int signum, void *arg)
{
	struct app *a = arg;
	struct service *s;

	if (a->draining) {
		ev_loop_stop(a->loop);               /* asked twice */
		return;
	}
	log_info(app, "signal %d: ending %u calls", signum, uas_calls(a->uas));
	opts_notify("STOPPING=1");
	a->draining = true;
	a->stop_ms  = ev_now_ms(a->loop) + STOP_MS;
	SERVICES_FOREACH(s, a) {
		s->confs->draining = true;
		factory_now(s->factory);
		end_legs(s);
	}
	tmr_start(&a->stop, POLL_MS);
}

void app_settled(struct app *a)
{
	if (a->draining)
		tmr_start(&a->stop, 0);
}

static void on_sweep(void *arg)
{
	struct app *a = arg;
	struct service *s;

	SERVICES_FOREACH(s, a) {
		conf_sweep(s->confs);
		if (s->confs->nconfs == s->told_confs && s->confs->nlegs == s->told_legs)
			continue;
		s->told_confs = s->confs->nconfs;
		s->told_legs  = s->confs->nlegs;
		factory_changed(s->factory);
	}
	tmr_start(&a->sweep, SWEEP_MS);
}

/* --- SIGHUP */

static int focus_client(struct http_cli **cp, struct app *a)
{
	struct http_tls tls = { .cert_file = a->cfg.cert, .key_file = a->cfg.key, .ca_file = a->cfg.ca,
				.peer_names = a->cfg.focus_names };
	struct http_cli_prm prm = { .loop = a->loop, .tls = &tls };

	return http_cli_alloc(cp, &prm);
}

static void reload_tls(struct app *a)
{
	struct http_cli *cli = NULL;
	char why[256] = "";
	int err;

	err = tls_ctx_reload(a->sip_server, why, sizeof(why));
	if (!err)
		err = tls_ctx_reload(a->sip_client, why, sizeof(why));
	if (err) {
		log_error(tls, "certificates not taken, the old ones stay: %s", why);
		return;
	}
	err = focus_client(&cli, a);
	if (err) {
		log_error(tls, "HTTPS client keeps its old certificate: %s", strerror(-err));
	} else {
		a->old_focus = mem_deref(a->old_focus);
		a->old_focus = a->focus;             /* its requests may still be under way */
		a->focus     = cli;
	}
	log_info(tls, "certificates read again");
}

static void reload_prompts(struct app *a, const struct settings *s)
{
	struct service *v;

	prompts_load(a->prompts, s->prompts_language, s->prompts_dir);
	SERVICES_FOREACH(v, a)
		for (struct conf *c = v->confs->by_key; c; c = c->hh.next)
			bridge_chimes(c, a);
}

/* The file may have been renamed. */
static void reload_records(struct app *a, const struct settings *s)
{
	char *path = s ? records_path(s->records_path) : NULL;

	if ((s && !path) || records_reopen(a->records, path))
		log_error(app, "call records: no memory to open the file again");
	mem_deref(path);
}

static void on_hup(int signum, void *arg)
{
	struct app *a = arg;
	struct settings fresh = { 0 };
	char why[256] = "";
	bool good;

	(void)signum;
	opts_notify("RELOADING=1");
	good = !cfg_defaults(settings_keys, &fresh) &&
	       (!a->cfg_file || !cfg_load(settings_keys, &fresh, a->cfg_file, why, sizeof(why)));
	if (!good)
		log_error(app, "configuration not read again: %s", why);
	else if (opts_log_levels(fresh.log_level))
		log_error(app, "[log] level '%s' is not understood", fresh.log_level);
	else
		reload_prompts(a, &fresh);
	reload_records(a, good ? &fresh : NULL);
	cfg_free(settings_keys, &fresh);
	reload_tls(a);
	opts_notify("READY=1");
}

/* --- the beginning */

static int start_tls(struct app *a, char *err, size_t errsz)
{
	struct tls_prm prm = {
		.cert_file = a->cfg.cert, .key_file = a->cfg.key, .ca_file = a->cfg.ca,
		.peer_names = a->cfg.edge_names, .mutual = true,
	};
	int rc = tls_ctx_alloc(&a->sip_server, &prm, err, errsz);

	return rc ? rc : tls_ctx_alloc(&a->sip_client, &prm, err, errsz);
}

static int start_records(struct app *a)
{
	char *path = records_path(a->cfg.records_path);
	int err = path ? records_alloc(&a->records, a->loop, path) : -ENOMEM;

	if (!err && !*path)
		log_info(app, "no call records: LOGS_DIRECTORY is not set, or [records] path is empty");
	callrec_metrics();
	mem_deref(path);
	return err;
}

static int start_media(struct app *a)
{
	struct media_prm prm = {
		.loop = a->loop, .ip = a->cfg.media_ip, .port_min = (uint16_t)a->cfg.port_min,
		.port_max = (uint16_t)a->cfg.port_max, .workers = (unsigned)a->cfg.workers,
		.idle_ms = (unsigned)a->cfg.idle_s * 1000, .mix_max = (unsigned)a->cfg.mix_max,
		.span = (unsigned)a->cfg.span,
	};

	return media_alloc(&a->media, &prm);
}

static int start_model(struct app *a)
{
	int err = settings_policy(&a->cfg, &a->policy);

	if (!err)
		err = services_start(a);
	return err ? err : uas_alloc(&a->uas, a);
}

static int start_prompts(struct app *a)
{
	enum key_cmd wrong;
	int err = settings_keys_of(&a->cfg, &a->keys, &wrong);

	return err ? err : prompts_alloc(&a->prompts, a->cfg.prompts_language, a->cfg.prompts_dir);
}

static int start_sip(struct app *a)
{
	struct sip_prm prm = {
		.loop = a->loop, .server_tls = a->sip_server, .client_tls = a->sip_client, .bind = a->cfg.sip_bind,
		.port = (uint16_t)a->cfg.sip_port, .name = "mcu", .requestcb = uas_on_request, .arg = a->uas,
	};

	return sip_alloc(&a->sip, &prm);
}

static int start_focus(struct app *a)
{
	return focus_client(&a->focus, a);
}

static int start_factory(struct app *a)
{
	struct service *s;
	int err = str_random_hex(a->instance, 16);

	SERVICES_FOREACH(s, a)
		err = err ? err : factory_alloc(&s->factory, s);
	return err;
}

static int start_timers(struct app *a)
{
	int err = tmr_init(&a->sweep, a->loop, on_sweep, a);

	if (!err)
		err = tmr_init(&a->stop, a->loop, on_stop, a);
	if (!err)
		err = ev_signal(a->loop, SIGTERM, on_term, a);
	if (!err)
		err = ev_signal(a->loop, SIGINT, on_term, a);
	if (!err)
		err = ev_signal(a->loop, SIGHUP, on_hup, a);
	if (!err)
		tmr_start(&a->sweep, SWEEP_MS);
	return err;
}

static const struct {
	const char *what;
	int       (*start)(struct app *a);
} steps[] = {
	{ "call records",                start_records },
	{ "media engine",                start_media },
	{ "prompts and keys",            start_prompts },
	{ "conferences",                 start_model },
	{ "SIP listener",                start_sip },
	{ "HTTPS client to the focus",   start_focus },
	{ "C3P listener",                c3p_srv_start },
	{ "factory link",                start_factory },
	{ "metrics listener",            metrics_start },
	{ "admin socket",                admin_start },
	{ "timers and signals",          start_timers },
};

int app_start(struct app *a, char *err, size_t errsz)
{
	int rc = ev_loop_alloc(&a->loop);

	if (!rc)
		rc = start_tls(a, err, errsz);
	if (rc)
		return rc;
	a->started_ms = ev_now_ms(a->loop);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		rc = steps[i].start(a);
		if (rc) {
			snprintf(err, errsz, "%s: %s", steps[i].what, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

void app_run(struct app *a)
{
	log_info(app, "%s (%s): SIP %s:%u, C3P %s:%u, media %s:%ld-%ld", a->cfg.node, a->cfg.types, a->cfg.sip_bind,
		 sip_port(a->sip),
		 a->cfg.http_bind, http_srv_port(a->http), a->cfg.media_ip, a->cfg.port_min, a->cfg.port_max);
	opts_ready();
	ev_loop_run(a->loop);
}

void app_stop(struct app *a)
{
	a->admin     = mem_deref(a->admin);
	a->metrics   = mem_deref(a->metrics);
	a->http      = mem_deref(a->http);
	a->uas       = mem_deref(a->uas);
	dialouts_stop(a);
	services_stop(a);
	recordings_stop(a);                      /* before the media engine: it closes them */
	a->focus     = mem_deref(a->focus);
	a->old_focus = mem_deref(a->old_focus);
	a->sip       = mem_deref(a->sip);
	a->media     = mem_deref(a->media);
	a->prompts   = mem_deref(a->prompts);
	records_stop(a->records);
	a->records   = NULL;
	tmr_fini(&a->sweep);
	tmr_fini(&a->stop);
	a->sip_server = mem_deref(a->sip_server);
	a->sip_client = mem_deref(a->sip_client);
	a->loop       = mem_deref(a->loop);
	trace_flush();
	cfg_free(settings_keys, &a->cfg);
}
