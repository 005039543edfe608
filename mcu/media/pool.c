/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - payload cells, see pool.h: a chunk of cells is allocated when a free list is empty, nothing per packet */
#include <stdbool.h>
#include <stdlib.h>
#include "mcu/media/pool.h"

struct pool_chunk {
	struct pool_chunk *next;
	uint64_t           cells[];
};

static const size_t payload[2] = { POOL_SMALL, POOL_LARGE };
static const size_t percell[2] = { 64, 8 };

static int grow(struct pool *p, bool large)
{
	size_t size = (sizeof(struct pool_cell) + payload[large] + 7) & ~(size_t)7;
	struct pool_chunk *ch = malloc(sizeof(*ch) + percell[large] * size);

	if (!ch)
		return -1;
	ch->next = p->chunks;
	p->chunks = ch;
	for (size_t i = 0; i < percell[large]; i++) {
		struct pool_cell *c = (struct pool_cell *)((char *)ch->cells + i * size);

		c->large = large;
		c->next = p->free[large];
		p->free[large] = c;
	}
	p->total += percell[large];
	return 0;
}

void *pool_get(struct pool *p, size_t n)
{
	bool large = n > POOL_SMALL;
	struct pool_cell *c;

	if (n > POOL_LARGE || (!p->free[large] && grow(p, large)))
		return NULL;
	c = p->free[large];
	p->free[large] = c->next;
	p->used++;
	return c->data;
}

void pool_put(struct pool *p, void *data)
{
	struct pool_cell *c;

	if (!data)
		return;
	c = (struct pool_cell *)((char *)data - offsetof(struct pool_cell, data));
	c->next = p->free[c->large];
	p->free[c->large] = c;
	p->used--;
}

void pool_fini(struct pool *p)
{
	for (struct pool_chunk *c = p->chunks, *n; c; c = n) {
		n = c->next;
		free(c);
	}
	*p = (struct pool){ 0 };
}
