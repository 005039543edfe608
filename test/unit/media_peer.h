/* SPDX-License-Identifier: Apache-2.0 */
/* media_peer.h - clients of the media engine for its tests: real sockets on loopback, a tone each, everything that
 * comes back decoded and kept
 *
 * run(ms) turns the loop; every 20 ms each peer sends a packet (unless told not to) and reads what has come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/rtp/rtcp.h"
#include "lib/rtp/rtp.h"
#include "mcu/audio/codec.h"
#include "mcu/media/media_priv.h"

#define HEARD_MAX (48000 * 8)

struct peer {
	struct mleg *leg;
	struct mleg_set set;
	const struct codec *codec;
	struct codec_enc *enc;
	struct codec_dec *dec;
	struct srtp_ctx *tx, *rx;
	int fd, rtcp_fd;
	struct sockaddr_in to;
	double hz, amp, phase;
	bool silent, nosound_decode, csrc_seen;      /* silent: sends digital silence; nodecode: only counts */
	bool shared;                                 /* on a pair that others use, too */
	uint16_t sdp_port;                           /* what the SDP told, where not its own */
	bool off;                                    /* sends nothing */
	unsigned lose_every, nsent, ptime, nquiet;
	uint32_t ssrc, ts, out_ssrc, last_ts;
	uint16_t seq, last_seq;
	uint8_t level_ext;
	unsigned nrecv, gaps, ts_jumps, ssrcs, markers, bad, ncsrc;
	unsigned rtcp_recv, byes;
	unsigned ncn, cn_level;                      /* comfort noise packets, the last one's level */
	int16_t *heard;
	size_t nheard;
	int ev[8][2];                                /* by event: how often, last value */
	char keys[16];
	uint64_t talk_on_us, last_recv_us, max_gap_us;
	uint64_t first_loud_us, first_heard_us;      /* reset by the test */
};

static struct ev_loop *loop;
static struct media *engine;
static struct mroom *room;
static struct peer *peers;
static unsigned npeers;

static __attribute__((unused)) uint64_t usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void on_event(struct mleg *l, enum mleg_event ev, int v, void *arg)
{
	struct peer *p = arg;

	assert_ptr_equal(l, p->leg);
	p->ev[ev][0]++;
	p->ev[ev][1] = v;
	if (ev == MLEG_DTMF && strlen(p->keys) < sizeof(p->keys) - 1)
		p->keys[strlen(p->keys)] = (char)v;
	if (ev == MLEG_TALK && v)
		p->talk_on_us = usec();
}

static int peer_socket(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static const struct codec *const peer_codecs[] = { &codec_pcmu, &codec_pcma, &codec_g722, &codec_opus };

static void peer_keys(struct peer *p)
{
	const struct srtp_suite *s = &srtp_suites[0];

	for (unsigned i = 0; i < SRTP_NSUITES; i++)
		if (srtp_suites[i].id == p->set.suite)
			s = &srtp_suites[i];
	p->set.srtp = true;
	p->set.key_len = s->key_len + s->salt_len;
	assert_int_equal(getrandom(p->set.key_in, p->set.key_len, 0), (ssize_t)p->set.key_len);
	assert_int_equal(getrandom(p->set.key_out, p->set.key_len, 0), (ssize_t)p->set.key_len);
	assert_int_equal(srtp_ctx_alloc(&p->tx, s->id, p->set.key_in, p->set.key_len), 0);
	assert_int_equal(srtp_ctx_alloc(&p->rx, s->id, p->set.key_out, p->set.key_len), 0);
}

/* The peer's side is ready; its leg is made and set. hz 0: digital silence. */
static void peer_start(struct peer *p, enum mcodec codec, double hz, bool srtp)
{
	uint16_t port;
	char id[16];

	p->codec = peer_codecs[codec];
	p->hz = hz;
	p->amp = 6000;
	p->silent = hz == 0;
	p->fd = peer_socket(&port);
	p->rtcp_fd = -1;
	p->set.codec = codec;
	p->set.pt_send = p->set.pt_recv = codec == MCODEC_PCMU ? 0 : codec == MCODEC_PCMA ? 8 : codec == MCODEC_G722 ? 9 : 96;
	p->set.dtmf_pt = 101;
	p->set.cn_pt = 13;
	p->set.level_ext = p->level_ext;
	p->set.ptime_ms = p->ptime ? p->ptime : 20;
	p->set.send = p->set.recv = p->set.rtcp_mux = true;
	snprintf(p->set.addr, sizeof(p->set.addr), "127.0.0.1");
	p->set.port = p->sdp_port ? p->sdp_port : port;
	p->ssrc = (uint32_t)rand() + 1;
	p->seq = (uint16_t)rand();
	p->ts = (uint32_t)rand() * 2u;
	if (srtp)
		peer_keys(p);
	snprintf(id, sizeof(id), "peer%u", (unsigned)(p - peers));
	assert_int_equal((p->shared ? mleg_alloc_shared : mleg_alloc)(&p->leg, room, id, on_event, p), 0);
	assert_int_equal(mleg_port(p->leg) % 2, 0);
	p->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				      .sin_port = htons(mleg_port(p->leg)) };
	assert_int_equal(mleg_set(p->leg, &p->set), 0);
}

