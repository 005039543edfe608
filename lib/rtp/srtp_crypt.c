/* SPDX-License-Identifier: Apache-2.0 */
/* srtp_crypt.c - session keys and the ciphers of SRTP
 *
 * Keys are derived once per context (RFC 3711 4.3, rate 0). What runs per packet was chosen by measurement (172-byte
 * packet): counter mode as one AES-ECB call over ready-made counter blocks takes half the time of re-setting the IV of
 * an AES-CTR context; HMAC-SHA1 from two copied SHA_CTX takes 0.15 us against 0.22 us with EVP_MD_CTX_copy_ex (which
 * allocates) and 0.26 us with EVP_MAC. The SHA1_* functions are deprecated but present in every OpenSSL 3.
 */
#include "lib/rtp/srtp_priv.h"           /* before any OpenSSL header */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define AES_BLOCK 16u
#define CTR_BATCH 32u                    /* blocks of key stream per call: 512 bytes of stack */

static const EVP_CIPHER *ecb_of(size_t key_len)
{
	return key_len == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
}

static EVP_CIPHER_CTX *ecb_new(const uint8_t *key, size_t key_len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c && EVP_EncryptInit_ex(c, ecb_of(key_len), NULL, key, NULL) == 1) {
		EVP_CIPHER_CTX_set_padding(c, 0);
		return c;
	}
	EVP_CIPHER_CTX_free(c);
	return NULL;
}

static EVP_CIPHER_CTX *gcm_new(const uint8_t *key, size_t key_len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c && EVP_EncryptInit_ex(c, key_len == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL, key, NULL) == 1)
		return c;
	EVP_CIPHER_CTX_free(c);
	return NULL;
}

static void xor_into(uint8_t *restrict p, const uint8_t *restrict ks, size_t n)
{
	for (; n >= 8; n -= 8, p += 8, ks += 8) {
		uint64_t a, b;

		memcpy(&a, p, 8);
		memcpy(&b, ks, 8);
		a ^= b;
		memcpy(p, &a, 8);
	}
	while (n--)
		*p++ ^= *ks++;
}

static int ctr(EVP_CIPHER_CTX *ecb, const uint8_t iv[16], uint8_t *p, size_t n)
{
	uint8_t ks[CTR_BATCH * AES_BLOCK];
	unsigned block = 0;

	while (n) {
		size_t now = n < sizeof(ks) ? n : sizeof(ks);
		size_t nblocks = (now + AES_BLOCK - 1) / AES_BLOCK;
		int l;

		for (size_t i = 0; i < nblocks; i++, block++) {
			memcpy(ks + i * AES_BLOCK, iv, AES_BLOCK - 2);
			ks[i * AES_BLOCK + 14] = (uint8_t)(block >> 8);
			ks[i * AES_BLOCK + 15] = (uint8_t)block;
		}
		if (EVP_EncryptUpdate(ecb, ks, &l, ks, (int)(nblocks * AES_BLOCK)) != 1 ||
		    (size_t)l != nblocks * AES_BLOCK)
			return -EIO;
		xor_into(p, ks, now);
		p += now;
		n -= now;
	}
	return 0;
}

int srtp_keys_ctr(struct srtp_keys *k, const uint8_t iv[16], uint8_t *p, size_t n)
{
	return ctr(k->aes, iv, p, n);
}

/* A session key: key stream of the master key at (label << 48 xor master salt) << 16 */
static int derive(EVP_CIPHER_CTX *master, const uint8_t *salt, size_t salt_len, unsigned label, uint8_t *out, size_t n)
{
	uint8_t iv[16] = { 0 };

	memcpy(iv, salt, salt_len);
	iv[7] ^= (uint8_t)label;
	memset(out, 0, n);
	return ctr(master, iv, out, n);
}

static void hmac_init(struct srtp_keys *k, const uint8_t key[SHA_DIGEST_LENGTH])
{
	uint8_t pad[SHA_CBLOCK];

	memset(pad, 0x36, sizeof(pad));
	xor_into(pad, key, SHA_DIGEST_LENGTH);
	SHA1_Init(&k->inner);
	SHA1_Update(&k->inner, pad, sizeof(pad));
	memset(pad, 0x5c, sizeof(pad));
	xor_into(pad, key, SHA_DIGEST_LENGTH);
	SHA1_Init(&k->outer);
	SHA1_Update(&k->outer, pad, sizeof(pad));
	OPENSSL_cleanse(pad, sizeof(pad));
}

