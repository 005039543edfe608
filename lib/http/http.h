/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - HTTP/1.1 server and client on the daemon's loop, over the streams of lib/tls
 *
 * Between servers TLS is mutual, names are checked both ways (see lib/tls); a server without `tls` speaks plain HTTP
 * (metrics on loopback). Bodies are bounded; a larger one is answered 413. One request at a time on a connection.
 * The framing is ours and small: libwebsockets 4.1.6 loses, without an error, what waits for a kept client connection when the
 * server closes that, and has one such connection per host.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H
#include "lib/base/str.h"
#include "lib/ev/ev.h"

struct http_tls {
	const char *cert_file, *key_file, *ca_file;
	const char *peer_names;              /* comma-separated DNS names accepted; required in both roles */
	bool        open;                    /* a server whose clients show no certificate: they authenticate otherwise */
};

struct http_srv;
struct http_req;                             /* one request being served; mem_ref() to answer later */
typedef void (http_req_cb)(struct http_req *rq, void *arg);
struct http_srv_prm {
	struct ev_loop        *loop;
	const char            *bind;
	uint16_t               port;         /* 0: any free one */
	const struct http_tls *tls;          /* NULL: plain */
	size_t                 max_body;     /* 0: 1 MiB */
	http_req_cb           *reqcb;        /* the whole request is there; answer now or later, once */
	void                  *arg;
};
int        http_srv_alloc(struct http_srv **sp, const struct http_srv_prm *prm);
int        http_srv_reload(struct http_srv *s);              /* certificates again; a failure is logged, the old ones stay */
uint16_t   http_srv_port(const struct http_srv *s);
struct str http_req_method(const struct http_req *rq);
struct str http_req_path(const struct http_req *rq);
struct str http_req_body(const struct http_req *rq);
struct str http_req_ctype(const struct http_req *rq);
const char *http_req_peer(const struct http_req *rq);       /* first DNS name of the client certificate, or "" */
const char *http_req_addr(const struct http_req *rq);       /* "192.0.2.1:40001": where it came from */
struct str http_req_authorization(const struct http_req *rq);   /* that header, "" when absent */
/* hdrs: complete extra header lines, each ended by CRLF */
int        http_reply_hdrs(struct http_req *rq, int status, const char *hdrs, const char *ctype, struct str body);
int        http_reply(struct http_req *rq, int status, const char *ctype, struct str body);
/* A connection that ends before its answer is fine: http_reply() then does nothing. A request let go of without an answer
 * is answered 500. */

struct http_cli;
typedef void (http_resp_cb)(int err, int status, struct str body, void *arg);   /* err: -ETIMEDOUT, -ECONNREFUSED, ... */
struct http_cli_prm {
	struct ev_loop        *loop;
	const struct http_tls *tls;          /* NULL: plain */
	unsigned               max_conns;    /* per host; 0: 4 */
};
struct http_call;
int  http_cli_alloc(struct http_cli **cp, const struct http_cli_prm *prm);
int  http_cli_reload(struct http_cli *c);                    /* certificates again, for new connections */
/* POST with keep-alive; at most max_conns requests per host run at once, the rest wait in order. body is copied.
 * callp may be NULL; mem_deref(call) silences the callback (the request still goes out), before the callback and after it.
 * timeout_ms counts from the call. The URL has a numeric address. The callback comes once, from the loop, if 0 is returned.
 * Nothing is sent twice: -ECONNRESET leaves open whether the server has acted. */
int  http_post(struct http_cli *c, struct http_call **callp, const char *url, const char *ctype, struct str body,
	       uint64_t timeout_ms, http_resp_cb *cb, void *arg);

#endif