static void peer_stop(struct peer *p)
{
	p->leg = mem_deref(p->leg);
	if (p->fd > 0)
		close(p->fd);
	p->enc = mem_deref(p->enc);
	p->dec = mem_deref(p->dec);
	p->tx = mem_deref(p->tx);
	p->rx = mem_deref(p->rx);
	free(p->heard);
	memset(p, 0, sizeof(*p));
}

static void peer_packet(struct peer *p, uint8_t pt, bool marker, const uint8_t *payload, size_t len, uint32_t ts,
			int level)
{
	uint8_t b[1500];
	struct rtp_hdr h = { .marker = marker, .pt = pt, .seq = p->seq++, .ts = ts, .ssrc = p->ssrc };
	size_t n = rtp_hdr_encode(b, sizeof(b), &h);

	if (p->level_ext) {
		uint8_t ext[8] = { 0xbe, 0xde, 0, 1, (uint8_t)(p->level_ext << 4), (uint8_t)-level, 0, 0 };

		b[0] |= 0x10;
		memcpy(b + n, ext, 8);
		n += 8;
	}
	memcpy(b + n, payload, len);
	n += len;
	if (p->tx)
		assert_int_equal(srtp_protect(p->tx, b, &n, sizeof(b)), 0);
	if (p->lose_every && p->nsent++ % p->lose_every == p->lose_every - 1)
		return;
	(void)!sendto(p->fd, b, n, 0, (struct sockaddr *)&p->to, sizeof(p->to));
}

static __attribute__((unused)) void peer_dtmf(struct peer *p, uint8_t event, bool end, uint16_t duration)
{
	struct rtp_dtmf d = { .event = event, .volume = 10, .end = end, .duration = duration };
	uint8_t b[4];

	rtp_dtmf_encode(b, &d);
	peer_packet(p, 101, false, b, 4, p->ts, -127);
}

static void peer_send(struct peer *p)
{
	int16_t pcm[960];
	uint8_t out[1400];
	size_t n = p->codec->rate / 50;
	int r;

	static struct { uint8_t b[1400]; int n; } quiet[4];

	if (p->nosound_decode && p->silent && quiet[p->set.codec].n) {   /* many peers: do not encode the same for each */
		peer_packet(p, p->set.pt_recv, p->nsent == 0, quiet[p->set.codec].b, (size_t)quiet[p->set.codec].n, p->ts, -127);
		p->ts += p->codec->rtp_clock / 50;
		return;
	}
	if (!p->silent && !p->first_loud_us)
		p->first_loud_us = usec();
	for (size_t i = 0; i < n; i++) {
		pcm[i] = p->silent ? 0 : (int16_t)(p->amp * sin(p->phase));
		p->phase += 2 * M_PI * p->hz / p->codec->rate;
	}
	if (!p->enc)
		assert_int_equal(p->codec->enc_alloc(&p->enc, 0), 0);
	r = p->codec->encode(p->enc, pcm, n, out, sizeof(out));
	assert_true(r > 0);
	if (p->nosound_decode && p->silent && p->nquiet++ > 20) {
		memcpy(quiet[p->set.codec].b, out, (size_t)r);
		quiet[p->set.codec].n = r;
	}
	peer_packet(p, p->set.pt_recv, p->nsent == 0, out, (size_t)r, p->ts, p->silent ? -127 : -17);
	p->ts += p->codec->rtp_clock / 50;
}

static void peer_take(struct peer *p, uint8_t *b, size_t n)
{
	struct rtp_hdr h;
	uint64_t now = usec();
	int r;

	if (rtp_is_rtcp(b, n)) {
		p->rtcp_recv++;
		if (p->rx && srtcp_unprotect(p->rx, b, &n))
			p->bad++;
		for (size_t at = 0; at + 4 <= n; at += 4u * (1u + (unsigned)(b[at + 2] << 8 | b[at + 3])))
			p->byes += b[at + 1] == 203;
		return;
	}
	if ((p->rx && srtp_unprotect(p->rx, b, &n)) || rtp_hdr_decode(&h, b, n) ||
	    (h.pt != p->set.pt_send && !(p->set.dtx && h.pt == p->set.cn_pt))) {
		p->bad++;
		return;
	}
	if (h.pt != p->set.pt_send) {
		p->ncn++;
		p->cn_level = h.payload_len == 1 ? b[h.hdr_len] : 255;
		return;
	}
	if (h.ssrc != p->out_ssrc) {
		p->ssrcs++;
		p->out_ssrc = h.ssrc;
	} else {
		p->gaps += h.seq != (uint16_t)(p->last_seq + 1);
		p->ts_jumps += h.ts - p->last_ts != p->codec->rtp_clock / 1000 * p->set.ptime_ms;
		if (now - p->last_recv_us > p->max_gap_us)
			p->max_gap_us = now - p->last_recv_us;
	}
	p->last_recv_us = now;
	p->markers += h.marker;
	p->ncsrc = h.ncsrc;
	p->last_seq = h.seq;
	p->last_ts = h.ts;
	p->nrecv++;
	if (p->nosound_decode)
		return;
	if (!p->heard)
		p->heard = malloc(HEARD_MAX * sizeof(int16_t));
	if (!p->dec)
		assert_int_equal(p->codec->dec_alloc(&p->dec), 0);
	if (p->nheard + 5760 > HEARD_MAX)
		p->nheard = 0;
	r = p->codec->decode(p->dec, b + h.hdr_len, h.payload_len, 0, p->heard + p->nheard, 5760);
	assert_true(r > 0);
	for (int i = 0; i < r && !p->first_heard_us; i++)
		if (abs(p->heard[p->nheard + (size_t)i]) > 300)
			p->first_heard_us = now;
	p->nheard += (size_t)r;
}

