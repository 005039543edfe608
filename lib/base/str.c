/* SPDX-License-Identifier: Apache-2.0 */
/* str.c - text helpers, see str.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"

bool str_eq(struct str a, struct str b)
{
	return a.l == b.l && (a.l == 0 || memcmp(a.p, b.p, a.l) == 0);
}

bool str_ieq(struct str a, struct str b)
{
	return a.l == b.l && (a.l == 0 || strncasecmp(a.p, b.p, a.l) == 0);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.l >= prefix.l && str_eq((struct str){ s.p, prefix.l }, prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.l >= prefix.l && str_ieq((struct str){ s.p, prefix.l }, prefix);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.l && is_space(s.p[0])) {
		s.p++;
		s.l--;
	}
	while (s.l && is_space(s.p[s.l - 1]))
		s.l--;
	return s;
}

struct str str_cut(struct str *rest, char sep)
{
	struct str head = *rest;
	const char *at = rest->l ? memchr(rest->p, sep, rest->l) : NULL;

	if (!at) {
		*rest = STR_NULL;
		return head;
	}
	head.l  = (size_t)(at - head.p);
	rest->p = at + 1;
	rest->l -= head.l + 1;
	return head;
}

int str_u64(struct str s, uint64_t *v)
{
	uint64_t n = 0;

	if (!s.l)
		return -EINVAL;
	for (size_t i = 0; i < s.l; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(s.p[i] - '0'), &n))
			return -ERANGE;
	}
	*v = n;
	return 0;
}

char *str_dup(struct str s)
{
	char *d = mem_zalloc(s.l + 1, NULL);

	if (d && s.l)
		memcpy(d, s.p, s.l);
	return d;
}

char *str_printf(const char *fmt, ...)
{
	va_list ap;
	char *d;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	d = mem_zalloc((size_t)n + 1, NULL);
	if (!d)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(d, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return d;
}

int cstr_set(char **dst, const char *src)
{
	char *s = NULL;

	if (cstr_eq(*dst, src))
		return 0;
	if (src) {
		s = str_dup(str_c(src));
		if (!s)
			return -ENOMEM;
	}
	mem_deref(*dst);
	*dst = s;
	return 0;
}

bool cstr_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool cstr_ieq(const char *a, const char *b)
{
	return a == b || (a && b && strcasecmp(a, b) == 0);
}

int str_random_hex(char *out, size_t digits)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t b[128];

	if (digits > 2 * sizeof(b))
		return -EINVAL;
	if (getrandom(b, (digits + 1) / 2, 0) < 0)
		return -errno;
	for (size_t i = 0; i < digits; i++)
		out[i] = hex[(i & 1 ? b[i / 2] : b[i / 2] >> 4) & 15];
	out[digits] = '\0';
	return 0;
}

char *str_guid(void)
{
	char h[33];

	if (str_random_hex(h, 32))
		return NULL;
	for (size_t i = 0; i < 32; i++)
		if (h[i] >= 'a')
			h[i] = (char)(h[i] - 32);
	h[12] = '4';
	h[16] = "89AB"[h[16] & 3];
	return str_printf("{%.8s-%.4s-%.4s-%.4s-%.12s}", h, h + 8, h + 12, h + 16, h + 20);
}
