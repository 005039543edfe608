/* SPDX-License-Identifier: Apache-2.0 */
/* srv.c - HTTP server over lib/tls streams
 *
 * listener -> on_accept -> struct conn -> on_data -> hmsg_feed -> struct http_req -> reqcb ... http_reply -> stream_send.
 * A connection serves one request at a time; a client that sends the next one before its answer is answered and then closed.
 * Request and connection point to each other weakly, so either may go first: a request let go without an answer is answered
 * 500, an answer to a connection that is gone goes nowhere.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/http/http_priv.h"

enum { IDLE_MS = 60000, REQUEST_MS = 20000, MAX_BODY = 1 << 20 };

struct http_srv {
	struct tls_ctx  *tls;
	struct listener *listener;
	struct ev_loop  *loop;
	struct conn     *conns;
	size_t           max_body;
	http_req_cb     *reqcb;
	void            *arg;
};

struct conn {                               /* owned by the server's list */
	struct http_srv *srv;
	struct conn     *next, **prev;
	struct stream   *s;
	struct hmsg      m;
	struct tmr       tmr;               /* idle, or a request that does not end */
	struct http_req *rq;                /* being served; weak */
	bool             extra;             /* bytes came while it was served: close afterwards */
};

struct http_req {
	struct conn *c;                     /* weak; NULL when the connection or the server is gone, or when answered */
	struct hmsg  m;
	char        *peer, *addr;
	bool         answered;
};

enum { M_2XX, M_4XX, M_5XX, M_OTHER, M_DROPPED, M_N };
#define RQ_METRIC(code) METRIC_LABEL("conclave_http_requests_total", "answer=\"" code "\"", "HTTP requests served, by answer")
static struct metric metrics[M_N] = {
	[M_2XX]     = RQ_METRIC("2xx"),
	[M_4XX]     = RQ_METRIC("4xx"),
	[M_5XX]     = RQ_METRIC("5xx"),
	[M_OTHER]   = RQ_METRIC("other"),
	[M_DROPPED] = RQ_METRIC("connection_lost"),
};

