/* SPDX-License-Identifier: Apache-2.0 */
/* stun.c - STUN messages, see stun.h
 *
 * header -> attributes one by one up to MESSAGE-INTEGRITY, behind which only FINGERPRINT counts -> struct. Attributes
 * that nobody here needs are skipped. Authenticity is a question of its own: who asks knows key and dialect.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include "lib/base/rd.h"
#include "lib/ice/stun.h"

/* --- addresses */
bool ice_addr_eq(const union ice_addr *a, const union ice_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || a->in.sin_port != b->in.sin_port)
		return false;                    /* sin_port and sin6_port stand at the same place */
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->sa.sa_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

int ice_addr_parse(union ice_addr *a, struct str ip, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];
	union ice_addr u;

	memset(&u, 0, sizeof(u));
	if (!ip.l || ip.l >= sizeof(text))
		return -EINVAL;
	memcpy(text, ip.p, ip.l);
	text[ip.l] = '\0';
	if (inet_pton(AF_INET, text, &u.in.sin_addr) == 1)
		u.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &u.in6.sin6_addr) == 1)
		u.sa.sa_family = AF_INET6;
	else
		return -EINVAL;
	u.in.sin_port = htons(port);
	*a = u;
	return 0;
}

/* --- reading */
static int on_address(struct stun_msg *m, struct rd *r, bool xored)
{
	uint8_t family = (uint8_t)(rd_u16(r) & 0xff);
	uint16_t port = rd_u16(r);
	size_t n = family == 2 ? 16 : 4;
	const uint8_t *ip = rd_take(r, n);
	uint8_t v[16];

	if (r->bad || (family != 1 && family != 2))
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		v[i] = xored ? ip[i] ^ m->id[i] : ip[i];
	if (xored)
		port ^= (uint16_t)(m->id[0] << 8 | m->id[1]);
	memset(&m->mapped, 0, sizeof(m->mapped));
	m->mapped.sa.sa_family = family == 2 ? AF_INET6 : AF_INET;
	m->mapped.in.sin_port = htons(port);
	memcpy(family == 2 ? (void *)&m->mapped.in6.sin6_addr : (void *)&m->mapped.in.sin_addr, v, n);
	return 0;
}

static int on_username(struct stun_msg *m, struct rd *r)
{
	struct str s = { (const char *)r->p, r->l };

	if (s.l > STUN_USER)
		return -EBADMSG;
	while (s.l && !s.p[s.l - 1])                     /* Communicator's padding is counted */
		s.l--;
	m->user = s;
	return 0;
}

static int on_error(struct stun_msg *m, struct rd *r)
{
	uint32_t v = rd_u32(r);

	m->error = (uint16_t)((v >> 8 & 7) * 100 + (v & 0xff));
	return r->bad ? -EBADMSG : 0;
}

static bool must_know(uint16_t type)
{
	return type < 0x8000 && type != STUN_UNKNOWN_ATTRIBUTES && type != STUN_REALM && type != STUN_NONCE;
}

static int on_attr(struct stun_msg *m, uint16_t type, struct rd r)
{
	switch (type) {
	case STUN_USERNAME:
		return on_username(m, &r);
	case STUN_MAPPED_ADDRESS:
		return m->mapped.sa.sa_family ? 0 : on_address(m, &r, false);
	case STUN_XOR_MAPPED_ADDRESS:
		return on_address(m, &r, true);
	case STUN_ERROR_CODE:
		return on_error(m, &r);
	case STUN_PRIORITY:
		m->priority = rd_u32(&r);
		return r.bad ? -EBADMSG : 0;
	case STUN_USE_CANDIDATE:
		m->use_candidate = true;
		return 0;
	case STUN_ICE_CONTROLLING:
		m->controlling = true;
		return 0;
	case STUN_ICE_CONTROLLED:
		m->controlled = true;
		return 0;
	case STUN_MS_VERSION:
		m->ms = true;
		return 0;
	default:
		if (must_know(type) && !m->unknown)
			m->unknown = type;
		return 0;
	}
}

static int attribute(struct stun_msg *m, struct rd *r)
{
	size_t at = m->n - r->l;
	uint16_t type = rd_u16(r), len = rd_u16(r);
	const uint8_t *v = rd_take(r, len);
	int err = 0;

	if (r->bad || m->fp_at)                          /* nothing may follow a FINGERPRINT */
		return -EBADMSG;
	if (type == STUN_FINGERPRINT && m->cookie) {
		m->fp_at = at;
		err = len == 4 ? 0 : -EBADMSG;
	} else if (type == STUN_INTEGRITY) {
		if (len != SHA_DIGEST_LENGTH)
			return -EBADMSG;
		if (!m->mi_at)
			m->mi_at = at;
	} else if (!m->mi_at) {
		err = on_attr(m, type, rd_init(v, len));
	}
	if (m->cookie && len % 4)
		rd_skip(r, 4 - len % 4);
	return err ? err : r->bad ? -EBADMSG : 0;
}

