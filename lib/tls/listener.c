/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - accepts connections and hands out streams whose handshake is done
 *
 * Until then a stream stands in the listener's list, which owns it; so a listener that ends takes its handshakes with it, and
 * streams handed out before are not touched.
 */
#include <errno.h>
#include <netinet/in.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/tls/tls_priv.h"

enum { BACKLOG = 1024, MAX_STREAMS = 4096, RETRY_MS = 100 };

struct listener_uv { uv_tcp_t uv; struct listener *l; };         /* until its close callback */

struct listener {
	struct ev_loop     *loop;
	struct tls_ctx     *tls;
	struct listener_uv *h;
	struct tmr          retry;
	struct stream      *handshakes;
	struct count       *count;
	unsigned            max_streams;
	accept_cb          *acceptcb;
	void               *arg;
	uint16_t            port;
};

static void on_closed(uv_handle_t *h)
{
	mem_deref(h->data);
}

static void destructor(void *arg)
{
	struct listener *l = arg;

	while (l->handshakes)
		mem_deref(l->handshakes);
	tmr_fini(&l->retry);
	if (l->h) {
		l->h->l = NULL;
		uv_close((uv_handle_t *)&l->h->uv, on_closed);
	}
	mem_deref(l->count);
	mem_deref(l->tls);
	mem_deref(l->loop);
}

void listener_forget(struct stream *s)
{
	if (!s->listener)
		return;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->listener = NULL;
}

void listener_done(struct stream *s, int err)
{
	struct listener *l = s->listener;

	listener_forget(s);
	if (err)
		mem_deref(s);
	else
		l->acceptcb(s, l->arg);
}

static void watch(struct listener *l, struct stream *s)
{
	s->listener = l;
	s->next = l->handshakes;
	s->prev = &l->handshakes;
	if (s->next)
		s->next->prev = &s->next;
	l->handshakes = s;
}

/* Accepting is the only way to get rid of a connection, so a stream is made even when it is then dropped. libuv waits for the
 * uv_accept() of each, so without memory for that it is tried again.
 */
static void on_connection(uv_stream_t *server, int status)
{
	struct listener_uv *h = server->data;
	struct listener *l = h->l;
	struct stream *s;
	bool open;
	int err = status;

	if (!l)
		return;
	if (!err)
		err = stream_new(&s, l->loop, l->tls, 0);
	if (err) {
		log_warn(tls, "port %u: cannot accept: %s", l->port, uv_strerror(err));
		tmr_start(&l->retry, RETRY_MS);
		return;
	}
	err = stream_accept(s, server, &open);
	if (!err && l->count->n >= l->max_streams) {
		hs_count(HS_LIMIT);
		log_warn(tls, "%s: refused, %u streams are open on port %u", s->peer_addr, l->count->n, l->port);
		err = -ENOBUFS;
	}
	if (err) {
		mem_deref(s);
		return;
	}
	s->count = mem_ref(l->count);
	s->count->n++;
	watch(l, s);
	if (open)
		listener_done(s, 0);
}

static void on_retry(void *arg)
{
	struct listener *l = arg;

	on_connection((uv_stream_t *)&l->h->uv, 0);
}

static int bind_to(struct listener *l, const char *host, uint16_t port)
{
	struct sockaddr_storage sa = { 0 };
	int len = sizeof(sa), err;

	err = uv_ip4_addr(host, port, (struct sockaddr_in *)&sa);
	if (err)
		err = uv_ip6_addr(host, port, (struct sockaddr_in6 *)&sa);
	if (!err)
		err = uv_tcp_bind(&l->h->uv, (struct sockaddr *)&sa, 0);
	if (!err)
		err = uv_listen((uv_stream_t *)&l->h->uv, BACKLOG, on_connection);
	if (!err)
		err = uv_tcp_getsockname(&l->h->uv, (struct sockaddr *)&sa, &len);
	if (err)
		return err;
	l->port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
						 : ((struct sockaddr_in *)&sa)->sin_port);
	return 0;
}

static int open_handle(struct listener *l)
{
	int err;

	l->h = mem_zalloc(sizeof(*l->h), NULL);
	if (!l->h)
		return -ENOMEM;
	err = uv_tcp_init(ev_loop_uv(l->loop), &l->h->uv);
	if (err) {
		l->h = mem_deref(l->h);
		return err;
	}
	l->h->l = l;
	l->h->uv.data = l->h;
	return 0;
}

int listener_alloc(struct listener **lp, const struct listener_prm *prm)
{
	struct listener *l = mem_zalloc(sizeof(*l), destructor);
	int err = -ENOMEM;

	if (!l)
		return err;
	l->loop = mem_ref(prm->loop);
	l->tls  = mem_ref(prm->tls);
	l->acceptcb    = prm->acceptcb;
	l->arg         = prm->arg;
	l->max_streams = prm->max_streams ? prm->max_streams : MAX_STREAMS;
	l->count = mem_zalloc(sizeof(*l->count), NULL);
	if (!l->count)
		goto out;
	err = tmr_init(&l->retry, l->loop, on_retry, l);
	if (!err)
		err = open_handle(l);
	if (!err)
		err = bind_to(l, prm->bind, prm->port);
	if (!err)
		*lp = l;
out:
	if (err)
		mem_deref(l);
	return err;
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}
