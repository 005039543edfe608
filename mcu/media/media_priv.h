/* SPDX-License-Identifier: Apache-2.0 */
/* media_priv.h - what the files of the media engine share
 *
 * Two threads, two halves. The signalling thread holds the handles (struct media, mroom, mleg: media.c). The worker
 * holds what moves sound (struct wroom, wleg: room.c, leg.c, ...). A half never reads the other's memory; they send
 * messages: struct msg down through worker_post(), struct news up through media_news().
 *
 *   worker.c   thread, slots, message queue          room.c    one tick of a room: who is mixed, the sums, the senders
 *   leg.c      datagram -> jitter buffer             voice.c   jitter buffer -> frame of one leg, levels, talk
 *   voice_fetch.c  the part of it that decodes, conceals, stretches
 *   leg_tx.c   payload -> packet of one leg          leg_rtcp.c  reports        quality.c  how well it is heard
 *   stream.c   frames -> payloads: shared and private encoders      leg_ice.c  connectivity checks
 *   tap.c      a room to its recorder (recorder.c)
 *   play.c     recordings and music                          move.c    a leg from one room to another
 *   span.c     talkers between the shards of a room on several workers           shard.c  which worker a leg goes to
 *   hub.c      a port pair shared by many legs: whose is a datagram      intake.c  datagrams of the other legs
 */
#ifndef MEDIA_MEDIA_PRIV_H
#define MEDIA_MEDIA_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include "lib/base/metric.h"
#include "lib/rtp/rtcp.h"
#include "lib/rtp/rtp.h"
#include "mcu/audio/agc.h"
#include "mcu/audio/cng.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/denoise.h"
#include "mcu/audio/dtmf.h"
#include "mcu/audio/g722_level.h"
#include "mcu/audio/level.h"
#include "mcu/audio/mix.h"
#include "mcu/audio/resample.h"
#include "mcu/audio/tone.h"
#include "mcu/audio/stretch.h"
#include "mcu/audio/vad.h"
#include "mcu/audio/voicing.h"
#include "mcu/media/jbuf.h"
#include "mcu/media/media.h"
#include "mcu/media/play.h"
#include "mcu/media/pool.h"
#include "mcu/media/quality.h"
#include "mcu/media/sock.h"
#include "mcu/media/span.h"
#include "mcu/media/tap.h"

#define TICK_US      20000
#define TICK_MS      20u
#define SLOTS        4u
#define SLOT_US      (TICK_US / (int)SLOTS)
#define TICKS(ms)    ((unsigned)(ms) / TICK_MS)
#define FRAME_MAX    960u             /* samples of one tick at the highest rate */
#define MIX_LIMIT    6u               /* largest mix set */
#define PART_MAX     (3 * MIX_LIMIT)     /* own in the mix, own that fade, guests */
#define CAND_MAX     12u
#define CAND_DECODE  6u               /* so many loud ones are decoded though not in the mix */

enum rate { R8, R16, R48, NRATES };
static const uint32_t rate_hz[NRATES] = { 8000, 16000, 48000 };
static inline size_t rate_frame(enum rate r) { return rate_hz[r] / 50; }

/* --- counters of the engine (worker.c) */
enum { M_RX, M_TX, M_BAD, M_AUTH, M_REPLAY, M_SOURCE, M_LOOP, M_LATE_PKT, M_LOST, M_DROPS, M_LATE_TICK, M_SKIPPED,
       M_SEND_ERR, M_NOMEM, M_ENCODES, M_DECODES, M_RTCP_RX, M_RTCP_TX, M_CHECKS, M_BAD_STUN, M_SHARD_LATE, M_LEGS, M_ROOMS,
       M_SHARDS, M_SLOT_MAX, M_N };
extern struct metric media_metrics[M_N];

