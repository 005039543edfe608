/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - the handles of the signalling thread, see media.h
 *
 * handle -> message -> worker; worker -> news queue -> mailbox -> callback. Between the two stands a link: it outlives
 * the handle until the worker has said that it let go, so news for a handle that is gone find a link without a leg and
 * are dropped. Freeing uses messages that are part of the link and so cannot fail. A port goes back to the pool when
 * its sockets are closed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/media/handles.h"

#define IDLE_MS_DEFAULT 60000u
#define ICE_MS_DEFAULT  30000u
#define WORKERS_MAX     64u
#define LOAD_MAX        85u

/* --- links */
struct link *link_alloc(struct media *m, struct worker *w, unsigned slot)
{
	struct link *k = mem_zalloc(sizeof(*k), NULL);

	if (!k)
		return NULL;
	k->media = m;
	k->w = w;
	k->slot = slot;
	w->load[slot]++;
	k->free_msg.embedded = true;
	k->freed.embedded = k->taken.embedded = true;
	k->taken.kind = NEWS_LEG_TAKEN;
	k->freed.link = k->taken.link = k;
	k->next = m->links;
	if (k->next)
		k->next->prev = &k->next;
	k->prev = &m->links;
	m->links = k;
	return k;
}

static void hub_put(struct media *m, struct hub *h)
{
	if (--h->nhandles)
		return;
	for (struct hub **p = &m->hubs; *p; p = &(*p)->more)
		if (*p == h) {
			*p = h->more;
			break;
		}
	mem_deref(h);
}

void link_free(struct link *k)
{
	struct mleg_stats st = k->freed.st;
	mleg_stats_cb *finalcb = k->finalcb;
	void *arg = k->final_arg;

	if (finalcb && k->half)
		wleg_stats(k->half, &st);
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	if (k->port)
		ports_put(&k->media->ports, k->port);
	if (k->hub)
		hub_put(k->media, k->hub);
	k->w->load[k->slot]--;
	if (k->span)
		span_quit(k->span, k->span_at);
	mem_deref(k->span);
	mem_deref(k->half);                      /* its leg was freed between two rooms */
	mem_deref(k);
	if (finalcb)
		finalcb(&st, arg);
}

/* --- news: from any thread to the loop */
void media_news(struct media *m, struct news *n)
{
	bool post;

	n->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->news_last = n;
	m->news_last = &n->next;
	post = !m->posted;
	m->posted = true;
	pthread_mutex_unlock(&m->lock);
	if (post && mbox_post(m->mbox, m)) {             /* tried again with the next one */
		pthread_mutex_lock(&m->lock);
		m->posted = false;
		pthread_mutex_unlock(&m->lock);
	}
}

static struct news *take_one(struct media *m)
{
	struct news *n;

	pthread_mutex_lock(&m->lock);
	n = m->news;
	if (n)
		m->news = n->next;
	if (!m->news)
		m->news_last = &m->news;
	if (!n)
		m->posted = false;
	pthread_mutex_unlock(&m->lock);
	return n;
}

static void deliver(struct news *n)
{
	struct mleg *l = n->link->leg;
	struct link *k = n->link;
	struct news c;

	if (n == &k->taken) {
		mleg_taken(k);
		return;
	}
	if (n->embedded) {
		link_free(k);
		return;
	}
	c = *n;
	mem_deref(n);
	if (c.kind == NEWS_STATS && c.cb)
		c.cb(l ? &c.st : NULL, c.arg);
	else if (l && c.kind == NEWS_EVENT && l->cb)
		l->cb(l, c.ev, c.v, l->arg);
}

/* A callback may drop the last reference to the engine: hold one meanwhile. */
static void on_mbox(void *msg, void *arg)
{
	struct media *m = mem_ref(arg);
	struct news *n;

	(void)msg;
	while ((n = take_one(m)))
		deliver(n);
	mem_deref(m);
}

/* --- the engine */
static void media_destructor(void *arg)
{
	struct media *m = arg;
	struct news *n;

	for (unsigned i = 0; i < m->nworkers; i++)
		worker_stop(m->workers[i]);
	while (m->locks && (n = take_one(m)))
		if (!n->embedded)
			mem_deref(n);
	while (m->links)
		link_free(m->links);
	for (unsigned i = 0; i < m->nworkers; i++)
		mem_deref(m->workers[i]);
	mem_deref(m->workers);
	m->mbox = mem_deref(m->mbox);
	ports_fini(&m->ports);
	if (m->locks)
		pthread_mutex_destroy(&m->lock);
}

