/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - choosing a body for a recipient, see body.h
 *
 * multipart/alternative is ordered by rising value, so the last part that is accepted wins; text/plain is the last
 * resort, because every client can show it. Of other multiparts the first part is the one that stands alone.
 */
#include <errno.h>
#include "mcu/chat/body.h"

void body_init(struct body *b, struct str ctype, struct str text)
{
	b->ctype  = ctype;
	b->text   = text;
	b->nparts = 0;
	if (mime_is_multipart(ctype) && mime_parts(b->parts, &b->nparts, ctype, text))
		b->nparts = 0;
}

static int alternative(struct mime_part *out, const struct body *b, const struct mime_accept *a)
{
	const struct mime_part *plain = NULL;

	for (unsigned i = b->nparts; i-- > 0;) {
		if (mime_accepts(a, b->parts[i].ctype)) {
			*out = b->parts[i];
			return 0;
		}
		if (!plain && mime_is(b->parts[i].ctype, "text/plain"))
			plain = &b->parts[i];
	}
	if (!plain)
		return -ENOTSUP;
	*out = *plain;
	return 0;
}

int body_choose(struct mime_part *out, const struct body *b, const struct mime_accept *a, bool whole)
{
	bool multi = mime_is_multipart(b->ctype);

	if (mime_accepts(a, b->ctype) && (whole || !multi)) {
		*out = (struct mime_part){ b->ctype, b->text };
		return 0;
	}
	if (mime_is(b->ctype, "multipart/alternative"))
		return alternative(out, b, a);
	if (b->nparts && mime_accepts(a, b->parts[0].ctype)) {
		*out = b->parts[0];
		return 0;
	}
	return -ENOTSUP;
}

/* --- the author's name */

static void html_text(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.l; i++) {
		switch (s.p[i]) {
		case '<': buf_puts(b, "&lt;"); break;
		case '>': buf_puts(b, "&gt;"); break;
		case '&': buf_puts(b, "&amp;"); break;
		default:  buf_write(b, s.p + i, 1);
		}
	}
}

/* Behind "<body ...>" where there is one. */
static size_t html_start(struct str s)
{
	for (size_t i = 0; i + 5 < s.l; i++) {
		if (!str_istarts((struct str){ s.p + i, s.l - i }, STR("<body")))
			continue;
		while (i < s.l && s.p[i] != '>')
			i++;
		return i < s.l ? i + 1 : 0;
	}
	return 0;
}

static bool is_utf8(struct str ctype)
{
	struct str cs = mime_param(ctype, STR("charset"));

	return str_empty(cs) || str_ieq(cs, STR("utf-8")) || str_ieq(cs, STR("us-ascii"));
}

void body_prefix(struct buf *b, const struct mime_part *p, struct str name)
{
	size_t at = 0;

	if (mime_is(p->ctype, "text/plain") && is_utf8(p->ctype)) {
		buf_str(b, name);
		buf_puts(b, ": ");
	} else if (mime_is(p->ctype, "text/html") && is_utf8(p->ctype)) {
		at = html_start(p->body);
		if (at)
			buf_write(b, p->body.p, at);
		buf_puts(b, "<b>");
		html_text(b, name);
		buf_puts(b, ":</b> ");
	}
	if (p->body.l > at)
		buf_write(b, p->body.p + at, p->body.l - at);
}