/* --- one encoder and what it makes of a frame: a profile's (for all listeners) or a talker's own */
#define STREAM_OUT 2u
struct stream {
	const struct codec *codec;
	struct codec_enc   *enc;         /* allocated with the first frame */
	enum rate           rate;
	unsigned            bitrate, ptime_ms;
	struct mix_limiter  lim;
	int16_t            *pcm;         /* gathers frames unless ptime is one tick */
	size_t              fill;
	bool                dtx, pausing; /* leaves packets out in silence; does so now */
	uint8_t             loss;        /* percent that the encoder reckons with; LOSS_UNKNOWN: its own guess */
	uint16_t            pause_ms;    /* so long it has been silent */
	unsigned            nout;        /* payloads made in this tick */
	struct { size_t len; bool cn; uint8_t data[1280]; } out[STREAM_OUT];   /* len 0: its time passes, nothing is sent */
};
#define LOSS_UNKNOWN 255u
void stream_init(struct stream *s, enum mcodec codec, unsigned ptime_ms, unsigned bitrate, bool dtx);
void stream_pause(struct stream *s, bool silent);              /* before each tick of a stream with dtx */
void stream_loss(struct stream *s, unsigned percent);          /* once a second: what its receivers have reported */
void stream_fini(struct stream *s);
int  stream_join(struct stream *s, const struct stream *of);   /* goes on where `of` is: encoder and samples gathered */
void stream_tick(struct stream *s, const int16_t *frame, bool encode);
static inline uint32_t stream_step(const struct stream *s) { return s->codec->rtp_clock / 1000 * s->ptime_ms; }

/* Listeners with equal wishes share one encoder. */
struct profile {
	struct profile *next;
	enum mcodec     codec;
	unsigned        nrefs;           /* legs that have it */
	uint64_t        done;            /* room tick of its last frame */
	bool            silent;          /* what muted receivers get */
	uint8_t         loss;            /* the most that a receiver has reported in this second; LOSS_UNKNOWN: none has */
	struct stream   s;
};

#define VOICE_HOLD_MS 160u            /* of sound that waits until it is known for a voice */
/* --- what a leg needs only while it may be heard */
struct voice {
	struct codec_dec *dec;
	struct resample  *rs[NRATES];    /* own rate to the mix's, where it differs */
	struct mix_gain   gain;          /* mute, entering and leaving the mix */
	struct mix_gain   level;         /* automatic gain and the leg's volume */
	struct voicing    voicing;
	struct denoise   *denoise;       /* NULL: not wanted */
	struct cng        cng;           /* between a talker's comfort noise packets */
	size_t            size;          /* of pcm, samples */
	bool              stale;         /* packets went by undecoded: what pcm holds is not what was said */
	int16_t           pcm[];
};

/* --- a port pair that legs share (hub.c) */
#define HUB_LEGS    200u                 /* a tick of them fits into a receive buffer of stock size */
#define HUB_BUCKETS 256u
#define HUB_GONE    32u
#define RELATCH_US  2000000              /* the old address must be silent for so long */
enum { KEY_RTP, KEY_RTCP, KEY_TOLD, KEYS };       /* TOLD: RTP by the SDP, where another address was learned */
struct hub_key { struct hub_key *next; struct wleg *leg; union usa at; };
struct hub {
	struct ports    *ports;          /* the signalling thread's */
	struct hub      *more;
	unsigned         nhandles;       /* legs that have not been freed yet, there or here */
	struct worker   *w;
	unsigned         slot;
	struct sock_pair sk;
	struct hub      *next;           /* the worker's, from here on: in its slot, while it has legs */
	unsigned         nlegs, turn, budget;
	uint32_t         drops;
	int64_t          second_us;
	struct wleg     *legs[HUB_LEGS];
	struct hub_key  *table[2][HUB_BUCKETS];   /* RTP, RTCP: by source address */
	struct { union usa at; int64_t us; } gone[HUB_GONE];      /* where plain legs that ended had their media from */
	unsigned         ngone;
};
int  hub_alloc(struct hub **hp, struct ports *p, struct worker *w, unsigned slot);  /* mem_deref() when its legs are gone */
void hub_join(struct hub *h, struct wleg *l);
void hub_leave(struct wleg *l);
void hub_claim(struct wleg *l);                   /* its SDP tells its address: no plain leg has that by learning any more */
void hub_place(struct wleg *l);                   /* after its addresses have changed; a leg without hub is fine */
void hub_receive(struct hub *h, int64_t now);

