/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - participants: a socket each, a packet out every 20 ms, everything that comes in is counted
 *
 * Packets carry the kernel's time of arrival, so it does not matter when they are read.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include "lib/rtp/rtp.h"
#include "test/bench/load/load.h"

#define READ_BATCH 4u
#define NOISE_DBOV 66u

int64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);              /* the clock of SO_TIMESTAMPNS */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int open_socket(struct peer *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int on = 1;

	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&a, len) || getsockname(p->fd, (struct sockaddr *)&a, &len) ||
	    setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		return -errno;
	p->port = ntohs(a.sin_port);
	return 0;
}

int peers_open(struct load *l, struct plan_leg *out)
{
	for (unsigned i = 0; i < l->plan.nlegs; i++) {
		struct peer *p = &l->peers[i];
		int err = open_socket(p);

		if (err)
			return err;
		p->ssrc = 0x10000 + i;
		p->ts = i * 977;
		p->seq = (uint16_t)(i * 31 & 0x7fff);
		p->quiet_at = i;
		out[i].port = p->port;
		if (getrandom(out[i].key_in, PLAN_KEY_LEN, 0) < 0 || getrandom(out[i].key_out, PLAN_KEY_LEN, 0) < 0)
			return -errno;
		if (l->plan.srtp) {
			err = srtp_ctx_alloc(&p->tx, SRTP_AES_CM_128_HMAC_SHA1_80, out[i].key_in, PLAN_KEY_LEN);
			if (!err)
				err = srtp_ctx_alloc(&p->rx, SRTP_AES_CM_128_HMAC_SHA1_80, out[i].key_out, PLAN_KEY_LEN);
			if (err)
				return err;
		}
		if (place_of(l, i) >= l->plan.talkers)
			continue;
		p->talk = calloc(1, sizeof(*p->talk));
		if (!p->talk)
			return -ENOMEM;
		err = talk_init(l, p->talk, room_of(l, i), place_of(l, i));
		if (err)
			return err;
	}
	return 0;
}

/* The talkers of the first room, and listeners evenly among all. */
void peers_sample(struct load *l, unsigned listeners)
{
	unsigned n = l->plan.nlegs, step = n / (listeners + 1) ? n / (listeners + 1) : 1;

	for (unsigned i = 0; i < l->plan.talkers && i < n; i++)
		l->peers[i].tape = calloc(1, sizeof(struct tape));
	for (unsigned k = 0, i = n - 1; k < listeners && i >= l->plan.talkers; k++, i -= step) {
		unsigned j = i;

		while (j && (l->peers[j].talk || l->peers[j].tape))
			j--;
		if (!l->peers[j].talk && !l->peers[j].tape)
			l->peers[j].tape = calloc(1, sizeof(struct tape));
		if (i < step)
			break;
	}
}

/* --- out */
static size_t header(const struct load *l, struct peer *p, uint8_t *b, unsigned level)
{
	struct rtp_hdr h = { .pt = plan_pt[l->plan.codec], .seq = p->seq++, .ts = p->ts, .ssrc = p->ssrc };
	size_t n = rtp_hdr_encode(b, 64, &h);

	p->ts += l->codec->rtp_clock / 50;
	if (l->plan.level) {
		uint8_t ext[8] = { 0xbe, 0xde, 0, 1, PLAN_LEVEL_EXT << 4, (uint8_t)level, 0, 0 };

		b[0] |= 0x10;
		memcpy(b + n, ext, sizeof(ext));
		n += sizeof(ext);
	}
	return n;
}

static void send_one(struct load *l, struct peer *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(p->to_port) };
	uint8_t b[1500], payload[1280];
	const uint8_t *src = payload;
	unsigned level = l->quiet == QUIET_NOISE ? NOISE_DBOV : 127;
	size_t n, len;

	if (p->talk) {
		int r = talk_packet(l, p->talk, payload, sizeof(payload));

		len = r > 0 ? (size_t)r : 0;
		level = talk_loud(p->talk) ? 18 : 127;
	} else {
		len = quiet_payload(l, p->quiet_at++, &src);
	}
	n = header(l, p, b, level);
	memcpy(b + n, src, len);
	n += len;
	if (p->tx && srtp_protect(p->tx, b, &n, sizeof(b)))
		l->bad++;
	if (sendto(p->fd, b, n, 0, (struct sockaddr *)&to, sizeof(to)) > 0)
		l->sent++;
}

