/* SPDX-License-Identifier: Apache-2.0 */
/* uri.c - SIP and tel URIs, name-addrs, parameter lists and Via values; pure, borrows from its input
 *
 * Input is one header value (or a piece of it) that a peer wrote; nothing here allocates or looks past `s.l`.
 */
#include <ctype.h>
#include <errno.h>
#include "lib/sip/sip_priv.h"

static struct str skip(struct str s, size_t n)
{
	return (struct str){ s.p + n, s.l - n };
}

/* Position of the first of `set` outside quotes and angle brackets; s.l when there is none. */
size_t sip_find_outside(struct str s, const char *set)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < s.l; i++) {
		char c = s.p[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (depth == 0 && c && strchr(set, c))
			return i;
		if (c == '"')
			quoted = true;
		else if (c == '<')
			depth++;
		else if (c == '>' && depth > 0)
			depth--;
	}
	return s.l;
}

/* --- parameters: a;b=c;d="e;f" */
static struct str next_param(struct str *rest)
{
	size_t n = sip_find_outside(*rest, ";");
	struct str one = { rest->p, n };

	*rest = n < rest->l ? skip(*rest, n + 1) : STR_NULL;
	return str_trim(one);
}

static struct str unquote(struct str v)
{
	if (v.l >= 2 && v.p[0] == '"' && v.p[v.l - 1] == '"')
		return (struct str){ v.p + 1, v.l - 2 };
	return v;
}

bool sip_param(struct str params, struct str name, struct str *value)
{
	while (params.l) {
		struct str v = next_param(&params);
		struct str n = str_trim(str_cut(&v, '='));

		if (!str_ieq(n, name) || !n.l)
			continue;
		if (value)                                /* valueless: empty, right behind the name */
			*value = v.p ? unquote(str_trim(v)) : (struct str){ n.p + n.l, 0 };
		return true;
	}
	return false;
}

/* --- URIs */
static bool host_ok(struct str h)
{
	if (!h.l || h.l > 255)
		return false;
	if (h.p[0] == '[') {
		if (h.l < 4 || h.p[h.l - 1] != ']')
			return false;
		for (size_t i = 1; i + 1 < h.l; i++)
			if (!isxdigit((unsigned char)h.p[i]) && h.p[i] != ':' && h.p[i] != '.')
				return false;
		return true;
	}
	for (size_t i = 0; i < h.l; i++)
		if (!isalnum((unsigned char)h.p[i]) && h.p[i] != '.' && h.p[i] != '-' && h.p[i] != '_')
			return false;
	return true;
}

/* host[:port] in front of ';', '?' or the end */
int sip_hostport(struct str s, struct str *host, uint16_t *port)
{
	size_t n = 0;
	uint64_t v = 0;

	if (s.l && s.p[0] == '[')
		while (n < s.l && s.p[n] != ']')
			n++;
	while (n < s.l && s.p[n] != ':')
		n++;
	host->p = s.p;
	host->l = n;
	*port   = 0;
	if (!host_ok(*host))
		return -EBADMSG;
	if (n == s.l)
		return 0;
	if (str_u64(skip(s, n + 1), &v) || v == 0 || v > 65535)
		return -EBADMSG;
	*port = (uint16_t)v;
	return 0;
}

static bool chars_ok(struct str s)
{
	for (size_t i = 0; i < s.l; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"')
			return false;
	return true;
}

static size_t find_any(struct str s, const char *set)
{
	size_t i = 0;

	while (i < s.l && !strchr(set, s.p[i]))          /* never NUL: chars_ok() went before */
		i++;
	return i;
}

static int decode_tel(struct sip_uri *u, struct str s)
{
	size_t n = find_any(s, ";?");

	u->user = (struct str){ s.p, n };
	if (!n)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)s.p[i]) && !strchr("+-.()*#", s.p[i]))
			return -EBADMSG;
	if (n < s.l)
		u->params = skip(s, n + 1);
	return 0;
}

int sip_uri_decode(struct sip_uri *out, struct str s)
{
	struct sip_uri u = { 0 };
	struct str rest = s;
	const char *at;
	size_t n;
	int err;

	if (!chars_ok(s) || !memchr(s.p ? s.p : "", ':', s.l))
		return -EBADMSG;
	u.scheme = str_cut(&rest, ':');
	if (str_ieq(u.scheme, STR("tel"))) {
		err = decode_tel(&u, rest);
		goto done;
	}
	if (!str_ieq(u.scheme, STR("sip")) && !str_ieq(u.scheme, STR("sips")))
		return -EBADMSG;
	at = rest.l ? memchr(rest.p, '@', rest.l) : NULL;
	if (at) {
		u.user = str_cut(&rest, '@');
		u.user = str_cut(&u.user, ':');           /* a password is nobody's business */
		if (!u.user.l)
			return -EBADMSG;
	}
	n   = find_any(rest, ";?");
	err = sip_hostport((struct str){ rest.p, n }, &u.host, &u.port);
	if (err)
		return err;
	rest = skip(rest, n);
	if (rest.l && rest.p[0] == ';') {
		n = find_any(rest, "?");
		u.params = (struct str){ rest.p + 1, n - 1 };
		rest = skip(rest, n);
	}
	if (rest.l)
		u.headers = skip(rest, 1);
done:
	if (!err)
		*out = u;
	return err;
}

