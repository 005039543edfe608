/* SPDX-License-Identifier: Apache-2.0 */
/* mime.c - content types and multipart bodies, see mime.h
 *
 * A delimiter is a line "--boundary", the end one "--boundary--"; the line break before it belongs to it. Lone line
 * feeds are taken as line ends, because some clients write them.
 */
#include <errno.h>
#include <stdio.h>
#include "mcu/chat/mime.h"

#define MAX_BOUNDARY 70u

struct str mime_type(struct str ctype)
{
	return str_trim(str_cut(&ctype, ';'));
}

bool mime_is(struct str ctype, const char *type)
{
	return str_ieq(mime_type(ctype), str_c(type));
}

bool mime_is_multipart(struct str ctype)
{
	return str_istarts(mime_type(ctype), STR("multipart/"));
}

/* Takes one parameter off *rest; a ';' between quotes does not end it. */
static struct str next_param(struct str *rest)
{
	struct str out = *rest;
	bool quoted = false;
	size_t i;

	if (str_empty(*rest))
		return out;
	for (i = 0; i < rest->l; i++) {
		if (quoted && rest->p[i] == '\\' && i + 1 < rest->l)
			i++;
		else if (rest->p[i] == '"')
			quoted = !quoted;
		else if (rest->p[i] == ';' && !quoted)
			break;
	}
	out.l = i < rest->l ? i : rest->l;
	i = i < rest->l ? i + 1 : rest->l;
	rest->p += i;
	rest->l -= i;
	return str_trim(out);
}

struct str mime_param(struct str ctype, struct str name)
{
	next_param(&ctype);
	while (!str_empty(ctype)) {
		struct str v = next_param(&ctype), key = str_trim(str_cut(&v, '='));

		v = str_trim(v);
		if (!str_ieq(key, name))
			continue;
		if (v.l >= 2 && v.p[0] == '"' && v.p[v.l - 1] == '"')
			return (struct str){ v.p + 1, v.l - 2 };
		return v;
	}
	return STR_NULL;
}

/* --- accept lists */

static bool is_sep(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n';
}

void mime_accept_decode(struct mime_accept *a, struct str list)
{
	size_t i = 0;

	a->n = 0;
	while (i < list.l && a->n < MIME_MAX_ACCEPT) {
		size_t at = i;

		while (i < list.l && !is_sep(list.p[i]))
			i++;
		if (i > at && i - at < MIME_MAX_TYPE)
			snprintf(a->types[a->n++], MIME_MAX_TYPE, "%.*s", (int)(i - at), list.p + at);
		i += i < list.l;
	}
}

static bool covers(struct str range, struct str type)
{
	if (str_eq(range, STR("*")) || str_eq(range, STR("*/*")))
		return true;
	if (range.l > 2 && range.p[range.l - 1] == '*' && range.p[range.l - 2] == '/')
		return str_istarts(type, (struct str){ range.p, range.l - 1 });
	return str_ieq(range, type);
}

bool mime_accepts(const struct mime_accept *a, struct str ctype)
{
	struct str type = mime_type(ctype);

	for (unsigned i = 0; i < a->n; i++)
		if (covers(str_c(a->types[i]), type))
			return true;
	return false;
}

/* --- multipart */

static struct str take_line(struct str *rest)
{
	struct str line = str_cut(rest, '\n');

	if (line.l && line.p[line.l - 1] == '\r')
		line.l--;
	return line;
}

enum delim { NOT_DELIM, DELIM, LAST_DELIM };

static enum delim delim_of(struct str line, struct str boundary)
{
	struct str rest;

	if (line.l < boundary.l + 2 || memcmp(line.p, "--", 2) || memcmp(line.p + 2, boundary.p, boundary.l))
		return NOT_DELIM;
	rest = str_trim((struct str){ line.p + 2 + boundary.l, line.l - 2 - boundary.l });
	if (str_empty(rest))
		return DELIM;
	return str_eq(rest, STR("--")) ? LAST_DELIM : NOT_DELIM;
}

/* What lies before the line that starts at end, without the line break that belongs to the delimiter. */
static struct str until(const char *from, const char *end)
{
	if (end > from && end[-1] == '\n')
		end--;
	if (end > from && end[-1] == '\r')
		end--;
	return (struct str){ from, (size_t)(end - from) };
}

/* Headers, an empty line, the body. False: an encoding that would have to be undone. */
static bool part_decode(struct mime_part *p, struct str text)
{
	bool plain = true;

	*p = (struct mime_part){ STR("text/plain"), STR_NULL };
	while (!str_empty(text)) {
		struct str line = take_line(&text), name, value;

		if (str_empty(line))
			break;
		value = line;
		name  = str_trim(str_cut(&value, ':'));
		value = str_trim(value);
		while (text.l && (text.p[0] == ' ' || text.p[0] == '\t')) {            /* folded: the value grows in place */
			line = take_line(&text);
			if (value.p)     /* a line without a colon has no value that could grow */
				value.l = (size_t)(line.p + line.l - value.p);
		}
		if (str_ieq(name, STR("Content-Type")) && !str_empty(value))
			p->ctype = value;
		else if (str_ieq(name, STR("Content-Transfer-Encoding")))
			plain = !str_ieq(value, STR("base64")) && !str_ieq(value, STR("quoted-printable"));
	}
	p->body = text;
	return plain;
}

int mime_parts(struct mime_part parts[MIME_MAX_PARTS], unsigned *n, struct str ctype, struct str body)
{
	struct str boundary = mime_param(ctype, STR("boundary")), rest = body;
	const char *start = NULL;

	*n = 0;
	if (str_empty(boundary) || boundary.l > MAX_BOUNDARY)
		return -EBADMSG;
	while (!str_empty(rest)) {
		const char *at = rest.p;
		enum delim d = delim_of(take_line(&rest), boundary);

		if (d == NOT_DELIM)
			continue;
		if (start && *n == MIME_MAX_PARTS)
			return -E2BIG;
		if (start && part_decode(&parts[*n], until(start, at)))
			++*n;
		start = rest.p;
		if (d == LAST_DELIM)
			return 0;
	}
	return -EBADMSG;
}
