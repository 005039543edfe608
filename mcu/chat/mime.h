/* SPDX-License-Identifier: Apache-2.0 */
/* mime.h - content types, accept lists, and the parts of a multipart body (RFC 2045, 2046); pure and bounded
 *
 * Everything is borrowed from the body that was given.
 */
#ifndef CHAT_MIME_H
#define CHAT_MIME_H
#include <stdbool.h>
#include "lib/base/str.h"

#define MIME_MAX_PARTS  8u
#define MIME_MAX_ACCEPT 24u
#define MIME_MAX_TYPE   64u

struct str mime_type(struct str ctype);                  /* "text/plain; charset=x" -> "text/plain" */
bool mime_is(struct str ctype, const char *type);        /* without case, parameters left aside */
bool mime_is_multipart(struct str ctype);
struct str mime_param(struct str ctype, struct str name);        /* unquoted; STR_NULL when absent */

struct mime_accept {                                     /* what a recipient takes; copies */
	unsigned n;
	char     types[MIME_MAX_ACCEPT][MIME_MAX_TYPE];
};
/* A list separated by spaces or commas, as in a=accept-types. What is too long or too much is left out. */
void mime_accept_decode(struct mime_accept *a, struct str list);
bool mime_accepts(const struct mime_accept *a, struct str ctype);        /* "*" and "text/ *" count, too */

struct mime_part { struct str ctype, body; };
/* Parts in their order; ctype of a part without one is text/plain. Parts in base64 or quoted-printable are left out. 0,
 * -EBADMSG (no boundary, no end of a part), -E2BIG. */
int  mime_parts(struct mime_part parts[MIME_MAX_PARTS], unsigned *n, struct str ctype, struct str body);

#endif
