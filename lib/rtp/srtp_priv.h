/* SPDX-License-Identifier: Apache-2.0 */
/* srtp_priv.h - the cryptography below srtp.c: session keys of one protocol, SRTP or SRTCP, and what they do */
#ifndef RTP_SRTP_PRIV_H
#define RTP_SRTP_PRIV_H
#define OPENSSL_SUPPRESS_DEPRECATED      /* SHA_CTX: see srtp_crypt.c */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include "lib/rtp/srtp.h"

#define SRTP_GCM_TAG 16u
#define SRTP_GCM_IV  12u

struct srtp_keys {
	EVP_CIPHER_CTX *aes;             /* AES-ECB for counter mode, or AES-GCM; keyed once */
	SHA_CTX         inner, outer;    /* HMAC-SHA1 after its padded key; unused with GCM */
	uint8_t         salt[16];        /* left-aligned session salt, zeros behind */
};

enum srtp_label { SRTP_LABEL_RTP = 0, SRTP_LABEL_RTCP = 3 };      /* RFC 3711 4.3.1: encryption, +1 auth, +2 salt */

int  srtp_keys_init(struct srtp_keys *k, const struct srtp_suite *s, bool aead, const uint8_t *master,
		    enum srtp_label label);
void srtp_keys_fini(struct srtp_keys *k);
/* Counter mode in place; the low 16 bits of iv count blocks and are zero. 0 or -EIO. */
int  srtp_keys_ctr(struct srtp_keys *k, const uint8_t iv[16], uint8_t *p, size_t n);
/* HMAC-SHA1 over p and then tail */
void srtp_keys_mac(const struct srtp_keys *k, const uint8_t *p, size_t n, const uint8_t *tail, size_t ntail,
		   uint8_t mac[SHA_DIGEST_LENGTH]);
int  srtp_keys_seal(struct srtp_keys *k, const uint8_t iv[SRTP_GCM_IV], const uint8_t *aad, size_t naad,
		    uint8_t *p, size_t n, uint8_t tag[SRTP_GCM_TAG]);
/* -EACCES: p is as it was */
int  srtp_keys_open(struct srtp_keys *k, const uint8_t iv[SRTP_GCM_IV], const uint8_t *aad, size_t naad,
		    uint8_t *p, size_t n, const uint8_t tag[SRTP_GCM_TAG]);

#endif
