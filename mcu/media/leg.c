/* SPDX-License-Identifier: Apache-2.0 */
/* leg.c - worker's half of a leg: what arrives, and the life of it
 *
 * datagram -> SRTP -> RTP header -> is it from where we expect it (or do we learn the address) -> is it the source we
 * know -> by payload type: sound into the jitter buffer, comfort noise likewise, telephone events raise an event.
 * Whatever fails is counted and dropped; the peer hears nothing of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define RELATCH_PKTS    3u
#define G722_ERR_DB     8
#define PLAIN_LEARN_US  5000000       /* a plain leg learns addresses only at the start */
#define SSRC_SILENT_US  500000
#define OLD_KEY_US      2000000
#define BAD_KEY_US      10000000
#define COLD_US         1000000       /* nothing for so long: wait for the socket instead of asking it every tick */
#define DTMF_END_US     1000000
#define VOICE_KEEP_S    5u
#define OPUS_SILENCE    8u            /* bytes */
#define OPUS_LARGE      40u

const struct codec *const media_codecs[4] = { &codec_pcmu, &codec_pcma, &codec_g722, &codec_opus };

enum rate codec_rate(const struct codec *c)
{
	return c->rate == 8000 ? R8 : c->rate == 16000 ? R16 : R48;
}

static void count(uint64_t *own, unsigned metric)
{
	(*own)++;
	metric_inc(&media_metrics[metric]);
}

void wleg_event(struct wleg *l, enum mleg_event ev, int v)
{
	struct news *n = mem_zalloc(sizeof(*n), NULL);

	if (!n) {
		metric_inc(&media_metrics[M_NOMEM]);
		return;
	}
	n->kind = NEWS_EVENT;
	n->link = l->link;
	n->ev = ev;
	n->v = v;
	media_news(l->link->media, n);
}

void wleg_valid(struct wleg *l, int64_t now)
{
	l->last_valid_us = now;
	l->auth_fails = 0;
	l->idle_told = l->badkey_told = false;
}

/* --- telephone events: one report for a key, whatever is lost or repeated */
static void dtmf_report(struct wleg *l)
{
	static const char key[] = "0123456789*#ABCD";

	if (!l->dtmf_open || l->dtmf_done)
		return;
	l->dtmf_done = true;
	if (l->dtmf_event < sizeof(key) - 1)
		wleg_event(l, MLEG_DTMF, key[l->dtmf_event]);
}

static void dtmf(struct wleg *l, const struct rtp_hdr *h, const uint8_t *p, size_t n, int64_t now)
{
	struct rtp_dtmf d;

	jbuf_nonaudio(&l->jb, h->seq);
	if (rtp_dtmf_decode(&d, p, n)) {
		count(&l->st.bad, M_BAD);
		return;
	}
	if (l->dtmf_seen && (int32_t)(h->ts - l->dtmf_ts) < 0 && now - l->dtmf_us < 5000000)
		return;                                  /* a straggler of an older key */
	if (!l->dtmf_seen || h->ts != l->dtmf_ts) {
		dtmf_report(l);                          /* the end of the one before was lost */
		l->dtmf_seen = l->dtmf_open = true;
		l->dtmf_done = false;
		l->dtmf_ts = h->ts;
		l->dtmf_event = d.event;
		l->dtmf_n = 0;
	}
	l->dtmf_us = now;
	if (++l->dtmf_n >= 3 || d.end)
		dtmf_report(l);
}

/* --- sound */

/* What an Opus packet without a level extension tells before it is decoded. The SILK layer (alone or under CELT) begins
 * with a bit per 20 ms: voice or not (RFC 6716 4.2.3). No voice is taken for silence, but packets that are rather large
 * for silence are looked into twice a second: it may be music or a tone that the encoder took for noise. */