int stun_decode(struct stun_msg *m, const uint8_t *p, size_t n)
{
	struct rd r = rd_init(p, n);
	uint16_t type = rd_u16(&r), len = rd_u16(&r);
	const uint8_t *id = rd_take(&r, 16);
	int err = 0;

	if (r.bad || type >> 14 || len != r.l)
		return -EBADMSG;
	memset(m, 0, sizeof(*m));
	m->type   = type;
	m->id     = id;
	m->p      = p;
	m->n      = n;
	m->cookie = id[0] == 0x21 && id[1] == 0x12 && id[2] == 0xa4 && id[3] == 0x42;
	if (m->cookie && len % 4)
		return -EBADMSG;
	while (!err && r.l)
		err = attribute(m, &r);
	return err;
}

bool stun_authentic(const struct stun_msg *m, const struct stun_key *k, enum stun_dialect d)
{
	size_t len = d == STUN_MSICE2 ? m->n - STUN_HDR : m->mi_at + 4;
	uint8_t mac[SHA_DIGEST_LENGTH];

	if (!m->mi_at)
		return false;
	stun_mac(k, m->p, m->mi_at, (uint16_t)len, d != STUN_RFC5389, mac);
	return !CRYPTO_memcmp(mac, m->p + m->mi_at + 4, sizeof(mac));
}

bool stun_fingerprint_ok(const struct stun_msg *m, enum stun_dialect d)
{
	struct rd r = rd_init(m->p + m->fp_at + 4, 4);
	uint32_t v;

	if (!m->fp_at)
		return false;
	v = rd_u32(&r);
	return v == stun_crc(m->p, m->fp_at, false) || (d == STUN_MSICE2 && v == stun_crc(m->p, m->fp_at, true));
}

/* --- writing */
static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void stun_begin(struct stun_out *o, uint8_t *p, size_t room, enum stun_dialect d, uint16_t type, const uint8_t id[16])
{
	*o = (struct stun_out){ .p = p, .n = STUN_HDR, .room = room, .dialect = d, .full = room < STUN_HDR };
	if (o->full)
		return;
	put16(p, type);
	put16(p + 2, 0);
	memcpy(p + 4, id, 16);
}

void stun_attr(struct stun_out *o, uint16_t type, const void *v, size_t n)
{
	size_t pad = (4 - n % 4) % 4;

	if (o->full || n > STUN_MAX || 4 + n + pad > o->room - o->n) {
		o->full = true;
		return;
	}
	put16(o->p + o->n, type);
	put16(o->p + o->n + 2, o->dialect == STUN_RFC5389 ? n : n + pad);
	if (n)
		memcpy(o->p + o->n + 4, v, n);
	memset(o->p + o->n + 4 + n, 0, pad);
	o->n += 4 + n + pad;
}

void stun_attr_u32(struct stun_out *o, uint16_t type, uint32_t v)
{
	uint32_t be = htonl(v);

	stun_attr(o, type, &be, sizeof(be));
}

static void mapped(struct stun_out *o, uint16_t type, const union ice_addr *a, bool xored)
{
	bool six = a->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
	const uint8_t *id = o->p + 4, *ip = (const void *)&a->in.sin_addr;
	size_t n = six ? 16 : 4;
	uint8_t v[20] = { 0, six ? 2 : 1 };

	if (a->sa.sa_family == AF_INET6)
		ip = a->in6.sin6_addr.s6_addr + (six ? 0 : 12);
	put16(v + 2, ntohs(a->in.sin_port));
	for (size_t i = 0; i < 2; i++)
		v[2 + i] ^= xored ? id[i] : 0;
	for (size_t i = 0; i < n; i++)
		v[4 + i] = xored ? ip[i] ^ id[i] : ip[i];
	stun_attr(o, type, v, 4 + n);
}

void stun_attr_mapped(struct stun_out *o, const union ice_addr *a)
{
	if (o->dialect == STUN_RFC3489)          /* which demands it; libnice reads the other one */
		mapped(o, STUN_MAPPED_ADDRESS, a, false);
	mapped(o, STUN_XOR_MAPPED_ADDRESS, a, true);
}

void stun_attr_error(struct stun_out *o, unsigned code, const char *reason)
{
	uint8_t v[64] = { 0, 0, (uint8_t)(code / 100), (uint8_t)(code % 100) };
	size_t n = strlen(reason);

	n = n > sizeof(v) - 4 ? sizeof(v) - 4 : n;
	memcpy(v + 4, reason, n);
	stun_attr(o, STUN_ERROR_CODE, v, 4 + n);
}

size_t stun_end(struct stun_out *o, const struct stun_key *k)
{
	size_t fp = o->dialect == STUN_RFC3489 ? 0 : 8, at = o->n;
	uint8_t mac[SHA_DIGEST_LENGTH] = { 0 };

	if (k) {
		stun_attr(o, STUN_INTEGRITY, mac, sizeof(mac));
		if (o->full)
			return 0;
		stun_mac(k, o->p, at, (uint16_t)(o->n - STUN_HDR + (o->dialect == STUN_MSICE2 ? fp : 0)),
			 o->dialect != STUN_RFC5389, mac);
		memcpy(o->p + at + 4, mac, sizeof(mac));
	}
	if (o->full || fp > o->room - o->n)
		return 0;
	put16(o->p + 2, o->n + fp - STUN_HDR);
	if (fp)
		stun_attr_u32(o, STUN_FINGERPRINT, stun_crc(o->p, o->n, false));
	return o->n;
}
