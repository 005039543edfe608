/* SPDX-License-Identifier: Apache-2.0 */
/* srtp.c - SRTP and SRTCP packets: index, replay window, layout; the ciphers are in srtp_crypt.c
 *
 * Sending: find the SSRC's stream -> index from sequence number and roll-over count -> refuse a repeated index ->
 * encrypt the payload in place -> append the tag (SRTCP: the index word as well).
 * Receiving: the same index guess -> replay test -> authenticate -> decrypt -> only now remember index and stream, so
 * that a forged packet leaves no trace. "Index" is the 48-bit SRTP index or the 31-bit SRTCP index.
 */
#include "lib/rtp/srtp_priv.h"           /* before any OpenSSL header */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>
#include "lib/base/mem.h"

#define RTP_MIN    12u
#define RTCP_MIN   8u
#define RTCP_WORD  4u                    /* E bit and index */
#define E_BIT      0x80000000u
#define SRTCP_LAST 0x7fffffffu
#define SRTP_LAST  0xffffffffffffull
#define WINDOW     128u
#define MAX_PACKET 65535u                /* keeps the block counter within 16 bits */

const struct srtp_suite srtp_suites[SRTP_NSUITES] = {
	/* name                        id                            key salt */
	{ "AES_CM_128_HMAC_SHA1_80", SRTP_AES_CM_128_HMAC_SHA1_80, 16, 14 },
	{ "AES_CM_128_HMAC_SHA1_32", SRTP_AES_CM_128_HMAC_SHA1_32, 16, 14 },
	{ "AES_256_CM_HMAC_SHA1_80", SRTP_AES_256_CM_HMAC_SHA1_80, 32, 14 },
	{ "AEAD_AES_128_GCM",        SRTP_AEAD_AES_128_GCM,        16, 12 },
	{ "AEAD_AES_256_GCM",        SRTP_AEAD_AES_256_GCM,        32, 12 },
};

static const struct { uint8_t rtp_tag, rtcp_tag; bool aead; } layout[SRTP_NSUITES] = {
	[SRTP_AES_CM_128_HMAC_SHA1_80] = { 10, 10, false },
	[SRTP_AES_CM_128_HMAC_SHA1_32] = { 4, 10, false },
	[SRTP_AES_256_CM_HMAC_SHA1_80] = { 10, 10, false },
	[SRTP_AEAD_AES_128_GCM]        = { SRTP_GCM_TAG, SRTP_GCM_TAG, true },
	[SRTP_AEAD_AES_256_GCM]        = { SRTP_GCM_TAG, SRTP_GCM_TAG, true },
};

struct window {
	bool     any;
	uint64_t top;                    /* highest index so far */
	uint64_t bits[WINDOW / 64];      /* bit i: top - i was seen */
};

struct stream {
	bool          used;
	uint32_t      ssrc;
	uint64_t      last;              /* ctx->clock when last used */
	struct window rtp, rtcp;
};

struct srtp_ctx {
	enum srtp_suite_id suite;
	bool               aead;
	uint8_t            rtp_tag, rtcp_tag;
	uint64_t           clock;        /* counts packets: the order of use of the streams */
	struct srtp_keys   rtp, rtcp;
	struct stream      streams[SRTP_MAX_STREAMS];
};

const struct srtp_suite *srtp_suite_find(const char *name, size_t len)
{
	for (size_t i = 0; i < SRTP_NSUITES; i++)
		if (strlen(srtp_suites[i].name) == len && !memcmp(srtp_suites[i].name, name, len))
			return &srtp_suites[i];
	return NULL;
}

static void destructor(void *arg)
{
	struct srtp_ctx *c = arg;

	srtp_keys_fini(&c->rtp);
	srtp_keys_fini(&c->rtcp);
}

int srtp_ctx_alloc(struct srtp_ctx **cp, enum srtp_suite_id suite, const uint8_t *key, size_t len)
{
	const struct srtp_suite *s = suite < SRTP_NSUITES ? &srtp_suites[suite] : NULL;
	struct srtp_ctx *c;
	int err;

	if (!s || len != s->key_len + s->salt_len)
		return -EINVAL;
	c = mem_zalloc(sizeof(*c), destructor);
	if (!c)
		return -ENOMEM;
	c->suite    = suite;
	c->aead     = layout[suite].aead;
	c->rtp_tag  = layout[suite].rtp_tag;
	c->rtcp_tag = layout[suite].rtcp_tag;
	err = srtp_keys_init(&c->rtp, s, c->aead, key, SRTP_LABEL_RTP);
	if (!err)
		err = srtp_keys_init(&c->rtcp, s, c->aead, key, SRTP_LABEL_RTCP);
	if (err) {
		mem_deref(c);
		return err;
	}
	*cp = c;
	return 0;
}

