/* SPDX-License-Identifier: Apache-2.0 */
/* srtp.h - SRTP and SRTCP (RFC 3711, 6188, 7714) of one leg and one direction, in place
 *
 * All suites run on kept OpenSSL contexts (measured several times faster than the distribution's libsrtp2, which is
 * the oracle of the tests). A context follows up to SRTP_MAX_STREAMS SSRCs. When receiving, one more replaces the
 * longest silent one, and only after it authenticated. When sending, one more is refused: a forgotten SSRC that came
 * back would repeat its key stream.
 */
#ifndef RTP_SRTP_H
#define RTP_SRTP_H
#include <stddef.h>
#include <stdint.h>

#define SRTP_MAX_TRAILER 20u                 /* what protection may add at the end */
#define SRTP_MAX_STREAMS 4
#define SRTP_MAX_KEY     46u

enum srtp_suite_id { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32, SRTP_AES_256_CM_HMAC_SHA1_80,
		     SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_NSUITES };
struct srtp_suite { const char *name; enum srtp_suite_id id; size_t key_len, salt_len; };   /* SDES: key then salt */
extern const struct srtp_suite srtp_suites[SRTP_NSUITES];            /* in order of preference */
const struct srtp_suite *srtp_suite_find(const char *name, size_t len);   /* NULL: unknown */

struct srtp_ctx;
/* mem_deref() wipes */
int  srtp_ctx_alloc(struct srtp_ctx **cp, enum srtp_suite_id suite, const uint8_t *key, size_t len);
/* In place; *n grows by at most SRTP_MAX_TRAILER (room tells how much the buffer holds). -EMSGSIZE; -EBADMSG not RTP
 * or RTCP; -EALREADY this sequence number was sent before (keep the protected packet to repeat it); -ENOSPC too many
 * SSRCs; -EOVERFLOW the key is used up */
int  srtp_protect(struct srtp_ctx *c, uint8_t *p, size_t *n, size_t room);
int  srtcp_protect(struct srtp_ctx *c, uint8_t *p, size_t *n, size_t room);
/* -EBADMSG too short, -EACCES authentication failed, -EALREADY replayed or too old. p is unchanged on any error. */
int  srtp_unprotect(struct srtp_ctx *c, uint8_t *p, size_t *n);
int  srtcp_unprotect(struct srtp_ctx *c, uint8_t *p, size_t *n);

#endif
