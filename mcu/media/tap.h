/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h - what a room sounds like, from its worker to one thread that may take its time
 *
 * A ring with one writer and one reader: the worker puts a frame in each tick and never waits; what finds it full is counted
 * and shows as a gap in the ticks. Whoever reads says when it is not wanted any more (from any thread); the worker answers by
 * closing it, touches it no more, and the reader frees it.
 */
#ifndef MEDIA_TAP_H
#define MEDIA_TAP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TAP_FRAME  960u                  /* a tick at 48 kHz */
#define TAP_FRAMES 256u                  /* 5 s: a disk may take so long */

struct tap {
	_Atomic uint32_t head, tail;     /* of the worker, of the reader; they run on, modulo TAP_FRAMES is the place */
	_Atomic uint32_t dropped;
	_Atomic bool     unwanted, closed;
	struct { uint64_t tick; int16_t pcm[TAP_FRAME]; } frame[TAP_FRAMES];
};
int  tap_alloc(struct tap **tp);
void tap_put(struct tap *t, uint64_t tick, const int16_t *pcm);              /* the worker */
const int16_t *tap_peek(struct tap *t, uint64_t *tick);                      /* the reader; NULL: nothing is there */
void tap_next(struct tap *t);                                                /* it is done with what it has seen */
static inline bool tap_closed(struct tap *t) { return atomic_load_explicit(&t->closed, memory_order_acquire); }
static inline bool tap_unwanted(struct tap *t) { return atomic_load_explicit(&t->unwanted, memory_order_relaxed); }

#endif
