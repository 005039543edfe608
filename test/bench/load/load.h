/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - what the files of the load generator share
 *
 *   load.c   options, the clock, the server under load, the report
 *   peer.c   participants: sockets, packets out and in, rates and jitter
 *   talk.c   what talkers say: bursts of a tone, and when each began
 *   hear.c   what sampled receivers heard: which tones, and how late
 *
 * Every participant has a socket of its own and a fixed place in the 20 ms; twenty groups of them take turns each
 * millisecond. Sampled receivers keep the payloads of the measured time; they are decoded when it is over.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "lib/rtp/srtp.h"
#include "mcu/audio/codec.h"
#include "test/bench/floor/plan.h"

#define GROUPS      20u
#define FRAME_MAX   960u
#define EVENTS_MAX  256u

enum quiet { QUIET_SILENCE, QUIET_NOISE };       /* what listeners send */

struct event { uint64_t sample; int64_t at_us; };    /* a burst began: when, as its packet left and its place in it */
struct talk {
	unsigned hz, nevents;
	uint64_t pos, on_from, on_to;            /* samples: now, this burst */
	uint32_t rnd;
	struct event ev[EVENTS_MAX];
	struct codec_enc *enc;
};

struct heard { int64_t at_us; uint32_t ts; uint16_t len; uint8_t data[]; };
struct tape {                                    /* a sampled receiver's packets, in the order of their arrival */
	struct heard **pkt;
	size_t         n, room;
};

struct peer {
	int              fd;
	uint16_t         port, to_port;
	struct srtp_ctx *tx, *rx;
	uint32_t         ssrc, ts;
	uint16_t         seq, last_seq;
	unsigned         quiet_at;
	struct talk     *talk;                   /* NULL: a listener */
	struct tape     *tape;                   /* NULL: not sampled */
	bool             started;
	int64_t          last_transit, transit_ts;
	uint32_t         last_ts;
	uint64_t         nrecv, nlost, nlate;    /* of the measured time */
	double           jitter_us, max_jitter_us;
};

struct load {
	struct plan  plan;
	enum quiet   quiet;
	const struct codec *codec;
	size_t       frame;
	struct peer *peers;
	bool         measuring;
	int64_t      from_us, to_us;             /* the measured time */
	uint64_t     sent, received, bad, rtcp, late_steps, steps;
	int64_t      max_late_us;
};

int64_t wall_us(void);
static inline unsigned room_of(const struct load *l, unsigned i) { return i / (l->plan.nlegs / l->plan.rooms); }
static inline unsigned place_of(const struct load *l, unsigned i) { return i % (l->plan.nlegs / l->plan.rooms); }

/* peer.c */
int  peers_open(struct load *l, struct plan_leg *out);       /* sockets and keys; out: what the server is told */
void peers_sample(struct load *l, unsigned listeners);
void peers_send(struct load *l, unsigned group);
void peers_receive(struct load *l, unsigned group);
void peers_reset(struct load *l);                            /* measuring begins */

/* talk.c */
unsigned talk_hz(unsigned room, unsigned place);
int  talk_init(struct load *l, struct talk *t, unsigned room, unsigned place);
int  talk_packet(struct load *l, struct talk *t, uint8_t *out, size_t room);   /* payload bytes; notes a burst that begins */
bool talk_loud(const struct talk *t);                        /* in the packet made last */
void talk_frame(const struct load *l, struct talk *t, int16_t *pcm);
int  quiet_init(struct load *l);
size_t quiet_payload(const struct load *l, unsigned at, const uint8_t **p);

/* hear.c */
struct hear {
	unsigned receivers, expected, heard, own, talkers_sampled;
	double   p50_ms, p99_ms, max_ms, codec_ms;           /* codec_ms: our own encoder and decoder, already left out */
	double   level_db_min, level_db_max;                 /* against what was sent */
};
int hear_all(struct load *l, struct hear *h);

#endif
