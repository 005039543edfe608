/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS contexts and streams (TCP with or without TLS) on the loop: the only caller of OpenSSL's SSL API
 *
 * Between servers TLS is mutual: both sides present a certificate of the private CA and each checks the DNS name
 * (subjectAltName) of the other against the role it expects.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H
#include <stddef.h>
#include <stdint.h>
#include "lib/base/str.h"
#include "lib/ev/ev.h"

struct tls_ctx;
struct tls_prm {
	const char *cert_file, *key_file;      /* our certificate chain (PEM) and key */
	const char *ca_file;                   /* roots that may sign peers (PEM) */
	const char *peer_names;                /* comma-separated DNS names a peer may have (any one); NULL: any */
	bool        mutual;                    /* server side: a client without certificate is refused */
};
int tls_ctx_alloc(struct tls_ctx **cp, const struct tls_prm *prm, char *err, size_t errsz);
int tls_ctx_reload(struct tls_ctx *c, char *err, size_t errsz);    /* files again; live streams keep theirs */

/* --- stream: one connection. Callbacks come on the loop's thread and may drop the stream. */
struct stream;
enum stream_event { STREAM_OPEN, STREAM_CLOSED };          /* OPEN: handshake done and peer checked */
typedef void (stream_data_cb)(struct stream *s, struct str data, void *arg);
typedef void (stream_event_cb)(struct stream *s, enum stream_event ev, int err, void *arg);
struct stream_prm {
	struct ev_loop  *loop;
	struct tls_ctx  *tls;                  /* NULL: plain TCP */
	stream_data_cb  *datacb;
	stream_event_cb *eventcb;              /* CLOSED comes once, also when connecting failed; err says why:
						  0 the peer ended it, -EACCES a certificate was refused, by us or by the
						  peer (under TLS 1.3 that may come after OPEN), -EPROTO not TLS, -ETIMEDOUT,
						  -ENOBUFS, or as the system says */
	void            *arg;
	size_t           max_queue;            /* unsent bytes before -ENOBUFS and close; 0: 4 MiB */
};
/* host: numeric IPv4 or IPv6 */
int  stream_connect(struct stream **sp, const struct stream_prm *prm, const char *host, uint16_t port);
int  stream_send(struct stream *s, struct str data);       /* copies; -ENOBUFS, -ENOTCONN; queued while connecting */
void stream_close(struct stream *s);                       /* flushes what is queued, then closes; no more callbacks */
const char *stream_peer_name(const struct stream *s);      /* the peer certificate's first DNS name, or "" */
const char *stream_peer_addr(const struct stream *s);      /* "192.0.2.1:5061", "[2001:db8::1]:5061" */
void stream_set_cb(struct stream *s, stream_data_cb *datacb, stream_event_cb *eventcb, void *arg);

struct listener;
typedef void (accept_cb)(struct stream *s, void *arg);     /* handshake done; arg's owner takes the reference to s
							      and must call stream_set_cb() */
struct listener_prm {
	struct ev_loop *loop;
	struct tls_ctx *tls;
	const char     *bind;
	uint16_t        port;                  /* 0: any free one, see listener_port() */
	accept_cb      *acceptcb;
	void           *arg;
	unsigned        max_streams;           /* open at once, handshakes included; 0: 4096 */
};
int      listener_alloc(struct listener **lp, const struct listener_prm *prm);   /* mem_deref() closes it */
uint16_t listener_port(const struct listener *l);

#endif
