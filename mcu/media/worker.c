/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - a media thread: four slots of 5 ms in a tick of 20 ms, a room in one of them
 *
 * sleep until the slot's time (absolute, monotonic) -> sockets that wait (RTCP, legs that had been silent) -> messages
 * -> each room of the slot -> one flush of what is to be sent. A worker without rooms sleeps until a message comes.
 * What is late is caught up tick by tick; after more than MAX_LAG_US whole ticks are left out, and the legs' timestamps
 * leave them out too.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define LATE_US    5000
#define MAX_LAG_US 60000
#define LOAD_US    1000000

struct metric media_metrics[M_N] = {
	[M_RX]        = METRIC_COUNTER("conclave_media_datagrams_received_total", "Datagrams read from RTP sockets"),
	[M_TX]        = METRIC_COUNTER("conclave_media_datagrams_sent_total", "Datagrams sent"),
	[M_BAD]       = METRIC_COUNTER("conclave_media_bad_packets_total", "Malformed packets, unknown payload types"),
	[M_AUTH]      = METRIC_COUNTER("conclave_media_auth_failures_total", "SRTP and SRTCP packets with a wrong tag"),
	[M_REPLAY]    = METRIC_COUNTER("conclave_media_replays_total", "SRTP and SRTCP packets seen before or too old"),
	[M_SOURCE]    = METRIC_COUNTER("conclave_media_foreign_packets_total", "Packets of an unexpected address or source"),
	[M_LOOP]      = METRIC_COUNTER("conclave_media_loops_total", "Our own packets that came back"),
	[M_LATE_PKT]  = METRIC_COUNTER("conclave_media_late_packets_total", "Packets that came after their time"),
	[M_LOST]      = METRIC_COUNTER("conclave_media_concealed_frames_total", "Frames that were concealed"),
	[M_DROPS]     = METRIC_COUNTER("conclave_media_receive_overflows_total", "Datagrams that found a receive buffer full"),
	[M_LATE_TICK] = METRIC_COUNTER("conclave_media_late_ticks_total", "Slots that began more than 5 ms late"),
	[M_SKIPPED]   = METRIC_COUNTER("conclave_media_skipped_ticks_total", "Ticks left out because the worker was too late"),
	[M_SEND_ERR]  = METRIC_COUNTER("conclave_media_send_errors_total", "Datagrams that the system refused to send"),
	[M_NOMEM]     = METRIC_COUNTER("conclave_media_no_memory_total", "Allocations that failed"),
	[M_ENCODES]   = METRIC_COUNTER("conclave_media_encodes_total", "Frames encoded"),
	[M_DECODES]   = METRIC_COUNTER("conclave_media_decodes_total", "Packets decoded"),
	[M_RTCP_RX]   = METRIC_COUNTER("conclave_media_rtcp_received_total", "RTCP datagrams received"),
	[M_RTCP_TX]   = METRIC_COUNTER("conclave_media_rtcp_sent_total", "RTCP datagrams sent"),
	[M_CHECKS]    = METRIC_COUNTER("conclave_media_ice_checks_total", "Authentic ICE connectivity checks"),
	[M_BAD_STUN]  = METRIC_COUNTER("conclave_media_bad_stun_total", "STUN messages malformed, not authentic or not expected"),
	[M_SHARD_LATE] = METRIC_COUNTER("conclave_media_shard_late_total", "Talkers' ticks that came too late from another worker's part of a room"),
	[M_LEGS]      = METRIC_GAUGE("conclave_media_legs", "Legs"),
	[M_ROOMS]     = METRIC_GAUGE("conclave_media_rooms", "Rooms"),
	[M_SHARDS]    = METRIC_GAUGE("conclave_media_shards", "Parts of rooms on further workers"),
	[M_SLOT_MAX]  = METRIC_GAUGE("conclave_media_slot_max_microseconds", "Longest slot so far"),
};

int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint32_t worker_rnd(struct worker *w)            /* xorshift: phases and noise; SSRCs come from the kernel */
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (uint32_t)(w->rnd >> 16);
}

void worker_watch(struct worker *w, struct wleg *l, bool rtcp, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)l | (rtcp ? 1 : 0) };
	int fd = rtcp ? l->sk.rtcp : l->sk.rtp;

	if (l->hub)                                      /* asked every tick */
		return;
	if (epoll_ctl(w->epfd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &ev) && on)
		log_warn(media, "worker %u: cannot watch a socket: %s", w->id, strerror(errno));
}

