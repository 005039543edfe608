/* SPDX-License-Identifier: Apache-2.0 */
/* hmsg.h - HTTP/1.1 messages as they arrive: strict, bounded, no I/O
 *
 * Feed it bytes in any pieces. Refused rather than guessed at: bare CR or LF, folded lines, repeated or conflicting lengths,
 * transfer codings other than chunked.
 */
#ifndef HTTP_HMSG_H
#define HTTP_HMSG_H
#include "lib/base/buf.h"

enum hmsg_state { HMSG_HEAD, HMSG_SIZED, HMSG_CHUNK_SIZE, HMSG_CHUNK, HMSG_CHUNK_END, HMSG_TRAILER, HMSG_TO_END, HMSG_DONE };
enum { HMSG_MAX_HEAD = 16 * 1024 };

struct hmsg {
	bool            request;
	size_t          max_body;
	enum hmsg_state st;
	struct buf      head, body, line;
	uint64_t        left;               /* of a sized body or of a chunk */
	unsigned        blank;              /* empty lines before the first line */
	/* what the head said; the pieces point into `head` */
	struct str      method, path, ctype, authorization;
	int             status;
	bool            keep_alive, expect;  /* expect: the peer waits for 100 Continue */
	bool            has_len, chunked, http10, has_host;
};

void hmsg_init(struct hmsg *m, bool request, size_t max_body);
void hmsg_reset(struct hmsg *m);                          /* for the next message of the connection */
void hmsg_fini(struct hmsg *m);
bool hmsg_begun(const struct hmsg *m);                    /* at least one byte of a message has come */
/* *used: bytes taken, less than data.l only when the message is complete (st == HMSG_DONE). -EBADMSG, -E2BIG (head),
 * -EMSGSIZE (body), -ENOTSUP (transfer coding), -EPROTONOSUPPORT (version), -ENOMEM */
int  hmsg_feed(struct hmsg *m, struct str data, size_t *used);
int  hmsg_eof(struct hmsg *m);                            /* the connection ended: 0 when that completes the message */

#endif
