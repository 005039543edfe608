/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - mutual-TLS connections: bytes in, whole messages out
 *
 * on_data -> (rest of last time + data) -> keep-alives answered -> sip_frame() -> sip_receive(), one message at a
 * time. An accepted connection carries the answers to what came in on it; requests of ours take an opened one, found
 * by "host:port#slot" and opened when there is none. A server behind an edge gets a few connections (SLOTS), because
 * a Kamailio worker reads a connection alone; the Call-ID picks one, so a dialog's requests stay in order.
 * A message that cannot be read costs an answer; a stream whose framing is lost costs the connection.
 */
#include <errno.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/sip/sip_priv.h"

#define SLOTS       4u
#define CONNECT_MS  3000u
#define MAX_QUEUE   (64u * 1024 * 1024)        /* a document to 5,000 subscribers leaves in one turn */

void sip_conn_retire(struct sip_conn *c)
{
	if (!c->key || !c->sip)
		return;
	HASH_DEL(c->sip->opened, c);
	c->key = mem_deref(c->key);
}

static void forget(struct sip_conn *c)
{
	if (!c->sip)
		return;
	wheel_stop(c->sip->wheel, &c->tmr);
	LIST_REMOVE(c, le);
	sip_conn_retire(c);
	metric_add(&sip_stats[SIP_CONNS], -1);
	c->sip = NULL;
}

static void destructor(void *arg)
{
	struct sip_conn *c = arg;

	forget(c);
	if (c->st) {
		stream_set_cb(c->st, NULL, NULL, NULL);
		mem_deref(c->st);
	}
	buf_fini(&c->rx);
	mem_deref(c->key);
}

/* The list's reference ends here; callers that go on with c hold one of their own. */
void sip_conn_close(struct sip_conn *c, int err)
{
	struct stream *st = c->st;

	if (!c->sip)
		return;
	mem_ref(c);
	c->st = NULL;
	forget(c);
	if (st) {
		stream_set_cb(st, NULL, NULL, NULL);
		stream_close(st);
		mem_deref(st);
	}
	mem_deref(c);                                     /* the list's */
	sip_ct_conn_closed(c, err ? err : -ECONNRESET);
	mem_deref(c);
}

const char *sip_conn_addr(const struct sip_conn *c)
{
	return c->st ? stream_peer_addr(c->st) : NULL;
}

/* --- bytes in */
static struct str eat_keepalive(struct sip_conn *c, struct str s)
{
	bool pong = false;

	while (s.l >= 2 && s.p[0] == '\r' && s.p[1] == '\n') {
		if (s.l >= 4 && s.p[2] == '\r' && s.p[3] == '\n') {
			pong = true;
			s = (struct str){ s.p + 2, s.l - 2 };
		}
		s = (struct str){ s.p + 2, s.l - 2 };
	}
	if (pong && c->st)
		stream_send(c->st, STR("\r\n"));
	return s;
}

/* Takes whole messages off the front; what stays is the beginning of the next one. */
static struct str take_messages(struct sip_conn *c, struct str s)
{
	while (c->sip && s.l) {
		long n;

		s = eat_keepalive(c, s);
		if (!s.l || (s.l == 1 && s.p[0] == '\r'))
			break;
		n = sip_frame(s, &c->need);
		if (n == 0)
			break;
		if (n < 0) {
			metric_inc(&sip_stats[SIP_PARSE_ERRORS]);
			log_warn(sip, "%s: stream cannot be framed (%s), closing", sip_conn_addr(c),
				 n == -EMSGSIZE ? "message too large" : "not SIP");
			sip_refuse(c, s);
			sip_conn_close(c, (int)n);
			return STR_NULL;
		}
		sip_receive(c, (struct str){ s.p, (size_t)n });
		s = (struct str){ s.p + n, s.l - (size_t)n };
		c->need = 0;
	}
	return c->sip ? s : STR_NULL;
}

static void on_data(struct stream *st, struct str data, void *arg)
{
	struct sip_conn *c = mem_ref(arg);
	struct str rest;

	(void)st;
	c->rx_ms = wheel_now(c->sip->wheel);
	if (!c->rx.l) {                                   /* the usual case: nothing is copied before decoding */
		rest = take_messages(c, data);
		if (rest.l)
			buf_write(&c->rx, rest.p, rest.l);
	} else {
		buf_write(&c->rx, data.p, data.l);
		if (c->rx.l >= c->need && !c->rx.err) {
			rest = take_messages(c, buf_view(&c->rx));
			buf_skip(&c->rx, c->rx.l - rest.l);
		}
	}
	if (c->rx.err)
		sip_conn_close(c, c->rx.err);
	else if (!c->rx.l)
		buf_fini(&c->rx);                         /* an idle connection holds no buffer */
	mem_deref(c);
}

