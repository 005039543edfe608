/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h - the hashes of HTTP and SIP digest authentication (RFC 2617; MD5, because the clients know no other) */
#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H
#include <stdbool.h>
#include "lib/base/str.h"

int  digest_md5(char hex[33], const char *fmt, ...) __attribute__((format(printf, 2, 3)));   /* of the text; -ENOMEM */
bool digest_same(const char *a, struct str b);            /* hexadecimal, without case, in constant time */

struct digest {                                           /* an Authorization header, borrowed from it */
	struct str username, realm, nonce, uri, response, algorithm, cnonce, qop, nc, opaque;
};
int  digest_decode(struct digest *d, struct str header);  /* -EBADMSG: not Digest, or no nonce or response */
/* Does the response fit the secret? `secret`: the password, or with ha1 its MD5(user:realm:password) in hex. */
bool digest_check(const struct digest *d, const char *secret, bool ha1, struct str method);

#endif