static int start_workers(struct media *m, const struct media_prm *prm)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = prm->workers ? prm->workers : cores > 0 ? (unsigned)cores : 1;
	struct media_prm q = *prm;
	int err;

	n = n > WORKERS_MAX ? WORKERS_MAX : n;
	q.idle_ms = q.idle_ms ? q.idle_ms : IDLE_MS_DEFAULT;
	q.ice_ms = q.ice_ms ? q.ice_ms : ICE_MS_DEFAULT;
	q.mix_max = !q.mix_max ? 3 : q.mix_max > MIX_LIMIT ? MIX_LIMIT : q.mix_max;
	m->workers = mem_zalloc(n * sizeof(*m->workers), NULL);
	if (!m->workers)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = mem_zalloc(sizeof(*w), NULL);

		if (!w)
			return -ENOMEM;
		err = worker_start(w, m, i, &q);
		if (err) {
			mem_deref(w);
			return err;
		}
		m->workers[m->nworkers++] = w;
	}
	return 0;
}

int media_alloc(struct media **mp, const struct media_prm *prm)
{
	struct media *m;
	int err;

	if (!prm->loop || !prm->ip)
		return -EINVAL;
	m = mem_zalloc(sizeof(*m), media_destructor);
	if (!m)
		return -ENOMEM;
	metric_register(media_metrics, M_N);
	voice_init();
	m->news_last = &m->news;
	m->load_max = prm->load_max ? prm->load_max : LOAD_MAX;
	m->span = prm->span;
	err = -pthread_mutex_init(&m->lock, NULL);
	m->locks = !err;
	if (!err)
		err = ports_init(&m->ports, prm->ip, prm->port_min, prm->port_max);
	if (!err)
		err = mbox_alloc(&m->mbox, prm->loop, on_mbox, m);
	if (!err)
		err = start_workers(m, prm);
	if (err)
		mem_deref(m);
	else
		*mp = m;
	return err;
}

/* --- messages */
struct msg *msg_new(enum msg_kind kind, struct wroom *r, struct wleg *l)
{
	struct msg *m = mem_zalloc(sizeof(*m), NULL);

	if (m) {
		m->kind = kind;
		m->room = r;
		m->leg = l;
	}
	return m;
}

/* --- legs */
static void leg_destructor(void *arg)
{
	struct mleg *l = arg;

	explicit_bzero(&l->last, sizeof(l->last));
	mleg_forget_orders(l);
	if (l->moving) {
		l->link->leg  = NULL;
		l->link->half = l->half;
	} else if (l->link) {
		l->link->leg = NULL;
		l->link->free_msg.kind = MSG_LEG_FREE;
		l->link->free_msg.leg = l->half;
		worker_post(l->at->w, &l->link->free_msg);
	} else {
		mem_deref(l->half);
	}
	if (l->at)
		shard_put(l->at);
	mem_deref(l->r);
}

static uint32_t random_ssrc(void)
{
	uint32_t v = 0;

	while (!v)
		(void)!getrandom(&v, sizeof(v), 0);
	return v;
}

static int own_pair(struct media *m, struct link *k, struct sock_pair *sk)
{
	int err = ports_open(&m->ports, sk);

	if (!err)
		k->port = sk->port;
	return err;
}

/* A place in a hub of the room's slot */
static int shared_pair(struct media *m, struct link *k, struct wleg *l)
{
	struct hub *h = m->hubs;
	int err;

	while (h && (h->w != k->w || h->slot != k->slot || h->nhandles == HUB_LEGS))
		h = h->more;
	if (!h) {
		err = hub_alloc(&h, &m->ports, k->w, k->slot);
		if (err)
			return err;
		h->more = m->hubs;
		m->hubs = h;
	}
	h->nhandles++;
	k->hub = l->hub = h;
	l->sk = h->sk;
	return 0;
}

