/* SPDX-License-Identifier: Apache-2.0 */
/* sock.c - port pairs and datagram batches, see sock.h
 *
 * A full receive buffer at Debian's stock 208 KiB holds more than 250 voice packets, several seconds of one leg; what
 * does not fit is counted by the kernel and read with sock_drops().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "mcu/media/sock.h"

int usa_parse(union usa *a, const char *ip, uint16_t port)
{
	union usa u;

	memset(&u, 0, sizeof(u));
	if (inet_pton(AF_INET, ip, &u.in.sin_addr) == 1)
		u.sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, ip, &u.in6.sin6_addr) == 1)
		u.sa.sa_family = AF_INET6;
	else
		return -EINVAL;
	usa_set_port(&u, port);
	*a = u;
	return 0;
}

bool usa_any(const union usa *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == 0;
	return a->sa.sa_family != AF_INET6 || IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool usa_many(const union usa *a)
{
	if (a->sa.sa_family == AF_INET)
		return IN_MULTICAST(ntohl(a->in.sin_addr.s_addr)) || a->in.sin_addr.s_addr == htonl(INADDR_BROADCAST);
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr);
}

bool usa_same_host(const union usa *a, const union usa *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->sa.sa_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

bool usa_eq(const union usa *a, const union usa *b)
{
	return a->in.sin_port == b->in.sin_port && usa_same_host(a, b);
}

/* sin_port and sin6_port stand at the same place */
uint16_t usa_port(const union usa *a) { return ntohs(a->in.sin_port); }
void usa_set_port(union usa *a, uint16_t port) { a->in.sin_port = htons(port); }

socklen_t usa_len(const union usa *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : a->sa.sa_family == AF_INET ? sizeof(a->in) : 0;
}

int usa_to_family(union usa *a, sa_family_t family)
{
	union usa u;

	if (a->sa.sa_family == family)
		return 0;
	if (family != AF_INET6 || a->sa.sa_family != AF_INET)
		return -EAFNOSUPPORT;
	memset(&u, 0, sizeof(u));
	u.in6.sin6_family = AF_INET6;
	u.in6.sin6_port = a->in.sin_port;
	u.in6.sin6_addr.s6_addr[10] = u.in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(u.in6.sin6_addr.s6_addr + 12, &a->in.sin_addr, 4);
	*a = u;
	return 0;
}

void usa_str(const union usa *a, char out[USA_STRLEN])
{
	char ip[INET6_ADDRSTRLEN] = "";

	out[0] = 0;
	if (a->sa.sa_family == AF_INET && inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof(ip)))
		snprintf(out, USA_STRLEN, "%s:%u", ip, usa_port(a));
	else if (a->sa.sa_family == AF_INET6 && inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip)))
		snprintf(out, USA_STRLEN, "[%s]:%u", ip, usa_port(a));
}

/* --- the pool */
int ports_init(struct ports *p, const char *ip, uint16_t min, uint16_t max)
{
	uint16_t r = 0;
	int err;

	memset(p, 0, sizeof(*p));
	err = usa_parse(&p->ip, ip, 0);
	if (err)
		return err;
	if (min & 1)
		min++;
	if (!min || max <= min)
		return -EINVAL;
	p->min = min;
	p->npairs = (uint16_t)((max - min + 1) / 2);
	p->busy = calloc(p->npairs, 1);
	if (!p->busy)
		return -ENOMEM;
	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	p->next = r % p->npairs;                 /* a restarted server does not hand out the ports of old calls first */
	return 0;
}

void ports_fini(struct ports *p)
{
	free(p->busy);
	p->busy = NULL;
}

