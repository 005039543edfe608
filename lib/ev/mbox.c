/* SPDX-License-Identifier: Apache-2.0 */
/* mbox.c - messages from any thread to the loop's thread, in order
 *
 * Senders append to an array under a mutex; the first message of a batch wakes the loop (uv_async). The receiver swaps the
 * array for an empty one and hands out the batch without the mutex, so senders never wait for callbacks.
 */
#include <errno.h>
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/ev/ev_priv.h"

struct batch { void **v; size_t n, size; };

struct mbox_uv { uv_async_t uv; struct mbox *m; };      /* m: NULL when the mailbox is gone */

struct mbox {
	struct ev_loop *loop;
	struct mbox_uv *h;
	mbox_cb        *cb;
	void           *arg;
	bool            gone, receiving;
	uv_mutex_t      lock;                           /* in */
	bool            locks;
	struct batch    in, out;
};

static void on_closed(uv_handle_t *uv)
{
	mem_deref(uv->data);
}

static void destructor(void *arg)
{
	struct mbox *m = arg;

	if (m->receiving && !m->gone) {
		m->gone = true;
		mem_ref(m);                             /* mbox_drain() is on the stack and drops it */
		return;
	}
	if (m->h) {
		m->h->m = NULL;
		uv_close((uv_handle_t *)&m->h->uv, on_closed);
	}
	if (m->locks)
		uv_mutex_destroy(&m->lock);
	free(m->in.v);
	free(m->out.v);
	mem_deref(m->loop);
}

void mbox_drain(struct mbox *m)
{
	struct batch b;

	if (m->receiving)
		return;
	uv_mutex_lock(&m->lock);
	b = m->in;
	m->in = m->out;
	m->in.n = 0;
	uv_mutex_unlock(&m->lock);
	m->out = b;
	m->receiving = true;
	for (size_t i = 0; i < b.n && !m->gone; i++)
		m->cb(b.v[i], m->arg);
	m->receiving = false;
	if (m->gone)
		mem_deref(m);
}

static void on_async(uv_async_t *uv)
{
	struct mbox_uv *h = uv->data;

	if (h->m)
		mbox_drain(h->m);
}

int mbox_alloc(struct mbox **mp, struct ev_loop *l, mbox_cb *cb, void *arg)
{
	struct mbox *m;
	int err;

	if (l->ending)
		return -ECANCELED;
	m = mem_zalloc(sizeof(*m), destructor);
	if (!m)
		return -ENOMEM;
	m->loop = mem_ref(l);
	m->cb   = cb;
	m->arg  = arg;
	err = uv_mutex_init(&m->lock);
	if (err)
		goto out;
	m->locks = true;
	err = -ENOMEM;
	m->h = mem_zalloc(sizeof(*m->h), NULL);
	if (!m->h)
		goto out;
	err = uv_async_init(&l->uv, &m->h->uv, on_async);
	if (err) {
		m->h = mem_deref(m->h);
		goto out;
	}
	m->h->uv.data = m->h;
	m->h->m = m;
	*mp = m;
out:
	if (err)
		mem_deref(m);
	return err;
}

static int append(struct batch *b, void *msg)
{
	size_t size = b->size ? 2 * b->size : 16;
	void **v;

	if (b->n == b->size) {
		v = realloc(b->v, size * sizeof(*v));
		if (!v)
			return -ENOMEM;
		b->v = v;
		b->size = size;
	}
	b->v[b->n++] = msg;
	return 0;
}

int mbox_post(struct mbox *m, void *msg)
{
	int err;
	bool first;

	uv_mutex_lock(&m->lock);
	first = m->in.n == 0;
	err = append(&m->in, msg);
	if (!err && first)
		uv_async_send(&m->h->uv);              /* under the lock: the mailbox may go as soon as it is received */
	uv_mutex_unlock(&m->lock);
	return err;
}
