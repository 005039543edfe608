/* SPDX-License-Identifier: Apache-2.0 */
/* sock.h - the media sockets: numeric addresses, the pool of port pairs, batches in and out
 *
 * A pair is an even RTP port and the odd RTCP port above it. The pool belongs to the signalling thread; the batches
 * belong to a worker.
 */
#ifndef MEDIA_SOCK_H
#define MEDIA_SOCK_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "mcu/media/ring.h"

union usa {                              /* 28 bytes rather than a sockaddr_storage's 128 */
	struct sockaddr     sa;
	struct sockaddr_in  in;
	struct sockaddr_in6 in6;
};
#define USA_STRLEN 64
int       usa_parse(union usa *a, const char *ip, uint16_t port);     /* numeric only; -EINVAL */
bool      usa_many(const union usa *a);                               /* multicast or broadcast */
bool      usa_any(const union usa *a);                                /* 0.0.0.0 or :: */
bool      usa_eq(const union usa *a, const union usa *b);
bool      usa_same_host(const union usa *a, const union usa *b);
uint16_t  usa_port(const union usa *a);
void      usa_set_port(union usa *a, uint16_t port);
socklen_t usa_len(const union usa *a);
int       usa_to_family(union usa *a, sa_family_t family);            /* maps IPv4 into IPv6; -EAFNOSUPPORT */
void      usa_str(const union usa *a, char out[USA_STRLEN]);          /* "192.0.2.1:5004", "[::1]:5004", "" */

struct sock_pair { int rtp, rtcp; uint16_t port; };

struct ports {
	union usa ip;
	uint16_t  min, npairs;
	unsigned  next, used;
	uint8_t  *busy;                  /* one byte a pair */
};
int  ports_init(struct ports *p, const char *ip, uint16_t min, uint16_t max);
void ports_fini(struct ports *p);
int  ports_open(struct ports *p, struct sock_pair *s);                /* -EADDRINUSE when the range is exhausted */
void ports_put(struct ports *p, uint16_t port);                       /* after sock_pair_close() */
void sock_pair_close(struct sock_pair *s);                            /* any thread */
void sock_buffer(int fd, int bytes);                                  /* receive buffer, as far as the system allows */
uint32_t sock_drops(int fd);                                          /* datagrams that found the receive buffer full */

/* --- receiving: up to INBOX datagrams of one socket at a time, into memory that is used again at once */
#define INBOX      32u
#define DGRAM_MAX  1728u            /* 200 ms of G.711 with header, extension and tag */
struct inbox {
	bool      ready;
	unsigned  n;
	size_t    len[INBOX];
	union usa from[INBOX];
	struct iovec   v[INBOX];         /* made once */
	struct mmsghdr m[INBOX];
	uint8_t   buf[INBOX][DGRAM_MAX];
};
void inbox_ready(struct inbox *in, unsigned n);                        /* m, v and from for n to come */
int inbox_recv(struct inbox *in, int fd);                             /* datagrams (0: none left) or -errno */

/* --- sending: packets are built in place, then go out together */
#define OUTBOX     48u
#define OUTPKT_MAX 1536u
struct outbox {
	struct ring *ring;               /* NULL or off: a call for each socket */
	unsigned  n;
	uint64_t  errors, sent;
	struct { int fd; bool gone; union usa to; struct iovec v; } d[OUTBOX];
	struct mmsghdr m[OUTBOX];
	uint8_t   buf[OUTBOX][OUTPKT_MAX];
};
uint8_t *outbox_next(struct outbox *o);                               /* room for OUTPKT_MAX bytes; flushes when full */
void outbox_add(struct outbox *o, int fd, const union usa *to, size_t len);   /* what outbox_next() gave */
void outbox_flush(struct outbox *o);

#endif
