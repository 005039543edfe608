/* SPDX-License-Identifier: Apache-2.0 */
/* http_priv.h - what the server and the client share */
#ifndef HTTP_HTTP_PRIV_H
#define HTTP_HTTP_PRIV_H
#include "lib/http/hmsg.h"
#include "lib/http/http.h"
#include "lib/tls/tls.h"

/* "https://192.0.2.1:5061/x", "http://[::1]/": a numeric address, default port by scheme. -EINVAL */
struct url {
	bool       tls;
	char       host[48];
	uint16_t   port;
	struct str authority;               /* for the Host header */
	struct str path;                    /* begins with '/' */
};
int url_decode(struct url *u, struct str s);

/* Printable ASCII, so that it cannot end a header. */
bool header_safe(struct str s);

int http_ctx(struct tls_ctx **cp, const struct http_tls *tls, const char *what);    /* NULL tls: nothing to do */
int http_ctx_reload(struct tls_ctx *c, const char *what);

#endif