/* --- bytes */
static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Counter-mode IV: salt, SSRC and index as numbers of 128 bits (RFC 3711 4.1.1) */
static void cm_iv(uint8_t iv[16], const struct srtp_keys *k, uint32_t ssrc, uint64_t index)
{
	uint8_t x[16] = { 0 };

	put32(x + 4, ssrc);
	put32(x + 8, (uint32_t)(index >> 16));
	x[12] = (uint8_t)(index >> 8);
	x[13] = (uint8_t)index;
	for (int i = 0; i < 16; i++)
		iv[i] = x[i] ^ k->salt[i];
}

/* GCM IV: two zero bytes, SSRC, then the 48-bit index (SRTCP: two zero bytes and 32 bits) (RFC 7714 8.1, 9.1) */
static void gcm_iv(uint8_t iv[SRTP_GCM_IV], const struct srtp_keys *k, uint32_t ssrc, uint64_t index)
{
	uint8_t x[SRTP_GCM_IV] = { 0 };

	put32(x + 2, ssrc);
	x[6] = (uint8_t)(index >> 40);
	x[7] = (uint8_t)(index >> 32);
	put32(x + 8, (uint32_t)index);
	for (unsigned i = 0; i < SRTP_GCM_IV; i++)
		iv[i] = x[i] ^ k->salt[i];
}

/* Where the payload of an RTP packet of n bytes begins; 0: not RTP */
static size_t rtp_payload(const uint8_t *p, size_t n)
{
	size_t off;

	if (n < RTP_MIN || n > MAX_PACKET || p[0] >> 6 != 2)
		return 0;
	off = RTP_MIN + 4u * (p[0] & 0x0f);
	if (p[0] & 0x10) {
		if (off + 4 > n)
			return 0;
		off += 4 + 4u * ((size_t)p[off + 2] << 8 | p[off + 3]);
	}
	return off <= n ? off : 0;
}

/* --- streams and windows */
static struct stream *stream_find(struct srtp_ctx *c, uint32_t ssrc)
{
	for (size_t i = 0; i < SRTP_MAX_STREAMS; i++)
		if (c->streams[i].used && c->streams[i].ssrc == ssrc)
			return &c->streams[i];
	return NULL;
}

/* A free place, or the longest silent one */
static struct stream *stream_place(struct srtp_ctx *c)
{
	struct stream *oldest = &c->streams[0];

	for (size_t i = 0; i < SRTP_MAX_STREAMS; i++) {
		if (!c->streams[i].used)
			return &c->streams[i];
		if (c->streams[i].last < oldest->last)
			oldest = &c->streams[i];
	}
	return oldest;
}

static struct stream *stream_send(struct srtp_ctx *c, uint32_t ssrc)
{
	struct stream *s = stream_find(c, ssrc);

	if (s)
		return s;
	s = stream_place(c);
	if (s->used)
		return NULL;
	*s = (struct stream){ .used = true, .ssrc = ssrc };
	return s;
}

/* The index that lies nearest to the highest one (RFC 3711 3.3.1). There is nothing before roll-over 0. */
static uint64_t index_guess(const struct window *w, uint16_t seq)
{
	uint64_t roc = w->top >> 16;
	uint16_t high = (uint16_t)w->top;

	if (!w->any)
		return seq;
	if (high < 0x8000) {
		if (seq - high > 0x8000 && roc > 0)
			roc--;
	} else if (high - 0x8000 > seq) {
		roc++;
	}
	return roc << 16 | seq;
}

static bool window_fresh(const struct window *w, uint64_t index)
{
	uint64_t back;

	if (!w->any || index > w->top)
		return true;
	back = w->top - index;
	return back < WINDOW && !(w->bits[back / 64] >> (back % 64) & 1);
}

