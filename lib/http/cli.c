/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - HTTP client over lib/tls streams: POST with kept connections
 *
 * http_post -> struct job in its host's queue -> pump: an idle connection, or a new one while there are fewer than max_conns ->
 * stream_send -> on_data -> hmsg_feed -> the job's callback. A job that fails or times out on a connection takes that connection
 * with it. Nothing is sent twice: what a server did with a request whose answer was lost is for the caller to find out.
 * The callback is always the last thing done, from the loop, never from within http_post().
 */
#include <errno.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/http/http_priv.h"

enum { MAX_CONNS = 4, MAX_BODY = 16 << 20, MAX_QUEUE = 32 << 20, MAX_WAITING = 65536,
       IDLE_MS = 30000 };                   /* half of what servers of ours wait, so both do not let go at once */

struct http_cli {
	struct ev_loop *loop;
	struct tls_ctx *tls;
	unsigned        max_conns;
	struct host    *hosts;
};

struct host {                               /* owned by the client's list, while it has jobs or connections */
	struct http_cli *cli;
	struct host     *next, **prev;
	char             addr[48];
	uint16_t         port;
	struct job      *first, **last;     /* waiting */
	unsigned         nwaiting, nconns;
	struct conn     *conns;
};

struct conn {
	struct host   *host;
	struct conn   *next, **prev;
	struct stream *s;
	struct hmsg    m;
	struct job    *job;                 /* NULL: idle */
	struct tmr     idle;
};

struct job {
	struct host      *host;
	struct job       *next, **prev;     /* prev: NULL when not waiting */
	struct conn      *c;
	struct http_call *call;             /* weak */
	struct buf        request;
	struct tmr        tmr;
	int               err;              /* set: told by the timer */
	http_resp_cb     *cb;
	void             *arg;
};

struct http_call { struct job *job; };      /* weak; the caller's */

enum { M_OK, M_TIMEOUT, M_CONNECT, M_REFUSED, M_LOST, M_BAD, M_N };
#define CALL_METRIC(result) METRIC_LABEL("conclave_http_calls_total", "result=\"" result "\"", "HTTP calls made, by result")
static struct metric metrics[M_N] = {
	[M_OK]      = CALL_METRIC("ok"),
	[M_TIMEOUT] = CALL_METRIC("timeout"),
	[M_CONNECT] = CALL_METRIC("connect"),
	[M_REFUSED] = CALL_METRIC("certificate"),
	[M_LOST]    = CALL_METRIC("connection_lost"),
	[M_BAD]     = CALL_METRIC("bad_answer"),
};

static void count(int err)
{
	static const struct { int err, m; } rows[] = {
		{ 0, M_OK }, { -ETIMEDOUT, M_TIMEOUT }, { -ECONNREFUSED, M_CONNECT }, { -EHOSTUNREACH, M_CONNECT },
		{ -ENETUNREACH, M_CONNECT }, { -EACCES, M_REFUSED }, { -ECONNRESET, M_LOST }, { -EPIPE, M_LOST },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].err == err) {
			metric_inc(&metrics[rows[i].m]);
			return;
		}
	metric_inc(&metrics[M_BAD]);
}

/* --- hosts */
static void host_destructor(void *arg)
{
	struct host *h = arg;

	if (!h->prev)
		return;
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
}

static void host_release(struct host *h)
{
	if (!h->conns && !h->first)
		mem_deref(h);
}

static struct host *host_get(struct http_cli *cli, const struct url *u)
{
	struct host *h;

	for (h = cli->hosts; h; h = h->next)
		if (h->port == u->port && cstr_eq(h->addr, u->host))
			return h;
	h = mem_zalloc(sizeof(*h), host_destructor);
	if (!h)
		return NULL;
	h->cli  = cli;
	h->last = &h->first;
	h->port = u->port;
	memcpy(h->addr, u->host, sizeof(h->addr));
	h->next = cli->hosts;
	h->prev = &cli->hosts;
	if (h->next)
		h->next->prev = &h->next;
	cli->hosts = h;
	return h;
}

/* --- jobs */
static void job_unqueue(struct job *j)
{
	if (!j->prev)
		return;
	*j->prev = j->next;
	if (j->next)
		j->next->prev = j->prev;
	else
		j->host->last = j->prev;
	j->prev = NULL;
	j->host->nwaiting--;
}

static void job_queue(struct job *j)
{
	struct host *h = j->host;

	j->next  = NULL;
	j->prev  = h->last;
	*h->last = j;
	h->last  = &j->next;
	h->nwaiting++;
}