static void poll_cold(struct worker *w, int timeout_ms)
{
	struct epoll_event ev[COLD_MAX];
	int n = epoll_wait(w->epfd, ev, COLD_MAX, timeout_ms);
	int64_t now = n > 0 ? now_us() : 0;

	for (int i = 0; i < n; i++) {
		struct wleg *l = (struct wleg *)(uintptr_t)(ev[i].data.u64 & ~(uint64_t)1);
		uint64_t v;

		if (!l) {
			(void)!read(w->wakefd, &v, sizeof(v));
		} else if (ev[i].data.u64 & 1) {
			wleg_receive_rtcp(l, now);
		} else {
			wleg_receive(l, now);
			if (l->last_rx_us == now)        /* something was good: ask it every tick from now on */
				wroom_heat(l->room, l, true);
		}
	}
}

/* --- messages */
void worker_post(struct worker *w, struct msg *m)
{
	struct msg *head = atomic_load_explicit(&w->inbox, memory_order_relaxed);
	uint64_t one = 1;

	do
		m->next = head;
	while (!atomic_compare_exchange_weak_explicit(&w->inbox, &head, m, memory_order_release, memory_order_relaxed));
	if (!head)
		(void)!write(w->wakefd, &one, sizeof(one));
}

static void on_room_add(struct worker *w, struct msg *m)
{
	struct wroom **p = &w->slot[m->room->slot];

	m->room->next = *p;
	*p = m->room;
	if (!w->nrooms++)
		w->next_slot = (uint64_t)((now_us() - w->epoch_us) / SLOT_US) + 1;
	metric_add(&media_metrics[m->room->further ? M_SHARDS : M_ROOMS], 1);
}

static void on_room_free(struct worker *w, struct msg *m)
{
	struct wroom *r = m->room;
	struct link *k = r->link;

	for (struct wroom **p = &w->slot[r->slot]; *p; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			w->nrooms--;
			break;
		}
	metric_add(&media_metrics[r->further ? M_SHARDS : M_ROOMS], -1);
	mem_deref(r);
	media_news(k->media, &k->freed);
}

static void on_room_tones(struct worker *w, struct msg *m)
{
	(void)w;
	m->room->tones = m->a != 0;
}

static void on_leg_add(struct worker *w, struct msg *m)
{
	(void)w;
	m->leg->room = m->room;
	metric_add(&media_metrics[M_LEGS], 1);
	if (!wroom_add_leg(m->room, m->leg)) {
		if (m->leg->hub)
			hub_join(m->leg->hub, m->leg);
		if (m->leg->started)
			wleg_land(m->leg);
		return;
	}
	m->leg->room = NULL;                             /* stays mute until it is freed */
	metric_inc(&media_metrics[M_NOMEM]);
}

static void on_leg_free(struct worker *w, struct msg *m)
{
	struct wleg *l = m->leg;
	struct link *k = l->link;

	if (k->finalcb)
		wleg_stats(l, &k->freed.st);
	if (l->room) {
		if (l->started)
			wleg_report(l, now_us(), true);
		outbox_flush(&w->out);
		wroom_del_leg(l->room, l);
	}
	mem_deref(l);
	metric_add(&media_metrics[M_LEGS], -1);
	media_news(k->media, &k->freed);
}

/* From a hub to a pair of its own */
static void on_leg_pair(struct worker *w, struct msg *m)
{
	struct wleg *l = m->leg;

	outbox_flush(&w->out);
	if (l->room && l->hub)
		hub_leave(l);
	l->hub = NULL;
	l->sk = m->sk;
	if (!l->room || !l->started)
		return;
	worker_watch(w, l, true, true);
	if (!l->hot)
		worker_watch(w, l, false, true);
}

static void on_leg_set(struct worker *w, struct msg *m)
{
	(void)w;
	if (m->leg->room)
		wleg_set(m->leg, m->set, now_us());
	m->set = mem_deref(m->set);
}

static void on_leg_tone(struct worker *w, struct msg *m)
{
	(void)w;
	if (m->leg->room && m->leg->started)
		tone_init(&m->leg->tone, rate_hz[m->leg->rate], m->a, m->b, -20);
}

