/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_srv.c - the HTTPS server for the focus: envelope, keys, answer
 *
 * POST /LiveServer/AVMCU/, /LiveServer/IMMCU/ -> the service -> c3p_req_decode() -> table row -> conference, user,
 * leg by the keys -> the command -> a response in the same breath: every command is done when it is answered,
 * but dial-out, which is `pending` then (dialout.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/uri.h"
#include "lib/http/http.h"
#include "mcu/c3p_srv.h"


static struct metric m_cmds = METRIC_COUNTER("conclave_mcu_commands_total", "C3P commands received");
static struct metric m_failed = METRIC_COUNTER("conclave_mcu_command_failures_total", "C3P commands answered with a failure");
static struct metric m_bad = METRIC_COUNTER("conclave_mcu_bad_requests_total", "HTTP requests that were no C3P command");

static bool to_u64(const char *s, uint64_t *v)
{
	return s && !str_u64(str_c(s), v);
}

/* The conference of the keys, or of the envelope's `to`. One of another epoch is another conference. */
static struct conf *conf_of(struct service *s, const struct c3p_req *rq)
{
	const char *text = *rq->keys.conf_entity ? rq->keys.conf_entity : rq->to;
	struct c3p_uri u;
	struct conf *c;
	uint64_t epoch;

	if (!text || c3p_uri_decode(&u, str_c(text)))
		return NULL;
	c = conf_find(s->confs, u.user, u.domain, u.id);
	if (c && to_u64(rq->epoch, &epoch) && epoch != c->epoch)
		return NULL;
	return c;
}

static const char *resolve(struct c3p_call *k, enum c3p_needs needs)
{
	const struct c3p_keys *keys = &k->rq->keys;

	if (needs >= NEEDS_CONF && !(k->conf = conf_of(k->svc, k->rq)))
		return "conferenceDoesntExist";
	if (needs >= NEEDS_USER && !(k->user = conf_user(k->conf, keys->user_entity)))
		return "userDoesntExist";
	if (needs >= NEEDS_LEG && !(k->leg = user_leg(k->user, keys->endpoint_entity)))
		return "endpointDoesntExist";
	if (needs >= NEEDS_MEDIA && !cstr_eq(keys->media_id, "1"))
		return "mediaDoesntExist";
	return NULL;
}

static int respond(struct buf *b, struct c3p_call *k, const struct c3p_cmd *cmd, const char *reason)
{
	const struct c3p_req *rq = k->rq;
	struct c3p_env env = c3p_env_of(rq);
	struct xmlw w;

	env.epoch = rq->epoch;
	if (reason || !cmd->write)
		return c3p_simple_response(b, &env, reason ? C3P_FAILURE : k->pending ? C3P_PENDING : C3P_SUCCESS,
					   rq->command, reason, NULL);
	c3p_begin_response(&w, b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, cmd->name);
	cmd->write(k, &w);
	xmlw_end(&w);
	return c3p_end(&w);
}

static const char *run(struct c3p_call *k, const struct c3p_cmd *cmd)
{
	const char *reason = cmd ? resolve(k, cmd->needs) : "notSupported";

	if (!reason)
		reason = cmd->run(k);
	if (reason) {
		metric_inc(&m_failed);
		log_warn(c3p, "%s for %s: %s", k->rq->command, k->rq->to ? k->rq->to : "?", reason);
	} else {
		log_debug(c3p, "%s for %s: done, asked by %s", k->rq->command, k->rq->to ? k->rq->to : "?",
			  k->rq->requested_by ? k->rq->requested_by : "the focus");
	}
	return reason;
}

static void on_command(struct http_req *hr, struct service *s, const struct c3p_req *rq)
{
	struct c3p_call k = { .app = s->app, .svc = s, .rq = rq };
	const struct c3p_cmd *cmd = c3p_cmd_find(rq->command);
	const char *reason = run(&k, cmd);
	struct buf b;
	int status = reason && cstr_eq(reason, "serverBusy") ? 503 : 200;

	buf_init(&b, XML_MAX_BYTES);
	if (respond(&b, &k, cmd, reason)) {
		log_warn(c3p, "%s: the response cannot be written", rq->command);
		http_reply(hr, 503, NULL, STR_NULL);
	} else {
		http_reply(hr, status, C3P_HTTP_CTYPE, buf_view(&b));
	}
	buf_fini(&b);
}

static bool is_focus(const struct app *a, const char *peer)
{
	struct str rest = str_c(a->cfg.focus_names);

	while (!str_empty(rest))
		if (str_ieq(str_trim(str_cut(&rest, ',')), str_c(peer)))
			return true;
	return false;
}

static int refusal(struct app *a, const struct http_req *hr, struct service **sp)
{
	if (!is_focus(a, http_req_peer(hr)))
		return 403;
	*sp = service_by_path(a, http_req_path(hr));
	if (!*sp)
		return 404;
	return str_eq(http_req_method(hr), STR("POST")) ? 0 : 405;
}

static void on_request(struct http_req *hr, void *arg)
{
	struct app *a = arg;
	struct c3p_req rq;
	struct service *s = NULL;
	int status = refusal(a, hr, &s);

	metric_inc(&m_cmds);
	if (!status && c3p_req_decode(&rq, http_req_body(hr)))
		status = 400;
	if (status) {
		metric_inc(&m_bad);
		log_warn(c3p, "HTTP request from %s answered %d", http_req_peer(hr), status);
		http_reply(hr, status, NULL, STR_NULL);
		return;
	}
	on_command(hr, s, &rq);
	c3p_req_fini(&rq);
}

int c3p_srv_start(struct app *a)
{
	struct http_tls tls = { .cert_file = a->cfg.cert, .key_file = a->cfg.key, .ca_file = a->cfg.ca,
				.peer_names = a->cfg.focus_names };
	struct http_srv_prm prm = {
		.loop = a->loop, .bind = a->cfg.http_bind, .port = (uint16_t)a->cfg.http_port, .tls = &tls,
		.reqcb = on_request, .arg = a,
	};

	metric_register(&m_cmds, 1);
	metric_register(&m_failed, 1);
	metric_register(&m_bad, 1);
	return http_srv_alloc(&a->http, &prm);
}
