/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - one connection: connect or accept, handshake, receive, end
 *
 * Bytes: uv_tcp -> on_read -> memory BIO -> SSL_read -> datacb; the way back is flush.c. The libuv handle lives in a struct conn,
 * which outlives the stream until its close callback; conn->s is NULL as soon as the stream is gone, so after each
 * callback of the owner that is what is looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <openssl/err.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/tls/tls_priv.h"

enum { HANDSHAKE_MS = 10000, LINGER_MS = 2000, KEEPALIVE_S = 60, MAX_QUEUE = 4 << 20 };

static _Thread_local char cipher_in[64 * 1024], plain_in[32 * 1024];    /* used within one callback only */

/* --- the end */
static void on_closed(uv_handle_t *h)
{
	mem_deref(h->data);
}

static void detach(struct stream *s)
{
	s->state = ST_CLOSED;
	ev_task_cancel(&s->flush);
	ev_task_cancel(&s->end);
	tmr_fini(&s->tmr);
	if (s->c) {
		s->c->s = NULL;
		uv_close((uv_handle_t *)&s->c->uv, on_closed);
		s->c = NULL;
	}
	if (s->count)
		s->count->n--;
	s->count = mem_deref(s->count);
}

/* Best effort: only when it cannot end up in the middle of other data. */
static void say_goodbye(struct stream *s)
{
	if (s->state != ST_OPEN || !s->ssl || s->writing || s->out.l)
		return;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	if (stream_push(s))
		log_debug(tls, "%s: no close alert sent", s->peer_addr);
}

static void destructor(void *arg)
{
	struct stream *s = arg;

	listener_forget(s);
	if (s->c)
		say_goodbye(s);
	detach(s);
	SSL_free(s->ssl);
	buf_fini(&s->out);
	mem_deref(s->tls);
	mem_deref(s->peer_name);
	mem_deref(s->loop);
}

static void handshake_failed(struct stream *s, enum hs_result r)
{
	char *name = tls_peer_name(s->ssl);

	hs_count(r);
	log_warn(tls, "%s: handshake failed%s%s: %s", s->peer_addr, name ? " with " : "", name ? name : "", hs_name(r));
	mem_deref(name);
}

void stream_fail(struct stream *s, int err)
{
	stream_event_cb *cb = s->eventcb;
	bool closing = s->closing;

	if (s->state == ST_HANDSHAKE && err != -EACCES && err != -EPROTO)
		handshake_failed(s, err == -ETIMEDOUT ? HS_TIMEOUT : HS_CLOSED);
	detach(s);
	if (closing)
		mem_deref(s);
	else if (s->listener)
		listener_done(s, err);
	else if (cb)
		cb(s, STREAM_CLOSED, err, s->arg);
}

void stream_fail_later(struct stream *s, int err)
{
	if (s->state >= ST_FAILED)
		return;
	s->state = ST_FAILED;
	s->err   = err;
	ev_task_cancel(&s->flush);
	uv_read_stop((uv_stream_t *)&s->c->uv);
	tmr_start(&s->tmr, 0);
}

static void on_tmr(void *arg)
{
	struct stream *s = arg;

	stream_fail(s, s->state == ST_FAILED ? s->err : -ETIMEDOUT);
}

static void on_loop_end(void *arg)
{
	stream_fail(arg, -ECANCELED);
}

static void on_shutdown(uv_shutdown_t *rq, int status)
{
	(void)rq, (void)status;            /* the end comes with the peer's or with the timer */
}

/* A close with unread data would be a reset, which may overtake what was just sent; so FIN first, then wait a little. */
void stream_finish(struct stream *s)
{
	int err;

	say_goodbye(s);
	s->state = ST_LINGER;
	err = uv_shutdown(&s->c->sreq, (uv_stream_t *)&s->c->uv, on_shutdown);
	tmr_start(&s->tmr, err ? 0 : LINGER_MS);
}