struct wroom;
struct worker;
struct link;                             /* the way back to the handle, see media.c */

/* --- worker's half of a leg */
struct wleg {
	struct wroom     *room;
	struct link      *link;
	unsigned          index, hot_index;      /* in the room's tables */
	struct sock_pair  sk;                    /* its own, or the hub's */
	struct hub       *hub;                   /* NULL: a pair of its own */
	unsigned          hub_index;
	uint8_t           steady;                /* see intake.c */
	bool              owes;
	struct hub_key    key[KEYS];             /* where it stands in the hub's tables */
	union usa         host;                  /* where it was last known to be */
	bool started, send, recv, mux, srtp, hot, latched, rtcp_latched, got_media, idle_told, badkey_told;
	bool want_in_mute, want_out_mute;        /* as last seen in mute_req */
	bool marker;
	uint8_t pt_send, pt_recv, dtmf_pt, cn_pt, level_ext;
	enum mcodec codec_id;
	const struct codec *codec;
	enum rate   rate;
	_Atomic unsigned mute_req;               /* 1 ingress, 2 egress; as volume_in, of both threads: an order that cannot fail */

	/* receive */
	struct srtp_ctx  *in, *old_in;           /* the key before the last re-INVITE is good for 2 s more */
	int64_t           old_in_until;
	union usa         peer, rtcp_peer, cand;
	union usa         told, told_rtcp;       /* where the SDP puts it */
	struct ice       *ice;                   /* NULL: none; else peer and rtcp_peer are its chosen ways */
	int64_t           ice_us;                /* since when it has looked for them */
	bool              no_way_told;
	unsigned          ncand;                 /* authenticated packets in a row from cand */
	uint32_t          cand_ssrc;
	unsigned          nssrc;
	struct rtp_source src;
	bool              has_src;
	struct jbuf       jb;
	int64_t           started_us, last_rx_us, last_valid_us, auth_fail_us;
	unsigned          auth_fails, unknown_pt;
	uint32_t          dtmf_ts;
	uint8_t           dtmf_n;
	bool              dtmf_open, dtmf_done, dtmf_seen;
	uint8_t           dtmf_event;
	int64_t           dtmf_us;
	struct g722_level g722;
	struct dtmf      *inband;                /* keys in the sound: where telephone events were not agreed */

	/* level and talk */
	struct vad vad;
	struct voice *voice;
	const int16_t *frame;                    /* this tick's samples, own rate; NULL: nothing to hear */
	bool     loud, in_mix, talk_told;
	uint8_t  loud_ticks, push_ticks, mix_at;
	uint8_t  surplus_ticks;                  /* more than may be mixed have been longer in the mix */
	int64_t  since;                          /* in the mix, us */
	uint32_t instead;                        /* whose place it took in another shard; 0: nobody's */
	int8_t   pkt_level;                      /* of the packet that plays, before decoding */
	uint32_t fill, used;                     /* samples due: from fill's start, used ones were this tick's */
	uint16_t quiet_ticks, gap_ticks;
	uint16_t idle_voice;                     /* seconds without need of a decoder */
	uint32_t held, newest_at;                /* samples of fill whose time is over; where this tick's stand: see voice.c */
	uint8_t  quiet_run;                      /* ticks since it was loud */
	uint8_t  voiced_ago;                     /* ticks since it was surely a voice */
	uint8_t  cn_ticks;                       /* so long comfort noise goes on without news of it */
	uint16_t carry_low;                      /* least that was left over at a tick's beginning, samples, of carry_ticks */
	uint16_t surplus;                        /* of that, what a pause may swallow */
	uint8_t  carry_ticks;
	int8_t   stretch;                        /* more (1) or less (-1) time is wanted, as soon as it can be hidden */
	bool     agc_on, denoise_on;
	struct agc agc;
	_Atomic int volume_in;                   /* dB; as mute_req */