static void job_destructor(void *arg)
{
	struct job *j = arg;

	job_unqueue(j);
	if (j->c)
		j->c->job = NULL;
	if (j->call)
		j->call->job = NULL;
	tmr_fini(&j->tmr);
	buf_fini(&j->request);
}

/* Last thing to do: the callback may end anything. */
static void job_done(struct job *j, int err, int status, struct str body)
{
	http_resp_cb *cb = j->cb;
	void *arg = j->arg;

	count(err);
	mem_deref(j);
	if (cb)
		cb(err, status, body, arg);
}

/* --- connections */
static void conn_destructor(void *arg)
{
	struct conn *c = arg;

	if (c->prev) {
		*c->prev = c->next;
		if (c->next)
			c->next->prev = c->prev;
		c->host->nconns--;
	}
	tmr_fini(&c->idle);
	mem_deref(c->s);
	hmsg_fini(&c->m);
}

static void conn_start(struct conn *c, struct job *j)
{
	tmr_stop(&c->idle);
	hmsg_reset(&c->m);
	job_unqueue(j);
	c->job = j;
	j->c   = c;
	stream_send(c->s, buf_view(&j->request));  /* what goes wrong comes as STREAM_CLOSED */
	buf_fini(&j->request);
}

static int conn_new(struct host *h, struct conn **cp);

static struct job *next_job(const struct host *h)
{
	struct job *j = h->first;

	while (j && j->err)
		j = j->next;
	return j;
}

/* No connection can be begun: told by the jobs' timers, because this runs inside http_post() too. */
static void fail_waiting(struct host *h, int err)
{
	for (struct job *j = h->first; j; j = j->next) {
		j->err = err;
		tmr_start(&j->tmr, 0);
	}
}

static void pump(struct host *h)
{
	struct conn *c;
	struct job *j;
	int err;

	for (c = h->conns; c; c = c->next)
		if (!c->job && (j = next_job(h)))
			conn_start(c, j);
	while ((j = next_job(h)) && h->nconns < h->cli->max_conns) {
		err = conn_new(h, &c);
		if (!err) {
			conn_start(c, j);
			continue;
		}
		if (!h->nconns)
			fail_waiting(h, err);
		return;
	}
}

/* Ends a connection; the job that was on it is handed back. The host may be gone afterwards. */
static struct job *conn_end(struct conn *c)
{
	struct host *h = c->host;
	struct job *j = c->job;

	if (j)
		j->c = NULL;
	mem_deref(c);
	pump(h);
	host_release(h);
	return j;
}

static void answered(struct conn *c, bool keep)
{
	struct job *j = c->job;
	struct buf body = c->m.body;
	int status = c->m.status;

	buf_init(&c->m.body, MAX_BODY);
	if (keep) {
		c->job = NULL;
		j->c   = NULL;
		tmr_start(&c->idle, IDLE_MS);
		pump(c->host);
	} else {
		stream_close(c->s);
		conn_end(c);
	}
	job_done(j, 0, status, buf_view(&body));
	buf_fini(&body);
}

static void failed(struct conn *c, int err)
{
	struct job *j = conn_end(c);

	if (j)
		job_done(j, err, 0, STR_NULL);
}

static void on_data(struct stream *s, struct str data, void *arg)
{
	struct conn *c = arg;
	size_t used;
	int err;

	if (!c->job) {
		log_warn(http, "%s: an answer nobody asked for", stream_peer_addr(s));
		failed(c, -EBADMSG);
		return;
	}
	err = hmsg_feed(&c->m, data, &used);
	if (err) {
		log_warn(http, "%s: answer refused: %s", stream_peer_addr(s),
			 err == -EMSGSIZE ? "too large" : "not understood");
		failed(c, err);
		return;
	}
	if (c->m.st == HMSG_DONE)
		answered(c, c->m.keep_alive && used == data.l);
}

static void on_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	struct conn *c = arg;

	(void)s;
	if (ev != STREAM_CLOSED)
		return;
	if (!err && c->job && hmsg_eof(&c->m) == 0)
		answered(c, false);
	else
		failed(c, err ? err : -ECONNRESET);
}

static void on_idle(void *arg)
{
	struct conn *c = arg;

	stream_close(c->s);
	conn_end(c);
}

