/* SPDX-License-Identifier: Apache-2.0 */
/* leg_rtcp.c - reports of one leg: every 5 s, randomised; BYE at the end; round trip and loss from the peer's
 *
 * Reports go on during mute and hold, so that neither NAT bindings nor the peer's timers run out.
 */
#include <string.h>
#include <errno.h>
#include <time.h>
#include "mcu/media/media_priv.h"

#define INTERVAL_US 5000000

static uint64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void wleg_rtcp_later(struct wleg *l, int64_t now, bool first)
{
	uint32_t rnd = worker_rnd(l->room->w);

	l->rtcp_due_us = now + (first ? rnd % 500000 : INTERVAL_US / 2 + rnd % INTERVAL_US);
}

static const union usa *rtcp_to(struct wleg *l)
{
	if (l->mux)
		return usa_len(&l->peer) ? &l->peer : NULL;
	return usa_len(&l->rtcp_peer) && usa_port(&l->rtcp_peer) ? &l->rtcp_peer : NULL;
}

void wleg_report(struct wleg *l, int64_t now, bool bye)
{
	struct outbox *o = &l->room->w->out;
	struct rtcp_report rep;
	struct rtcp_sr sr = { .ssrc = l->ssrc, .ntp = rtcp_ntp(wall_us()), .rtp_ts = l->tx_ts,
			      .packets = (uint32_t)l->st.tx_packets, .octets = (uint32_t)l->st.tx_bytes };
	const union usa *to = rtcp_to(l);
	unsigned nrep = l->has_src && l->src.valid ? 1 : 0;
	uint8_t *p;
	size_t n;

	if (!to)
		return;
	p = outbox_next(o);
	if (nrep)
		rtp_source_report(&l->src, &rep, (uint64_t)now);
	n = rtcp_encode(p, OUTPKT_MAX, l->ssrc, l->send ? &sr : NULL, &rep, nrep, l->cname);
	if (n && bye)
		n += rtcp_encode_bye(p + n, OUTPKT_MAX - n, l->ssrc);
	if (!n || (l->srtp && (!l->out || srtcp_protect(l->out, p, &n, OUTPKT_MAX))))
		return;
	outbox_add(o, l->mux ? l->sk.rtp : l->sk.rtcp, to, n);
	metric_inc(&media_metrics[M_RTCP_TX]);
}

struct from { struct wleg *l; int64_t now; };

static void on_sr(const struct rtcp_sr *sr, void *arg)
{
	struct from *f = arg;

	if (!f->l->has_src || sr->ssrc != f->l->src.ssrc)
		return;
	f->l->src.last_sr_mid = (uint32_t)(sr->ntp >> 16);
	f->l->src.last_sr_us = (uint64_t)f->now;
}

/* Reports go out at the beginning of a tick and come in at one, so an answer has waited for half a tick on average: what is
 * left is right to half a tick. Kernel time stamps would be exact, but they cost on every packet. */
static uint32_t unwaited(uint32_t rtt_us)
{
	return rtt_us > TICK_US ? rtt_us - TICK_US / 2 : rtt_us / 2;
}

static void on_report(uint32_t from, const struct rtcp_report *r, void *arg)
{
	struct from *f = arg;

	(void)from;
	if (r->ssrc == f->l->ssrc)
		quality_report(&f->l->q, r, f->l->codec->rtp_clock, unwaited(rtcp_rtt_us(r, rtcp_ntp(wall_us()))));
}

static void on_bye(uint32_t ssrc, void *arg)
{
	struct from *f = arg;

	if (!f->l->has_src || ssrc != f->l->src.ssrc)
		return;
	jbuf_flush(&f->l->jb);
	f->l->has_src = false;
}

static int unprotect(struct wleg *l, uint8_t *p, size_t *n)
{
	int err = l->in ? srtcp_unprotect(l->in, p, n) : -EACCES;

	if (err == -EACCES && l->old_in)
		err = srtcp_unprotect(l->old_in, p, n);
	return err;
}

/* On plain legs a report from a stranger's address is not believed: it could end the sound with a BYE. */
static bool known(struct wleg *l, const union usa *from)
{
	if (l->ice)
		return usa_eq(from, l->mux ? &l->peer : &l->rtcp_peer) || ice_known(l->ice, l->mux ? 0 : 1, &from->sa);
	return l->srtp || (usa_len(&l->peer) && usa_same_host(from, &l->peer));
}

int wleg_rtcp(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now)
{
	static const struct rtcp_handler handler = { .sr = on_sr, .report = on_report, .bye = on_bye };
	struct from f = { l, now };
	int err = n < 8 || !rtp_is_rtcp(p, n) ? -EBADMSG : l->srtp ? unprotect(l, p, &n) : 0;

	if (err)
		return err;
	metric_inc(&media_metrics[M_RTCP_RX]);
	if (!known(l, from) || rtcp_decode(p, n, &handler, &f) < 0) {
		l->st.bad++;
		metric_inc(&media_metrics[M_BAD]);
		return 0;
	}
	if (!l->mux && !l->ice && !l->rtcp_latched) {
		l->rtcp_peer = *from;
		l->rtcp_latched = true;
		hub_place(l);
	}
	wleg_valid(l, now);
	return 0;
}