static int leg_alloc(struct mleg **lp, struct mroom *r, const char *id, mleg_event_cb *cb, void *arg, bool share)
{
	struct mleg *l = mem_zalloc(sizeof(*l), leg_destructor);
	struct msg *msg = NULL;
	int err = -ENOMEM;

	if (!l)
		return err;
	l->r = mem_ref(r);
	err = mroom_busy(r) ? -EBUSY : -ENOMEM;
	if (err == -EBUSY) {
		log_warn(media, "leg %s refused: its worker is busy for %u %% of its time", id ? id : "",
			 atomic_load_explicit(&r->shard[0]->w->percent, memory_order_relaxed));
		goto out;
	}
	l->at = shard_take(r);
	l->cb = cb;
	l->arg = arg;
	l->ssrc = random_ssrc();
	l->half = wleg_alloc();
	if (!l->half)
		goto out;
	msg = msg_new(MSG_LEG_ADD, l->at->half, l->half);
	if (!msg)
		goto out;
	l->link = link_alloc(r->m, l->at->w, l->at->half->slot);
	if (!l->link)
		goto out;
	err = share ? shared_pair(r->m, l->link, l->half) : own_pair(r->m, l->link, &l->half->sk);
	if (err) {
		link_free(l->link);
		l->link = NULL;
		log_warn(media, "no port pair for leg %s: %s", id ? id : "", strerror(-err));
		goto out;
	}
	l->port = l->half->sk.port;
	l->shared = share;
	l->link->leg = l;
	l->half->link = l->link;
	l->half->ssrc = l->ssrc;
	snprintf(l->half->id, sizeof(l->half->id), "%s", id ? id : "");
	worker_post(l->at->w, msg);
	*lp = l;
out:
	if (err) {
		mem_deref(msg);
		mem_deref(l);
	}
	return err;
}

int mleg_alloc(struct mleg **lp, struct mroom *r, const char *id, mleg_event_cb *cb, void *arg)
{
	return leg_alloc(lp, r, id, cb, arg, false);
}

int mleg_alloc_shared(struct mleg **lp, struct mroom *r, const char *id, mleg_event_cb *cb, void *arg)
{
	return leg_alloc(lp, r, id, cb, arg, true);
}

/* Its place in the hub stays taken until the leg is freed. */
int mleg_unshare(struct mleg *l)
{
	struct msg *m;
	int err;

	if (!l->shared)
		return 0;
	m = msg_new(MSG_LEG_PAIR, NULL, l->half);
	if (!m)
		return -ENOMEM;
	err = own_pair(l->r->m, l->link, &m->sk);
	if (err) {
		mem_deref(m);
		return err;
	}
	l->port = m->sk.port;
	l->shared = false;
	mleg_post(l, m);
	return 0;
}

bool mleg_shared(const struct mleg *l) { return l->shared; }
uint16_t mleg_port(const struct mleg *l) { return l->port; }
uint32_t mleg_ssrc(const struct mleg *l) { return l->ssrc; }

/* --- mleg_set */
static bool same_key(const struct mleg *l, const struct mleg_set *s, const uint8_t *a, const uint8_t *b)
{
	return l->set && l->last.srtp == s->srtp &&
	       (!s->srtp || (l->last.suite == s->suite && l->last.key_len == s->key_len && !memcmp(a, b, s->key_len)));
}

static int set_addresses(const struct mleg *l, struct leg_update *u)
{
	sa_family_t family = l->r->m->ports.ip.sa.sa_family;
	struct mleg_set *s = &u->s;
	int err;

	if (s->ice.form != ICE_OFF)                      /* checks will tell */
		return 0;
	u->new_peer = !l->set || l->last.ice.form != ICE_OFF || strcmp(l->last.addr, s->addr) || l->last.port != s->port ||
		      l->last.rtcp_port != s->rtcp_port;
	if (!u->new_peer || !s->addr[0])
		return 0;
	err = usa_parse(&u->peer, s->addr, s->port);
	if (err)
		return err;
	if (usa_any(&u->peer) || usa_many(&u->peer) || !s->port) {   /* learn only */
		memset(&u->peer, 0, sizeof(u->peer));
		return 0;
	}
	err = usa_to_family(&u->peer, family);
	u->rtcp_peer = u->peer;
	usa_set_port(&u->rtcp_peer, s->rtcp_port ? s->rtcp_port : (uint16_t)(s->port + 1));
	return err;
}

static int set_keys(const struct mleg *l, struct leg_update *u)
{
	const struct mleg_set *s = &u->s;
	int err = 0;

	u->new_in = !same_key(l, s, l->last.key_in, s->key_in);
	u->new_out = !same_key(l, s, l->last.key_out, s->key_out);
	if (s->srtp && s->key_len > SRTP_MAX_KEY)
		return -EINVAL;
	if (s->srtp && u->new_in)
		err = srtp_ctx_alloc(&u->in, s->suite, s->key_in, s->key_len);
	if (!err && s->srtp && u->new_out)
		err = srtp_ctx_alloc(&u->out, s->suite, s->key_out, s->key_len);
	return err;
}