int srtp_keys_init(struct srtp_keys *k, const struct srtp_suite *s, bool aead, const uint8_t *master,
		   enum srtp_label label)
{
	const uint8_t *salt = master + s->key_len;
	uint8_t key[32], auth[SHA_DIGEST_LENGTH];
	EVP_CIPHER_CTX *m = ecb_new(master, s->key_len);
	int err = -ENOMEM;

	if (!m)
		return err;
	err = derive(m, salt, s->salt_len, label, key, s->key_len);
	if (!err)
		err = derive(m, salt, s->salt_len, label + 2u, k->salt, s->salt_len);
	if (!err && !aead) {
		err = derive(m, salt, s->salt_len, label + 1u, auth, sizeof(auth));
		hmac_init(k, auth);
	}
	if (!err) {
		k->aes = aead ? gcm_new(key, s->key_len) : ecb_new(key, s->key_len);
		if (!k->aes)
			err = -ENOMEM;
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(auth, sizeof(auth));
	EVP_CIPHER_CTX_free(m);
	return err;
}

void srtp_keys_fini(struct srtp_keys *k)
{
	EVP_CIPHER_CTX_free(k->aes);             /* OpenSSL wipes its key schedule */
	OPENSSL_cleanse(k, sizeof(*k));
}

void srtp_keys_mac(const struct srtp_keys *k, const uint8_t *p, size_t n, const uint8_t *tail, size_t ntail,
		   uint8_t mac[SHA_DIGEST_LENGTH])
{
	SHA_CTX c = k->inner;

	SHA1_Update(&c, p, n);
	if (ntail)
		SHA1_Update(&c, tail, ntail);
	SHA1_Final(mac, &c);
	c = k->outer;
	SHA1_Update(&c, mac, SHA_DIGEST_LENGTH);
	SHA1_Final(mac, &c);
}

int srtp_keys_seal(struct srtp_keys *k, const uint8_t iv[SRTP_GCM_IV], const uint8_t *aad, size_t naad,
		   uint8_t *p, size_t n, uint8_t tag[SRTP_GCM_TAG])
{
	int l;

	if (EVP_EncryptInit_ex(k->aes, NULL, NULL, NULL, iv) != 1 ||
	    EVP_EncryptUpdate(k->aes, NULL, &l, aad, (int)naad) != 1 ||
	    (n && EVP_EncryptUpdate(k->aes, p, &l, p, (int)n) != 1) ||
	    EVP_EncryptFinal_ex(k->aes, tag, &l) != 1 ||
	    EVP_CIPHER_CTX_ctrl(k->aes, EVP_CTRL_GCM_GET_TAG, SRTP_GCM_TAG, tag) != 1)
		return -EIO;
	return 0;
}

int srtp_keys_open(struct srtp_keys *k, const uint8_t iv[SRTP_GCM_IV], const uint8_t *aad, size_t naad,
		   uint8_t *p, size_t n, const uint8_t tag[SRTP_GCM_TAG])
{
	uint8_t none[16];
	int l;

	if (EVP_DecryptInit_ex(k->aes, NULL, NULL, NULL, iv) != 1 ||
	    EVP_DecryptUpdate(k->aes, NULL, &l, aad, (int)naad) != 1 ||
	    EVP_CIPHER_CTX_ctrl(k->aes, EVP_CTRL_GCM_SET_TAG, SRTP_GCM_TAG, (void *)(uintptr_t)tag) != 1)
		return -EIO;
	if (n && EVP_DecryptUpdate(k->aes, p, &l, p, (int)n) != 1)
		return -EIO;
	if (EVP_DecryptFinal_ex(k->aes, none, &l) == 1)
		return 0;
	/* It decrypted in place before it could know: the same key stream again gives the packet back. */
	if (n && (EVP_EncryptInit_ex(k->aes, NULL, NULL, NULL, iv) != 1 ||
		  EVP_EncryptUpdate(k->aes, p, &l, p, (int)n) != 1))
		return -EIO;
	return -EACCES;
}