static int opus_level(const struct wleg *l, const uint8_t *p, size_t n, uint16_t seq)
{
	unsigned config = p[0] >> 3, frames = config < 12 && (config & 3) > 1 ? (config & 3) : 1;

	if (n <= 2)
		return LEVEL_SILENCE;                    /* DTX */
	if (config >= 16)                                /* CELT alone */
		return n <= OPUS_SILENCE ? LEVEL_SILENCE : JBUF_NO_LEVEL;
	if ((p[0] & 3) != 0 || l->in_mix)                /* several frames: seldom, just decode */
		return JBUF_NO_LEVEL;
	if (p[1] >> (8 - frames))
		return JBUF_NO_LEVEL;
	if (p[0] & 4 && p[1] >> (7 - 2 * frames) & ((1u << frames) - 1))
		return JBUF_NO_LEVEL;                    /* stereo: the side's bits follow mid's bits and its LBRR bit */
	return n >= OPUS_LARGE && seq % 25 == 0 ? JBUF_NO_LEVEL : LEVEL_SILENCE;
}

/* Steady tones and music that begin softly do not show: a packet in five seconds is looked into. What was decoded and was louder than
 * its steps tell goes on so. */
static int g722_level_of(struct wleg *l, const uint8_t *p, size_t n, uint16_t seq)
{
	bool rises;
	int db = g722_level(&l->g722, p, n, &rises);

	if (rises || l->in_mix || l->loud || l->held || voice_level(l) > db + G722_ERR_DB || seq % 250 == 0)
		return JBUF_NO_LEVEL;
	return db;
}

static int level_of(struct wleg *l, const struct rtp_hdr *h, const uint8_t *p, size_t n)
{
	bool voice;
	int v = l->level_ext ? rtp_audio_level(h, l->level_ext, &voice) : -ENOENT;

	if (v >= 0)
		return -v;
	if (l->codec_id == MCODEC_PCMU || l->codec_id == MCODEC_PCMA)
		return voice_payload_level(l, p, n);
	if (l->codec_id == MCODEC_OPUS)
		return opus_level(l, p, n, h->seq);
	if (l->codec_id == MCODEC_G722)
		return g722_level_of(l, p, n, h->seq);
	return JBUF_NO_LEVEL;
}

static void sound(struct wleg *l, const struct rtp_hdr *h, uint8_t *p, bool cn, int64_t now)
{
	struct jbuf_pkt k = { .data = p, .len = (uint16_t)h->payload_len, .seq = h->seq, .ts = h->ts };
	int samples;

	if (cn) {
		k.dur = l->codec->rtp_clock / 50;
		k.flags = JBUF_CN;
		k.level = LEVEL_SILENCE;
	} else {
		samples = l->codec->samples(p, h->payload_len);
		if (samples <= 0 || (uint32_t)samples > l->codec->rate / 5) {
			count(&l->st.bad, M_BAD);
			return;
		}
		k.dur = (uint32_t)((uint64_t)samples * l->codec->rtp_clock / l->codec->rate);
		k.level = (int8_t)level_of(l, h, p, h->payload_len);
		if (voice_unheard(l, k.level) && !jbuf_has_data(&l->jb))
			k.len = 0;                       /* its time and level are enough */
	}
	if (jbuf_push(&l->jb, &k, now) == -ETIME)
		metric_inc(&media_metrics[M_LATE_PKT]);
}

/* --- where from */
static void latch(struct wleg *l, const union usa *from)
{
	char s[USA_STRLEN];

	if (!usa_eq(&l->peer, from)) {
		usa_str(from, s);
		log_info(leg, "leg %s: media comes from %s", l->id, s);
	}
	l->peer = *from;
	if (!l->rtcp_latched && !usa_same_host(from, &l->rtcp_peer)) {
		l->rtcp_peer = *from;
		usa_set_port(&l->rtcp_peer, (uint16_t)(usa_port(from) + 1));
	}
	l->latched = true;
	l->ncand = 0;
	hub_place(l);
}