static void peer_recv(struct peer *p)
{
	uint8_t b[1600];
	ssize_t n;

	while ((n = recv(p->fd, b, sizeof(b), 0)) > 0)
		peer_take(p, b, (size_t)n);
}

static struct tmr pace;
static bool stalled;                                 /* the machine was too busy for exact expectations */
static uint64_t pace_next, pace_end;

static void on_pace(void *arg)
{
	uint64_t now = usec();

	(void)arg;
	stalled |= now > pace_next + 40000;
	for (; now >= pace_next; pace_next += 20000)
		for (unsigned i = 0; i < npeers; i++)
			if (peers[i].leg && !peers[i].off)
				peer_send(&peers[i]);
	for (unsigned i = 0; i < npeers; i++)
		if (peers[i].fd > 0)
			peer_recv(&peers[i]);
	if (now >= pace_end)
		ev_loop_stop(loop);
	else
		tmr_start(&pace, 2);
}

static void run(unsigned ms)
{
	uint64_t now = usec();

	if (now > pace_next + 20000)
		pace_next = now;
	pace_end = now + ms * 1000ull;
	tmr_start(&pace, 1);
	assert_int_equal(ev_loop_run(loop), 0);
}

/* Amplitude of a tone in what was heard during the last ms */
static __attribute__((unused)) double tone_level(const struct peer *p, double hz, unsigned ms)
{
	size_t n = (size_t)p->codec->rate * ms / 1000;
	double re = 0, im = 0, w = 2 * M_PI * hz / p->codec->rate;

	if (p->nheard < n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		double hann = 1 - cos(2 * M_PI * (double)i / (double)n);
		double x = p->heard[p->nheard - n + i] * hann;

		re += x * cos(w * (double)i);
		im += x * sin(w * (double)i);
	}
	return 2 * sqrt(re * re + im * im) / (double)n;
}

static __attribute__((unused)) double rms(const struct peer *p, unsigned ms)
{
	size_t n = (size_t)p->codec->rate * ms / 1000;
	double e = 0;

	if (p->nheard < n)
		return 0;
	for (size_t i = p->nheard - n; i < p->nheard; i++)
		e += (double)p->heard[i] * p->heard[i];
	return sqrt(e / (double)n);
}

static int64_t skipped;
static bool no_uring;
static unsigned nworkers = 1, span_legs;

/* Nothing was left out for want of processor time: then every packet must be there. */
static __attribute__((unused)) bool steady(void)
{
	return !stalled && metric_get(&media_metrics[M_SKIPPED]) == skipped;
}

static void engine_start(unsigned n, unsigned idle_ms, uint16_t ports)
{
	static uint16_t base = 21000;
	struct media_prm prm = { .ip = "127.0.0.1", .workers = nworkers, .span = span_legs, .no_uring = no_uring, .load_max = 1000,
				.idle_ms = idle_ms };

	base = (uint16_t)(base + ports + 2);
	prm.port_min = base;
	prm.port_max = (uint16_t)(base + ports - 1);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	prm.loop = loop;
	assert_int_equal(media_alloc(&engine, &prm), 0);
	assert_int_equal(mroom_alloc(&room, engine, "room"), 0);
	assert_int_equal(tmr_init(&pace, loop, on_pace, NULL), 0);
	npeers = n;
	stalled = false;
	skipped = metric_get(&media_metrics[M_SKIPPED]);
	peers = calloc(n, sizeof(*peers));
	srand(7);
}

static void engine_stop(void)
{
	for (unsigned i = 0; i < npeers; i++)
		peer_stop(&peers[i]);
	free(peers);
	npeers = 0;
	room = mem_deref(room);
	run(40);
	engine = mem_deref(engine);
	tmr_fini(&pace);
	loop = mem_deref(loop);
	assert_int_equal(mem_live(), 0);
}