static void on_leg_play(struct worker *w, struct msg *m)
{
	(void)w;
	if (m->leg->room && player_take(&m->leg->play, m->play))
		metric_inc(&media_metrics[M_NOMEM]);
	m->play = mem_deref(m->play);
}

static void on_leg_volume(struct worker *w, struct msg *m)
{
	(void)w;
	mix_gain_set(&m->leg->volume, (int32_t)m->a, rate_hz[m->leg->rate] / 50);
}

static void on_leg_take(struct worker *w, struct msg *m)
{
	struct link *k = m->leg->link;

	outbox_flush(&w->out);
	if (m->leg->room)
		wleg_take_out(m->leg);
	metric_add(&media_metrics[M_LEGS], -1);
	media_news(k->media, &k->taken);
}

static void on_room_play(struct worker *w, struct msg *m)
{
	(void)w;
	if (player_take(&m->room->play, m->play))
		metric_inc(&media_metrics[M_NOMEM]);
	m->play = mem_deref(m->play);
}

static void on_room_chimes(struct worker *w, struct msg *m)
{
	(void)w;
	for (unsigned i = 0; i < 2; i++) {
		clip_unref(m->room->chimes[i]);
		m->room->chimes[i] = m->chimes[i];
	}
}

static void on_room_tap(struct worker *w, struct msg *m)
{
	(void)w;
	wroom_tap(m->room, m->tap);
}

/* It has been alone here: from now on there are other shards. */
static void on_room_span(struct worker *w, struct msg *m)
{
	(void)w;
	m->room->ears = m->ears;
}

static void on_leg_stats(struct worker *w, struct msg *m)
{
	struct news *n = mem_zalloc(sizeof(*n), NULL);

	(void)w;
	if (!n) {
		metric_inc(&media_metrics[M_NOMEM]);
		return;
	}
	n->kind = NEWS_STATS;
	n->link = m->leg->link;
	n->cb = m->cb;
	n->arg = m->arg;
	wleg_stats(m->leg, &n->st);
	media_news(n->link->media, n);
}

static void on_stop(struct worker *w, struct msg *m)
{
	(void)m;
	w->stop = true;
}

static void messages(struct worker *w)
{
	static void (*const on[])(struct worker *w, struct msg *m) = {
		[MSG_ROOM_ADD] = on_room_add, [MSG_ROOM_FREE] = on_room_free, [MSG_ROOM_TONES] = on_room_tones,
		[MSG_LEG_ADD] = on_leg_add, [MSG_LEG_FREE] = on_leg_free, [MSG_LEG_PAIR] = on_leg_pair,
		[MSG_LEG_SET] = on_leg_set, [MSG_LEG_TONE] = on_leg_tone, [MSG_LEG_STATS] = on_leg_stats,
		[MSG_LEG_PLAY] = on_leg_play, [MSG_LEG_VOLUME] = on_leg_volume, [MSG_LEG_TAKE] = on_leg_take,
		[MSG_ROOM_PLAY] = on_room_play, [MSG_ROOM_CHIMES] = on_room_chimes, [MSG_ROOM_TAP] = on_room_tap,
		[MSG_ROOM_SPAN] = on_room_span,
		[MSG_STOP] = on_stop,
	};
	struct msg *m = atomic_exchange_explicit(&w->inbox, NULL, memory_order_acquire), *first = NULL, *next;

	for (; m; m = next) {                            /* into the order they came */
		next = m->next;
		m->next = first;
		first = m;
	}
	for (m = first; m; m = next) {
		bool embedded = m->embedded;             /* then it may be gone after its handler */

		next = m->next;
		on[m->kind](w, m);
		if (!embedded)
			mem_deref(m);
	}
}

/* --- the clock */
static int64_t slot_time(const struct worker *w)
{
	return w->epoch_us + (int64_t)w->next_slot * SLOT_US;
}