/* May this packet (authentic, or plain with a payload type of ours) count? It may also move the leg to its address. */
static bool from_peer(struct wleg *l, const union usa *from, int64_t now)
{
	bool learn = l->srtp || now - l->started_us < PLAIN_LEARN_US;

	if (l->latched && usa_eq(from, &l->peer)) {
		l->ncand = 0;
		return true;
	}
	if (l->ice)
		return usa_eq(from, &l->peer) || ice_known(l->ice, 0, &from->sa);
	if (!l->latched) {
		latch(l, from);
		return true;
	}
	if (!learn || now - l->last_rx_us < RELATCH_US)
		return false;
	if (!l->ncand || !usa_eq(from, &l->cand)) {
		l->cand = *from;
		l->ncand = 0;
	}
	if (++l->ncand < RELATCH_PKTS)
		return false;
	latch(l, from);
	return true;
}

/* --- which source */
static void source_start(struct wleg *l, const struct rtp_hdr *h)
{
	if (l->has_src)
		jbuf_flush(&l->jb);
	rtp_source_init(&l->src, h->ssrc, h->seq, l->codec->rtp_clock);
	if (l->srtp) {                                   /* authenticated: no probation */
		l->src.valid = true;
		l->src.max_seq = h->seq;
	}
	l->has_src = true;
	l->nssrc = 0;
	l->dtmf_seen = l->dtmf_open = false;
}

static bool from_source(struct wleg *l, const struct rtp_hdr *h, int64_t now)
{
	if (l->has_src && h->ssrc == l->src.ssrc) {
		l->nssrc = 0;
		return rtp_source_update(&l->src, h->seq, h->ts, (uint64_t)now);
	}
	if (l->has_src) {
		l->nssrc = h->ssrc == l->cand_ssrc ? l->nssrc + 1 : 1;
		l->cand_ssrc = h->ssrc;
		if (l->nssrc < 2 || (!l->srtp && now - l->last_rx_us < SSRC_SILENT_US)) {
			metric_inc(&media_metrics[M_SOURCE]);
			return false;
		}
	}
	source_start(l, h);
	return rtp_source_update(&l->src, h->seq, h->ts, (uint64_t)now);
}

static int unprotect(struct wleg *l, uint8_t *p, size_t *n)
{
	int err = l->in ? srtp_unprotect(l->in, p, n) : -EACCES;

	if (err == -EACCES && l->old_in)
		err = srtp_unprotect(l->old_in, p, n);
	return err;
}

void wleg_refuse(struct wleg *l, int why)
{
	if (why == -EACCES) {
		count(&l->st.auth_failures, M_AUTH);
		if (!l->auth_fails++)
			l->auth_fail_us = l->last_valid_us;
	} else if (why == -EALREADY) {
		count(&l->st.replays, M_REPLAY);
	} else {
		count(&l->st.bad, M_BAD);
	}
}

static bool our_pt(const struct wleg *l, uint8_t pt)
{
	return pt == l->pt_recv || (l->dtmf_pt && pt == l->dtmf_pt) || (l->cn_pt && pt == l->cn_pt);
}

static void packet(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now)
{
	struct rtp_hdr h;

	if (rtp_hdr_decode(&h, p, n)) {
		count(&l->st.bad, M_BAD);
		return;
	}
	if (h.ssrc == l->ssrc) {
		count(&l->st.bad, M_LOOP);
		return;
	}
	if (!our_pt(l, h.pt)) {
		count(&l->st.bad, M_BAD);
		if (++l->unknown_pt % 500 == 0)
			log_warn(leg, "leg %s: payload type %u was not agreed, %u packets", l->id, h.pt, l->unknown_pt);
		return;
	}
	if (!from_peer(l, from, now) || !from_source(l, &h, now)) {
		metric_inc(&media_metrics[M_SOURCE]);
		return;
	}
	l->last_rx_us = now;
	wleg_valid(l, now);
	l->st.rx_packets++;
	l->st.rx_bytes += n;
	if (!l->got_media) {
		l->got_media = true;
		l->q.first_us = now;
		wleg_event(l, MLEG_MEDIA, 0);
	}
	if (!l->recv)
		return;
	p += h.hdr_len;
	if (l->dtmf_pt && h.pt == l->dtmf_pt)
		dtmf(l, &h, p, h.payload_len, now);
	else
		sound(l, &h, p, h.pt != l->pt_recv, now);
}