bool sip_uri_param(const struct sip_uri *u, struct str name, struct str *value)
{
	return sip_param(u->params, name, value);
}

/* --- address of record: what two spellings of one user have in common (RFC 3261 19.1.4) */
struct out { char *p; size_t l, size; bool full; };

static void put(struct out *o, char c)
{
	if (o->l + 1 >= o->size) {
		o->full = true;
		return;
	}
	o->p[o->l++] = c;
}

static int hexval(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* %41 is A; escapes of anything but unreserved characters stay, in upper case */
static void put_user(struct out *o, struct str s)
{
	for (size_t i = 0; i < s.l; i++) {
		int hi = i + 2 < s.l && s.p[i] == '%' ? hexval(s.p[i + 1]) : -1;
		int lo = hi >= 0 ? hexval(s.p[i + 2]) : -1;
		char c;

		if (lo < 0) {
			put(o, s.p[i]);
			if (s.p[i] == '%') {              /* no escape: becomes one, else a second look sees another user */
				put(o, '2');
				put(o, '5');
			}
			continue;
		}
		c = (char)(hi << 4 | lo);
		if (c > 0 && (isalnum((unsigned char)c) || strchr("-_.!~*'()", c))) {
			put(o, c);
		} else {
			put(o, '%');
			put(o, (char)toupper((unsigned char)s.p[i + 1]));
			put(o, (char)toupper((unsigned char)s.p[i + 2]));
		}
		i += 2;
	}
}

static void put_lower(struct out *o, struct str s)
{
	for (size_t i = 0; i < s.l; i++)
		put(o, (char)tolower((unsigned char)s.p[i]));
}

struct str sip_uri_aor(struct str uri, char *out, size_t outsz)
{
	struct out o = { out, 0, outsz, outsz == 0 };
	struct sip_uri u;

	if (sip_uri_decode(&u, uri) || o.full)
		return STR_NULL;
	put_lower(&o, u.scheme);
	put(&o, ':');
	put_user(&o, u.user);
	if (u.user.l && u.host.l)
		put(&o, '@');
	put_lower(&o, u.host);
	if (o.full)
		return STR_NULL;
	out[o.l] = '\0';
	return (struct str){ out, o.l };
}

/* --- name-addr and addr-spec */
int sip_addr_decode(struct sip_addr *out, struct str s)
{
	struct sip_addr a = { 0 };
	const char *gt;
	size_t lt;

	s  = str_trim(s);
	/* '<' is the opening bracket of the URI unless it is quoted */
	lt = sip_find_outside(s, "<");
	if (lt == s.l) {
		size_t n = sip_find_outside(s, ";");

		a.uri = str_trim((struct str){ s.p, n });
		if (n < s.l)
			a.params = str_trim(skip(s, n + 1));
		if (!a.uri.l || !chars_ok(a.uri))
			return -EBADMSG;
		*out = a;
		return 0;
	}
	a.display = unquote(str_trim((struct str){ s.p, lt }));
	s  = skip(s, lt + 1);
	gt = s.l ? memchr(s.p, '>', s.l) : NULL;
	if (!gt)
		return -EBADMSG;
	a.uri = str_trim(str_cut(&s, '>'));
	s = str_trim(s);
	if (!a.uri.l || !chars_ok(a.uri) || (s.l && s.p[0] != ';'))
		return -EBADMSG;
	if (s.l)
		a.params = str_trim(skip(s, 1));
	*out = a;
	return 0;
}

/* --- Via: SIP / 2.0 / TLS host:port ; params */
int sip_via_decode(struct sip_via *out, struct str s)
{
	struct sip_via v = { 0 };
	size_t n = sip_find_outside(s, ";");
	struct str by = str_trim((struct str){ s.p, n }), proto;
	size_t sp = by.l;

	while (sp > 0 && by.p[sp - 1] != ' ' && by.p[sp - 1] != '\t')
		sp--;
	if (!sp)
		return -EBADMSG;
	proto = str_trim((struct str){ by.p, sp });
	if (!str_istarts(proto, STR("SIP")))
		return -EBADMSG;
	v.sent_by = skip(by, sp);
	if (sip_hostport(v.sent_by, &v.host, &v.port))
		return -EBADMSG;
	if (n < s.l)
		v.params = skip(s, n + 1);
	sip_param(v.params, STR("branch"), &v.branch);
	*out = v;
	return 0;
}
