/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a growing byte buffer that remembers failure
 *
 * Write as much as you like and check `err` once at the end. A limit of 0 means none.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stdint.h>
#include "lib/base/str.h"

struct buf {
	char  *p;        /* plain malloc memory, always terminated when l > 0 */
	size_t l, size;
	size_t limit;
	int    err;      /* 0, -ENOMEM, -EMSGSIZE; sticky */
};

void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b);                            /* empty again, memory kept, err cleared */
void buf_write(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_str(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_skip(struct buf *b, size_t n);                   /* drops n bytes at the front */
static inline struct str buf_view(const struct buf *b) { return (struct str){ b->p ? b->p : "", b->l }; }

#endif
