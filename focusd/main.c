/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - focusd: the Focus, the Focus Factory and the MCU factory of Conclave */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "focusd/app.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "lib/base/trace.h"
#include "lib/tls/tls.h"

static unsigned check(const void *arg, const char *file)
{
	const struct focusd_cfg *cfg = arg;
	const struct tls_prm p = { .cert_file = cfg->cert, .key_file = cfg->key, .ca_file = cfg->ca, .mutual = true };
	struct tls_ctx *ctx;
	unsigned faults = 0;
	char err[256] = "";

	if (tls_ctx_alloc(&ctx, &p, err, sizeof(err))) {
		opts_fault(file, "tls", "cert", "%s", err);
		faults++;
	} else {
		mem_deref(ctx);
	}
	if (strcmp(cfg->store_sync, "full") && strcmp(cfg->store_sync, "normal")) {
		opts_fault(file, "store", "sync", "'%s' is neither full nor normal", cfg->store_sync);
		faults++;
	}
	if (!*cfg->node || strpbrk(cfg->node, " ;,<>\"\r\n") || !*cfg->domain || strpbrk(cfg->domain, " ;,<>\"@\r\n")) {
		opts_fault(file, "focusd", "node", "node and domain are names without spaces or signs");
		faults++;
	}
	if (opts_log_levels(cfg->log_level)) {
		opts_fault(file, "log", "level", "'%s' is not a level or a list of area=level", cfg->log_level);
		faults++;
	}
	return faults;
}

static void on_signal(int signum, void *arg)
{
	struct app *a = arg;

	if (signum == SIGHUP) {
		app_reload(a);
		return;
	}
	log_info(app, "stops");
	opts_notify("STOPPING=1");
	ev_loop_stop(a->loop);
}

static int run(struct app *a)
{
	char err[256] = "";
	int rc = ev_loop_alloc(&a->loop);

	if (rc)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	ev_signal(a->loop, SIGTERM, on_signal, a);
	ev_signal(a->loop, SIGINT, on_signal, a);
	ev_signal(a->loop, SIGHUP, on_signal, a);
	rc = app_start(a, err, sizeof(err));
	if (rc) {
		log_error(app, "cannot start: %s", err[0] ? err : strerror(-rc));
	} else {
		opts_ready();
		ev_loop_run(a->loop);
	}
	app_stop(a);
	mem_deref(a->loop);
	trace_flush();
	return rc;
}

int main(int argc, char *argv[])
{
	static const struct opts_prm prm = { "focusd", "Focus, Focus Factory and MCU factory of Conclave", focusd_keys, check };
	static struct app app;
	struct opts o;
	int rc;

	log_ident("focusd");
	rc = opts_run(&o, &prm, &app.cfg, argc, argv);
	if (rc != OPTS_GO)
		return rc;
	opts_raise_nofile();
	umask(077);                              /* the store holds names, dialogs and sealed pass codes */
	rc = run(&app);
	cfg_free(focusd_keys, &app.cfg);
	return rc ? 1 : 0;
}