static const struct { int status; const char *reason; } reasons[] = {
	{ 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" }, { 302, "Found" }, { 400, "Bad Request" },
	{ 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
	{ 409, "Conflict" }, { 413, "Content Too Large" }, { 415, "Unsupported Media Type" },
	{ 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
	{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
};

static const char *reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

static void count(int status)
{
	int class = status / 100;

	metric_inc(&metrics[class == 2 ? M_2XX : class == 4 ? M_4XX : class == 5 ? M_5XX : M_OTHER]);
}

/* --- connections */
static void conn_destructor(void *arg)
{
	struct conn *c = arg;

	if (c->prev) {
		*c->prev = c->next;
		if (c->next)
			c->next->prev = c->prev;
	}
	if (c->rq)
		c->rq->c = NULL;
	tmr_fini(&c->tmr);
	mem_deref(c->s);
	hmsg_fini(&c->m);
}

static void conn_close(struct conn *c)
{
	stream_close(c->s);
	mem_deref(c);
}

static const char *date(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return out;
}

/* What a status forbids is left out; `quiet`: the length without the body, for HEAD. */
static int answer(struct conn *c, int status, const char *hdrs, struct str ctype, struct str body, bool quiet, bool keep)
{
	char when[40];
	struct buf b;
	int err;

	buf_init(&b, 0);
	buf_printf(&b, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason(status), date(when, sizeof(when)));
	buf_puts(&b, hdrs);
	if (ctype.l)
		buf_printf(&b, "Content-Type: " STR_FMT "\r\n", STR_ARG(ctype));
	if (status != 204 && status != 304)
		buf_printf(&b, "Content-Length: %zu\r\n", body.l);
	buf_puts(&b, keep ? "\r\n" : "Connection: close\r\n\r\n");
	if (!quiet && status != 204 && status != 304)
		buf_str(&b, body);
	err = b.err ? b.err : stream_send(c->s, buf_view(&b));
	buf_fini(&b);
	count(status);
	return err;
}

static int status_of(int err)
{
	switch (err) {
	case -EMSGSIZE:        return 413;
	case -E2BIG:           return 431;
	case -ENOTSUP:         return 501;
	case -EPROTONOSUPPORT: return 505;
	case -ETIMEDOUT:       return 408;
	case -ENOMEM:          return 503;
	default:               return 400;
	}
}

static void refuse(struct conn *c, int err)
{
	int status = status_of(err);

	log_warn(http, "%s: request refused with %d", stream_peer_addr(c->s), status);
	answer(c, status, "", STR_NULL, STR_NULL, false, false);
	conn_close(c);
}

static void on_tmr(void *arg)
{
	struct conn *c = arg;

	if (hmsg_begun(&c->m))
		refuse(c, -ETIMEDOUT);
	else
		conn_close(c);
}

/* --- requests */
static void req_destructor(void *arg)
{
	struct http_req *rq = arg;

	if (rq->c) {
		log_warn(http, STR_FMT ": no answer from its handler", STR_ARG(rq->m.path));
		http_reply(rq, 500, NULL, STR_NULL);
	}
	hmsg_fini(&rq->m);
	mem_deref(rq->peer);
	mem_deref(rq->addr);
}

static void serve(struct conn *c)
{
	struct http_srv *srv = c->srv;
	struct http_req *rq = mem_zalloc(sizeof(*rq), req_destructor);

	if (rq)
		rq->peer = str_dup(str_c(stream_peer_name(c->s)));
	if (rq)
		rq->addr = str_dup(str_c(stream_peer_addr(c->s)));
	if (!rq || !rq->peer || !rq->addr) {
		mem_deref(rq);
		refuse(c, -ENOMEM);
		return;
	}
	rq->m = c->m;
	hmsg_init(&c->m, true, srv->max_body);
	rq->c = c;
	c->rq = rq;
	tmr_stop(&c->tmr);
	srv->reqcb(rq, srv->arg);
	mem_deref(rq);
}

static void on_data(struct stream *s, struct str data, void *arg)
{
	struct conn *c = arg;
	bool was_head = c->m.st == HMSG_HEAD;
	size_t used;
	int err;

	if (c->rq) {
		c->extra = true;
		return;
	}
	if (!hmsg_begun(&c->m))
		tmr_start(&c->tmr, REQUEST_MS);
	err = hmsg_feed(&c->m, data, &used);
	if (err) {
		refuse(c, err);
		return;
	}
	if (was_head && c->m.expect && c->m.st != HMSG_HEAD && c->m.st != HMSG_DONE)
		stream_send(s, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	if (c->m.st != HMSG_DONE)
		return;
	c->extra = used < data.l;
	serve(c);
}

static void on_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	struct conn *c = arg;

	if (ev != STREAM_CLOSED)
		return;
	if (err)
		log_debug(http, "%s: ended: %d", stream_peer_addr(s), err);
	mem_deref(c);
}

static void on_accept(struct stream *s, void *arg)
{
	struct http_srv *srv = arg;
	struct conn *c = mem_zalloc(sizeof(*c), conn_destructor);

	if (!c || tmr_init(&c->tmr, srv->loop, on_tmr, c)) {
		mem_deref(c);
		mem_deref(s);
		return;
	}
	c->srv = srv;
	c->s   = s;
	hmsg_init(&c->m, true, srv->max_body);
	stream_set_cb(s, on_data, on_event, c);
	tmr_start(&c->tmr, IDLE_MS);
	c->next = srv->conns;
	c->prev = &srv->conns;
	if (c->next)
		c->next->prev = &c->next;
	srv->conns = c;
}

int http_reply(struct http_req *rq, int status, const char *ctype, struct str body)
{
	return http_reply_hdrs(rq, status, "", ctype, body);
}

int http_reply_hdrs(struct http_req *rq, int status, const char *hdrs, const char *ctype, struct str body)
{
	struct conn *c = rq->c;
	bool keep;

	if (rq->answered)
		return -EALREADY;
	if (status < 200 || status > 599 || !header_safe(str_c(ctype)))
		return -EINVAL;
	rq->answered = true;
	if (!c) {
		metric_inc(&metrics[M_DROPPED]);
		return 0;
	}
	keep  = rq->m.keep_alive && !c->extra;
	rq->c = NULL;
	c->rq = NULL;
	if (answer(c, status, hdrs, str_c(ctype), body, str_eq(rq->m.method, STR("HEAD")), keep) || !keep)
		conn_close(c);
	else
		tmr_start(&c->tmr, IDLE_MS);
	return 0;
}

struct str http_req_method(const struct http_req *rq)
{
	return rq->m.method;
}

struct str http_req_path(const struct http_req *rq)
{
	return rq->m.path;
}

struct str http_req_body(const struct http_req *rq)
{
	return buf_view(&rq->m.body);
}

struct str http_req_authorization(const struct http_req *rq)
{
	return rq->m.authorization;
}

struct str http_req_ctype(const struct http_req *rq)
{
	return rq->m.ctype;
}

const char *http_req_addr(const struct http_req *rq)
{
	return rq->addr;
}

const char *http_req_peer(const struct http_req *rq)
{
	return rq->peer;
}

/* --- the server */
static void srv_destructor(void *arg)
{
	struct http_srv *srv = arg;

	while (srv->conns)
		mem_deref(srv->conns);
	mem_deref(srv->listener);
	mem_deref(srv->tls);
	mem_deref(srv->loop);
}

int http_srv_alloc(struct http_srv **sp, const struct http_srv_prm *prm)
{
	struct listener_prm lp = { .loop = prm->loop, .bind = prm->bind, .port = prm->port, .acceptcb = on_accept };
	struct http_srv *srv = mem_zalloc(sizeof(*srv), srv_destructor);
	int err;

	if (!srv)
		return -ENOMEM;
	metric_register(metrics, M_N);
	srv->loop     = mem_ref(prm->loop);
	srv->reqcb    = prm->reqcb;
	srv->arg      = prm->arg;
	srv->max_body = prm->max_body ? prm->max_body : MAX_BODY;
	err = http_ctx(&srv->tls, prm->tls, "HTTP server");
	if (err)
		goto out;
	lp.tls = srv->tls;
	lp.arg = srv;
	err = listener_alloc(&srv->listener, &lp);
	if (err)
		goto out;
	*sp = srv;
out:
	if (err)
		mem_deref(srv);
	return err;
}

uint16_t http_srv_port(const struct http_srv *s)
{
	return listener_port(s->listener);
}

int http_srv_reload(struct http_srv *s)
{
	return http_ctx_reload(s->tls, "HTTP server");
}