static int conn_new(struct host *h, struct conn **cp)
{
	struct conn *c = mem_zalloc(sizeof(*c), conn_destructor);
	struct stream_prm p = { .loop = h->cli->loop, .tls = h->cli->tls, .datacb = on_data, .eventcb = on_event,
				.max_queue = MAX_QUEUE };
	int err;

	if (!c)
		return -ENOMEM;
	hmsg_init(&c->m, false, MAX_BODY);
	c->host = h;
	p.arg   = c;
	err = tmr_init(&c->idle, h->cli->loop, on_idle, c);
	if (!err)
		err = stream_connect(&c->s, &p, h->addr, h->port);
	if (err) {
		mem_deref(c);
		return err;
	}
	c->next = h->conns;
	c->prev = &h->conns;
	if (c->next)
		c->next->prev = &c->next;
	h->conns = c;
	h->nconns++;
	*cp = c;
	return 0;
}

/* --- calls */
static void on_job_tmr(void *arg)
{
	struct job *j = arg;
	struct host *h = j->host;
	int err = j->err ? j->err : -ETIMEDOUT;

	if (j->c) {
		failed(j->c, err);
		return;
	}
	job_unqueue(j);
	host_release(h);
	job_done(j, err, 0, STR_NULL);
}

static void call_destructor(void *arg)
{
	struct http_call *call = arg;

	if (!call->job)
		return;
	call->job->cb   = NULL;
	call->job->call = NULL;
}

static void job_encode(struct job *j, const struct url *u, struct str ctype, struct str body)
{
	buf_init(&j->request, 0);
	buf_printf(&j->request, "POST " STR_FMT " HTTP/1.1\r\nHost: " STR_FMT "\r\n", STR_ARG(u->path), STR_ARG(u->authority));
	if (ctype.l)
		buf_printf(&j->request, "Content-Type: " STR_FMT "\r\n", STR_ARG(ctype));
	buf_printf(&j->request, "Content-Length: %zu\r\n\r\n", body.l);
	buf_str(&j->request, body);
}

int http_post(struct http_cli *c, struct http_call **callp, const char *url, const char *ctype, struct str body,
	      uint64_t timeout_ms, http_resp_cb *cb, void *arg)
{
	struct url u;
	struct host *h;
	struct job *j;
	int err = url_decode(&u, str_c(url));

	if (err || u.tls != !!c->tls || !header_safe(str_c(ctype)))
		return -EINVAL;
	h = host_get(c, &u);
	if (!h)
		return -ENOMEM;
	j = mem_zalloc(sizeof(*j), job_destructor);
	err = j ? tmr_init(&j->tmr, c->loop, on_job_tmr, j) : -ENOMEM;
	if (err)
		goto out;
	j->host = h;
	j->cb   = cb;
	j->arg  = arg;
	job_encode(j, &u, str_c(ctype), body);
	err = j->request.err ? j->request.err : h->nwaiting >= MAX_WAITING ? -ENOBUFS : 0;
	if (!err && callp) {
		j->call = mem_zalloc(sizeof(*j->call), call_destructor);
		err = j->call ? 0 : -ENOMEM;
	}
	if (err)
		goto out;
	if (callp) {
		j->call->job = j;
		*callp = j->call;
	}
	tmr_start(&j->tmr, timeout_ms);
	job_queue(j);
	pump(h);
out:
	if (err) {
		mem_deref(j);
		host_release(h);
	}
	return err;
}

/* --- the client */
static void cli_destructor(void *arg)
{
	struct http_cli *cli = arg;
	struct host *h;

	while ((h = cli->hosts)) {
		while (h->first)
			mem_deref(h->first);
		while (h->conns) {
			mem_deref(h->conns->job);
			mem_deref(h->conns);
		}
		mem_deref(h);
	}
	mem_deref(cli->tls);
	mem_deref(cli->loop);
}

int http_cli_alloc(struct http_cli **cp, const struct http_cli_prm *prm)
{
	struct http_cli *c = mem_zalloc(sizeof(*c), cli_destructor);
	int err;

	if (!c)
		return -ENOMEM;
	metric_register(metrics, M_N);
	c->loop      = mem_ref(prm->loop);
	c->max_conns = prm->max_conns ? prm->max_conns : MAX_CONNS;
	err = http_ctx(&c->tls, prm->tls, "HTTP client");
	if (err)
		mem_deref(c);
	else
		*cp = c;
	return err;
}

int http_cli_reload(struct http_cli *c)
{
	return http_ctx_reload(c->tls, "HTTP client");
}