/* Neighbours stand 7 ms apart: 3 is the inverse of 7 modulo 20. */
static unsigned first_of(unsigned group) { return group * 3 % GROUPS; }

void peers_send(struct load *l, unsigned group)
{
	for (unsigned i = first_of(group); i < l->plan.nlegs; i += GROUPS)
		send_one(l, &l->peers[i]);
}

/* --- in */
static void keep(struct tape *t, const struct rtp_hdr *h, const uint8_t *payload, int64_t at_us)
{
	struct heard *p = malloc(sizeof(*p) + h->payload_len);

	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 512;
		t->pkt = realloc(t->pkt, t->room * sizeof(*t->pkt));
	}
	if (!p || !t->pkt)
		abort();
	*p = (struct heard){ .at_us = at_us, .ts = h->ts, .len = (uint16_t)h->payload_len };
	memcpy(p->data, payload, h->payload_len);
	t->pkt[t->n++] = p;
}

/* RFC 3550 A.8, in microseconds */
static void jitter(const struct load *l, struct peer *p, uint32_t ts, int64_t at_us)
{
	int64_t transit;

	p->transit_ts += (int32_t)(ts - p->last_ts);
	transit = at_us - p->transit_ts * 1000000 / l->codec->rtp_clock;
	if (p->started) {
		double d = (double)(transit - p->last_transit);

		p->jitter_us += ((d < 0 ? -d : d) - p->jitter_us) / 16;
		if (l->measuring && p->jitter_us > p->max_jitter_us)
			p->max_jitter_us = p->jitter_us;
	}
	p->last_transit = transit;
	p->last_ts = ts;
}

static void take(struct load *l, struct peer *p, uint8_t *b, size_t n, int64_t at_us)
{
	struct rtp_hdr h;

	if (rtp_is_rtcp(b, n)) {
		l->rtcp++;
		return;
	}
	if ((p->rx && srtp_unprotect(p->rx, b, &n)) || rtp_hdr_decode(&h, b, n)) {
		l->bad++;
		return;
	}
	l->received++;
	jitter(l, p, h.ts, at_us);
	if (p->started && l->measuring) {
		int16_t step = (int16_t)(h.seq - p->last_seq);

		if (step > 0)
			p->nlost += (uint64_t)step - 1;
		else
			p->nlate++;
	}
	p->last_seq = h.seq;
	p->started = true;
	if (!l->measuring)
		return;
	p->nrecv++;
	if (p->tape)
		keep(p->tape, &h, b + h.hdr_len, at_us);
}

static int64_t stamp(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
		}
	return wall_us();
}

static void receive_one(struct load *l, struct peer *p)
{
	static uint8_t buf[READ_BATCH][1600];
	char control[READ_BATCH][64];
	struct iovec v[READ_BATCH];
	struct mmsghdr m[READ_BATCH];
	int n;

	do {
		for (unsigned i = 0; i < READ_BATCH; i++) {
			v[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
			m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1, .msg_control = control[i],
							.msg_controllen = sizeof(control[i]) };
		}
		n = recvmmsg(p->fd, m, READ_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take(l, p, buf[i], m[i].msg_len, stamp(&m[i].msg_hdr));
	} while (n == (int)READ_BATCH);
}

void peers_receive(struct load *l, unsigned group)
{
	for (unsigned i = first_of(group); i < l->plan.nlegs; i += GROUPS)
		receive_one(l, &l->peers[i]);
}

void peers_reset(struct load *l)
{
	for (unsigned i = 0; i < l->plan.nlegs; i++) {
		struct peer *p = &l->peers[i];

		p->nrecv = p->nlost = p->nlate = 0;
		p->max_jitter_us = 0;
	}
	l->sent = l->received = l->bad = l->rtcp = l->late_steps = l->steps = 0;
	l->max_late_us = 0;
	l->measuring = true;
}