static int open_one(const union usa *ip, uint16_t port)
{
	union usa a = *ip;
	int tos = 0xb8, off = 0;                 /* EF */
	int probe = IP_PMTUDISC_PROBE;           /* no fragments, no IP identification to be found for each packet */
	int fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	usa_set_port(&a, port);
	if (a.sa.sa_family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	} else {
		(void)setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
	}
	if (bind(fd, &a.sa, usa_len(&a))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int open_pair(const union usa *ip, struct sock_pair *s, uint16_t port)
{
	int rtp = open_one(ip, port), rtcp;

	if (rtp < 0)
		return rtp;
	rtcp = open_one(ip, (uint16_t)(port + 1));
	if (rtcp < 0) {
		close(rtp);
		return rtcp;
	}
	*s = (struct sock_pair){ .rtp = rtp, .rtcp = rtcp, .port = port };
	return 0;
}

int ports_open(struct ports *p, struct sock_pair *s)
{
	for (unsigned i = 0; i < p->npairs; i++) {
		unsigned k = p->next;
		int err;

		p->next = (k + 1) % p->npairs;
		if (p->busy[k])
			continue;
		err = open_pair(&p->ip, s, (uint16_t)(p->min + 2 * k));
		if (err == -EADDRINUSE || err == -EACCES)
			continue;
		if (err)
			return err;
		p->busy[k] = 1;
		p->used++;
		return 0;
	}
	return -EADDRINUSE;
}

void ports_put(struct ports *p, uint16_t port)
{
	unsigned k = (unsigned)(port - p->min) / 2;

	if (k < p->npairs && p->busy[k]) {
		p->busy[k] = 0;
		p->used--;
	}
}

void sock_pair_close(struct sock_pair *s)
{
	if (s->rtp >= 0)
		close(s->rtp);
	if (s->rtcp >= 0)
		close(s->rtcp);
	s->rtp = s->rtcp = -1;
}

uint32_t sock_drops(int fd)
{
	uint32_t m[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(m);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, m, &len) ? 0 : m[SK_MEMINFO_DROPS];
}

void sock_buffer(int fd, int bytes)
{
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* --- batches */
static void inbox_prepare(struct inbox *in)
{
	for (unsigned i = 0; i < INBOX; i++) {
		in->v[i] = (struct iovec){ in->buf[i], DGRAM_MAX };
		in->m[i].msg_hdr = (struct msghdr){ .msg_name = &in->from[i], .msg_namelen = sizeof(in->from[i]),
						    .msg_iov = &in->v[i], .msg_iovlen = 1 };
	}
	in->ready = true;
}

void inbox_ready(struct inbox *in, unsigned n)
{
	if (!in->ready)
		inbox_prepare(in);
	for (unsigned i = 0; i < in->n; i++)             /* the last batch's */
		in->m[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
	in->n = n;
}

int inbox_recv(struct inbox *in, int fd)
{
	int n;

	inbox_ready(in, 0);
	n = recvmmsg(fd, in->m, INBOX, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		in->len[i] = in->m[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : in->m[i].msg_len;
	in->n = (unsigned)n;
	return n;
}

uint8_t *outbox_next(struct outbox *o)
{
	if (o->n == OUTBOX)
		outbox_flush(o);
	return o->buf[o->n];
}

void outbox_add(struct outbox *o, int fd, const union usa *to, size_t len)
{
	unsigned i = o->n++;

	o->d[i].fd = fd;
	o->d[i].gone = false;
	o->d[i].to = *to;
	o->d[i].v = (struct iovec){ o->buf[i], len };
	o->m[i].msg_hdr = (struct msghdr){ .msg_name = &o->d[i].to, .msg_namelen = usa_len(to), .msg_iov = &o->d[i].v,
					   .msg_iovlen = 1 };
}

static void send_one(struct outbox *o, unsigned i)
{
	const struct iovec *v = &o->d[i].v;

	if (sendto(o->d[i].fd, v->iov_base, v->iov_len, MSG_DONTWAIT, &o->d[i].to.sa, usa_len(&o->d[i].to)) < 0)
		o->errors++;
	else
		o->sent++;
}

static void send_run(struct outbox *o, int fd, struct mmsghdr *m, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		int r = sendmmsg(fd, m + done, n - done, MSG_DONTWAIT);

		if (r <= 0) {
			o->errors++;
			r = 1;                   /* the one that failed is given up, the rest is tried */
		} else {
			o->sent += (unsigned)r;
		}
		done += (unsigned)r;
	}
}

/* Those of i's socket that stand apart, in their order; true: it is alone and waits for the ring */
static bool send_scattered(struct outbox *o, unsigned i)
{
	struct mmsghdr m[OUTBOX];
	unsigned n = 0;

	for (unsigned k = i; k < o->n; k++)
		if (!o->d[k].gone && o->d[k].fd == o->d[i].fd) {
			o->d[k].gone = true;
			m[n++] = o->m[k];
		}
	if (n == 1 && o->ring && ring_on(o->ring))
		return true;
	if (n == 1)
		send_one(o, i);
	else
		send_run(o, o->d[i].fd, m, n);
	return false;
}

static void send_lone(struct outbox *o, const uint8_t *lone, unsigned n)
{
	bool ran;

	for (unsigned i = 0; i < n; i++)
		ring_send(o->ring, o->d[lone[i]].fd, &o->m[lone[i]].msg_hdr);
	ran = ring_run(o->ring);
	for (unsigned i = 0; i < n; i++)
		if (!ran && o->ring->res[i] == -EIO)
			send_one(o, lone[i]);
		else if (o->ring->res[i] < 0)
			o->errors++;
		else
			o->sent++;
}

/* Packets of one socket go in one call; a lone one is cheaper without the vector. */
void outbox_flush(struct outbox *o)
{
	unsigned k = 1, nlone = 0;
	uint8_t lone[OUTBOX];

	while (k < o->n && o->d[k].fd == o->d[0].fd)
		k++;
	if (k > 1 && k == o->n)
		send_run(o, o->d[0].fd, o->m, k);
	else
		for (unsigned i = 0; i < o->n; i++)
			if (!o->d[i].gone && send_scattered(o, i))
				lone[nlone++] = (uint8_t)i;
	if (nlone == 1)
		send_one(o, lone[0]);
	else if (nlone)
		send_lone(o, lone, nlone);
	o->n = 0;
}
