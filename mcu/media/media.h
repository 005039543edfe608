/* SPDX-License-Identifier: Apache-2.0 */
/* media.h - the media engine: rooms and legs on worker threads, driven by messages from the signalling loop
 *
 *   datagrams -> worker's receive batch -> SRTP -> RTP -> jitter buffer -> (tick) decode candidates -> mix -> encode
 *   once per profile -> RTP header per leg -> SRTP in place -> send batch
 *
 * Every function here is called on the signalling loop's thread; the worker learns of it by message before its next
 * tick. Events come back on the signalling loop. A room lives on one worker, a very large one on
 * several (span.h). Legs and rooms are freed on their worker
 * after mem_deref(); no event of a leg comes after that.
 */
#ifndef MEDIA_MEDIA_H
#define MEDIA_MEDIA_H
#include <stdbool.h>
#include <stdint.h>
#include "lib/ev/ev.h"
#include "lib/ice/ice.h"
#include "lib/rtp/srtp.h"

struct clip;
struct tap;
struct media;
struct media_prm {
	struct ev_loop *loop;
	const char     *ip;                  /* address of the sockets, numeric */
	uint16_t        port_min, port_max;  /* RTP even, RTCP odd */
	unsigned        workers;             /* 0: one per core */
	unsigned        idle_ms;             /* no valid packet for so long: MLEG_IDLE (60000) */
	unsigned        mix_max;             /* talkers in a mix (3) */
	unsigned        span;                /* legs of a room on one worker before it goes on on another; 0: no bound */
	unsigned        load_max;            /* percent of a worker's time; busier, it takes no more legs (85) */
	bool            no_uring;            /* a system call for each socket, even where io_uring would do */
	unsigned        ice_ms;              /* no way by ICE for so long: MLEG_NO_WAY (30000) */
};
int media_alloc(struct media **mp, const struct media_prm *prm);
/* The share of their time that workers were busy, percent, smoothed over some seconds: that of all together */
unsigned media_load(const struct media *m);

struct mroom;
int mroom_alloc(struct mroom **rp, struct media *m, const char *id);      /* on the least loaded worker */
bool mroom_busy(const struct mroom *r);                                   /* mleg_alloc() would say -EBUSY */
void mroom_tones(struct mroom *r, bool join_leave);                       /* entry and exit tones on or off */
void mroom_chimes(struct mroom *r, struct clip *join, struct clip *leave);   /* instead of the tones; NULL: the tone */

enum mcodec { MCODEC_PCMU, MCODEC_PCMA, MCODEC_G722, MCODEC_OPUS };
enum mleg_event {
	MLEG_MEDIA,          /* the first valid packet came */
	MLEG_TALK,           /* v: 1 starts, 0 stops talking */
	MLEG_DTMF,           /* v: '0'..'9' '*' '#' 'A'..'D' */
	MLEG_IDLE,           /* nothing valid for idle_ms */
	MLEG_BAD_KEY,        /* only authentication failures for 10 s */
	MLEG_NO_WAY,         /* ICE: within ice_ms no check came for every component */
};
struct mleg;
typedef void (mleg_event_cb)(struct mleg *l, enum mleg_event ev, int v, void *arg);

/* Allocates the leg's sockets at once: its ports stand in the SDP answer. Nothing flows before mleg_set(). */
int      mleg_alloc(struct mleg **lp, struct mroom *r, const char *id, mleg_event_cb *cb, void *arg);
/* The same on a port pair that it shares with others: for peers whose media comes from the address their SDP tells.
 * mleg_set() refuses a shared leg with ICE: -EINVAL. */
int      mleg_alloc_shared(struct mleg **lp, struct mroom *r, const char *id, mleg_event_cb *cb, void *arg);
bool     mleg_shared(const struct mleg *l);
int      mleg_unshare(struct mleg *l);                    /* to a pair of its own, before the answer that tells it */
uint16_t mleg_port(const struct mleg *l);                 /* RTP; RTCP is +1 unless muxed */
uint32_t mleg_ssrc(const struct mleg *l);                 /* ours towards the client, fixed for life */

