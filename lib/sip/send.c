/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - a request on its way out: next hop (dest, else the first Route, else the R-URI), text, connection */
#include <errno.h>
#include "lib/sip/sip_priv.h"

static struct str first_route(const char *route)
{
	struct str rest = str_c(route), line = str_trim(str_cut(&rest, '\n'));

	str_cut(&line, ':');
	line.l = sip_find_outside(line, ",");
	return str_trim(line);
}

int sip_next_hop(const struct sip_req *r, struct str *host, uint16_t *port)
{
	struct sip_addr a;
	struct sip_uri u;
	int err;

	if (r->dest)
		return sip_hostport(str_c(r->dest), host, port) ? -EINVAL : 0;
	err = sip_addr_decode(&a, r->route && *r->route ? first_route(r->route) : str_c(r->ruri));
	if (!err)
		err = sip_uri_decode(&u, a.uri);
	if (err || !u.host.l)
		return -EINVAL;
	*host = u.host;
	*port = u.port;
	return 0;
}

void sip_make_branch(char branch[32])
{
	strcpy(branch, SIP_COOKIE);
	str_random_hex(branch + sizeof(SIP_COOKIE) - 1, 20);
}

int sip_encode(struct buf *b, const struct sip *s, const struct sip_req *r, const char *branch)
{
	return sip_encode_request(b, r, &(struct sip_via_prm){ s->name, s->port, branch }, s->name);
}

/* *cp is borrowed */
int sip_send(struct sip_conn **cp, struct sip *s, const struct sip_req *r, const struct buf *b)
{
	struct str host;
	uint16_t port;
	int err = sip_next_hop(r, &host, &port);

	if (!err)
		err = sip_conn_get(cp, s, host, port, str_c(r->call_id));
	if (!err)
		err = sip_conn_send(*cp, buf_view(b));
	if (err == -ENOTCONN) {                           /* just broke, its end is about to be told: a new one */
		sip_conn_retire(*cp);
		err = sip_conn_get(cp, s, host, port, str_c(r->call_id));
		if (!err)
			err = sip_conn_send(*cp, buf_view(b));
	}
	if (!err)
		sip_count(false, str_c(r->method), 0);
	return err;
}

int sip_send_once(struct sip *s, const struct sip_req *r, struct buf *b)
{
	struct sip_conn *c;
	char branch[32];
	int err;

	sip_make_branch(branch);
	err = sip_encode(b, s, r, branch);
	return err ? err : sip_send(&c, s, r, b);
}