static void window_add(struct window *w, uint64_t index)
{
	uint64_t up;

	if (w->any && index <= w->top) {
		w->bits[(w->top - index) / 64] |= 1ull << ((w->top - index) % 64);
		return;
	}
	up = w->any ? index - w->top : WINDOW;
	if (up >= WINDOW) {
		w->bits[0] = w->bits[1] = 0;
	} else if (up >= 64) {
		w->bits[1] = w->bits[0] << (up - 64);
		w->bits[0] = 0;
	} else {
		w->bits[1] = w->bits[1] << up | w->bits[0] >> (64 - up);
		w->bits[0] <<= up;
	}
	w->bits[0] |= 1;
	w->top = index;
	w->any = true;
}

/* Keeps what a received packet taught us; `s` may be a new stream that lives on the caller's stack. */
static void stream_keep(struct srtp_ctx *c, struct stream *s, const struct stream *fresh)
{
	if (s == fresh) {
		s = stream_place(c);
		*s = *fresh;
	}
	s->last = ++c->clock;
}

/* --- SRTP */
int srtp_protect(struct srtp_ctx *c, uint8_t *p, size_t *n, size_t room)
{
	size_t off = rtp_payload(p, *n);
	uint8_t iv[16], mac[SHA_DIGEST_LENGTH], roc[4];
	struct stream *s;
	uint64_t index;
	int err;

	if (!off)
		return -EBADMSG;
	if (room < *n || room - *n < c->rtp_tag)
		return -EMSGSIZE;
	s = stream_send(c, get32(p + 8));
	if (!s)
		return -ENOSPC;
	index = index_guess(&s->rtp, (uint16_t)(p[2] << 8 | p[3]));
	if (index > SRTP_LAST)
		return -EOVERFLOW;
	if (!window_fresh(&s->rtp, index))
		return -EALREADY;
	window_add(&s->rtp, index);
	s->last = ++c->clock;
	if (c->aead) {
		gcm_iv(iv, &c->rtp, s->ssrc, index);
		err = srtp_keys_seal(&c->rtp, iv, p, off, p + off, *n - off, p + *n);
	} else {
		cm_iv(iv, &c->rtp, s->ssrc, index);
		err = srtp_keys_ctr(&c->rtp, iv, p + off, *n - off);
		put32(roc, (uint32_t)(index >> 16));
		srtp_keys_mac(&c->rtp, p, *n, roc, sizeof(roc), mac);
		memcpy(p + *n, mac, c->rtp_tag);
	}
	if (!err)
		*n += c->rtp_tag;
	return err;
}

static int rtp_open(struct srtp_ctx *c, uint32_t ssrc, uint64_t index, uint8_t *p, size_t off, size_t n)
{
	uint8_t iv[16], mac[SHA_DIGEST_LENGTH], roc[4];

	if (c->aead) {
		gcm_iv(iv, &c->rtp, ssrc, index);
		return srtp_keys_open(&c->rtp, iv, p, off, p + off, n - off, p + n);
	}
	put32(roc, (uint32_t)(index >> 16));
	srtp_keys_mac(&c->rtp, p, n, roc, sizeof(roc), mac);
	if (CRYPTO_memcmp(mac, p + n, c->rtp_tag))
		return -EACCES;
	cm_iv(iv, &c->rtp, ssrc, index);
	return srtp_keys_ctr(&c->rtp, iv, p + off, n - off);
}

int srtp_unprotect(struct srtp_ctx *c, uint8_t *p, size_t *n)
{
	size_t len = *n > c->rtp_tag ? *n - c->rtp_tag : 0;
	size_t off = rtp_payload(p, len);
	struct stream fresh = { .used = true }, *s;
	uint64_t index;
	int err;

	if (!off)
		return -EBADMSG;
	s = stream_find(c, get32(p + 8));
	if (!s) {
		fresh.ssrc = get32(p + 8);
		s = &fresh;
	}
	index = index_guess(&s->rtp, (uint16_t)(p[2] << 8 | p[3]));
	if (index > SRTP_LAST || !window_fresh(&s->rtp, index))
		return -EALREADY;
	err = rtp_open(c, s->ssrc, index, p, off, len);
	if (err)
		return err;
	window_add(&s->rtp, index);
	stream_keep(c, s, &fresh);
	*n = len;
	return 0;
}

