/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c - the reference for the cost of mixing: one thread, and only what cannot be avoided
 *
 * Once in 20 ms, for all: receive -> SRTP in -> decode who talks -> one sum -> one encoding for all listeners and one
 * per talker -> header, SRTP out -> send. No jitter buffer, no levels, no reports, no checks of who sends: talkers are
 * known beforehand, a leg is known by its port. Sockets are shared by per_socket legs, so that a system call moves many
 * packets.
 *
 * Frozen: figures are ratios to this program, and nothing gets better by changing it.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include "lib/base/mem.h"
#include "lib/rtp/srtp.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/mix.h"
#include "test/bench/floor/plan.h"

#define BATCH     64u
#define PKT       1500u
#define FRAME     960u                   /* samples of a tick at 48 kHz */
#define QUEUE     3u                     /* frames of a talker that came early */
#define TALKERS   8u
#define TICK_NS   20000000

struct leg {
	struct sockaddr_in peer;
	struct srtp_ctx   *in, *out;
	uint32_t           ssrc, ts;
	uint16_t           seq;
};
struct talker {
	struct codec_dec  *dec;
	struct codec_enc  *enc;
	uint32_t           ssrc;         /* as it stands in CSRC lists */
	unsigned           n;
	int16_t            q[QUEUE][FRAME];
};

static struct plan plan;
static struct plan_stats st;
static struct leg *legs;
static struct room { struct talker t[TALKERS]; struct codec_enc *shared; } *rooms;
static unsigned per_room;
static uint16_t by_port[65536];          /* leg + 1 */
static int *socks;
static unsigned nsocks;
static const struct codec *const codecs[PLAN_CODECS] = { &codec_pcmu, &codec_g722, &codec_opus };
static const struct codec *codec;
static size_t frame;                     /* samples */
static struct { uint8_t b[BATCH][PKT]; struct sockaddr_in a[BATCH]; struct iovec v[BATCH]; struct mmsghdr m[BATCH]; } rx, tx;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- in */
static void decode(struct talker *t, const uint8_t *p, size_t n)
{
	size_t hdr = 12 + 4u * (p[0] & 15);

	if (p[0] & 0x10 && n >= hdr + 4)
		hdr += 4 + 4u * (unsigned)(p[hdr + 2] << 8 | p[hdr + 3]);
	if (n <= hdr) {
		st.bad++;
		return;
	}
	memcpy(&t->ssrc, p + 8, 4);
	if (t->n == QUEUE)
		memmove(t->q[0], t->q[1], --t->n * sizeof(t->q[0]));
	if (codec->decode(t->dec, p + hdr, n - hdr, 0, t->q[t->n], FRAME) == (int)frame)
		t->n++;
	st.decodes++;
}

static void take(uint8_t *p, size_t n, uint16_t port)
{
	unsigned i = by_port[ntohs(port)];

	if (!i-- || n < 12 || (legs[i].in && srtp_unprotect(legs[i].in, p, &n))) {
		st.bad++;
		return;
	}
	st.rx++;
	if (i % per_room < plan.talkers)
		decode(&rooms[i / per_room].t[i % per_room], p, n);
}

static void receive(int fd)
{
	int n;

	do {
		for (unsigned i = 0; i < BATCH; i++) {
			rx.v[i] = (struct iovec){ rx.b[i], PKT };
			rx.m[i].msg_hdr = (struct msghdr){ .msg_name = &rx.a[i], .msg_namelen = sizeof(rx.a[i]),
							   .msg_iov = &rx.v[i], .msg_iovlen = 1 };
		}
		n = recvmmsg(fd, rx.m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take(rx.b[i], rx.m[i].msg_len, rx.a[i].sin_port);
	} while (n == (int)BATCH);
}

/* --- out */
static void flush(int fd, unsigned n)
{
	for (unsigned done = 0; done < n;) {
		int r = sendmmsg(fd, tx.m + done, n - done, 0);

		if (r < 0 && errno != ECONNREFUSED && errno != EINTR)
			die("sendmmsg");
		done += r > 0 ? (unsigned)r : 1;
		st.tx += r > 0 ? (unsigned)r : 0;
	}
}

static void put(unsigned slot, struct leg *l, const uint8_t *payload, size_t len, const uint32_t *csrc, unsigned ncsrc)
{
	uint8_t *p = tx.b[slot];
	uint16_t seq = htons(l->seq++);
	uint32_t ts = htonl(l->ts);
	size_t n = 12 + 4 * ncsrc;

	p[0] = (uint8_t)(0x80 | ncsrc);
	p[1] = plan_pt[plan.codec];
	memcpy(p + 2, &seq, 2);
	memcpy(p + 4, &ts, 4);
	memcpy(p + 8, &l->ssrc, 4);
	memcpy(p + 12, csrc, 4 * ncsrc);
	memcpy(p + n, payload, len);
	n += len;
	l->ts += codec->rtp_clock / 50;
	if (l->out && srtp_protect(l->out, p, &n, PKT))
		exit(1);
	tx.v[slot] = (struct iovec){ p, n };
	tx.m[slot].msg_hdr = (struct msghdr){ .msg_name = &l->peer, .msg_namelen = sizeof(l->peer), .msg_iov = &tx.v[slot],
					      .msg_iovlen = 1 };
}

static struct { uint8_t b[1280]; size_t len; uint32_t csrc[TALKERS]; unsigned n; } out[TALKERS + 1];

static void mix(struct talker *talkers, struct codec_enc *shared)
{
	int32_t acc[FRAME], own[FRAME];
	int16_t pcm[FRAME];
	unsigned k = plan.talkers;

	mix_clear(acc, frame);
	for (unsigned i = 0; i < k; i++)
		if (talkers[i].n)
			mix_add(acc, talkers[i].q[0], frame);
	for (unsigned i = 0; i <= k; i++) {              /* the last one is all listeners' */
		struct talker *t = i < k ? &talkers[i] : NULL;
		int r;

		if (t && t->n)
			mix_minus(own, acc, t->q[0], frame);
		mix_saturate(pcm, t && t->n ? own : acc, frame);
		r = codec->encode(t ? t->enc : shared, pcm, frame, out[i].b, sizeof(out[i].b));
		out[i].len = r > 0 ? (size_t)r : 0;
		out[i].n = 0;
		for (unsigned j = 0; j < k; j++)
			if (j != i && talkers[j].n)
				out[i].csrc[out[i].n++] = talkers[j].ssrc;
		st.encodes++;
	}
	for (unsigned i = 0; i < k; i++)
		if (talkers[i].n)
			memmove(talkers[i].q[0], talkers[i].q[1], --talkers[i].n * sizeof(talkers[i].q[0]));
}

static void tick(void)
{
	unsigned k = plan.talkers, n = 0;

	for (unsigned s = 0; s < nsocks; s++)
		receive(socks[s]);
	for (unsigned i = 0; i < plan.nlegs; i++) {
		unsigned at = i % per_room, o = at < k ? at : k, s = i / plan.per_socket;

		if (!at)
			mix(rooms[i / per_room].t, rooms[i / per_room].shared);
		put(n++, &legs[i], out[o].b, out[o].len, out[o].csrc, out[o].n);
		if (n == BATCH || i + 1 == plan.nlegs || (i + 1) / plan.per_socket != s) {
			flush(socks[s], n);
			n = 0;
		}
	}
}

/* --- start and end */
static uint16_t open_socket(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int bytes = 1 << 20;                             /* the kernel takes what net.core.rmem_max allows */

	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&a, len) || getsockname(*fd, (struct sockaddr *)&a, &len))
		die("socket");
	(void)setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return ntohs(a.sin_port);
}