	/* send */
	struct srtp_ctx *out;
	struct profile  *prof, *silent;
	struct stream   *own;                    /* private encoder */
	uint16_t         own_ticks;              /* how long it has not been needed */
	bool             on_silent;              /* the last packet came from the silent profile */
	struct mix_gain  out_gain, volume;
	struct tone      tone;
	struct player   *play;                   /* recordings; NULL: none */
	uint32_t         ssrc, tx_ts, tx_step;
	uint16_t         tx_seq;
	uint64_t         tx_tick;                /* room tick up to which tx_ts has run */

	/* reports */
	int64_t   rtcp_due_us;
	uint32_t  drops;
	struct quality q;
	char      cname[24];
	struct mleg_stats st;
	unsigned  id_len;
	char      id[40];
};

struct wroom {
	struct worker  *w;
	struct link    *link;
	struct wroom   *next;                    /* in its slot */
	unsigned        slot;
	bool            tones;
	uint64_t        tick;
	struct wleg   **legs, **hot;
	unsigned        nlegs, cap, nhot;
	struct wleg    *mix[MIX_LIMIT];          /* the set, dominant first */
	struct wleg    *leaving[MIX_LIMIT];      /* fade out in this tick */
	unsigned        nmix, nleaving, nparts;
	struct part {                            /* what is summed */
		struct wleg *leg;                /* NULL: a guest */
		bool     has_csrc;
		uint32_t csrc;
		const int16_t *pcm[NRATES];
	} part[PART_MAX];
	bool            quiet;                   /* nothing was */
	struct wleg    *cand[CAND_MAX];
	unsigned        ncand;
	unsigned        nsend[NRATES];           /* legs that are sent to, by rate */
	int             floor_last;              /* level that was last among the decoded, when their places were all taken */
	struct profile *profiles;
	struct mix_limiter lim[NRATES];
	struct tone     chime[NRATES];
	unsigned        chime_hz;                /* waiting for the one that plays */
	struct clip    *chimes[2];               /* leave, join; NULL: a tone */
	struct player  *play;
	struct tap     *tap;                     /* NULL: nobody records; else it counts as a listener at 48 kHz */
	struct ears    *ears;                    /* NULL: all of the room is here; else this is a shard of it, see span.h */
	bool            further;                 /* not its first shard */
	char            id[64];
};

/* --- messages down */
enum msg_kind { MSG_ROOM_ADD, MSG_ROOM_FREE, MSG_ROOM_TONES, MSG_LEG_ADD, MSG_LEG_FREE, MSG_LEG_PAIR, MSG_LEG_SET,
		MSG_LEG_TONE, MSG_LEG_STATS, MSG_LEG_PLAY, MSG_LEG_VOLUME, MSG_LEG_TAKE, MSG_ROOM_PLAY, MSG_ROOM_CHIMES, MSG_ROOM_TAP,
		MSG_ROOM_SPAN, MSG_STOP };
struct leg_update {                              /* contexts: owned by the message until the leg takes them */
	struct mleg_set  s;                      /* keys wiped */
	bool             new_in, new_out, new_peer, new_ice;
	struct srtp_ctx *in, *out;
	struct ice      *ice;
	union usa        peer, rtcp_peer;
};
struct msg {
	struct msg    *next;
	enum msg_kind  kind;
	bool           embedded;                 /* part of another object: not freed after use */
	struct wroom  *room;
	struct wleg   *leg;
	unsigned       a, b;
	struct leg_update *set;
	struct play_order *play;
	struct clip   *chimes[2];
	struct tap    *tap;
	struct ears   *ears;
	struct sock_pair sk;
	mleg_stats_cb *cb;
	void          *arg;
};