int wleg_datagram(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now)
{
	int err;

	if (is_stun(p, n)) {
		wleg_stun(l, 0, p, n, from, now);
		return 0;
	}
	if (l->mux && rtp_is_rtcp(p, n))
		return wleg_rtcp(l, p, n, from, now);
	if (n < RTP_HDR_MIN || p[0] >> 6 != 2)
		return -EBADMSG;
	err = l->srtp ? unprotect(l, p, &n) : 0;
	if (!err)
		packet(l, p, n, from, now);
	return err;
}

void wleg_take(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now)
{
	int err = wleg_datagram(l, p, n, from, now);

	if (err)
		wleg_refuse(l, err);
}

void wleg_receive(struct wleg *l, int64_t now)
{
	struct inbox *in = &l->room->w->in;

	for (unsigned round = 0; round < 8; round++) {
		int n = inbox_recv(in, l->sk.rtp);

		if (n > 0)
			metric_add(&media_metrics[M_RX], n);
		for (int i = 0; i < n; i++)
			wleg_take(l, in->buf[i], in->len[i], &in->from[i], now);
		if (n < (int)INBOX && n != -ECONNREFUSED)
			break;
	}
}

void wleg_receive_rtcp(struct wleg *l, int64_t now)
{
	struct inbox *in = &l->room->w->in;
	int n = inbox_recv(in, l->sk.rtcp);

	for (int i = 0; i < n; i++) {
		int err = 0;

		if (is_stun(in->buf[i], in->len[i]))
			wleg_stun(l, 1, in->buf[i], in->len[i], &in->from[i], now);
		else
			err = wleg_rtcp(l, in->buf[i], in->len[i], &in->from[i], now);
		if (err)
			wleg_refuse(l, err);
	}
}

/* --- changes from the signalling side */
static void set_keys(struct wleg *l, struct leg_update *u, int64_t now)
{
	if (u->new_in) {
		mem_deref(l->old_in);
		l->old_in = u->in ? l->in : mem_deref(l->in);   /* plain from now on: nothing to keep */
		l->old_in_until = now + OLD_KEY_US;
		l->in = u->in;
		u->in = NULL;
	}
	if (u->new_out) {
		mem_deref(l->out);
		l->out = u->out;
		u->out = NULL;
	}
	l->srtp = u->s.srtp;
}

/* Anew, for a codec or on a worker. */
void wleg_jbuf(struct wleg *l, const struct codec *c)
{
	jbuf_flush(&l->jb);
	quality_keep(&l->q, &l->jb);
	jbuf_init(&l->jb, &l->room->w->pool, c->rtp_clock);
	l->jb.fec = c->recovers;
}

static void set_codec(struct wleg *l, const struct mleg_set *s)
{
	const struct codec *c = media_codecs[s->codec];

	if (l->codec == c && l->pt_recv == s->pt_recv)
		return;
	voice_free(l);
	l->fill = l->used = 0;
	if (l->codec != c) {
		wleg_jbuf(l, c);
		l->has_src = false;
		if (l->own) {
			stream_fini(l->own);
			l->own = mem_deref(l->own);
		}
	}
	l->codec = c;
	l->codec_id = s->codec;
	l->rate = codec_rate(c);
}

static void on_inband(char key, void *arg)
{
	wleg_event(arg, MLEG_DTMF, key);
}

