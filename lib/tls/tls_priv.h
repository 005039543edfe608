/* SPDX-License-Identifier: Apache-2.0 */
/* tls_priv.h - what the files of lib/tls share: contexts and streams from the inside */
#ifndef TLS_TLS_PRIV_H
#define TLS_TLS_PRIV_H
#include <openssl/ssl.h>
#include <uv.h>
#include "lib/base/buf.h"
#include "lib/tls/tls.h"

/* --- handshakes by result: ctx.c */
enum hs_result {
	HS_OK, HS_NAME, HS_UNTRUSTED, HS_EXPIRED, HS_NO_CERT, HS_REFUSED, HS_PROTOCOL, HS_TIMEOUT, HS_CLOSED, HS_LIMIT,
	HS_NRESULTS
};
void           hs_count(enum hs_result r);
const char    *hs_name(enum hs_result r);
enum hs_result hs_result(SSL *ssl);                      /* after a handshake that failed */
int            tls_errno(void);                          /* of OpenSSL's last error: -EACCES (an alert), -EPROTO */

/* An SSL over two memory BIOs, or NULL. */
SSL  *tls_ssl(struct tls_ctx *c, bool server);
char *tls_peer_name(SSL *ssl);                           /* first DNS name, new reference; NULL: none */

/* --- stream.c, flush.c */
enum { FLUSH_MS = 5000 };                   /* a closing stream gives up when nothing is written for that long */
enum state {
	ST_CONNECTING,
	ST_HANDSHAKE,
	ST_OPEN,
	ST_FAILED,                          /* CLOSED is still to be told: by the timer, never from within a call */
	ST_LINGER,                          /* all is sent, FIN too: until the peer ends, or the timer */
	ST_CLOSED,
};

/* The libuv side of a stream; lives until its close callback. */
struct conn {
	uv_tcp_t      uv;
	uv_connect_t  creq;
	uv_shutdown_t sreq;
	struct stream *s;                   /* NULL when the stream is gone or closed */
};

struct count { unsigned n; };               /* streams of a listener; may outlive it */

struct stream {
	enum state       state;
	bool             closing;           /* stream_close(): flush, then end; holds a reference to itself */
	bool             writing;           /* one uv_write() under way, of `inflight` bytes */
	int              err;               /* ST_FAILED: why */
	struct ev_loop  *loop;              /* reference, not while closing */
	struct conn     *c;
	struct tls_ctx  *tls;
	SSL             *ssl;
	struct buf       out;               /* not encrypted yet; sent up to out_off */
	size_t           out_off, inflight, max_queue;
	struct ev_task   flush, end;        /* end of this turn, end of the loop */
	struct tmr       tmr;               /* handshake, ST_FAILED, closing */
	stream_data_cb  *datacb;
	stream_event_cb *eventcb;
	void            *arg;
	struct listener *listener;          /* while its handshake runs: told by listener_done() */
	struct stream   *next, **prev;      /* listener's handshakes */
	struct count    *count;
	char            *peer_name;
	char             peer_addr[64];
};

int  stream_new(struct stream **sp, struct ev_loop *l, struct tls_ctx *tls, size_t max_queue);
int  stream_accept(struct stream *s, uv_stream_t *server, bool *open);  /* open: no handshake to wait for */
void stream_fail(struct stream *s, int err);             /* ends it and tells; s may be gone afterwards */
void stream_fail_later(struct stream *s, int err);
void stream_finish(struct stream *s);                    /* closing, and all is sent */
void stream_flush(void *arg);                            /* task: encrypts and writes what is queued */
int  stream_push(struct stream *s);                      /* what OpenSSL wants to say by itself */

/* --- listener.c: the handshake of an accepted stream ended; s may be gone afterwards */
void listener_done(struct stream *s, int err);
void listener_forget(struct stream *s);

#endif
