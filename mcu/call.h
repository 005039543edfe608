/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - the SIP dialog of a leg: INVITE to BYE
 *
 * ANSWERED (200 sent, ACK awaited) -> UP -> gone. The uas table owns a call; a call holds its leg, dialog and media.
 */
#ifndef MCU_CALL_H
#define MCU_CALL_H
#include <uthash.h>
#include "lib/sip/sip.h"
#include "mcu/leg.h"
#include "mcu/media/media.h"
#include "mcu/nego.h"
#include "mcu/se.h"

struct uas;
enum call_state { CALL_ANSWERED, CALL_UP, CALL_ENDING };   /* ENDING: BYE as soon as the ACK came */
const char *call_state_name(enum call_state s);

struct call {
	struct uas      *uas;
	struct leg      *leg;                /* reference */
	char            *key;                /* "Call-ID\nour tag" */
	char            *conf_id, *contact;  /* contact: the whole header line */
	struct sip_dlg  *dlg;
	struct mleg     *media;
	struct nego      nego;
	bool             ms_kind, peer_updates, plain_ok, told_block;
	enum call_state  state;
	enum leg_end     why;                /* ENDING */
	struct sip_st   *waiting;            /* INVITE answered 200, ACK awaited; reference */
	struct sip_ct   *out;                /* our UPDATE or re-INVITE */
	uint32_t         out_cseq;
	unsigned         tries;
	struct se        se;
	struct tmr       tmr;                /* session: expiry or refresh */
	uint64_t         since_ms;
	UT_hash_handle   hh;
};

/* --- call.c */
/* The first INVITE, already admitted: answered here, whatever comes. */
void call_invite(struct uas *u, struct sip_st *st, const struct sip_msg *m, struct leg *l, const char *conf_id,
		 const char *contact, struct mroom *room);
struct call *call_find(struct uas *u, const struct sip_msg *m);
void call_on_request(struct call *c, struct sip_st *st, const struct sip_msg *m);   /* in its dialog; c may be gone */
void call_end(struct call *c, enum leg_end why);       /* tells the peer and the model; c is gone or ENDING */
const char *call_id(const struct call *c);
void call_keep(struct call *c);                        /* dialog state to the leg, for the focus */
void call_expect_ack(struct call *c, struct sip_st *st);

/* --- call_sdp.c: offers and answers */
/* For an INVITE or UPDATE: makes the body of the 200 (c->nego.local; *ctype NULL: none). False: refused and answered. */
bool call_sdp_in(struct call *c, struct sip_st *st, const struct sip_msg *m, const char **ctype);
void call_sdp_apply(struct call *c);                   /* what was agreed, to media and roster */
bool call_sdp_ack(struct call *c, struct str body);    /* the answer in an ACK; false: it does not fit */
void call_on_offer(struct call *c, struct sip_st *st, const struct sip_msg *m);     /* re-INVITE, UPDATE */

/* --- call_timer.c: session timer */
bool call_timer_in(struct call *c, struct sip_st *st, const struct sip_msg *m);     /* false: refused and answered */
void call_timer_hdrs(const struct call *c, struct buf *b);
int  call_timer_init(struct call *c);
void call_timer_start(struct call *c);

#endif
