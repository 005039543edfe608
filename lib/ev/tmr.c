/* SPDX-License-Identifier: Apache-2.0 */
/* tmr.c - one-shot timers
 *
 * struct tmr is embedded in its owner and points to a struct tmr_uv with the libuv handle. That is freed when both the owner has
 * let go (tmr_fini) and libuv has (close callback), in any order, so a loop may end before the owners of its timers.
 */
#include <assert.h>
#include <errno.h>
#include "lib/base/mem.h"
#include "lib/ev/ev_priv.h"

static void on_closed(uv_handle_t *uv)
{
	struct tmr_uv *h = uv->data;

	h->closed = true;
	if (!h->owned)
		mem_deref(h);
}

static void leave(struct tmr_uv *h)
{
	if (!h->loop)
		return;
	*h->prev = h->next;
	if (h->next)
		h->next->prev = h->prev;
	h->loop = NULL;
	uv_close((uv_handle_t *)&h->uv, on_closed);
}

void tmr_orphan_all(struct ev_loop *l)
{
	while (l->timers)
		leave(l->timers);
}

static void on_timer(uv_timer_t *uv)
{
	struct tmr_uv *h = uv->data;

	h->cb(h->arg);                     /* may end the timer: h is freed in its close callback, not before */
}

int tmr_init(struct tmr *t, struct ev_loop *l, tmr_cb *cb, void *arg)
{
	struct tmr_uv *h;

	t->h = NULL;
	if (l->ending)
		return -ECANCELED;
	h = mem_zalloc(sizeof(*h), NULL);
	if (!h)
		return -ENOMEM;
	h->loop  = l;
	h->cb    = cb;
	h->arg   = arg;
	h->owned = true;
	h->uv.data = h;
	uv_timer_init(&l->uv, &h->uv);     /* cannot fail */
	h->next = l->timers;
	h->prev = &l->timers;
	if (h->next)
		h->next->prev = &h->next;
	l->timers = h;
	t->h = h;
	return 0;
}

void tmr_start(struct tmr *t, uint64_t delay_ms)
{
	assert(t->h);
	if (!t->h->loop)
		return;
	if (!t->h->loop->running)
		uv_update_time(&t->h->loop->uv);   /* before the first turn the cached time is from long ago */
	uv_timer_start(&t->h->uv, on_timer, delay_ms, 0);
}

void tmr_stop(struct tmr *t)
{
	if (t->h && t->h->loop)
		uv_timer_stop(&t->h->uv);
}

bool tmr_running(const struct tmr *t)
{
	return t->h && t->h->loop && uv_is_active((const uv_handle_t *)&t->h->uv);
}

void tmr_fini(struct tmr *t)
{
	struct tmr_uv *h = t->h;

	if (!h)
		return;
	t->h = NULL;
	h->owned = false;
	if (h->closed)
		mem_deref(h);
	else
		leave(h);
}
