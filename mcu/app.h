/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - what the parts of mcu share; wired in app.c
 *
 *   focus -> HTTPS -> c3p_srv.c -> c3p_cmds.c -> model (conf.h, leg.h) -> ops -> call.c -> BYE, media engine
 *   edge  -> SIP/TLS -> uas.c -> call.c, call_sdp.c -> model -> report.h -> notify.c -> HTTPS -> focus
 */
#ifndef MCU_APP_H
#define MCU_APP_H
#include "lib/ev/ev.h"
#include "mcu/conf.h"
#include "mcu/service.h"
#include "mcu/settings.h"

struct sip;
struct http_srv;
struct http_cli;
struct tls_ctx;
struct jsonsock;
struct uas;
struct prompts;
struct records;

struct app {
	struct settings    cfg;
	const char        *cfg_file;
	struct nego_policy policy;
	struct ev_loop    *loop;
	struct tls_ctx    *sip_server, *sip_client;
	struct sip        *sip;
	struct http_srv   *http, *metrics;
	struct http_cli   *focus, *old_focus;   /* HTTPS client towards focusd; the one before SIGHUP */
	struct media      *media;
	struct service     services[SERVICES_MAX];
	unsigned           nservices;
	char               instance[17];        /* of this start, in every health report */
	struct uas        *uas;
	struct prompts    *prompts;
	struct records    *records;             /* of calls that have ended */
	struct keys        keys;                /* commands of callers */
	LIST_HEAD(, recording) recordings;      /* recording.c */
	LIST_HEAD(, dialout) dialouts;          /* dialout.h */
	struct jsonsock   *admin;
	struct tmr         sweep, stop;
	bool               draining;
	uint64_t           started_ms, stop_ms;
};

int  app_start(struct app *a, char *err, size_t errsz);
void app_run(struct app *a);
void app_stop(struct app *a);                /* frees everything */
void app_settled(struct app *a);             /* something ended: when draining, is that all? */

int  c3p_srv_start(struct app *a);           /* the C3P server; a->http */
int  metrics_start(struct app *a);           /* a->metrics */
int  admin_start(struct app *a);             /* a->admin */

#endif
