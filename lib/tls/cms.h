/* SPDX-License-Identifier: Apache-2.0 */
/* cms.h - secrets on the wire: a certificate that clients encrypt pass codes for (CMS EnvelopedData, RFC 5652)
 *
 * The key pair is made on first use, in a file of its own (mode 0600), and replaced after CMS_ROTATE_S; what was encrypted
 * for the one before is told as stale, so that a client fetches the new certificate and tries again.
 */
#ifndef TLS_CMS_H
#define TLS_CMS_H
#include "lib/base/str.h"

#define CMS_ROTATE_S (90 * 86400)
#define CMS_MAX_TEXT 16384u                  /* bytes of base64 */

struct cms;                                  /* mem_deref() wipes the key */
int  cms_alloc(struct cms **cp, const char *file, char *err, size_t errsz);
const char *cms_cert(const struct cms *c);           /* base64 of the DER certificate, one line */
const char *cms_key_id(const struct cms *c);         /* 16 hex digits of its SHA-256 */
/* Base64 of an EnvelopedData -> the text, new reference; wipe it. key_id: as the sender says, or NULL. -ESTALE: for an
 * earlier key; -EBADMSG: not for us, or nothing of the kind. */
int  cms_open(const struct cms *c, char **plain, struct str text, const char *key_id);
/* RSA-OAEP under somebody's certificate (base64 DER) -> base64, new reference; -EBADMSG: no usable RSA certificate. */
int  cms_encrypt_for(char **out, struct str cert, struct str plain);

#endif
