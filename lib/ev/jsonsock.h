/* SPDX-License-Identifier: Apache-2.0 */
/* jsonsock.h - a Unix socket for administration: one JSON request and one answer a line
 *
 * This file knows lines, not JSON: the daemon parses and writes it. A line is at most JSONSOCK_MAX_LINE bytes; a
 * longer one ends its connection. The answers of a connection leave in the order of its requests, also when they are
 * given later (keep the request with mem_ref() meanwhile). The socket file has mode 0600; a file left behind by a
 * process that is gone is replaced, one that somebody listens on is -EADDRINUSE.
 */
#ifndef EV_JSONSOCK_H
#define EV_JSONSOCK_H
#include "lib/base/str.h"
#include "lib/ev/ev.h"

#define JSONSOCK_MAX_LINE (64u * 1024)       /* of a request; answers may be longer */

struct jsonsock;
struct jsonsock_req;                             /* one request; borrowed in the callback, mem_ref() to answer later */

/* line: without its end. Answer with jsonsock_reply() once, now or later; a request that is dropped unanswered gets
 * {"ok":false,...}. */
typedef void (jsonsock_cb)(struct jsonsock_req *rq, struct str line, void *arg);

int jsonsock_alloc(struct jsonsock **jp, struct ev_loop *l, const char *path, jsonsock_cb *cb, void *arg);
						 /* mem_deref() closes every connection and removes the file */
/* json: one line without its end (line feeds in it become spaces); copied. 0 also when the client has gone.
 * -EALREADY: answered before. */
int jsonsock_reply(struct jsonsock_req *rq, struct str json);

#endif
