/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - a growing byte buffer, see buf.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/buf.h"

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->l   = 0;
	b->err = 0;
}

static bool room(struct buf *b, size_t n)
{
	size_t want = b->l + n + 1, size = b->size ? b->size : 256;
	char *p;

	if (b->err)
		return false;
	if (b->limit && b->l + n > b->limit) {
		b->err = -EMSGSIZE;
		return false;
	}
	if (want <= b->size)
		return true;
	while (size < want)
		size *= 2;
	p = realloc(b->p, size);
	if (!p) {
		b->err = -ENOMEM;
		return false;
	}
	b->p    = p;
	b->size = size;
	return true;
}

void buf_write(struct buf *b, const void *p, size_t n)
{
	if (!room(b, n))
		return;
	if (n)
		memcpy(b->p + b->l, p, n);
	b->l += n;
	b->p[b->l] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_write(b, s, strlen(s));
}

void buf_str(struct buf *b, struct str s)
{
	buf_write(b, s.p, s.l);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->err = -EINVAL;
		return;
	}
	if (!room(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->p + b->l, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->l += (size_t)n;
}

void buf_skip(struct buf *b, size_t n)
{
	if (n >= b->l) {
		b->l = 0;
		return;
	}
	memmove(b->p, b->p + n, b->l - n);
	b->l -= n;
}