/* --- news up */
enum news_kind { NEWS_EVENT, NEWS_STATS, NEWS_LEG_FREED, NEWS_ROOM_FREED, NEWS_LEG_TAKEN };
struct news {
	struct news      *next;
	enum news_kind    kind;
	bool              embedded;
	struct link      *link;
	enum mleg_event   ev;
	int               v;
	mleg_stats_cb    *cb;
	void             *arg;
	struct mleg_stats st;
};
struct link {                                    /* lives until the worker has let go of its half */
	struct link  *next, **prev;
	struct media *media;
	struct mleg  *leg;                       /* NULL once the handle is freed */
	struct mroom *room;
	uint16_t      port;                      /* a pair of its own */
	struct hub   *hub;                       /* the pair it shares, or has shared */
	struct worker *w;
	unsigned      slot;
	struct msg    free_msg;                  /* freeing must not need memory */
	struct news   freed, taken;              /* freed.st: the leg's last figures */
	mleg_stats_cb *finalcb;                  /* NULL: nobody wants them */
	void         *final_arg;
	struct wleg  *half;                      /* taken from its worker, its handle freed */
	struct span  *span;                      /* of a shard: its number is kept until its worker has let go */
	unsigned      span_at;
};
void media_news(struct media *m, struct news *n);         /* any thread; takes n */

/* --- worker.c */
#define COLD_MAX 64
struct worker {
	struct media    *media;
	unsigned         id;
	pthread_t        thread;
	bool             running;
	int              epfd, wakefd;
	bool             stop;
	_Atomic(struct msg *) inbox;             /* newest first */
	unsigned         load[SLOTS];            /* rooms and legs; the signalling thread's */
	struct wroom    *slot[SLOTS];
	struct hub      *hubs[SLOTS];
	unsigned         nrooms;
	uint64_t         next_slot;              /* number of the slot that comes next; slot * 5 ms + epoch is its time */
	int64_t          epoch_us;
	int64_t          window_us, busy_us;     /* since when it is measured, and so long it was busy */
	_Atomic unsigned percent;                /* busy, smoothed: the signalling thread reads it */
	unsigned         idle_ms, mix_max, ice_ms;
	uint64_t         rnd;
	struct pool      pool;
	struct inbox     in;
	struct outbox    out;
	struct ring      ring;
	int32_t          acc[NRATES][FRAME_MAX], tmp[FRAME_MAX];
	int16_t          bus[NRATES][FRAME_MAX], pcm[FRAME_MAX];
	int16_t          part[PART_MAX][NRATES][FRAME_MAX + 64];
};
int  worker_start(struct worker *w, struct media *m, unsigned id, const struct media_prm *prm);
void worker_stop(struct worker *w);                        /* joins; everything it held is freed */
void worker_post(struct worker *w, struct msg *m);         /* takes m */
int64_t  now_us(void);
uint32_t worker_rnd(struct worker *w);
void worker_watch(struct worker *w, struct wleg *l, bool rtcp, bool on);

/* --- room.c */
void wroom_tick(struct wroom *r, int64_t tick_us);
void wroom_skip(struct wroom *r, uint64_t ticks);          /* ticks that were never run */
int  wroom_add_leg(struct wroom *r, struct wleg *l);         /* -ENOMEM */
void wroom_del_leg(struct wroom *r, struct wleg *l);
void wroom_heat(struct wroom *r, struct wleg *l, bool hot);
struct profile *wroom_profile(struct wroom *r, const struct mleg_set *s, bool silent);
void wroom_profile_put(struct wroom *r, struct profile *p);
void wroom_tap(struct wroom *r, struct tap *t);            /* NULL: none; closes the one before */
void wroom_chime(struct wroom *r, bool join);                /* in all shards */
void wroom_chime_here(struct wroom *r, bool join);
struct wroom *wroom_alloc(void);

