/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c - see tap.h */
#include <errno.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/tap.h"

int tap_alloc(struct tap **tp)
{
	struct tap *t = mem_zalloc(sizeof(*t), NULL);
	volatile uint8_t *p = (volatile uint8_t *)t;

	if (!t)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(*t); i += 4096)
		p[i] = 0;                        /* the page is there before the worker needs it */
	*tp = t;
	return 0;
}

void tap_put(struct tap *t, uint64_t tick, const int16_t *pcm)
{
	uint32_t head = atomic_load_explicit(&t->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&t->tail, memory_order_acquire) == TAP_FRAMES) {
		atomic_fetch_add_explicit(&t->dropped, 1, memory_order_relaxed);
		return;
	}
	t->frame[head % TAP_FRAMES].tick = tick;
	memcpy(t->frame[head % TAP_FRAMES].pcm, pcm, sizeof(t->frame[0].pcm));
	atomic_store_explicit(&t->head, head + 1, memory_order_release);
}

const int16_t *tap_peek(struct tap *t, uint64_t *tick)
{
	uint32_t tail = atomic_load_explicit(&t->tail, memory_order_relaxed);

	if (atomic_load_explicit(&t->head, memory_order_acquire) == tail)
		return NULL;
	*tick = t->frame[tail % TAP_FRAMES].tick;
	return t->frame[tail % TAP_FRAMES].pcm;
}

void tap_next(struct tap *t)
{
	atomic_store_explicit(&t->tail, atomic_load_explicit(&t->tail, memory_order_relaxed) + 1, memory_order_release);
}
