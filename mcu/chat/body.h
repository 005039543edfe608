/* SPDX-License-Identifier: Apache-2.0 */
/* body.h - what of a message one recipient gets: all of it, one part of a multipart, or nothing */
#ifndef CHAT_BODY_H
#define CHAT_BODY_H
#include "lib/base/buf.h"
#include "mcu/chat/mime.h"

struct body {                                /* a message as its author sent it; borrowed */
	struct str       ctype, text;
	unsigned         nparts;             /* 0: not multipart, or one that cannot be taken apart */
	struct mime_part parts[MIME_MAX_PARTS];
};
void body_init(struct body *b, struct str ctype, struct str text);

/* The piece for a recipient. whole: multipart may stay multipart. -ENOTSUP: nothing that it accepts. */
int  body_choose(struct mime_part *out, const struct body *b, const struct mime_accept *a, bool whole);
/* Writes the piece with "name: " before what a person reads; types that are not text stay as they are. */
void body_prefix(struct buf *b, const struct mime_part *p, struct str name);

#endif
