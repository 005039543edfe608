/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - a room on several workers: what its shards hear of each other
 *
 * A shard is a struct wroom of its own: legs, profiles, sums, packets. Only the sound of those who are mixed crosses: each tick
 * a shard says who of its legs is in the mix and how that sounds (at the leg's rate, gains applied), the others hear it
 * as guests in their own next tick. Whether a leg is in the mix is decided by its own shard alone, and everybody mixes
 * whoever is said to be, so all shards mix the same. One writer, many readers, no lock, nobody waits.
 */
#ifndef MEDIA_SPAN_H
#define MEDIA_SPAN_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mcu/audio/resample.h"

#define SHARDS_MAX 16u
#define SPAN_FRAME 960u                  /* samples of a tick at the highest rate */
#define SPAN_GUESTS 12u
#define SPAN_VOICES 8u                   /* that a shard tells of in a tick: the mix and some that fade */

struct wroom;
struct wleg;

struct talker {                          /* whole 8-byte words */
	int64_t  since;                  /* in the mix, us: of too many the last ones leave */
	uint32_t id;                     /* the SSRC that we send it: its own for life */
	uint32_t csrc;                   /* of what it sends */
	uint32_t instead;                /* whose place it took, an id; 0: nobody's */
	int8_t   level;
	uint8_t  rate;                   /* enum rate */
	uint8_t  flags;
	uint8_t  unused;
};
enum { TALKER_MIXED = 1, TALKER_SOUND = 2, TALKER_CSRC = 4 };    /* not MIXED: it fades */

struct guest {                           /* a talker of another shard, as its worker knows it */
	struct talker    t;
	unsigned         from;           /* shard */
	bool             present, fresh; /* its place is taken; there is sound in this tick */
	struct resample *rs[3];          /* to the rates of the mix */
	int16_t          pcm[SPAN_FRAME];
};

/* --- of the signalling thread */
struct span;
int  span_alloc(struct span **sp);                       /* mem_deref() when no shard has ears any more */
int  span_join(struct span *s, unsigned *at);            /* a number for a shard; -EMFILE */
void span_quit(struct span *s, unsigned at);             /* its worker has let go */
struct ears;
int  ears_alloc(struct ears **ep, struct span *s, unsigned at);  /* for one shard; from then on its worker's, which frees it */

/* --- of a worker, e never NULL; all in one tick: listen, choose, say */
void ears_listen(struct ears *e, struct wroom *r);
void ears_say(struct ears *e, const struct wroom *r);
void ears_chime(struct ears *e, bool join);              /* to the others */
unsigned ears_mixed(const struct ears *e);               /* guests in the mix */
struct guest *ears_weakest(const struct ears *e);        /* of those; NULL: none */
bool ears_surplus(const struct ears *e, const struct wroom *r, struct wleg *l, unsigned max);   /* l must leave the mix */
struct guest *ears_guest(const struct ears *e, unsigned i);      /* dominant first, those that fade last; NULL: no more */

#endif