static void on_event(struct stream *st, enum stream_event ev, int err, void *arg)
{
	struct sip_conn *c = arg;

	(void)st;
	if (ev == STREAM_OPEN) {
		c->open = true;
		wheel_stop(c->sip->wheel, &c->tmr);
		log_debug(sip, "%s: connected", sip_conn_addr(c));
		return;
	}
	if (!c->open || (err && err != -ECONNRESET)) {
		metric_inc(&sip_stats[SIP_CONN_ERRORS]);
		log_warn(sip, "%s: connection %s: %s", sip_conn_addr(c), c->open ? "lost" : "failed",
			 strerror(err ? -err : ECONNRESET));
	}
	sip_conn_close(c, err);
}

static void on_connect_timeout(void *arg)
{
	struct sip_conn *c = arg;

	metric_inc(&sip_stats[SIP_CONN_ERRORS]);
	log_warn(sip, "%s: no connection within %u ms", sip_conn_addr(c), CONNECT_MS);
	sip_conn_close(c, -ETIMEDOUT);
}

/* --- connections */
static struct sip_conn *new_conn(struct sip *s)
{
	struct sip_conn *c = mem_zalloc(sizeof(*c), destructor);

	if (!c)
		return NULL;
	buf_init(&c->rx, 2 * SIP_MAX_MSG);
	c->tmr.cb  = on_connect_timeout;
	c->tmr.arg = c;
	c->rx_ms   = wheel_now(s->wheel);
	LIST_INIT(&c->cts);
	return c;
}

static void enter(struct sip *s, struct sip_conn *c)
{
	c->sip = s;
	LIST_INSERT_HEAD(&s->conns, c, le);
	if (c->key)
		HASH_ADD_KEYPTR(hh, s->opened, c->key, strlen(c->key), c);
	metric_add(&sip_stats[SIP_CONNS], 1);
}

int sip_conn_accept(struct sip *s, struct stream *st)
{
	struct sip_conn *c = new_conn(s);

	if (!c)
		return -ENOMEM;
	c->st   = st;                                     /* the listener's reference is ours now */
	c->open = true;
	stream_set_cb(st, on_data, on_event, c);
	enter(s, c);
	log_debug(sip, "%s: accepted, peer %s", sip_conn_addr(c), stream_peer_name(st));
	return 0;
}

static unsigned slot_of(struct str call_id)
{
	unsigned h = 5381;

	for (size_t i = 0; i < call_id.l; i++)
		h = h * 33 + (unsigned char)call_id.p[i];
	return (h >> 4) % SLOTS;
}

static int open_conn(struct sip_conn **cp, struct sip *s, const char *key, const char *host, uint16_t port)
{
	struct sip_conn *c = new_conn(s);
	struct stream_prm prm = {
		.loop = s->loop, .tls = s->client_tls, .datacb = on_data, .eventcb = on_event, .arg = c,
		.max_queue = MAX_QUEUE,
	};
	int err = -ENOMEM;

	if (!c)
		return err;
	c->key = str_dup(str_c(key));
	if (!c->key)
		goto out;
	err = stream_connect(&c->st, &prm, host, port);
	if (err)
		goto out;
	enter(s, c);
	wheel_start(s->wheel, &c->tmr, CONNECT_MS);
	*cp = c;
out:
	if (err)
		mem_deref(c);
	return err;
}

int sip_conn_get(struct sip_conn **cp, struct sip *s, struct str host, uint16_t port, struct str call_id)
{
	char key[320], name[256];
	struct sip_conn *c;

	if (host.l > 2 && host.p[0] == '[')
		host = (struct str){ host.p + 1, host.l - 2 };
	if (!host.l || host.l >= sizeof(name))
		return -EINVAL;
	snprintf(name, sizeof(name), STR_FMT, STR_ARG(host));
	snprintf(key, sizeof(key), strchr(name, ':') ? "[%s]:%u#%u" : "%s:%u#%u", name, port ? port : SIP_TLS_PORT,
		 slot_of(call_id));
	HASH_FIND_STR(s->opened, key, c);
	if (c) {
		*cp = c;
		return 0;
	}
	return open_conn(cp, s, key, name, port ? port : SIP_TLS_PORT);
}

int sip_conn_send(struct sip_conn *c, struct str data)
{
	return c->st ? stream_send(c->st, data) : -ENOTCONN;
}
