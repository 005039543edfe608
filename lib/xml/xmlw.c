/* SPDX-License-Identifier: Apache-2.0 */
/* xmlw.c - XML writing straight into a buffer
 *
 * Text goes out in runs: plain bytes are copied as they are, the rest is escaped. What XML 1.0 cannot carry (control
 * characters, surrogates, U+FFFE and U+FFFF, bytes that are not UTF-8) is dropped, so whatever a peer chose as its
 * display name, the document stays well-formed. Misuse of the writer by its caller ends in the buffer's sticky error.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/xml/xml.h"

enum { PLAIN, QUOTE, AMP, LT, GT, CR, NL, TAB, HIGH, DROP };

static const char *const escapes[] = {
	[QUOTE] = "&quot;", [AMP] = "&amp;", [LT] = "&lt;", [GT] = "&gt;", [CR] = "&#13;", [NL] = "&#10;", [TAB] = "&#9;",
};

static const uint8_t classes[256] = {
	[0x00 ... 0x08] = DROP, ['\t'] = TAB, ['\n'] = NL, [0x0b ... 0x0c] = DROP, ['\r'] = CR, [0x0e ... 0x1f] = DROP,
	['"'] = QUOTE, ['&'] = AMP, ['<'] = LT, ['>'] = GT, [0x80 ... 0xff] = HIGH,
};

/* Length of the character at p when XML may carry it, else 0. p ends with a NUL, which is no continuation byte. */
static size_t utf8_len(const uint8_t *p)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c = p[0] & (0xffu >> (n + 1));

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff) || c >= 0xfffe))
		return 0;
	if (n == 4 && (c < 0x10000 || c > 0x10ffff))
		return 0;
	return n;
}

static void escape(struct buf *b, const char *text, bool attr)
{
	const uint8_t *p = (const uint8_t *)text, *run = p;

	while (*p) {
		uint8_t k = classes[*p];
		size_t n = k == HIGH ? utf8_len(p) : 0;

		if (n || k == PLAIN || (!attr && (k == QUOTE || k == NL || k == TAB))) {
			p += n ? n : 1;
			continue;
		}
		buf_write(b, run, (size_t)(p - run));
		if (k < HIGH)
			buf_puts(b, escapes[k]);
		run = ++p;
	}
	buf_write(b, run, (size_t)(p - run));
}

static void fail(struct xmlw *w)
{
	if (!w->b->err)
		w->b->err = -EINVAL;
}

static void close_tag(struct xmlw *w)
{
	if (w->open)
		buf_write(w->b, ">", 1);
	w->open = false;
}

void xmlw_init(struct xmlw *w, struct buf *b)
{
	w->b     = b;
	w->open  = false;
	w->depth = 0;
}

void xmlw_start(struct xmlw *w, const char *name)
{
	close_tag(w);
	if (w->depth < XML_MAX_DEPTH)
		w->stack[w->depth] = name;
	else
		fail(w);
	w->depth++;                     /* counted on, so that the ends still match */
	buf_write(w->b, "<", 1);
	buf_puts(w->b, name);
	w->open = true;
}

void xmlw_attr(struct xmlw *w, const char *name, const char *value)
{
	if (!value)
		return;
	if (!w->open) {
		fail(w);
		return;
	}
	buf_write(w->b, " ", 1);
	buf_puts(w->b, name);
	buf_write(w->b, "=\"", 2);
	escape(w->b, value, true);
	buf_write(w->b, "\"", 1);
}

void xmlw_attrf(struct xmlw *w, const char *name, const char *fmt, ...)
{
	char small[256], *s = small;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		fail(w);
		return;
	}
	if ((size_t)n >= sizeof(small)) {
		va_start(ap, fmt);
		if (vasprintf(&s, fmt, ap) < 0)
			s = NULL;
		va_end(ap);
	}
	if (s)
		xmlw_attr(w, name, s);
	else if (!w->b->err)
		w->b->err = -ENOMEM;
	if (s != small)
		free(s);
}

void xmlw_text(struct xmlw *w, const char *text)
{
	if (!text || !*text)
		return;
	close_tag(w);
	escape(w->b, text, false);
}

void xmlw_end(struct xmlw *w)
{
	if (!w->depth) {
		fail(w);
		return;
	}
	w->depth--;
	if (w->open) {
		buf_write(w->b, "/>", 2);
		w->open = false;
		return;
	}
	if (w->depth >= XML_MAX_DEPTH)
		return;
	buf_write(w->b, "</", 2);
	buf_puts(w->b, w->stack[w->depth]);
	buf_write(w->b, ">", 1);
}

void xmlw_leaf(struct xmlw *w, const char *name, const char *text)
{
	if (!text)
		return;
	xmlw_start(w, name);
	xmlw_text(w, text);
	xmlw_end(w);
}

void xmlw_raw(struct xmlw *w, struct str xml)
{
	if (!xml.l)
		return;
	close_tag(w);
	buf_str(w->b, xml);
}
