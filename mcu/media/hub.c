/* SPDX-License-Identifier: Apache-2.0 */
/* hub.c - a port pair that many legs share: which leg is a datagram for?
 *
 * source address -> hash table -> leg -> does it open with the leg's key? Then it is the leg's. Several legs may claim
 * one address (an old call whose BYE was lost, and its successor): the key decides. What comes from an address that
 * nobody has is tried against legs of the same host that wait: they have not been heard yet, or not for two seconds
 * (NATs give a phone a new port). Four tries a datagram, so many a tick: a flood costs no more than that.
 *
 * A plain leg has no key. Its packets are those that come from the address its SDP told, which is the address it called
 * from (mcu/pair.c); of several that claim one, it is who has the packet's source already, then the newest not heard
 * yet. From another port it is taken for a leg's only where a single plain leg of that host waits, and has waited for half
 * a second: nobody guesses, and packets may be faster than the news of whose they are. If they were, the leg that they
 * belong to takes its address back when it comes (hub_claim()), and the address of its SDP is always a leg's own. What a
 * gateway goes on to send after its call has ended is nobody's.
 *
 * A hub belongs to one slot of one worker: one receive batch and one send batch for all its legs, once a tick. The
 * signalling thread opens a hub with its first leg and closes it after its last; in between only the worker touches it.
 */
#include <errno.h>
#include <stdlib.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define TRIES       4u
#define BUDGET      64u                  /* tries and searches in a tick */
#define ROUNDS      16u                  /* receive batches in a tick */
#define SECOND_US   1000000
#define GONE_US     10000000             /* silent for so long: the address is free again */
#define OTHER_US    500000               /* a plain leg's own address has so much time */

static void destructor(void *arg)
{
	struct hub *h = arg;

	sock_pair_close(&h->sk);
	ports_put(h->ports, h->sk.port);
}

/* The kernel gives what net.core.rmem_max allows: with Debian's stock 208 KiB that is 2 KiB for each leg. */
int hub_alloc(struct hub **hp, struct ports *p, struct worker *w, unsigned slot)
{
	struct hub *h = mem_zalloc(sizeof(*h), destructor);
	int err;

	if (!h)
		return -ENOMEM;
	h->ports = p;
	h->sk = (struct sock_pair){ .rtp = -1, .rtcp = -1 };
	err = ports_open(p, &h->sk);
	if (err) {
		mem_deref(h);
		return err;
	}
	sock_buffer(h->sk.rtp, 1 << 20);
	h->w = w;
	h->slot = slot;
	*hp = h;
	return 0;
}

/* --- addresses */
static unsigned bucket(const union usa *a)
{
	uint64_t x = (uint64_t)a->in.sin_port << 32;

	if (a->sa.sa_family == AF_INET6) {
		uint64_t v[2];

		memcpy(v, &a->in6.sin6_addr, sizeof(v));
		x ^= v[0] * 31 ^ v[1];
	} else {
		x ^= a->in.sin_addr.s_addr;
	}
	return (unsigned)(x * 0x9e3779b97f4a7c15ull >> 56) % HUB_BUCKETS;
}

static void key_del(struct hub *h, struct wleg *l, unsigned i)
{
	struct hub_key *k = &l->key[i], **p = &h->table[i == KEY_RTCP][bucket(&k->at)];

	if (!k->leg)
		return;
	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	k->leg = NULL;
}

static void key_set(struct hub *h, struct wleg *l, unsigned i, const union usa *at)
{
	struct hub_key *k = &l->key[i], **p;

	if (k->leg && usa_len(at) && usa_eq(&k->at, at))
		return;
	key_del(h, l, i);
	if (!usa_len(at) || !usa_port(at))
		return;
	k->at = *at;
	k->leg = l;
	p = &h->table[i == KEY_RTCP][bucket(at)];
	k->next = *p;
	*p = k;
}