/* Costs a decoded packet each tick, so only for those who cannot send telephone events. */
static void set_inband(struct wleg *l, const struct mleg_set *s, bool new_rate)
{
	if (s->dtmf_pt || !s->recv || new_rate)
		l->inband = mem_deref(l->inband);
	if (!s->dtmf_pt && s->recv && !l->inband && dtmf_alloc(&l->inband, rate_hz[l->rate], on_inband, l))
		metric_inc(&media_metrics[M_NOMEM]);
}

static void set_profile(struct wleg *l, const struct mleg_set *s)
{
	struct profile *p = s->send ? wroom_profile(l->room, s, false) : NULL;
	struct profile *q = s->send ? wroom_profile(l->room, s, true) : NULL;

	if (l->own && p != l->prof) {
		stream_fini(l->own);
		l->own = mem_deref(l->own);
	}
	wroom_profile_put(l->room, l->prof);
	wroom_profile_put(l->room, l->silent);
	l->prof = p;
	l->silent = q;
}

/* What it was taken for, it is not: whoever has this address by his SDP has come. */
void wleg_unlearn(struct wleg *l)
{
	jbuf_flush(&l->jb);
	l->has_src   = l->latched = l->rtcp_latched = false;
	l->peer      = l->told;
	l->rtcp_peer = l->told_rtcp;
	l->ncand     = 0;
}

static void start(struct wleg *l, int64_t now)
{
	l->started = true;
	l->started_us = l->last_valid_us = now;
	l->last_rx_us = now - RELATCH_US;
	l->marker = true;
	l->tx_seq = (uint16_t)(worker_rnd(l->room->w) & 0x7fff);
	l->tx_ts = worker_rnd(l->room->w);
	quality_start(&l->q, l->tx_seq, now);
	l->tx_tick = l->room->tick;
	vad_init(&l->vad, TICK_MS);
	l->voiced_ago = 255;
	mix_gain_init(&l->out_gain, MIX_UNITY);
	mix_gain_init(&l->volume, MIX_UNITY);
	snprintf(l->cname, sizeof(l->cname), "%08x@mcu", worker_rnd(l->room->w));
	wleg_rtcp_later(l, now, true);
	worker_watch(l->room->w, l, true, true);
	worker_watch(l->room->w, l, false, true);
	wroom_chime(l->room, true);
}

void wleg_set(struct wleg *l, struct leg_update *u, int64_t now)
{
	const struct mleg_set *s = &u->s;
	bool first = !l->started;
	enum rate was = l->rate;

	if (!first && l->send)
		l->room->nsend[l->rate]--;
	set_keys(l, u, now);
	set_codec(l, s);
	set_inband(l, s, was != l->rate);
	set_profile(l, s);
	l->pt_send = s->pt_send;
	l->pt_recv = s->pt_recv;
	l->dtmf_pt = s->dtmf_pt;
	l->cn_pt = s->cn_pt;
	l->level_ext = s->level_ext;
	l->agc_on = s->agc;
	l->denoise_on = s->denoise;
	l->mux = s->rtcp_mux;
	if (l->recv && !s->recv)
		jbuf_flush(&l->jb);
	l->recv = s->recv;
	l->send = s->send && l->prof && l->silent;
	if (l->send)
		l->room->nsend[l->rate]++;
	if (u->new_peer) {
		l->peer = l->told = u->peer;
		l->rtcp_peer = l->told_rtcp = u->rtcp_peer;
		l->latched = l->rtcp_latched = false;
		l->ncand = 0;
		l->started_us = now;
	}
	if (first)
		start(l, now);
	wleg_ice_set(l, u, now);
	hub_claim(l);
	hub_place(l);
}