void stream_close(struct stream *s)
{
	if (s->closing || s->state == ST_CLOSED)
		return;
	if (s->state == ST_FAILED || (s->state != ST_OPEN && !s->out.l)) {
		detach(s);
		return;
	}
	mem_ref(s);
	s->closing = true;
	s->datacb  = NULL;
	s->eventcb = NULL;
	ev_task_post_end(&s->end);
	if (s->state == ST_OPEN) {
		tmr_start(&s->tmr, FLUSH_MS);
		ev_task_post(&s->flush);
	}
	s->loop = mem_deref(s->loop);      /* a loop does not wait for what only lingers */
}

/* --- receiving */
static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	(void)h, (void)n;
	*b = uv_buf_init(cipher_in, sizeof(cipher_in));
}

/* Tells the owner; false when the stream is gone. */
static bool opened(struct conn *c)
{
	struct stream *s = c->s;

	s->state = ST_OPEN;
	if (s->closing)
		tmr_start(&s->tmr, FLUSH_MS);
	else
		tmr_stop(&s->tmr);
	if (s->out.l || s->closing)
		ev_task_post(&s->flush);
	if (s->listener)
		listener_done(s, 0);
	else if (s->eventcb)
		s->eventcb(s, STREAM_OPEN, 0, s->arg);
	return c->s && c->s->state == ST_OPEN;
}

static bool handshake(struct conn *c)
{
	struct stream *s = c->s;
	int n, err, perr;

	ERR_clear_error();
	n    = SSL_do_handshake(s->ssl);
	err  = n == 1 ? 0 : SSL_get_error(s->ssl, n);
	perr = stream_push(s);             /* also the alert */
	if (err && err != SSL_ERROR_WANT_READ) {
		enum hs_result r = hs_result(s->ssl);

		handshake_failed(s, r);
		stream_fail(s, r == HS_PROTOCOL ? -EPROTO : -EACCES);
		return false;
	}
	if (perr) {
		stream_fail(s, perr);
		return false;
	}
	if (err)
		return false;
	hs_count(HS_OK);
	s->peer_name = tls_peer_name(s->ssl);
	return opened(c);
}

static void decrypt(struct conn *c)
{
	struct stream *s;
	int n, err;

	for (;;) {
		s = c->s;
		ERR_clear_error();
		n = SSL_read(s->ssl, plain_in, sizeof(plain_in));
		if (n <= 0)
			break;
		if (s->datacb)
			s->datacb(s, (struct str){ plain_in, (size_t)n }, s->arg);
		if (!c->s || c->s->state != ST_OPEN)
			return;
	}
	err = SSL_get_error(s->ssl, n);
	if (err == SSL_ERROR_ZERO_RETURN)
		stream_fail(s, 0);
	else if (err != SSL_ERROR_WANT_READ)
		stream_fail(s, tls_errno());
	else if ((err = stream_push(s)))
		stream_fail(s, err);
}

static void received(struct conn *c, const char *p, size_t n)
{
	struct stream *s = c->s;

	if (s->state == ST_LINGER)
		return;
	if (!s->ssl) {
		if (s->datacb)
			s->datacb(s, (struct str){ p, n }, s->arg);
		return;
	}
	if (BIO_write(SSL_get_rbio(s->ssl), p, (int)n) != (int)n) {
		stream_fail(s, -ENOMEM);
		return;
	}
	if (s->state == ST_HANDSHAKE && !handshake(c))
		return;
	decrypt(c);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = h->data;

	if (!c->s || n == 0)
		return;
	if (n > 0)
		received(c, b->base, (size_t)n);
	else if (n == UV_EOF)
		stream_fail(c->s, c->s->state == ST_HANDSHAKE ? -ECONNRESET : 0);
	else
		stream_fail(c->s, (int)n);
}

/* --- the beginning */
static void format_addr(char *out, size_t size, const struct sockaddr *sa)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)sa;

		uv_ip6_name(a, ip, sizeof(ip));
		snprintf(out, size, "[%s]:%u", ip, ntohs(a->sin6_port));
	} else {
		const struct sockaddr_in *a = (const struct sockaddr_in *)sa;

		uv_ip4_name(a, ip, sizeof(ip));
		snprintf(out, size, "%s:%u", ip, ntohs(a->sin_port));
	}
}

