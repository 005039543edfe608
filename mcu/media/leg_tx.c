/* SPDX-License-Identifier: Apache-2.0 */
/* leg_tx.c - a payload, shared or private, becomes this leg's packet: header, copy, SRTP in place, outbox
 *
 * One SSRC, one sequence and one timestamp line for the life of the leg: where nothing is sent (hold, no address yet,
 * ticks that were skipped, silence left out) the timestamp still runs and the next packet bears the marker.
 */
#include <string.h>
#include "mcu/media/media_priv.h"

void wleg_pass(struct wleg *l, uint64_t ticks)
{
	l->tx_ts += (uint32_t)ticks * (l->codec->rtp_clock / 50);
	l->marker = true;
}

static void send_packet(struct wleg *l, uint8_t pt, const uint8_t *payload, size_t len, const uint32_t *csrc, unsigned ncsrc)
{
	struct worker *w = l->room->w;
	struct rtp_hdr h = { .marker = l->marker, .pt = pt, .ncsrc = (uint8_t)ncsrc, .seq = l->tx_seq,
			     .ts = l->tx_ts, .ssrc = l->ssrc };
	uint8_t *p = outbox_next(&w->out);
	size_t n;

	memcpy(h.csrc, csrc, ncsrc * sizeof(*csrc));
	n = rtp_hdr_encode(p, OUTPKT_MAX, &h);
	if (!n || n + len + SRTP_MAX_TRAILER > OUTPKT_MAX)
		return;
	memcpy(p + n, payload, len);
	n += len;
	if (l->srtp && (!l->out || srtp_protect(l->out, p, &n, OUTPKT_MAX)))
		return;
	l->tx_seq++;
	l->marker = false;
	l->st.tx_packets++;
	l->st.tx_bytes += n;
	outbox_add(&w->out, l->sk.rtp, &l->peer, n);
}

void wleg_send(struct wleg *l, const struct stream *s, const uint32_t *csrc, unsigned ncsrc)
{
	uint32_t step = stream_step(s);

	for (unsigned i = 0; i < s->nout; i++) {
		if (s->out[i].len)
			send_packet(l, s->out[i].cn ? l->cn_pt : l->pt_send, s->out[i].data, s->out[i].len, csrc, ncsrc);
		if (!s->out[i].len || s->out[i].cn)
			l->marker = true;
		l->tx_ts += step;
	}
}
