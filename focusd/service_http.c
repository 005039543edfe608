/* SPDX-License-Identifier: Apache-2.0 */
/* service_http.c - scheduling without SIP: POST /LiveServer/FocusFactory/ with a C3P request, over HTTPS
 *
 * For calendar plug-ins and scripts. The user authenticates by HTTP digest with the credentials of his SIP account: the
 * edge's table of HA1 values, read only, in the realm of the SIP domain. `from` must be that user, `to` his factory URI.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <sqlite3.h>
#include <stdio.h>
#include "focusd/answer.h"
#include "focusd/guess.h"
#include "focusd/nonce.h"
#include "focusd/service.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/uri.h"
#include "lib/http/http.h"
#include "lib/tls/digest.h"

#define PATH    "/LiveServer/FocusFactory/"
#define SCOPE   "schedule"               /* no conference has this key */
#define NONCE_S 300

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_schedule_requests_total", "Scheduling requests over HTTPS"),
	METRIC_COUNTER("conclave_schedule_denied_total", "Scheduling requests with wrong or no credentials"),
	METRIC_COUNTER("conclave_schedule_paused_total", "Scheduling requests not looked at after too many wrong passwords"),
};
enum { M_REQUESTS, M_DENIED, M_PAUSED };

/* --- credentials. A missing user costs what a wrong password costs. */
static bool find_ha1(const struct app *a, struct str user, char ha1[33])
{
	static const char *const sql = "SELECT ha1 FROM subscriber WHERE username=?1 AND domain=?2";
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	bool found = false;

	if (sqlite3_open_v2(a->cfg.schedule_credentials, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(db, 200) == SQLITE_OK && sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, user.p, (int)user.l, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, a->cfg.domain, -1, SQLITE_STATIC);
		found = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == 32;
		if (found)
			snprintf(ha1, 33, "%s", (const char *)sqlite3_column_text(st, 0));
	} else {
		log_error(http, "%s: %s", a->cfg.schedule_credentials, db ? sqlite3_errmsg(db) : "no memory");
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	if (!found)
		memset(ha1, '0', 32), ha1[32] = '\0';
	return found;
}

bool service_http_is_user(const struct app *a, const char *name)
{
	char ha1[33], *low = str_dup(str_c(name));
	bool found;

	for (char *p = low; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	found = low && *a->cfg.schedule_credentials && find_ha1(a, str_c(low), ha1);
	mem_deref(low);
	return found;
}

static void challenge(const struct app *a, struct http_req *rq, bool stale)
{
	char nonce[NONCE_SIZE], *hdrs = NULL;

	if (nonce_make(nonce, SCOPE) == 0)
		hdrs = str_printf("WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"%s\r\n", a->cfg.domain,
				  nonce, stale ? ", stale=true" : "");
	if (hdrs)
		http_reply_hdrs(rq, 401, hdrs, "text/plain", STR("authenticate with the user name and password of your SIP account\n"));
	else
		http_reply(rq, 503, NULL, STR_NULL);
	mem_deref(hdrs);
}

/* --- guessing. By user at an address, so that nobody locks out somebody else, and wider by address. */
#define MAX_WRONG   10u
#define MAX_WRONG_OF_ADDRESS 50u
#define PAUSE_MS    30000u

struct guesser { char user[GUESS_KEY], address[64]; };

/* "192.0.2.1:40001" without its port; of IPv6 the network, whose addresses are one client's to choose from */
static void network_of(char out[64], const char *addr)
{
	unsigned char ip[16];
	char *end;

	snprintf(out, 64, "%s", addr + (*addr == '['));
	end = *addr == '[' ? strchr(out, ']') : strrchr(out, ':');
	if (end)
		*end = '\0';
	if (inet_pton(AF_INET6, out, ip) == 1) {
		memset(ip + 8, 0, 8);
		inet_ntop(AF_INET6, ip, out, 64);
	}
}

static struct guesser guesser_of(const struct http_req *rq, struct str user)
{
	struct guesser g;

	network_of(g.address, http_req_addr(rq));
	snprintf(g.user, sizeof(g.user), "%s " STR_FMT, g.address, STR_ARG(user));
	return g;
}

static bool paused(const struct app *a, const struct guesser *g)
{
	uint64_t now = ev_now_ms(a->loop);

	return guess_paused(a->wrong_logins, g->user, now) || guess_paused(a->wrong_logins, g->address, now);
}

static void was_wrong(const struct app *a, const struct guesser *g)
{
	uint64_t now = ev_now_ms(a->loop);

	guess_wrong(a->wrong_logins, g->user, MAX_WRONG, now);
	guess_wrong(a->wrong_logins, g->address, MAX_WRONG_OF_ADDRESS, now);
}

/* *user borrows from the request */
static bool authenticated(struct app *a, struct http_req *rq, struct str *user)
{
	struct guesser g;
	struct digest d;
	char ha1[33];
	bool known;

	if (digest_decode(&d, http_req_authorization(rq)) || !str_eq(d.realm, str_c(a->cfg.domain)) ||
	    !str_eq(d.uri, http_req_path(rq))) {
		challenge(a, rq, false);
		return false;
	}
	if (!nonce_fresh(d.nonce, SCOPE, NONCE_S)) {
		challenge(a, rq, true);
		return false;
	}
	g = guesser_of(rq, d.username);
	if (paused(a, &g)) {                     /* not looked at, nor in the database */
		metric_inc(&metrics[M_PAUSED]);
		http_reply_hdrs(rq, 503, "Retry-After: 30\r\n", "text/plain", STR("too many wrong passwords, try again later\n"));
		return false;
	}
	known = find_ha1(a, d.username, ha1);
	if (!digest_check(&d, ha1, true, http_req_method(rq)) || !known) {
		was_wrong(a, &g);
		metric_inc(&metrics[M_DENIED]);
		log_warn(http, "scheduling: wrong credentials of " STR_FMT " from %s", STR_ARG(d.username), http_req_addr(rq));
		challenge(a, rq, false);
		return false;
	}
	*user = d.username;
	return true;
}

/* --- the command */
static void on_reply(const struct svc *x, struct buf *b)
{
	answer_http(x->app, x->arg, 200, C3P_HTTP_CTYPE, b);
}

static const char *check(const struct c3p_req *r, const char *me, struct str user, struct str domain)
{
	struct c3p_uri u;

	if (!str_ieq(str_c(r->from), str_c(me)))
		return "'from' is not the authenticated user\n";
	if (c3p_uri_decode(&u, str_c(r->to)) || u.type != C3P_FOCUSFACTORY || !str_ieq(u.user, user) || !str_ieq(u.domain, domain))
		return "'to' is not this user's focus factory\n";
	return NULL;
}

static void serve(struct app *a, struct http_req *rq, struct str user)
{
	struct svc x = { .app = a, .organizer = user, .domain = str_c(a->cfg.domain), .reply = on_reply, .arg = rq };
	char *me = str_printf("sip:" STR_FMT "@%s", STR_ARG(user), a->cfg.domain);
	struct c3p_req r = { 0 };
	const char *why;

	if (!me) {
		http_reply(rq, 503, NULL, STR_NULL);
	} else if (c3p_req_decode(&r, http_req_body(rq))) {
		http_reply(rq, 400, "text/plain", STR("the body is not a C3P request\n"));
	} else if ((why = check(&r, me, user, x.domain))) {
		http_reply(rq, 403, "text/plain", str_c(why));
	} else {
		x.req = &r;
		service_execute(&x);
	}
	c3p_req_fini(&r);
	mem_deref(me);
}

static void on_request(struct http_req *rq, void *arg)
{
	struct app *a = arg;
	struct str user;

	metric_inc(&metrics[M_REQUESTS]);
	if (!str_ieq(http_req_path(rq), STR(PATH)))
		http_reply(rq, 404, "text/plain", STR("POST C3P requests to " PATH "\n"));
	else if (!str_eq(http_req_method(rq), STR("POST")))
		http_reply_hdrs(rq, 405, "Allow: POST\r\n", NULL, STR_NULL);
	else if (a->draining)
		http_reply_hdrs(rq, 503, "Retry-After: 5\r\n", NULL, STR_NULL);
	else if (authenticated(a, rq, &user))
		serve(a, rq, user);
}

int service_http_start(struct app *a)
{
	struct http_tls tls = { .cert_file = a->cfg.schedule_cert, .key_file = a->cfg.schedule_key, .open = true };
	struct http_srv_prm p = { .loop = a->loop, .bind = a->cfg.schedule_bind, .port = (uint16_t)a->cfg.schedule_port, .tls = &tls,
				  .max_body = 256 * 1024, .reqcb = on_request, .arg = a };
	int err;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (!a->cfg.schedule_port)
		return 0;
	err = guesses_alloc(&a->wrong_logins, PAUSE_MS, PAUSE_MS);
	return err ? err : http_srv_alloc(&a->schedule, &p);
}