/* --- SRTCP. Counter mode: header | encrypted | index word | tag. GCM: header | encrypted | tag | index word. */
static void rtcp_aad(uint8_t aad[RTCP_MIN + RTCP_WORD], const uint8_t *p, uint32_t word)
{
	memcpy(aad, p, RTCP_MIN);
	put32(aad + RTCP_MIN, word);
}

int srtcp_protect(struct srtp_ctx *c, uint8_t *p, size_t *n, size_t room)
{
	uint8_t iv[16], mac[SHA_DIGEST_LENGTH], aad[RTCP_MIN + RTCP_WORD];
	struct stream *s;
	uint32_t index;
	int err;

	if (*n < RTCP_MIN || *n > MAX_PACKET || p[0] >> 6 != 2)
		return -EBADMSG;
	if (room < *n || room - *n < c->rtcp_tag + RTCP_WORD)
		return -EMSGSIZE;
	s = stream_send(c, get32(p + 4));
	if (!s)
		return -ENOSPC;
	if (s->rtcp.any && s->rtcp.top >= SRTCP_LAST)
		return -EOVERFLOW;
	index = s->rtcp.any ? (uint32_t)s->rtcp.top + 1 : 0;
	window_add(&s->rtcp, index);
	s->last = ++c->clock;
	if (c->aead) {
		gcm_iv(iv, &c->rtcp, s->ssrc, index);
		rtcp_aad(aad, p, E_BIT | index);
		err = srtp_keys_seal(&c->rtcp, iv, aad, sizeof(aad), p + RTCP_MIN, *n - RTCP_MIN, p + *n);
		put32(p + *n + SRTP_GCM_TAG, E_BIT | index);
	} else {
		cm_iv(iv, &c->rtcp, s->ssrc, index);
		err = srtp_keys_ctr(&c->rtcp, iv, p + RTCP_MIN, *n - RTCP_MIN);
		put32(p + *n, E_BIT | index);
		srtp_keys_mac(&c->rtcp, p, *n + RTCP_WORD, NULL, 0, mac);
		memcpy(p + *n + RTCP_WORD, mac, c->rtcp_tag);
	}
	if (!err)
		*n += c->rtcp_tag + RTCP_WORD;
	return err;
}

static int rtcp_open(struct srtp_ctx *c, uint32_t ssrc, uint32_t word, uint8_t *p, size_t n)
{
	uint8_t iv[16], mac[SHA_DIGEST_LENGTH], aad[RTCP_MIN + RTCP_WORD];

	if (c->aead) {
		gcm_iv(iv, &c->rtcp, ssrc, word & ~E_BIT);
		rtcp_aad(aad, p, word);
		return srtp_keys_open(&c->rtcp, iv, aad, sizeof(aad), p + RTCP_MIN, n - RTCP_MIN, p + n);
	}
	srtp_keys_mac(&c->rtcp, p, n + RTCP_WORD, NULL, 0, mac);
	if (CRYPTO_memcmp(mac, p + n + RTCP_WORD, c->rtcp_tag))
		return -EACCES;
	cm_iv(iv, &c->rtcp, ssrc, word & ~E_BIT);
	return srtp_keys_ctr(&c->rtcp, iv, p + RTCP_MIN, n - RTCP_MIN);
}

int srtcp_unprotect(struct srtp_ctx *c, uint8_t *p, size_t *n)
{
	struct stream fresh = { .used = true }, *s;
	uint32_t word;
	size_t len;
	int err;

	if (*n < RTCP_MIN + RTCP_WORD + c->rtcp_tag || *n > MAX_PACKET || p[0] >> 6 != 2)
		return -EBADMSG;
	len = *n - c->rtcp_tag - RTCP_WORD;
	word = get32(p + len + (c->aead ? SRTP_GCM_TAG : 0));
	if (!(word & E_BIT))
		return -EACCES;          /* never negotiated: unencrypted SRTCP is as good as forged */
	s = stream_find(c, get32(p + 4));
	if (!s) {
		fresh.ssrc = get32(p + 4);
		s = &fresh;
	}
	if (!window_fresh(&s->rtcp, word & ~E_BIT))
		return -EALREADY;
	err = rtcp_open(c, s->ssrc, word, p, len);
	if (err)
		return err;
	window_add(&s->rtcp, word & ~E_BIT);
	stream_keep(c, s, &fresh);
	*n = len;
	return 0;
}