struct mleg_set {
	enum mcodec codec;
	uint8_t     pt_send, pt_recv;
	uint8_t     dtmf_pt;         /* 0: none */
	uint8_t     cn_pt;           /* 0: none */
	uint8_t     level_ext;       /* RFC 6464 id, 0: none */
	unsigned    ptime_ms;        /* 10..60 in steps of 10, ours */
	bool        opus_stereo_ok;  /* the mix is mono; stereo that comes in is taken down to it */
	unsigned    opus_bitrate;    /* bit/s cap, 0: default */
	bool        send, recv;      /* from the SDP direction: we send, we receive */
	bool        rtcp_mux;
	char        addr[64];        /* numeric peer address of the SDP; "" or 0.0.0.0: learn only */
	uint16_t    port, rtcp_port;
	bool        srtp;
	enum srtp_suite_id suite;
	uint8_t     key_in[SRTP_MAX_KEY], key_out[SRTP_MAX_KEY];   /* peer's key, our key; key then salt */
	size_t      key_len;
	bool        dtx;             /* send less in silence: comfort noise where cn_pt is, Opus DTX */
	bool        agc;             /* bring the peer's voice to the level of the others (audio/agc.h) */
	bool        denoise;         /* take noise out of it (audio/denoise.h): costs, while it is mixed */
	struct ice_prm ice;          /* form ICE_OFF: none. Else media goes only to where checks came from, and addr and
				      * the ports are not used */
};
/* Starts the leg or changes it in a re-INVITE. Same keys keep their contexts (roll-over counters live on). */
int  mleg_set(struct mleg *l, const struct mleg_set *s);
void mleg_mute(struct mleg *l, bool ingress, bool egress);      /* block what comes in / what goes out (silence is sent) */
void mleg_tone(struct mleg *l, unsigned hz, unsigned ms);       /* a private tone for this leg */
void mleg_gain(struct mleg *l, int db);                         /* of what others hear of this leg, -60..12 */
void mleg_volume(struct mleg *l, int db);                       /* of what this leg hears, -60..12 */

/* Recordings (audio/clip.h) for one leg, which gets an encoder of its own meanwhile, or for all of a room. They are queued
 * behind those before, PLAY_QUEUE of them; the engine takes references. Muted legs hear them, too. */
enum { PLAY_ALONE = 1, PLAY_NOW = 2 };                          /* the conference is off meanwhile; instead of what waits */
int  mleg_play(struct mleg *l, unsigned how, struct clip *const *clips, unsigned n);
int  mroom_play(struct mroom *r, unsigned how, struct clip *const *clips, unsigned n);
int  mroom_tap(struct mroom *r, struct tap *t);                 /* what it sounds like, to a recorder; takes t also when it fails */
int  mleg_music(struct mleg *l, struct clip *c);                /* over and over, between recordings; NULL: no more */
/* To another room, with its sockets, keys and addresses: the peer notices nothing. What is asked of it meanwhile is done
 * there. Not for shared legs: -EINVAL. */
int  mleg_move(struct mleg *l, struct mroom *to);

struct mleg_stats {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, auth_failures, replays, concealed, bad;
	uint64_t lost, late, gaps;       /* not heard; of those: came too late; runs of them */
	uint64_t discarded;              /* twice, or more than the jitter buffer holds */
	uint64_t peer_expected, peer_lost;                    /* of ours, as the peer reports */
	uint32_t jitter_us, rtt_us, buffer_ms;                /* now; a round trip of 0: not known */
	uint32_t jitter_avg_us, jitter_max_us, rtt_avg_us, rtt_max_us, buffer_avg_ms;    /* since the start */
	uint32_t peer_jitter_us, peer_jitter_max_us;
	uint32_t talk_ms;                /* in the mix */
	int32_t  first_media_ms;         /* from the agreed description to the first valid packet; -1: none */
	double   loss_in, loss_out;      /* percent */
	double   mos_in, mos_out;        /* emodel.h: what is heard of it, what it hears; 0: not known */
	bool     started;                /* it has a codec */
	enum mcodec codec;
	uint8_t  peer_fraction_lost;
	int      level_dbov;             /* smoothed, -127..0 */
	char     peer[64];
};
typedef void (mleg_stats_cb)(const struct mleg_stats *st, void *arg);
int  mleg_stats(struct mleg *l, mleg_stats_cb *cb, void *arg);  /* answer comes on the signalling loop; NULL: the leg is gone */
/* The last figures, once, on the signalling loop, after the leg's mem_deref(); it always comes. */
void mleg_final(struct mleg *l, mleg_stats_cb *cb, void *arg);
const char *mcodec_name(enum mcodec c);                         /* as in SDP */

#endif
