/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - see digest.h */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/tls/digest.h"

int digest_md5(char hex[33], const char *fmt, ...)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	va_list ap;
	char *text;
	int len, ok;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return -ENOMEM;
	ok = EVP_Digest(text, (size_t)len, md, &n, EVP_md5(), NULL);
	OPENSSL_cleanse(text, (size_t)len);
	free(text);
	if (!ok || n != 16)
		return -ENOMEM;
	for (unsigned i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
	return 0;
}

bool digest_same(const char *a, struct str b)
{
	unsigned diff = 0;

	if (strlen(a) != b.l)
		return false;
	for (size_t i = 0; i < b.l; i++) {
		char c = b.p[i] >= 'A' && b.p[i] <= 'F' ? (char)(b.p[i] + 32) : b.p[i];

		diff |= (unsigned)(a[i] ^ c);
	}
	return diff == 0;
}

static struct str unquote(struct str s)
{
	s = str_trim(s);
	if (s.l >= 2 && s.p[0] == '"' && s.p[s.l - 1] == '"')
		return (struct str){ s.p + 1, s.l - 2 };
	return s;
}

/* Up to the next comma that stands outside of quotes. */
static struct str cut_param(struct str *rest)
{
	bool quoted = false;
	struct str head = *rest;
	size_t i = 0;

	for (; i < rest->l; i++) {
		if (rest->p[i] == '"')
			quoted = !quoted;
		else if (rest->p[i] == ',' && !quoted)
			break;
	}
	head.l = i;
	rest->p += i < rest->l ? i + 1 : i;
	rest->l -= i < rest->l ? i + 1 : i;
	return head;
}

int digest_decode(struct digest *d, struct str h)
{
	const struct { struct str name; struct str *value; } params[] = {
		{ STR("username"), &d->username }, { STR("realm"), &d->realm }, { STR("nonce"), &d->nonce }, { STR("uri"), &d->uri },
		{ STR("response"), &d->response }, { STR("algorithm"), &d->algorithm }, { STR("cnonce"), &d->cnonce },
		{ STR("qop"), &d->qop }, { STR("nc"), &d->nc }, { STR("opaque"), &d->opaque },
	};

	*d = (struct digest){ 0 };
	h = str_trim(h);
	if (h.l > 4096 || !str_istarts(h, STR("Digest ")))
		return -EBADMSG;
	h.p += 7;
	h.l -= 7;
	while (!str_empty(h)) {
		struct str value = cut_param(&h), name = str_trim(str_cut(&value, '='));

		for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
			if (str_ieq(name, params[i].name))
				*params[i].value = unquote(value);
	}
	return str_empty(d->nonce) || str_empty(d->response) ? -EBADMSG : 0;
}

bool digest_check(const struct digest *d, const char *secret, bool ha1_given, struct str method)
{
	char ha1[33], ha2[33], want[33];
	int err = 0;

	if (ha1_given)
		snprintf(ha1, sizeof(ha1), "%.32s", secret);
	else
		err = digest_md5(ha1, STR_FMT ":" STR_FMT ":%s", STR_ARG(d->username), STR_ARG(d->realm), secret);
	if (!err && str_ieq(d->algorithm, STR("MD5-sess")))
		err = digest_md5(ha1, "%s:" STR_FMT ":" STR_FMT, ha1, STR_ARG(d->nonce), STR_ARG(d->cnonce));
	if (!err)
		err = digest_md5(ha2, STR_FMT ":" STR_FMT, STR_ARG(method), STR_ARG(d->uri));
	if (!err && str_empty(d->qop))
		err = digest_md5(want, "%s:" STR_FMT ":%s", ha1, STR_ARG(d->nonce), ha2);
	else if (!err)
		err = digest_md5(want, "%s:" STR_FMT ":" STR_FMT ":" STR_FMT ":" STR_FMT ":%s", ha1, STR_ARG(d->nonce), STR_ARG(d->nc),
				 STR_ARG(d->cnonce), STR_ARG(d->qop), ha2);
	OPENSSL_cleanse(ha1, sizeof(ha1));
	return !err && digest_same(want, d->response);
}
