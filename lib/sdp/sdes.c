/* SPDX-License-Identifier: Apache-2.0 */
/* sdes.c - keys inside a=crypto (RFC 4568): "inline:BASE64[|LIFETIME][|MKI:LENGTH]" and the session parameters
 *
 * Key bytes pass through here and stay nowhere: scratch copies are wiped, nothing is logged.
 */
#include <errno.h>
#include "lib/sdp/sdp.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int sextet(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* Exactly want bytes, with or without '=' at the end. */
static int base64_decode(uint8_t *out, size_t want, struct str s)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (unsigned pad = 0; pad < 2 && s.l && s.p[s.l - 1] == '='; pad++)
		s.l--;
	if (s.l != (want * 4 + 2) / 3)
		return -EINVAL;
	for (size_t i = 0; i < s.l; i++) {
		int v = sextet(s.p[i]);

		if (v < 0)
			return -EINVAL;
		acc   = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8 && n < want) {
			bits    -= 8;
			out[n++] = (uint8_t)(acc >> bits);
		}
	}
	return n == want ? 0 : -EINVAL;
}

static int lifetime_check(struct str s)
{
	bool power = str_starts(s, STR("2^"));
	uint64_t n;

	if (power)
		s = (struct str){ s.p + 2, s.l - 2 };
	if (str_u64(s, &n))
		return -EINVAL;
	return n >= (power ? 20u : 1u << 20) ? 0 : -ENOTSUP;    /* nobody wants to be called again that soon */
}

static int mki_decode(struct sdes_key *k, struct str s)
{
	struct str value = str_cut(&s, ':');
	uint64_t v, len;

	if (str_u64(value, &v) || str_u64(s, &len) || !len)
		return -EINVAL;
	if (len > 4)
		return -ENOTSUP;
	if (v >> (8 * len))
		return -EINVAL;
	k->mki     = (uint32_t)v;
	k->mki_len = (unsigned)len;
	return 0;
}

/* What would weaken or change the stream is refused, hints are not; RFC 4568 6.3. */
static int session_params_check(struct str s)
{
	while (s.l) {
		struct str p = str_trim(str_cut(&s, ' '));

		if (!p.l || p.p[0] == '-' || str_ieq(p, STR("KDR=0")) || str_istarts(p, STR("WSH=")))
			continue;
		return -ENOTSUP;
	}
	return 0;
}

static int key_params_decode(struct sdes_key *k, struct str s, size_t want)
{
	int err;

	if (!str_istarts(s, STR("inline:")))
		return -EINVAL;
	if (memchr(s.p, ';', s.l))
		return -ENOTSUP;                /* several keys under one tag */
	s   = (struct str){ s.p + 7, s.l - 7 };
	err = base64_decode(k->key, want, str_cut(&s, '|'));
	while (!err && s.p) {                   /* a part with a colon is the MKI, one without the lifetime */
		struct str part = str_cut(&s, '|');

		if (memchr(part.p, ':', part.l))
			err = k->mki_len ? -EINVAL : mki_decode(k, part);
		else
			err = lifetime_check(part);
	}
	return err;
}

int sdes_decode(struct sdes_key *k, const struct sdp_crypto *c, size_t want_len)
{
	struct sdes_key x = { .len = want_len };
	int err = want_len && want_len <= sizeof(x.key) ? 0 : -EINVAL;

	if (!err)
		err = session_params_check(c->session_params);
	if (!err)
		err = key_params_decode(&x, c->key_params, want_len);
	if (!err)
		*k = x;
	explicit_bzero(&x, sizeof(x));
	return err;
}

static size_t base64_encode(char *out, const uint8_t *p, size_t len)
{
	char *o = out;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < len ? p[i + 2] : 0);

		*o++ = alphabet[v >> 18];
		*o++ = alphabet[v >> 12 & 63];
		*o++ = i + 1 < len ? alphabet[v >> 6 & 63] : '=';
		*o++ = i + 2 < len ? alphabet[v & 63] : '=';
	}
	return (size_t)(o - out);
}

/* The lifetime is always written: one client of this family knows a line only with it. */
int sdes_encode(char *out, size_t outsz, const uint8_t *key, size_t len)
{
	static const struct str head = STR("inline:"), tail = STR("|2^31");
	size_t n = head.l;

	if (!len || len > sizeof(((struct sdes_key *)0)->key))
		return -EINVAL;
	if (outsz < head.l + (len + 2) / 3 * 4 + tail.l + 1)
		return -ENOSPC;
	memcpy(out, head.p, head.l);
	n += base64_encode(out + n, key, len);
	memcpy(out + n, tail.p, tail.l + 1);
	return 0;
}