/* --- move.c */
void wleg_take_out(struct wleg *l);                         /* of its room and worker; nobody's afterwards */
void wleg_land(struct wleg *l);                             /* in the room it was added to */

/* --- intake.c */
void wroom_receive(struct wroom *r, int64_t now);

/* --- leg.c: receiving and the life of a leg */
extern const struct codec *const media_codecs[4];          /* by enum mcodec */
enum rate codec_rate(const struct codec *c);
void wleg_jbuf(struct wleg *l, const struct codec *c);      /* its jitter buffer, anew */
void wleg_set(struct wleg *l, struct leg_update *u, int64_t now);
void wleg_take(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now);  /* a datagram of its socket */
void wleg_receive(struct wleg *l, int64_t now);             /* drains the RTP socket */
/* 0: it was the leg's, whatever became of it; -EACCES, -EALREADY, -EBADMSG: it was not, p is as before */
int  wleg_datagram(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now);
void wleg_unlearn(struct wleg *l);                          /* back to where its SDP puts it, to be heard anew */
void wleg_refuse(struct wleg *l, int why);                  /* counts what wleg_datagram() or wleg_rtcp() did not take */
void wleg_receive_rtcp(struct wleg *l, int64_t now);
void wleg_second(struct wleg *l, int64_t now);              /* housekeeping, once a second */
void wleg_event(struct wleg *l, enum mleg_event ev, int v);
void wleg_valid(struct wleg *l, int64_t now);
void wleg_stats(struct wleg *l, struct mleg_stats *st);
struct wleg *wleg_alloc(void);                              /* mem_deref() closes its sockets */

/* --- voice.c */
void voice_init(void);                                      /* tables, once */
void voice_pull(struct wleg *l, int64_t tick_us);           /* sets frame, loud and the level */
void voice_free(struct wleg *l);
bool voice_wanted(const struct wleg *l, int level);         /* must be decoded */
int32_t voice_gain(const struct wleg *l);                   /* automatic gain and volume, Q15 */
void voice_fetch(struct wleg *l, uint32_t want, int64_t tick_us);    /* voice_fetch.c: until fill is want, or nothing is due */
const int16_t *voice_newest(const struct wleg *l);          /* this tick's sound, also while it is held; or NULL */
void voice_enter(struct wleg *l);                           /* it is mixed from this tick on */
void voice_shape(struct wleg *l);                           /* this tick's frame: noise, gain; once it is sure to be mixed */
bool voice_speaks(const struct wleg *l);                    /* it is loud, and a voice */
int  voice_level(const struct wleg *l);
bool voice_unheard(const struct wleg *l, int level);
int  voice_payload_level(const struct wleg *l, const uint8_t *p, size_t n);

/* --- leg_tx.c */
void wleg_send(struct wleg *l, const struct stream *s, const uint32_t *csrc, unsigned ncsrc);
void wleg_pass(struct wleg *l, uint64_t ticks);             /* time went by without a packet */

/* --- leg_ice.c */
void wleg_ice_set(struct wleg *l, struct leg_update *u, int64_t now);
void wleg_stun(struct wleg *l, unsigned comp, const uint8_t *p, size_t n, const union usa *from, int64_t now);
void wleg_ice_second(struct wleg *l, int64_t now);
static inline bool is_stun(const uint8_t *p, size_t n) { return n && p[0] < 4; }       /* RFC 7983 7 */

/* --- leg_rtcp.c */
void wleg_report(struct wleg *l, int64_t now, bool bye);
int  wleg_rtcp(struct wleg *l, uint8_t *p, size_t n, const union usa *from, int64_t now);
void wleg_rtcp_later(struct wleg *l, int64_t now, bool first);

#endif
