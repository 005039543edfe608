/* SPDX-License-Identifier: Apache-2.0 */
/* handles.h - the signalling thread's half of the media engine, shared by media.c, shard.c, move.c and order.c */
#ifndef MEDIA_HANDLES_H
#define MEDIA_HANDLES_H
#include "mcu/media/media_priv.h"

struct media {
	struct mbox    *mbox;
	struct ports    ports;
	struct worker **workers;
	unsigned        nworkers, load_max, span;
	struct link    *links;
	struct hub     *hubs;
	pthread_mutex_t lock;                    /* news, posted */
	bool            locks, posted, receiving;
	struct news    *news, **news_last;
};

struct mshard {                                  /* what of a room lives on one worker (shard.c) */
	struct mroom  *r;
	struct worker *w;
	struct wroom  *half;
	struct link   *link;
	unsigned       nlegs;                    /* handles, those on their way to it, too */
};

struct mroom {
	struct media  *m;
	unsigned       nshards;                  /* at least one */
	struct mshard *shard[SHARDS_MAX];
	struct span   *span;                     /* NULL: it never had two */
	bool           tones;
	struct clip   *chimes[2];                /* leave, join */
	char           id[64];
};

struct mleg {
	struct mroom    *r;
	struct mshard   *at;                     /* of r; moving: where it will land */
	struct wleg     *half;
	struct link     *link;
	mleg_event_cb   *cb;
	void            *arg;
	uint16_t         port;
	uint32_t         ssrc;
	bool             set, shared, moving;
	struct msg      *landing;                /* moving: what puts it into its new room ... */
	struct msg      *queue, **queue_last;    /* ... and what it is told meanwhile */
	struct mleg_set  last;                   /* holds keys: wiped */
};

struct msg *msg_new(enum msg_kind kind, struct wroom *r, struct wleg *l);      /* NULL: no memory */
void mleg_post(struct mleg *l, struct msg *m);                                 /* to its worker, now or when it has landed */
void mleg_forget_orders(struct mleg *l);                                       /* those that wait for its landing */
struct link *link_alloc(struct media *m, struct worker *w, unsigned slot);
void link_free(struct link *k);
struct mshard *shard_take(struct mroom *r);                                    /* a place for one leg, by load */
void shard_put(struct mshard *s);                                              /* the leg left, s may be gone */
void mleg_taken(struct link *k);                                               /* move.c */

#endif
