/* SPDX-License-Identifier: Apache-2.0 */
/* common.c - URLs, header values and TLS contexts of server and client */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/http/http_priv.h"

bool header_safe(struct str s)
{
	for (size_t i = 0; i < s.l; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static int split_port(struct str *host, struct str *port, struct str authority)
{
	const char *end;

	*host = authority;
	*port = STR_NULL;
	if (authority.l && authority.p[0] == '[') {
		end = memchr(authority.p, ']', authority.l);
		if (!end)
			return -EINVAL;
		*host = (struct str){ authority.p + 1, (size_t)(end - authority.p) - 1 };
		*port = (struct str){ end + 1, authority.l - host->l - 2 };
		if (!port->l)
			*port = STR_NULL;
		else if (*port->p == ':')
			str_cut(port, ':');
		else
			return -EINVAL;
	} else {
		*host = str_cut(&authority, ':');
		*port = authority;
	}
	return 0;
}

int url_decode(struct url *u, struct str s)
{
	struct str host, port;
	struct in6_addr a;
	uint64_t n;
	size_t skip;
	const char *slash;

	u->tls = str_istarts(s, STR("https://"));
	if (!u->tls && !str_istarts(s, STR("http://")))
		return -EINVAL;
	skip = u->tls ? 8 : 7;
	s = (struct str){ s.p + skip, s.l - skip };
	if (!header_safe(s) || memchr(s.p, ' ', s.l) || memchr(s.p, '#', s.l))
		return -EINVAL;
	slash = memchr(s.p, '/', s.l);
	u->authority = (struct str){ s.p, slash ? (size_t)(slash - s.p) : s.l };
	u->path      = slash ? (struct str){ slash, s.l - u->authority.l } : STR("/");
	if (split_port(&host, &port, u->authority) || host.l >= sizeof(u->host))
		return -EINVAL;
	memcpy(u->host, host.p, host.l);
	u->host[host.l] = '\0';
	if (inet_pton(AF_INET, u->host, &a) != 1 && inet_pton(AF_INET6, u->host, &a) != 1)
		return -EINVAL;
	n = u->tls ? 443 : 80;
	if (port.p && (str_u64(port, &n) || !n || n > 65535))
		return -EINVAL;
	u->port = (uint16_t)n;
	return 0;
}

int http_ctx(struct tls_ctx **cp, const struct http_tls *tls, const char *what)
{
	struct tls_prm p = { .mutual = true };
	char why[256];
	int err;

	if (!tls)
		return 0;
	p.cert_file  = tls->cert_file;
	p.key_file   = tls->key_file;
	p.ca_file    = tls->ca_file;
	p.peer_names = tls->peer_names;
	p.mutual     = !tls->open;
	if (tls->open)
		p.peer_names = p.ca_file = NULL;
	if (!tls->open && !p.peer_names) {
		log_error(http, "%s: the names of the peers are not given", what);
		return -EINVAL;
	}
	err = tls_ctx_alloc(cp, &p, why, sizeof(why));
	if (err)
		log_error(http, "%s: %s", what, why);
	return err;
}

int http_ctx_reload(struct tls_ctx *c, const char *what)
{
	char why[256] = "";
	int err = c ? tls_ctx_reload(c, why, sizeof(why)) : 0;

	if (err)
		log_error(http, "%s: the old certificates stay: %s", what, why);
	return err;
}
