/* SPDX-License-Identifier: Apache-2.0 */
/* sound.h - what the files of the sound bench's player share
 *
 *   sound.c    the scenario, the engine, the clock, the report
 *   slow.c     a slower clock, for busy machines
 *   client.c   a participant: packets made of a recording, the network that spoils them, the recording of what comes back
 *
 * Recordings are raw 16-bit samples, mono, at the codec's rate. Everything random has a seed of its own.
 */
#ifndef BENCH_SOUND_H
#define BENCH_SOUND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mcu/audio/codec.h"
#include "mcu/media/media.h"

struct packet {                                  /* to be sent; or received */
	int64_t  at_us;
	uint32_t ts;
	uint16_t seq, len;
	bool     marker, cn;
	uint8_t *data;
};
struct packets { struct packet *p; size_t n, room; };

struct client {
	char     name[64], room[64], in[256], out[256];
	enum mcodec id;
	const struct codec *codec;
	unsigned ptime, ptime_in, seed;          /* ms: what it asks for, what it sends */
	double   loss, burst;                    /* percent; mean length of a loss, packets */
	double   jitter_ms, ppm;                 /* each packet is late by 0..jitter; clock of the sender */
	bool     cn, level;                      /* sends comfort noise in pauses; RFC 6464 levels */
	unsigned nlost;
	int      fd;
	uint16_t port;
	uint32_t ssrc;
	int64_t  start_us;                       /* when the first packet is sent, relative */
	struct mleg   *leg;
	struct mleg_set set;
	struct mleg_stats st;
	struct packets tx, rx;
	size_t   next;
};

int64_t mono_us(void);
void slow_init(unsigned times);                              /* slow.c: before anything asks the time */
int  client_prepare(struct client *c, unsigned seconds);     /* encodes and schedules all of its packets */
void client_send_due(struct client *c, int64_t since_us, int64_t start_us);
void client_receive(struct client *c, int64_t start_us);
int  client_write(struct client *c, int64_t *first_us);      /* what it heard; when the recording's first sample came */
int  client_code(enum mcodec id, const char *in, const char *out);   /* codec alone, there and back */
int  raw_read(const char *path, int16_t **pcm, size_t *n);

#endif
