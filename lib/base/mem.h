/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - reference-counted memory
 *
 * An object starts with one reference; mem_deref() drops one and runs the destructor with the last.
 * Counts are not atomic: an object belongs to one thread at a time.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

typedef void (mem_destroy_cb)(void *arg);

/* Zeroed memory with one reference, or NULL. The destructor (may be NULL) must accept a half-built object. */
void *mem_zalloc(size_t size, mem_destroy_cb *destroy);
void *mem_ref(void *p);      /* p itself; NULL is fine */
void *mem_deref(void *p);    /* always NULL, so that `x = mem_deref(x)` reads well */
unsigned mem_nrefs(const void *p);

/* For tests: the n-th allocation from now fails (0: none). */
void mem_fail_after(unsigned n);
size_t mem_live(void);       /* objects alive, for leak checks in tests */

#endif