int stream_new(struct stream **sp, struct ev_loop *l, struct tls_ctx *tls, size_t max_queue)
{
	struct stream *s = mem_zalloc(sizeof(*s), destructor);
	int err = -ENOMEM;

	if (!s)
		return err;
	s->loop = mem_ref(l);
	s->tls  = mem_ref(tls);
	s->max_queue = max_queue ? max_queue : MAX_QUEUE;
	buf_init(&s->out, 0);
	ev_task_init(&s->flush, l, stream_flush, s);
	ev_task_init(&s->end, l, on_loop_end, s);
	err = tmr_init(&s->tmr, l, on_tmr, s);
	if (err)
		goto out;
	err = -ENOMEM;
	s->c = mem_zalloc(sizeof(*s->c), NULL);
	if (!s->c)
		goto out;
	s->c->uv.data = s->c;
	err = uv_tcp_init(ev_loop_uv(l), &s->c->uv);
	if (err) {
		s->c = mem_deref(s->c);
		goto out;
	}
	s->c->s = s;
	*sp = s;
out:
	if (err)
		mem_deref(s);
	return err;
}

/* The socket is there: plain streams are open, others start their handshake. */
static int begin(struct stream *s, bool server)
{
	uv_tcp_nodelay(&s->c->uv, 1);
	uv_tcp_keepalive(&s->c->uv, 1, KEEPALIVE_S);
	if (s->tls) {
		s->ssl = tls_ssl(s->tls, server);
		if (!s->ssl)
			return -ENOMEM;
		s->state = ST_HANDSHAKE;
	}
	return uv_read_start((uv_stream_t *)&s->c->uv, on_alloc, on_read);
}

int stream_accept(struct stream *s, uv_stream_t *server, bool *open)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa), err = uv_accept(server, (uv_stream_t *)&s->c->uv);

	if (err)
		return err;
	err = uv_tcp_getpeername(&s->c->uv, (struct sockaddr *)&sa, &len);
	if (err)
		return err;
	format_addr(s->peer_addr, sizeof(s->peer_addr), (struct sockaddr *)&sa);
	err = begin(s, true);
	if (err)
		return err;
	*open = !s->ssl;
	if (*open)
		s->state = ST_OPEN;
	else
		tmr_start(&s->tmr, HANDSHAKE_MS);
	return 0;
}

static void on_connect(uv_connect_t *rq, int status)
{
	struct conn *c = rq->data;
	struct stream *s = c->s;

	if (!s)
		return;
	if (!status)
		status = begin(s, false);
	if (status)
		stream_fail(s, status);
	else if (s->ssl)
		handshake(c);
	else
		opened(c);
}

static int resolve(struct sockaddr_storage *sa, const char *host, uint16_t port)
{
	memset(sa, 0, sizeof(*sa));
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)sa) == 0)
		return 0;
	return uv_ip6_addr(host, port, (struct sockaddr_in6 *)sa);
}

int stream_connect(struct stream **sp, const struct stream_prm *prm, const char *host, uint16_t port)
{
	struct sockaddr_storage sa;
	struct stream *s;
	int err = resolve(&sa, host, port);

	if (err)
		return err;
	err = stream_new(&s, prm->loop, prm->tls, prm->max_queue);
	if (err)
		return err;
	stream_set_cb(s, prm->datacb, prm->eventcb, prm->arg);
	format_addr(s->peer_addr, sizeof(s->peer_addr), (struct sockaddr *)&sa);
	s->c->creq.data = s->c;
	err = uv_tcp_connect(&s->c->creq, &s->c->uv, (struct sockaddr *)&sa, on_connect);
	if (err) {
		mem_deref(s);
		return err;
	}
	tmr_start(&s->tmr, HANDSHAKE_MS);
	*sp = s;
	return 0;
}

/* --- about a stream */
void stream_set_cb(struct stream *s, stream_data_cb *datacb, stream_event_cb *eventcb, void *arg)
{
	s->datacb  = datacb;
	s->eventcb = eventcb;
	s->arg     = arg;
}

const char *stream_peer_name(const struct stream *s)
{
	return s->peer_name ? s->peer_name : "";
}

const char *stream_peer_addr(const struct stream *s)
{
	return s->peer_addr;
}
