/* SPDX-License-Identifier: Apache-2.0 */
/* c3phttp.c - see c3phttp.h
 *
 * TLS has checked that the peer is one of our servers; which role may send which command stands in the table.
 */
#include "focusd/answer.h"
#include "focusd/attendant.h"
#include "focusd/c3phttp.h"
#include "focusd/keys.h"
#include "focusd/mcunews.h"
#include "lib/base/log.h"
#include "lib/base/metric.h"
#include "lib/c3p/uri.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_http_refused_total", "C3P requests over HTTPS that were refused: wrong role, path or body"),
};

static const struct {
	struct str  path;
	const char *command, *peer;      /* peer: the first DNS name of its certificate */
	void      (*handler)(struct app *a, struct http_req *rq, const struct c3p_req *r);
} services[] = {
	{ STR("/LiveServer/MCUFactory/"), "ping",          "mcu.conclave.internal",   factory_on_ping },
	{ STR("/LiveServer/MCUFactory/"), "getMCU",        "focus.conclave.internal", factory_on_get_mcu },
	{ STR("/LiveServer/Focus/"),      "notify",        "mcu.conclave.internal",   mcunews_on_notify },
	{ STR("/LiveServer/Focus/"),      "getConference", "mcu.conclave.internal",   mcunews_on_get_conference },
	{ STR("/LiveServer/Focus/"),      "enter",         "mcu.conclave.internal",   attendant_on_enter },
	{ STR("/LiveServer/Focus/"),      "modifyConferenceLock", "mcu.conclave.internal", keys_on_lock },
	{ STR("/LiveServer/Focus/"),      "record",        "mcu.conclave.internal",   keys_on_record },
};
#define NSERVICES (sizeof(services) / sizeof(services[0]))

void c3phttp_reply(struct http_req *rq, const struct c3p_req *r, enum c3p_code code, const char *reason)
{
	struct c3p_env env = c3p_env_of(r);
	struct buf b;

	buf_init(&b, 0);
	c3p_simple_response(&b, &env, code, r->command, reason, NULL);
	http_reply(rq, 200, C3P_HTTP_CTYPE, buf_view(&b));
	buf_fini(&b);
}

void c3phttp_done(struct app *a, struct http_req *rq, const struct c3p_env *env, const char *command, const char *reason)
{
	struct buf b;

	buf_init(&b, 0);
	c3p_simple_response(&b, env, reason ? C3P_FAILURE : C3P_SUCCESS, command, reason, NULL);
	answer_http(a, rq, 200, C3P_HTTP_CTYPE, &b);
}

void c3phttp_answer(struct app *a, struct http_req *rq, const struct c3p_req *r, const char *reason)
{
	struct c3p_env env = c3p_env_of(r);

	c3phttp_done(a, rq, &env, r->command, reason);
}

struct conf *c3phttp_conf(struct app *a, const char *entity)
{
	struct c3p_uri u;

	return entity && c3p_uri_decode(&u, str_c(entity)) == 0 ? conf_find(&a->confs, u.user, u.domain, u.id) : NULL;
}

struct endpoint *c3phttp_leg(struct app *a, const struct c3p_req *r)
{
	struct conf *c = c3phttp_conf(a, r->keys.conf_entity);
	struct endpoint *e = c && c->active ? endpoint_find(c, r->keys.endpoint_entity) : NULL;
	uint64_t epoch;

	if (!e || !r->epoch || str_u64(str_c(r->epoch), &epoch) || epoch != c->epoch)
		return NULL;
	return cstr_eq(e->user->entity, r->keys.user_entity) && e->session == SESSION_AV ? e : NULL;
}

static void refuse(struct http_req *rq, int status)
{
	metric_inc(&metrics[0]);
	http_reply(rq, status, NULL, STR_NULL);
}

static void dispatch(struct app *a, struct http_req *rq, const struct c3p_req *r)
{
	for (size_t i = 0; i < NSERVICES; i++) {
		if (!str_ieq(http_req_path(rq), services[i].path) || !cstr_eq(r->command, services[i].command))
			continue;
		if (cstr_ieq(http_req_peer(rq), services[i].peer)) {
			services[i].handler(a, rq, r);
		} else {
			log_warn(http, "%s by %s: not its command", r->command, http_req_peer(rq));
			refuse(rq, 403);
		}
		return;
	}
	c3phttp_reply(rq, r, C3P_FAILURE, "notSupported");
}

void c3phttp_on_request(struct http_req *rq, void *arg)
{
	struct c3p_req r = { 0 };
	bool known = false, role = false;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	for (size_t i = 0; i < NSERVICES; i++)
		if (str_ieq(http_req_path(rq), services[i].path)) {
			known = true;
			role |= cstr_ieq(http_req_peer(rq), services[i].peer);
		}
	if (!known)
		refuse(rq, 404);
	else if (!role)                          /* nothing there is for him: his body is not even read */
		refuse(rq, 403);
	else if (!str_eq(http_req_method(rq), STR("POST")))
		refuse(rq, 405);
	else if (c3p_req_decode(&r, http_req_body(rq)) == 0)
		dispatch(arg, rq, &r);
	else if (!str_ieq(http_req_path(rq), STR("/LiveServer/Focus/")) ||
		 !cstr_ieq(http_req_peer(rq), "mcu.conclave.internal") || !mcunews_late_response(arg, rq))
		refuse(rq, 400);
	c3p_req_fini(&r);
}
