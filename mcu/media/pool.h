/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - payload cells of one worker: two sizes, free lists, grown by chunks and kept for good
 *
 * One thread only. Datagrams are received into scratch memory that stays in the cache; what the jitter buffers keep
 * is copied here, so that a listener's packet in flight costs 192 bytes and not a whole datagram.
 */
#ifndef MEDIA_POOL_H
#define MEDIA_POOL_H
#include <stddef.h>
#include <stdint.h>

#define POOL_SMALL 184u
#define POOL_LARGE 1600u

struct pool_cell {
	struct pool_cell *next;
	uint32_t          large;
	uint32_t          pad;
	uint8_t           data[];
};
struct pool_chunk;
struct pool {                           /* zeroed = empty */
	struct pool_cell  *free[2];
	struct pool_chunk *chunks;
	size_t             used, total; /* cells */
};

void *pool_get(struct pool *p, size_t n);        /* NULL: n too large or no memory */
void  pool_put(struct pool *p, void *data);      /* NULL is fine */
void  pool_fini(struct pool *p);                 /* every cell becomes invalid */

#endif
