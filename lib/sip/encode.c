/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c - requests and responses as text
 *
 * A response is made of lines of its request (Via, Record-Route, From, To, Call-ID, CSeq, Timestamp) and of what the
 * user adds. Whatever the user hands over as a single value is refused when it holds a line end: nobody writes a
 * header by way of another one.
 */
#include <errno.h>
#include "lib/sip/sip_priv.h"

static bool one_line(const char *s)
{
	return !s || !strpbrk(s, "\r\n");
}

/* Nothing, or lines that each end with CRLF */
static bool whole_lines(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n == 0 || (n > 2 && strcmp(s + n - 2, "\r\n") == 0 && s[0] != '\r' && s[0] != '\n' && !strstr(s, "\r\n\r\n"));
}

static void put_body(struct buf *b, const char *ctype, struct str body)
{
	if (ctype && body.l)
		buf_printf(b, "Content-Type: %s\r\n", ctype);
	buf_printf(b, "Content-Length: %zu\r\n\r\n", body.l);
	buf_str(b, body);
}

static int finish(const struct buf *b)
{
	if (b->err)
		return b->err;
	if (b->l > SIP_MAX_SEND) {
		metric_inc(&sip_stats[SIP_TOO_LARGE]);
		return -EMSGSIZE;
	}
	return 0;
}

int sip_encode_request(struct buf *b, const struct sip_req *r, const struct sip_via_prm *via, const char *agent)
{
	const char *one[] = { r->method, r->ruri, r->from, r->to, r->call_id, r->ctype };

	for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++)
		if ((i < 5 && (!one[i] || !*one[i])) || !one_line(one[i]))
			return -EINVAL;
	if (!whole_lines(r->route) || !whole_lines(r->hdrs) || strpbrk(r->method, " \t") || strpbrk(r->ruri, " \t"))
		return -EINVAL;
	buf_printf(b, "%s %s SIP/2.0\r\nVia: SIP/2.0/TLS %s:%u;branch=%s;rport\r\nMax-Forwards: 70\r\n", r->method, r->ruri,
		   via->host, via->port, via->branch);
	buf_puts(b, r->route ? r->route : "");
	buf_printf(b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", r->from, r->to, r->call_id, r->cseq, r->method);
	if (agent)
		buf_printf(b, "User-Agent: %s\r\n", agent);
	buf_puts(b, r->hdrs ? r->hdrs : "");
	put_body(b, r->ctype, r->body);
	return finish(b);
}

/* --- responses */
bool sip_addr_split(const char *addr, struct str *host, uint16_t *port)
{
	return !sip_hostport(str_c(addr), host, port) && *port;
}

static struct str bare(struct str host)
{
	return host.l > 2 && host.p[0] == '[' ? (struct str){ host.p + 1, host.l - 2 } : host;
}

/* The topmost Via says where the request really came from (RFC 3261 18.2.1, RFC 3581). */
static void put_top_via(struct buf *b, const struct sip_msg *req, const char *peer_addr)
{
	struct str line = sip_msg_line(req, "Via", 0), top = { line.p, sip_find_outside(line, ",") }, host, v;
	struct sip_via via;
	uint16_t port;

	top = str_trim(top);
	if (sip_via_decode(&via, top) || !peer_addr || !sip_addr_split(peer_addr, &host, &port)) {
		buf_printf(b, "Via: " STR_FMT "\r\n", STR_ARG(line));
		return;
	}
	if (sip_param(via.params, STR("rport"), &v) && !v.l && v.p[-1] != '=')
		buf_printf(b, "Via: " STR_FMT "=%u" STR_FMT, (int)(v.p - top.p), top.p, port, (int)(top.p + top.l - v.p), v.p);
	else
		buf_printf(b, "Via: " STR_FMT, STR_ARG(top));
	if (!str_ieq(via.host, host) && !sip_param(via.params, STR("received"), NULL))
		buf_printf(b, ";received=" STR_FMT, STR_ARG(bare(host)));
	buf_write(b, top.p + top.l, (size_t)(line.p + line.l - top.p) - top.l);
	buf_puts(b, "\r\n");
}

static void put_lines(struct buf *b, const struct sip_msg *req, const char *name, unsigned from)
{
	struct str v;

	for (unsigned i = from; (v = sip_msg_line(req, name, i)).p; i++)
		buf_printf(b, "%s: " STR_FMT "\r\n", name, STR_ARG(v));
}

static bool forms_dialog(const struct sip_msg *req, int code)
{
	static const struct str methods[] = { STR("INVITE"), STR("SUBSCRIBE"), STR("REFER") };

	for (size_t i = 0; code > 100 && code < 300 && i < sizeof(methods) / sizeof(methods[0]); i++)
		if (str_eq(sip_msg_method(req), methods[i]))
			return true;
	return false;
}

int sip_encode_reply(struct buf *b, const struct sip_msg *req, const struct sip_reply *r, const char *to_tag,
		     const char *peer_addr, const char *agent)
{
	if (r->code < 100 || r->code > 699 || !one_line(r->reason) || !one_line(r->ctype) || !one_line(to_tag) ||
	    !whole_lines(r->hdrs))
		return -EINVAL;
	buf_printf(b, "SIP/2.0 %d %s\r\n", r->code, r->reason ? r->reason : sip_reason(r->code));
	put_top_via(b, req, peer_addr);
	put_lines(b, req, "Via", 1);
	if (forms_dialog(req, r->code))
		put_lines(b, req, "Record-Route", 0);
	put_lines(b, req, "From", 0);
	buf_printf(b, "To: " STR_FMT, STR_ARG(sip_msg_line(req, "To", 0)));
	if (to_tag && r->code > 100 && !sip_msg_to_tag(req).l)
		buf_printf(b, ";tag=%s", to_tag);
	buf_puts(b, "\r\n");
	put_lines(b, req, "Call-ID", 0);
	put_lines(b, req, "CSeq", 0);
	put_lines(b, req, "Timestamp", 0);
	if (agent)
		buf_printf(b, "Server: %s\r\n", agent);
	buf_puts(b, r->hdrs ? r->hdrs : "");
	put_body(b, r->ctype, r->body);
	return finish(b);
}
