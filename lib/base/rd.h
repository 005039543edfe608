/* SPDX-License-Identifier: Apache-2.0 */
/* rd.h - a cursor over received bytes that remembers failure: read on, check `bad` once
 *
 * Network byte order. Reading past the end sets `bad` and returns zeros.
 */
#ifndef BASE_RD_H
#define BASE_RD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *p;
	size_t         l;       /* bytes left */
	bool           bad;
};

static inline struct rd rd_init(const void *p, size_t n) { return (struct rd){ p, n, false }; }

static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->l) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->l -= n;
	return p;
}

static inline void rd_skip(struct rd *r, size_t n) { (void)rd_take(r, n); }
static inline uint8_t rd_u8(struct rd *r) { const uint8_t *p = rd_take(r, 1); return p ? p[0] : 0; }
static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}
static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

#endif
