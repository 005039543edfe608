/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what the load generator and a server under load (floor, engine) say to each other over two pipes
 *
 *   load -> server's stdin:  struct plan, then nlegs struct plan_leg
 *   server's stdout -> load: nlegs port numbers (uint16_t), in the order of the legs; then media flows
 *   load closes stdin; the server answers one struct plan_stats and ends
 *
 * Both ends are built together and run on one machine: structures go as they are. Media is on 127.0.0.1. Legs are dealt
 * to rooms in blocks of nlegs / rooms; the first `talkers` of each block talk. The floor is told so; a real server is not.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define PLAN_MAGIC     0x434e4250u
#define PLAN_KEY_LEN   30u               /* AES_CM_128_HMAC_SHA1_80: key then salt */
#define PLAN_LEVEL_EXT 1u                /* id of RFC 6464 levels, where the plan has them */
enum plan_codec { PLAN_PCMU, PLAN_G722, PLAN_OPUS, PLAN_CODECS };

struct plan {
	uint32_t magic, nlegs, talkers, rooms, codec;
	uint32_t srtp, level;            /* flags */
	uint32_t per_socket;             /* floor: legs that share a socket of the server */
	uint32_t port_min, port_max;     /* engine: ports to choose from */
	uint32_t workers;                /* engine: media threads */
	uint32_t span;                   /* engine: legs of a room on one of them; 0: no bound */
};
struct plan_leg {
	uint16_t port;                   /* the participant's */
	uint8_t  key_in[PLAN_KEY_LEN], key_out[PLAN_KEY_LEN];   /* participant to server, server to participant */
};
struct plan_stats {
	uint64_t rx, tx, bad, encodes, decodes, late_ticks, skipped_ticks, tick_max_us;
};

static const uint8_t plan_pt[PLAN_CODECS] = { 0, 9, 96 };      /* RTP payload types */

static inline int plan_io(int fd, void *p, size_t n, int out)
{
	uint8_t *b = p;

	while (n) {
		ssize_t r = out ? write(fd, b, n) : read(fd, b, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EPIPE;
		b += r;
		n -= (size_t)r;
	}
	return 0;
}
static inline int plan_read(int fd, void *p, size_t n) { return plan_io(fd, p, n, 0); }
static inline int plan_write(int fd, const void *p, size_t n) { return plan_io(fd, (void *)(uintptr_t)p, n, 1); }

#endif
