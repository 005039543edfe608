/* SPDX-License-Identifier: Apache-2.0 */
/* stun_mac.c - HMAC-SHA1 and CRC-32 as STUN's dialects want them
 *
 * The media thread answers checks, so nothing here allocates: the key is set up once as two SHA_CTX, which are copied
 * for a message (OpenSSL's EVP_MAC allocates when it is copied).
 */
#include "lib/ice/stun.h"

#define BLOCK    64u
#define ODD_AT   90u                     /* the entry of MS-ICE2's second CRC table that is not CRC-32's */
#define ODD      0x08bbe8eau

static uint32_t table[256];

static __attribute__((constructor)) void table_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = i;

		for (unsigned bit = 0; bit < 8; bit++)
			v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
		table[i] = v;
	}
}

uint32_t stun_crc(const uint8_t *p, size_t n, bool ms)
{
	uint32_t v = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		uint8_t at = (uint8_t)(v ^ p[i]);

		v = v >> 8 ^ (ms && at == ODD_AT ? ODD : table[at]);
	}
	return ~v ^ 0x5354554eu;
}

void stun_key_init(struct stun_key *k, const void *pwd, size_t n)
{
	uint8_t key[BLOCK] = { 0 }, pad[BLOCK];

	if (n > BLOCK)
		SHA1(pwd, n, key);
	else
		memcpy(key, n ? pwd : "", n);
	for (unsigned i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ 0x36;
	SHA1_Init(&k->inner);
	SHA1_Update(&k->inner, pad, BLOCK);
	for (unsigned i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ 0x5c;
	SHA1_Init(&k->outer);
	SHA1_Update(&k->outer, pad, BLOCK);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(pad, sizeof(pad));
}

/* Over the first n bytes of a message, at least its header, with len instead of what stands in its length field. */
void stun_mac(const struct stun_key *k, const uint8_t *p, size_t n, uint16_t len, bool pad, uint8_t mac[20])
{
	static const uint8_t zeros[BLOCK];
	const uint8_t head[4] = { p[0], p[1], (uint8_t)(len >> 8), (uint8_t)len };
	uint8_t inner[SHA_DIGEST_LENGTH];
	SHA_CTX c = k->inner;

	SHA1_Update(&c, head, sizeof(head));
	SHA1_Update(&c, p + 4, n - 4);
	if (pad && n % BLOCK)
		SHA1_Update(&c, zeros, BLOCK - n % BLOCK);
	SHA1_Final(inner, &c);
	c = k->outer;
	SHA1_Update(&c, inner, sizeof(inner));
	SHA1_Final(mac, &c);
}
