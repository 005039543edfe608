/* SPDX-License-Identifier: Apache-2.0 */
/* sip_priv.h - what the files of lib/sip share; users include msg.h and sip.h
 *
 *   conn.c    TLS streams <-> whole messages            sip.c     where a message belongs, metrics, start and end
 *   st.c      server transactions                       ct.c      client transactions
 *   wheel.c   one timer for all transactions            ack.c     ACKs to a 2xx
 *   encode.c  requests and responses as text            send.c    next hop and connection of a request
 */
#ifndef SIP_PRIV_H
#define SIP_PRIV_H
#include <sys/queue.h>
#include <uthash.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/sip/sip.h"

#define SIP_T1_MS     500u
#define SIP_T2_MS     4000u
#define SIP_KEEP_MS   (64u * SIP_T1_MS)
#define SIP_MAX_SEND  (250u * 1024)           /* what the edge still takes whole */
#define SIP_COOKIE    "z9hG4bK"
#define SIP_TLS_PORT  5061

/* --- uri.c */
struct sip_via { struct str sent_by, host, params, branch; uint16_t port; };
int    sip_via_decode(struct sip_via *v, struct str s);
int    sip_hostport(struct str s, struct str *host, uint16_t *port);
size_t sip_find_outside(struct str s, const char *set);

/* --- msg.c */
int  sip_msg_split(struct sip_msg **mp, struct str data);    /* lines only, for the 400 to a message that is wrong */
struct str sip_msg_line(const struct sip_msg *m, const char *name, unsigned idx);    /* idx-th line, commas kept */
/* As sip_msg_frame(); on 0 *need says how many bytes must be there before it is worth asking again. */
long sip_frame(struct str stream, size_t *need);

/* --- wheel.c: timers of 10 ms grain that cannot fail to start; one libuv timer below */
struct wheel;
struct wtmr {
	LIST_ENTRY(wtmr) le;
	uint64_t  due_ms;
	void    (*cb)(void *arg);
	void     *arg;
	bool      on;
};
int  wheel_alloc(struct wheel **wp, struct ev_loop *loop);
void wheel_start(struct wheel *w, struct wtmr *t, uint64_t delay_ms);   /* restarts when running */
void wheel_stop(struct wheel *w, struct wtmr *t);
uint64_t wheel_now(const struct wheel *w);

/* --- encode.c */
struct sip_via_prm { const char *host; uint16_t port; const char *branch; };
int  sip_encode_request(struct buf *b, const struct sip_req *r, const struct sip_via_prm *via, const char *agent);
int  sip_encode_reply(struct buf *b, const struct sip_msg *req, const struct sip_reply *r, const char *to_tag,
		      const char *peer_addr, const char *agent);
bool sip_addr_split(const char *addr, struct str *host, uint16_t *port);

/* --- conn.c */
struct sip_conn {
	struct sip     *sip;                   /* NULL once the sip is gone */
	struct stream  *st;                    /* NULL once closed */
	LIST_ENTRY(sip_conn) le;
	LIST_HEAD(, sip_ct) cts;               /* requests waiting here for their answer */
	char           *key;                   /* "host:port#slot" of an opened one; NULL: accepted */
	UT_hash_handle  hh;
	struct buf      rx;
	size_t          need;                  /* bytes in rx before framing is tried again */
	bool            open;
	uint64_t        rx_ms;                 /* when it last said something */
	struct wtmr     tmr;                   /* connect time-out */
};
int  sip_conn_accept(struct sip *s, struct stream *st);
/* *cp is borrowed */
int  sip_conn_get(struct sip_conn **cp, struct sip *s, struct str host, uint16_t port, struct str call_id);
int  sip_conn_send(struct sip_conn *c, struct str data);
void sip_conn_close(struct sip_conn *c, int err);
void sip_conn_retire(struct sip_conn *c);                    /* new requests get another one */
const char *sip_conn_addr(const struct sip_conn *c);

/* --- st.c */
void sip_st_receive(struct sip *s, struct sip_conn *c, struct sip_msg *m);     /* any request */
void sip_st_flush(struct sip *s);

/* --- send.c */
int  sip_next_hop(const struct sip_req *r, struct str *host, uint16_t *port);
void sip_make_branch(char branch[32]);
int  sip_encode(struct buf *b, const struct sip *s, const struct sip_req *r, const char *branch);
int  sip_send(struct sip_conn **cp, struct sip *s, const struct sip_req *r, const struct buf *b);   /* *cp: borrowed */
int  sip_send_once(struct sip *s, const struct sip_req *r, struct buf *b);     /* no transaction waits for it; b: as it went */

/* --- ack.c */
bool sip_ack_again(struct sip *s, const struct sip_msg *m);                    /* to a 2xx that came again; false: of a fork's other branch */
void sip_ack_flush(struct sip *s);

/* --- ct.c */
void sip_ct_receive(struct sip *s, struct sip_conn *c, const struct sip_msg *m);     /* any response */
void sip_ct_conn_closed(struct sip_conn *c, int err);
void sip_ct_flush(struct sip *s);

/* --- sip.c */
struct sip {
	struct ev_loop  *loop;
	struct tls_ctx  *client_tls;
	struct listener *listener;
	struct wheel    *wheel;
	char            *name;
	uint16_t         port;
	bool             draining;
	sip_request_cb  *requestcb;
	void            *arg;
	LIST_HEAD(, sip_conn) conns;
	struct sip_conn *opened;               /* by key */
	struct sip_st   *sts;                  /* by transaction key */
	struct sip_st   *waiting;              /* 2xx without ACK, by dialog key */
	struct sip_ct   *cts;                  /* by branch */
	struct sip_kept_ack *acks;             /* by dialog key */
	unsigned         n_st, n_ct;
};
void sip_receive(struct sip_conn *c, struct str data);       /* exactly one framed message */
void sip_refuse(struct sip_conn *c, struct str data);        /* 400 where it is possible */

enum sip_stat { SIP_PARSE_ERRORS, SIP_RETRANS_IN, SIP_RETRANS_OUT, SIP_STRAY, SIP_ST_TIMEOUTS, SIP_CT_TIMEOUTS,
		SIP_CONN_ERRORS, SIP_TOO_LARGE, SIP_ST_ALIVE, SIP_CT_ALIVE, SIP_CONNS, SIP_N_STATS };
extern struct metric sip_stats[];
void sip_count(bool in, struct str method, int scode);       /* one message of this kind */

#endif