void hub_place(struct wleg *l)
{
	if (!l->hub)
		return;
	key_set(l->hub, l, KEY_RTP, &l->peer);
	key_set(l->hub, l, KEY_RTCP, &l->rtcp_peer);
	if (!l->srtp && !usa_eq(&l->told, &l->peer))
		key_set(l->hub, l, KEY_TOLD, &l->told);
	else
		key_del(l->hub, l, KEY_TOLD);
	if (usa_len(&l->peer))
		l->host = l->peer;
}

void hub_claim(struct wleg *l)
{
	struct wleg *other[TRIES];
	unsigned n = 0;

	if (!l->hub || l->srtp || !usa_len(&l->told))
		return;
	for (struct hub_key *k = l->hub->table[0][bucket(&l->told)]; k && n < TRIES; k = k->next)
		if (k->leg != l && !k->leg->srtp && usa_eq(&k->at, &l->told) && !usa_eq(&k->leg->told, &l->told))
			other[n++] = k->leg;
	for (unsigned i = 0; i < n; i++) {
		wleg_unlearn(other[i]);
		hub_place(other[i]);
	}
}

void hub_join(struct hub *h, struct wleg *l)
{
	if (!h->nlegs) {
		h->next = h->w->hubs[h->slot];
		h->w->hubs[h->slot] = h;
	}
	l->hub_index = h->nlegs;
	h->legs[h->nlegs++] = l;
}

void hub_leave(struct wleg *l)
{
	struct hub *h = l->hub, **p;

	if (!l->srtp && l->latched) {
		h->gone[h->ngone % HUB_GONE].at   = l->peer;
		h->gone[h->ngone++ % HUB_GONE].us = now_us();
	}
	for (unsigned i = 0; i < KEYS; i++)
		key_del(h, l, i);
	h->legs[l->hub_index] = h->legs[--h->nlegs];
	h->legs[l->hub_index]->hub_index = l->hub_index;
	l->hub = NULL;
	l->sk = (struct sock_pair){ .rtp = -1, .rtcp = -1 };
	if (h->nlegs)
		return;
	for (p = &h->w->hubs[h->slot]; *p != h; p = &(*p)->next)
		;
	*p = h->next;
}

/* --- datagrams */
struct dgram { uint8_t *p; size_t n; const union usa *from; int64_t now; unsigned rtcp; };

static int give(struct wleg *l, const struct dgram *d)
{
	int err = d->rtcp ? wleg_rtcp(l, d->p, d->n, d->from, d->now) : wleg_datagram(l, d->p, d->n, d->from, d->now);

	if (!err && l->last_rx_us == d->now)
		wroom_heat(l->room, l, true);
	return err;
}

static bool waits(const struct wleg *l, const struct dgram *d)
{
	if (!l->started || !usa_same_host(&l->host, d->from))
		return false;
	if (d->rtcp)
		return !l->mux;
	return !l->latched || d->now - l->last_rx_us >= RELATCH_US;
}

/* The source of the packet: a phone that moved to another port still has it */
static uint32_t source(const struct dgram *d)
{
	const uint8_t *s = d->p + (rtp_is_rtcp(d->p, d->n) ? 4 : 8);

	return d->n < 12 ? 0 : (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];
}

static bool has_source(const struct wleg *l, uint32_t ssrc)
{
	return l->has_src && l->src.ssrc == ssrc;
}

static bool alone(const struct hub *h, const struct wleg *l, const struct dgram *d)
{
	for (unsigned i = 0; i < h->nlegs; i++)
		if (h->legs[i] != l && !h->legs[i]->srtp && waits(h->legs[i], d))
			return false;
	return true;
}

/* Is it of a call that has ended? Its gateway may go on sending: that is nobody's. */
static bool of_the_dead(struct hub *h, const struct dgram *d)
{
	for (unsigned i = 0; i < HUB_GONE && i < h->ngone; i++)
		if (d->now - h->gone[i].us < GONE_US && usa_eq(&h->gone[i].at, d->from)) {
			h->gone[i].us = d->now;
			return true;
		}
	return false;
}

