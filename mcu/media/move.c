/* SPDX-License-Identifier: Apache-2.0 */
/* move.c - a leg goes to another room, which may live on another worker
 *
 * mleg_move() asks the old worker to let go of its half -> NEWS_LEG_TAKEN: nobody's now -> MSG_LEG_ADD to the new worker
 * and then all that the leg was told meanwhile. Both threads never hold it at once, so nothing of it needs a lock. Its
 * sockets, keys, addresses, SSRC and counters go along; encoder, decoder and jitter buffer are made anew.
 */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/media/handles.h"

/* --- the workers' side */
void wleg_take_out(struct wleg *l)
{
	wroom_del_leg(l->room, l);
	if (l->own)
		stream_fini(l->own);
	l->own = mem_deref(l->own);
	voice_free(l);
	jbuf_flush(&l->jb);
	l->send = l->loud = l->talk_told = false;
	l->fill = l->used = 0;
	l->room = NULL;
}

void wleg_land(struct wleg *l)
{
	wleg_jbuf(l, l->codec);
	l->tx_tick = l->room->tick;
	l->marker  = true;
	worker_watch(l->room->w, l, true, true);
	worker_watch(l->room->w, l, false, true);
	wroom_chime(l->room, true);
}

/* --- the signalling thread's */
void mleg_post(struct mleg *l, struct msg *m)
{
	if (!l->moving) {
		worker_post(l->at->w, m);
		return;
	}
	m->next = NULL;
	*l->queue_last = m;
	l->queue_last  = &m->next;
}

void mleg_forget_orders(struct mleg *l)
{
	struct msg *m;

	l->landing = mem_deref(l->landing);
	while ((m = l->queue)) {
		l->queue = m->next;
		if (m->kind == MSG_LEG_STATS)
			m->cb(NULL, m->arg);
		mem_deref(m->set);
		mem_deref(m->play);
		mem_deref(m);
	}
}

int mleg_move(struct mleg *l, struct mroom *to)
{
	struct mshard *was = l->at;
	struct msg *take = NULL;

	if (l->shared || l->moving)
		return -EINVAL;
	if (mroom_busy(to))
		return -EBUSY;
	if (to == l->r)                          /* it would hear what it has just said there */
		was->nlegs++;
	else
		l->at = shard_take(to);
	l->landing = msg_new(MSG_LEG_ADD, l->at->half, l->half);
	take = l->landing ? msg_new(MSG_LEG_TAKE, NULL, l->half) : NULL;
	if (!take) {
		l->landing = mem_deref(l->landing);
		shard_put(l->at);
		l->at = was;
		return -ENOMEM;
	}
	worker_post(was->w, take);
	mem_ref(to);
	shard_put(was);
	mem_deref(l->r);                         /* its end, if this is it, goes to the old worker behind what was asked above */
	l->r = to;
	l->moving = true;
	l->queue  = NULL;
	l->queue_last = &l->queue;
	return 0;
}

static void load_moves(struct link *k, const struct mshard *to)
{
	k->w->load[k->slot]--;
	k->w    = to->w;
	k->slot = to->half->slot;
	k->w->load[k->slot]++;
}

void mleg_taken(struct link *k)
{
	struct mleg *l = k->leg;
	struct msg *m;

	if (!l) {                                /* freed on its way */
		link_free(k);
		return;
	}
	load_moves(k, l->at);
	l->moving = false;
	worker_post(l->at->w, l->landing);
	l->landing = NULL;
	if (l->set)
		(void)mleg_set(l, &l->last);     /* its profile in the new room */
	while ((m = l->queue)) {
		l->queue = m->next;
		worker_post(l->at->w, m);
	}
}