/* The same credentials keep their agent and the ways it knows. */
static int set_ice(const struct mleg *l, struct leg_update *u)
{
	u->new_ice = l->set ? !ice_same_session(&l->last.ice, &u->s.ice) : u->s.ice.form != ICE_OFF;
	return u->new_ice && u->s.ice.form != ICE_OFF ? ice_alloc(&u->ice, &u->s.ice) : 0;
}

/* Packet times that the codec can do: Opus knows no frames of 30 and 50 ms. */
static int normalize(struct mleg_set *s)
{
	if (s->codec > MCODEC_OPUS || s->pt_send > 127 || s->pt_recv > 127 || !memchr(s->addr, 0, sizeof(s->addr)))
		return -EINVAL;
	if (!s->ptime_ms)
		s->ptime_ms = TICK_MS;
	s->ptime_ms -= s->ptime_ms % 10;
	s->ptime_ms = s->ptime_ms < 10 ? 10 : s->ptime_ms > 60 ? 60 : s->ptime_ms;
	if (s->codec == MCODEC_OPUS && (s->ptime_ms == 30 || s->ptime_ms == 50))
		s->ptime_ms -= 10;
	if (s->codec != MCODEC_OPUS)
		s->opus_bitrate = 0;
	return 0;
}

static void update_destructor(void *arg)
{
	struct leg_update *u = arg;

	mem_deref(u->in);
	mem_deref(u->out);
	mem_deref(u->ice);
	explicit_bzero(&u->s, sizeof(u->s));
}

int mleg_set(struct mleg *l, const struct mleg_set *s)
{
	struct leg_update *u = mem_zalloc(sizeof(*u), update_destructor);
	struct msg *m = msg_new(MSG_LEG_SET, NULL, l->half);
	int err = -ENOMEM;

	if (!u || !m)
		goto out;
	u->s = *s;
	err = normalize(&u->s);
	if (!err && l->shared && s->ice.form != ICE_OFF)
		err = -EINVAL;
	if (!err)
		err = set_addresses(l, u);
	if (!err)
		err = set_keys(l, u);
	if (!err)
		err = set_ice(l, u);
	if (err)
		goto out;
	l->last = u->s;
	l->set = true;
	explicit_bzero(u->s.key_in, sizeof(u->s.key_in));
	explicit_bzero(u->s.key_out, sizeof(u->s.key_out));
	explicit_bzero(u->s.ice.pwd, sizeof(u->s.ice.pwd));
	explicit_bzero(u->s.ice.peer, sizeof(u->s.ice.peer));
	m->set = u;
	mleg_post(l, m);
	return 0;
out:
	mem_deref(u);
	mem_deref(m);
	return err;
}

/* Words that both threads share: muting must not fail for want of memory. */
void mleg_gain(struct mleg *l, int db)
{
	atomic_store_explicit(&l->half->volume_in, db < -60 ? -60 : db > 12 ? 12 : db, memory_order_relaxed);
}

void mleg_mute(struct mleg *l, bool ingress, bool egress)
{
	atomic_store_explicit(&l->half->mute_req, (ingress ? 1u : 0) | (egress ? 2u : 0), memory_order_relaxed);
}

void mleg_tone(struct mleg *l, unsigned hz, unsigned ms)
{
	struct msg *m = msg_new(MSG_LEG_TONE, NULL, l->half);

	if (!m)
		return;
	m->a = hz;
	m->b = ms;
	mleg_post(l, m);
}

int mleg_stats(struct mleg *l, mleg_stats_cb *cb, void *arg)
{
	struct msg *m = msg_new(MSG_LEG_STATS, NULL, l->half);

	if (!m)
		return -ENOMEM;
	m->cb = cb;
	m->arg = arg;
	mleg_post(l, m);
	return 0;
}

void mleg_final(struct mleg *l, mleg_stats_cb *cb, void *arg)
{
	l->link->final_arg = arg;
	l->link->finalcb   = cb;
}

const char *mcodec_name(enum mcodec c)
{
	static const char *const names[] = { [MCODEC_PCMU] = "PCMU", [MCODEC_PCMA] = "PCMA", [MCODEC_G722] = "G722",
					     [MCODEC_OPUS] = "opus" };

	return (unsigned)c < sizeof(names) / sizeof(names[0]) ? names[c] : "";
}
