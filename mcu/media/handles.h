/* SPDX-License-Identifier: Apache-2.0 */
/* handles.h - the signalling thread's half of the media engine, shared by media.c, move.c and order.c */
#ifndef MEDIA_HANDLES_H
#define MEDIA_HANDLES_H
#include "mcu/media/media_priv.h"

struct media {
	struct mbox    *mbox;
	struct ports    ports;
	struct worker **workers;
	unsigned        nworkers, load_max;
	struct link    *links;
	struct hub     *hubs;
	pthread_mutex_t lock;                    /* news, posted */
	bool            locks, posted, receiving;
	struct news    *news, **news_last;
};

struct mroom {
	struct media  *m;
	struct worker *w;
	struct wroom  *half;
	struct link   *link;
};

struct mleg {
	struct mroom    *r;
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
void link_free(struct link *k);
void mleg_taken(struct link *k);                                               /* move.c */

#endif
