/* SPDX-License-Identifier: Apache-2.0 */
/* app.h - what the parts of focusd share: one loop, one of each service; wired in app.c
 *
 * Command path:  sip -> uas.c -> join.c | media.c | info.c | service.c | subscribe.c -> model (conf.h) -> answer.c
 *                (after the commit) -> sip;   the change itself -> notify.c -> NOTIFY, mculink.c -> MCU
 */
#ifndef FOCUSD_APP_H
#define FOCUSD_APP_H
#include "focusd/cfg.h"
#include "focusd/conf.h"
#include "lib/ev/ev.h"

struct sip;
struct http_cli;
struct store;
struct factory;
struct cms;
struct sub;
struct seal;
struct guesses;

struct app {
	struct focusd_cfg  cfg;
	struct ev_loop    *loop;
	struct tls_ctx    *server_tls, *client_tls;
	struct sip        *sip;
	struct http_srv   *http, *metrics, *schedule;
	struct http_cli   *mcus;             /* HTTPS client towards the MCUs */
	struct store      *store;
	struct seal       *seal;             /* of pass codes, pin.c */
	struct guesses    *wrong_entries, *wrong_pins, *wrong_logins;    /* attendant.c, passcode.c, service_http.c */
	struct factory    *factory;
	struct jsonsock   *admin;
	struct confs       confs;
	struct sub        *subs_by_tag;      /* notify.c */
	TAILQ_HEAD(, sub)  dying;            /* subscriptions whose last NOTIFY is not out yet */
	struct tmr         sweep, announce, pace;
	char              *factory_url;      /* where getMCU goes */
	char              *notify_url;       /* where MCUs reach us */
	char              *contact_host;
	struct cms        *cms;              /* the certificate for pass codes on the wire */
	bool               draining, loading, resume_due;
	unsigned           reads;            /* times the state was read back after a failed commit */
	uint64_t           started_ms;
};

int  app_start(struct app *a, char *err, size_t errsz);
void app_stop(struct app *a);
void app_resume(struct app *a);                 /* after the state was read: MCUs and subscribers are brought up to date */
void app_reload(struct app *a);                 /* certificates and log levels */

/* --- persist.c: model <-> rows */
void persist_turn(struct app *a);               /* puts the dirty rows into the batch */
int  persist_load(struct app *a);               /* everything, at start and after a failed commit */
void persist_forget(struct app *a);             /* nothing is dirty any more */
void persist_on_gone(enum dirt_kind kind, int64_t id, void *arg);
struct sip_dlg;
void persist_bye(struct app *a, int64_t id, const struct sip_dlg *d);   /* owed until store_del() */

/* --- sweep.c: once a second */
void sweep_start(struct app *a);
void sweep_stop(struct app *a);
/* The edge lost a client's connection, ADDRESS:PORT: who came by it is asked at once, and removed when there is no answer. */
void sweep_gone(struct app *a, struct str addr);

/* --- announce.c: tells the edge which nodes and MCUs there are */
void announce_now(struct app *a);               /* also used when an MCU comes or goes */
void announce_start(struct app *a);
void announce_stop(void);

/* --- admin.c */
int  admin_start(struct app *a);

static inline int64_t app_wall_s(void) { return (int64_t)(ev_wall_ms() / 1000); }
char *app_utc(int64_t s);                       /* "2031-05-02T18:00:00Z", new reference */
int64_t app_utc_parse(const char *s);           /* seconds, -EINVAL */

#endif