/* In two rounds: first the leg that has this source, then others, each time from where the last search ended. */
static bool search(struct hub *h, const struct dgram *d)
{
	uint32_t ssrc = source(d);
	unsigned left = TRIES, first = h->turn;
	bool dead;

	if (!h->budget)
		return false;
	h->budget--;
	dead = of_the_dead(h, d);
	for (unsigned i = 0; i < 2 * h->nlegs && left && h->budget; i++) {
		unsigned at = (first + i) % h->nlegs;
		struct wleg *l = h->legs[at];

		if (!waits(l, d) || has_source(l, ssrc) != (i < h->nlegs))
			continue;
		if (!l->srtp && i >= h->nlegs && (d->rtcp || dead || d->now - l->started_us < OTHER_US || !alone(h, l, d)))
			continue;
		left--;
		h->budget--;
		h->turn = at + 1;
		if (!give(l, d))
			return true;
	}
	return false;
}

/* How well a plain leg that claims the address fits the packet; the keys of one address stand newest first. */
static int fit(const struct wleg *l, const struct dgram *d, uint32_t ssrc)
{
	if (!usa_eq(&l->told, d->from))
		return has_source(l, ssrc) ? 2 : 1;
	return has_source(l, ssrc) ? 5 : !l->latched ? 4 : 3;
}

static void route(struct hub *h, const struct dgram *d)
{
	struct wleg *owner = NULL, *plain = NULL;
	uint32_t ssrc = source(d);
	unsigned tries = 0;
	int why = 0;

	for (struct hub_key *k = h->table[d->rtcp][bucket(d->from)], *next; k && tries < TRIES; k = next) {
		int err;

		next = k->next;                          /* a leg may change its place */
		if (!usa_eq(&k->at, d->from))
			continue;
		if (!k->leg->srtp) {
			if (!plain || fit(k->leg, d, ssrc) > fit(plain, d, ssrc))
				plain = k->leg;
			continue;
		}
		tries++;
		err = give(k->leg, d);
		if (!err)
			return;
		if (!owner) {
			owner = k->leg;
			why = err;
		}
	}
	if (plain) {
		int err;

		if (plain->latched && plain->key[KEY_TOLD].leg && usa_eq(&plain->told, d->from)) {   /* it had been taken for somebody */
			wleg_unlearn(plain);
			hub_place(plain);
		}
		err = give(plain, d);
		if (err)
			wleg_refuse(plain, err);
		return;
	}
	if (search(h, d))
		return;
	if (owner)
		wleg_refuse(owner, why);
	else
		metric_inc(&media_metrics[M_SOURCE]);
}

static void receive(struct hub *h, int64_t now, unsigned rtcp)
{
	struct inbox *in = &h->w->in;

	for (unsigned round = 0; round < ROUNDS; round++) {
		int n = inbox_recv(in, rtcp ? h->sk.rtcp : h->sk.rtp);

		if (n > 0 && !rtcp)
			metric_add(&media_metrics[M_RX], n);
		for (int i = 0; i < n; i++) {
			struct dgram d = { in->buf[i], in->len[i], &in->from[i], now, rtcp };

			route(h, &d);
		}
		if (n < (int)INBOX && n != -ECONNREFUSED)
			break;
	}
}

static void second(struct hub *h, int64_t now)
{
	uint32_t drops;

	h->second_us = now + SECOND_US;
	drops = sock_drops(h->sk.rtp);
	metric_add(&media_metrics[M_DROPS], drops - h->drops);
	h->drops = drops;
}

void hub_receive(struct hub *h, int64_t now)
{
	h->budget = BUDGET;
	receive(h, now, 0);
	receive(h, now, 1);
	if (now >= h->second_us)
		second(h, now);
}