static void sleep_until(int64_t us)
{
	struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* Far behind: leave out whole ticks rather than send a burst. */
static void leave_out(struct worker *w, int64_t lag)
{
	uint64_t ticks = (uint64_t)(lag / TICK_US);

	w->next_slot += ticks * SLOTS;
	for (unsigned s = 0; s < SLOTS; s++)
		for (struct wroom *r = w->slot[s]; r; r = r->next)
			wroom_skip(r, ticks);
	metric_add(&media_metrics[M_SKIPPED], (int64_t)ticks);
	log_warn(media, "worker %u: %lld ms behind, left out %llu ticks", w->id, (long long)(lag / 1000),
		 (unsigned long long)ticks);
}

static void run_slot(struct worker *w)
{
	int64_t at = slot_time(w), began = now_us(), took;

	if (began - at > MAX_LAG_US) {
		leave_out(w, began - at);
		at = slot_time(w);
	}
	if (began - at > LATE_US)
		metric_inc(&media_metrics[M_LATE_TICK]);
	for (struct hub *h = w->hubs[w->next_slot % SLOTS]; h; h = h->next)
		hub_receive(h, began);
	for (struct wroom *r = w->slot[w->next_slot % SLOTS]; r; r = r->next)
		wroom_tick(r, at);
	outbox_flush(&w->out);
	metric_add(&media_metrics[M_TX], (int64_t)w->out.sent);
	metric_add(&media_metrics[M_SEND_ERR], (int64_t)w->out.errors);
	w->out.sent = w->out.errors = 0;
	took = now_us() - began;
	if (took > metric_get(&media_metrics[M_SLOT_MAX]))
		metric_set(&media_metrics[M_SLOT_MAX], took);
	w->next_slot++;
}

/* The busy share of each second, smoothed. Wall time, not CPU time: who is kept from running is late all the same. */
static void measure(struct worker *w, int64_t woke)
{
	unsigned old = atomic_load_explicit(&w->percent, memory_order_relaxed), pct;
	int64_t now = now_us();

	w->busy_us += now - woke;
	if (now - w->window_us < LOAD_US)
		return;
	pct = (unsigned)(w->busy_us * 100 / (now - w->window_us));
	atomic_store_explicit(&w->percent, (old * 3 + pct + 2) / 4, memory_order_relaxed);
	w->window_us = now;
	w->busy_us = 0;
}

static void rest(struct worker *w)
{
	atomic_store_explicit(&w->percent, 0, memory_order_relaxed);
	poll_cold(w, -1);
	w->window_us = now_us();
	w->busy_us = 0;
}

static void *thread(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), "media");
	(void)prctl(PR_SET_TIMERSLACK, 1000);            /* ns */
	w->window_us = now_us();
	while (!w->stop) {
		int64_t woke;

		messages(w);
		if (w->stop)
			break;
		if (!w->nrooms) {
			rest(w);
			continue;
		}
		while (!w->slot[w->next_slot % SLOTS])
			w->next_slot++;
		sleep_until(slot_time(w));
		woke = now_us();
		poll_cold(w, 0);
		messages(w);
		if (w->nrooms && w->slot[w->next_slot % SLOTS])
			run_slot(w);
		measure(w, woke);
	}
	return NULL;
}

int worker_start(struct worker *w, struct media *m, unsigned id, const struct media_prm *prm)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int err;

	w->media = m;
	w->id = id;
	w->idle_ms = prm->idle_ms;
	w->ice_ms = prm->ice_ms;
	w->mix_max = prm->mix_max;
	w->ring.fd = -1;
	w->out.ring = &w->ring;
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epfd < 0 || w->wakefd < 0 || epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wakefd, &ev)) {
		err = -errno;
		worker_stop(w);
		return err;
	}
	(void)!getrandom(&w->rnd, sizeof(w->rnd), GRND_NONBLOCK);
	w->rnd |= 1;
	if (!prm->no_uring)
		ring_init(&w->ring);
	w->epoch_us = now_us() + (int64_t)(w->rnd % TICK_US);    /* workers do not all wake at the same moment */
	err = -pthread_create(&w->thread, NULL, thread, w);
	w->running = !err;
	if (err)
		worker_stop(w);
	return err;
}

void worker_stop(struct worker *w)
{
	struct msg m = { .kind = MSG_STOP, .embedded = true };

	if (w->running) {
		worker_post(w, &m);
		pthread_join(w->thread, NULL);
		w->running = false;
	}
	if (w->epfd >= 0)
		close(w->epfd);
	if (w->wakefd >= 0)
		close(w->wakefd);
	w->epfd = w->wakefd = -1;
	ring_fini(&w->ring);
	pool_fini(&w->pool);
}
