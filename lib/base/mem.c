/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - reference-counted memory: a header of two words before each object */
#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include "lib/base/mem.h"

struct mem {
	mem_destroy_cb *destroy;
	uint32_t        nrefs;
	uint32_t        magic;
};
#define MAGIC 0x436f6e63u
_Static_assert(sizeof(struct mem) % 16 == 0, "objects stay aligned");

static atomic_size_t   live;
static atomic_uint     fail_in;

static struct mem *head(const void *p)
{
	struct mem *m = (struct mem *)(uintptr_t)p - 1;

	assert(m->magic == MAGIC);
	return m;
}

void *mem_zalloc(size_t size, mem_destroy_cb *destroy)
{
	struct mem *m;

	if (fail_in && atomic_fetch_sub(&fail_in, 1) == 1)
		return NULL;
	m = calloc(1, sizeof(*m) + size);
	if (!m)
		return NULL;
	m->destroy = destroy;
	m->nrefs   = 1;
	m->magic   = MAGIC;
	atomic_fetch_add(&live, 1);
	return m + 1;
}

void *mem_ref(void *p)
{
	if (p)
		head(p)->nrefs++;
	return p;
}

void *mem_deref(void *p)
{
	struct mem *m;

	if (!p)
		return NULL;
	m = head(p);
	assert(m->nrefs > 0);
	if (m->nrefs > 1) {
		m->nrefs--;
		return NULL;
	}
	if (m->destroy)
		m->destroy(p);
	if (--m->nrefs == 0) {          /* a destructor may have kept the object alive */
		m->magic = 0;
		free(m);
		atomic_fetch_sub(&live, 1);
	}
	return NULL;
}

unsigned mem_nrefs(const void *p)
{
	return p ? head(p)->nrefs : 0;
}

void mem_fail_after(unsigned n)
{
	fail_in = n;
}

size_t mem_live(void)
{
	return live;
}