/* --- once a second */
static void cool(struct wleg *l, int64_t now)
{
	uint32_t drops;

	if (!l->hot || now - l->last_rx_us < COLD_US || l->jb.n || l->fill || l->in_mix || l->talk_told)
		return;
	if (!l->hub) {
		drops = sock_drops(l->sk.rtp);
		metric_add(&media_metrics[M_DROPS], drops - l->drops);
		l->drops = drops;
	}
	wroom_heat(l->room, l, false);
}

static void idle(struct wleg *l, int64_t now)
{
	int64_t limit = (int64_t)l->room->w->idle_ms * 1000 * (l->recv ? 1 : 5);

	if (!l->idle_told && now - l->last_valid_us >= limit) {
		l->idle_told = true;
		wleg_event(l, MLEG_IDLE, 0);
	}
	if (!l->badkey_told && l->auth_fails >= 20 && now - l->auth_fail_us >= BAD_KEY_US) {
		l->badkey_told = true;
		log_warn(leg, "leg %s: %u packets, none of them with the agreed key", l->id, l->auth_fails);
		wleg_event(l, MLEG_BAD_KEY, 0);
	}
}

/* What the peer has told of its loss: to the encoder that makes its packets */
static void tell_loss(struct wleg *l)
{
	unsigned percent = ((unsigned)l->q.peer_fraction * 100 + 128) / 256;

	if (!l->q.peer_reports || !l->prof)
		return;
	if (l->own)
		stream_loss(l->own, percent);
	if (l->prof->loss == LOSS_UNKNOWN || percent > l->prof->loss)
		l->prof->loss = (uint8_t)percent;
}

static uint32_t jitter_us(const struct wleg *l)
{
	return l->has_src && l->src.clock ? (uint32_t)((uint64_t)(l->src.jitter >> 4) * 1000000 / l->src.clock) : 0;
}

static uint32_t buffer_us(const struct wleg *l)
{
	return l->jb.delay_us > 0 ? (uint32_t)l->jb.delay_us : 0;
}

void wleg_second(struct wleg *l, int64_t now)
{
	if (!l->started)
		return;
	if (l->jb.running)
		quality_second(&l->q, jitter_us(l), buffer_us(l));
	if (now >= l->rtcp_due_us) {
		wleg_report(l, now, false);
		wleg_rtcp_later(l, now, false);
	}
	if (l->dtmf_open && now - l->dtmf_us >= DTMF_END_US) {
		dtmf_report(l);
		l->dtmf_open = false;
	}
	if (l->old_in && now >= l->old_in_until)
		l->old_in = mem_deref(l->old_in);
	if (l->voice && !l->in_mix && ++l->idle_voice > VOICE_KEEP_S)
		voice_free(l);
	if (l->codec->enc_loss)
		tell_loss(l);
	wleg_ice_second(l, now);
	idle(l, now);
	cool(l, now);
}

void wleg_stats(struct wleg *l, struct mleg_stats *st)
{
	*st = l->st;
	st->started = l->codec != NULL;
	st->codec = l->codec_id;
	st->jitter_us = jitter_us(l);
	st->buffer_ms = buffer_us(l) / 1000;
	quality_stats(&l->q, &l->jb, TICK_MS, st);
	st->level_dbov = l->started ? voice_level(l) : LEVEL_SILENCE;
	usa_str(&l->peer, st->peer);
}

static void destructor(void *arg)
{
	struct wleg *l = arg;

	jbuf_flush(&l->jb);
	voice_free(l);
	if (l->own)
		stream_fini(l->own);
	mem_deref(l->own);
	mem_deref(l->play);
	mem_deref(l->inband);
	mem_deref(l->in);
	mem_deref(l->old_in);
	mem_deref(l->out);
	mem_deref(l->ice);
	if (!l->hub)
		sock_pair_close(&l->sk);
}

struct wleg *wleg_alloc(void)
{
	struct wleg *l = mem_zalloc(sizeof(*l), destructor);

	if (l)
		l->sk = (struct sock_pair){ .rtp = -1, .rtcp = -1 };
	return l;
}
