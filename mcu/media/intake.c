/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - datagrams of a room's legs that have sockets of their own: one question to all of them in one system call
 *
 * Legs that speak to us are asked every tick (room.c: hot). With a ring (ring.h) a batch of them is asked at once, for
 * one datagram each. Who sends one a tick is not asked again in the same tick, except now and then, and when he owes
 * one from the tick before: a packet that stays in the kernel for a tick would be taken for a slow network. Without a
 * ring each socket is drained by a call of its own.
 */
#include <errno.h>
#include "mcu/media/media_priv.h"

#define ROUNDS 8u
#define STEADY 8u                        /* drained so often with one datagram: one is what to expect */
#define PROBE  16u                       /* ticks */

struct batch { unsigned n; struct wleg *leg[INBOX]; unsigned got[INBOX]; };

static bool drains(const struct wroom *r, const struct wleg *l)
{
	return l->steady < STEADY || l->owes || (r->tick + l->index) % PROBE == 0;
}

/* The leg's tick is over: more is false when its socket was found empty. */
static void learn(struct wleg *l, unsigned got, bool empty)
{
	if (got > 1 && !l->owes)
		l->steady = 0;
	else if (got && empty && l->steady < STEADY)
		l->steady++;
	l->owes = !got;
}

static bool ask(struct worker *w, struct batch *b)
{
	struct inbox *in = &w->in;

	inbox_ready(in, b->n);
	for (unsigned i = 0; i < b->n; i++)
		ring_recv(&w->ring, b->leg[i]->sk.rtp, &in->m[i].msg_hdr);
	return ring_run(&w->ring);
}

/* One round: the legs that are to be asked again stay in the batch. */
static void take(struct wroom *r, struct batch *b, int64_t now)
{
	struct inbox *in = &r->w->in;
	unsigned keep = 0, total = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct wleg *l = b->leg[i];
		int n = r->w->ring.res[i];

		if (n < 0) {
			learn(l, b->got[i], n == -EAGAIN);
			continue;
		}
		total++;
		b->got[i]++;
		wleg_take(l, in->buf[i], in->m[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : (size_t)n, &in->from[i], now);
		if (!drains(r, l)) {
			learn(l, b->got[i], false);
			continue;
		}
		b->leg[keep] = l;
		b->got[keep++] = b->got[i];
	}
	b->n = keep;
	metric_add(&media_metrics[M_RX], total);
}

static void receive(struct wroom *r, struct batch *b, int64_t now)
{
	for (unsigned round = 0; b->n && round < ROUNDS; round++) {
		if (!ask(r->w, b)) {
			for (unsigned i = 0; i < b->n; i++)
				wleg_receive(b->leg[i], now);
			break;
		}
		take(r, b, now);
	}
	for (unsigned i = 0; i < b->n; i++)
		b->leg[i]->steady = 0;
	b->n = 0;
}

void wroom_receive(struct wroom *r, int64_t now)
{
	struct batch b = { 0 };

	for (unsigned i = 0; i < r->nhot; i++) {
		struct wleg *l = r->hot[i];

		if (l->hub)
			continue;
		if (!ring_on(&r->w->ring)) {
			wleg_receive(l, now);
			continue;
		}
		b.leg[b.n] = l;
		b.got[b.n++] = 0;
		if (b.n == INBOX)
			receive(r, &b, now);
	}
	receive(r, &b, now);
}