static void read_plan(void)
{
	if (plan_read(0, &plan, sizeof(plan)) || plan.magic != PLAN_MAGIC || !plan.nlegs || plan.nlegs > 60000 ||
	    !plan.rooms || plan.nlegs % plan.rooms || plan.talkers > TALKERS || plan.talkers > plan.nlegs / plan.rooms || !plan.per_socket) {
		fprintf(stderr, "floor: no usable plan on standard input\n");
		exit(2);
	}
	codec = codecs[plan.codec];
	frame = codec->rate / 50;
	legs = calloc(plan.nlegs, sizeof(*legs));
	nsocks = (plan.nlegs + plan.per_socket - 1) / plan.per_socket;
	socks = calloc(nsocks, sizeof(*socks));
	per_room = plan.nlegs / plan.rooms;
	rooms = calloc(plan.rooms, sizeof(*rooms));
	if (!legs || !socks || !rooms)
		die("calloc");
	for (unsigned i = 0; i < plan.rooms; i++) {
		if (codec->enc_alloc(&rooms[i].shared, 0))
			exit(1);
		for (unsigned k = 0; k < plan.talkers; k++)
			if (codec->enc_alloc(&rooms[i].t[k].enc, 0) || codec->dec_alloc(&rooms[i].t[k].dec))
				exit(1);
	}
}

static void read_legs(void)
{
	uint16_t port = 0, *ports = calloc(plan.nlegs, sizeof(*ports));
	struct plan_leg pl;

	if (!ports)
		die("calloc");
	for (unsigned i = 0; i < plan.nlegs; i++) {
		struct leg *l = &legs[i];

		if (plan_read(0, &pl, sizeof(pl)) || (plan.srtp &&
		    (srtp_ctx_alloc(&l->in, SRTP_AES_CM_128_HMAC_SHA1_80, pl.key_in, PLAN_KEY_LEN) ||
		     srtp_ctx_alloc(&l->out, SRTP_AES_CM_128_HMAC_SHA1_80, pl.key_out, PLAN_KEY_LEN))))
			exit(1);
		if (i % plan.per_socket == 0)
			port = open_socket(&socks[i / plan.per_socket]);
		l->peer = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
						.sin_port = htons(pl.port) };
		l->ssrc = i + 1;
		by_port[pl.port] = (uint16_t)(i + 1);
		ports[i] = port;
	}
	if (plan_write(1, ports, plan.nlegs * sizeof(*ports)))
		exit(1);
	free(ports);
}

int main(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	struct timespec next, now;

	read_plan();
	read_legs();
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned n = 0;; n++) {
		int64_t late;

		next.tv_nsec += TICK_NS;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL))
			;
		clock_gettime(CLOCK_MONOTONIC, &now);
		late = (now.tv_sec - next.tv_sec) * 1000000 + (now.tv_nsec - next.tv_nsec) / 1000;
		st.late_ticks += late > 5000;
		tick();
		clock_gettime(CLOCK_MONOTONIC, &now);
		late = (now.tv_sec - next.tv_sec) * 1000000 + (now.tv_nsec - next.tv_nsec) / 1000 - late;
		if ((uint64_t)late > st.tick_max_us)
			st.tick_max_us = (uint64_t)late;
		if (n % 10 == 0 && poll(&in, 1, 0) > 0)  /* closed: the end */
			break;
	}
	return plan_write(1, &st, sizeof(st)) ? 1 : 0;
}
