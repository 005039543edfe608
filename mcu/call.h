/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - the SIP dialog of a leg: INVITE to BYE
 *
 * ANSWERED (200 sent, ACK awaited) -> UP -> gone; one that starts here: CALLING (INVITE sent) -> UP -> gone. The uas
 * table owns a call; a call holds its leg and its dialog. What is talked about in the dialog, audio or chat, is behind
 * call_kind: call_av.c, call_chat.c.
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
struct conf;
struct call;
struct dialout;
struct chat_leg;
struct chat_ops;
struct callrec;

/* What is done in a call of one type. Descriptions: each function that makes or takes one leaves c->local, c->offering
 * and c->agreed as they are then; a fault leaves the running session as it was. */
struct call_kind {
	const char *hdrs;                    /* Allow, Supported, Accept lines of answers */
	const char *accept;                  /* Accept line of a 415 to a body that is no SDP */
	int  (*start)(struct call *c, struct conf *conf);            /* before any description */
	void (*stop)(struct call *c);                                /* nothing goes out any more; twice is harmless */
	void (*peer)(struct call *c, const struct sip_msg *m);       /* the peer's INVITE, or its 200 to ours */
	enum nego_fault (*answer)(struct call *c, struct str offer);
	enum nego_fault (*offer)(struct call *c);                    /* everything we may */
	void (*again)(struct call *c);                               /* offers the description as it stands */
	enum nego_fault (*take)(struct call *c, struct str answer);
	void (*forget_offer)(struct call *c);                        /* our offer is not answered */
	void (*apply)(struct call *c);                               /* what was agreed, to media and roster */
	void (*up)(struct call *c);                                  /* the ACK is there */
	void (*filter)(struct call *c);                              /* the leg's filters changed */
	char *(*keepable)(const struct call *c);                     /* description without keys; new reference */
	bool (*request)(struct call *c, struct sip_st *st, const struct sip_msg *m);   /* false: not a method of it */
};
extern const struct call_kind call_av, call_chat;
extern const struct chat_ops call_chat_ops;    /* for the rooms: a member's arg is its chat_leg */

enum call_state { CALL_CALLING, CALL_ANSWERED, CALL_UP, CALL_ENDING };   /* ENDING: BYE as soon as the ACK came */
const char *call_state_name(enum call_state s);

struct call {
	struct uas      *uas;
	struct leg      *leg;                /* reference */
	const struct call_kind *kind;
	char            *key;                /* "Call-ID\nour tag" */
	char            *id;                 /* Call-ID */
	char            *conf_id, *contact;  /* contact: the whole header line */
	char            *owner;              /* "kind identity" as the edge told with the INVITE, or the 200 to ours; NULL: that is to come */
	struct sip_dlg  *dlg;                /* NULL: CALLING */
	const char      *local;              /* our description, of kind */
	bool             offering, agreed, peer_updates;
	struct mleg     *media;              /* call_av.c */
	struct nego      nego;
	bool             ms_kind, plain_ok, told_block;
	bool             both, held;         /* media went both ways once; the peer holds */
	struct attend   *attend;             /* attend.h: while it is with the attendant */
	struct ask      *ask;                /* bridge.c: something is asked of the focus */
	struct chat_leg *chat;               /* call_chat.c */
	struct call_dial *dial;              /* call_out.c, while CALLING */
	enum call_state  state;
	enum leg_end     why;                /* ENDING */
	struct sip_st   *waiting;            /* INVITE answered 200, ACK awaited; reference */
	struct sip_ct   *out;                /* our UPDATE or re-INVITE */
	uint32_t         out_cseq;
	unsigned         tries;
	struct se        se;
	struct tmr       tmr;                /* session: expiry or refresh */
	uint64_t         since_ms;
	struct callrec  *rec;                /* callrec.h; NULL: no memory, or it has ended */
	UT_hash_handle   hh;
};

/* --- call.c */
/* The first INVITE, already admitted: answered here, whatever comes. */
void call_invite(struct uas *u, struct sip_st *st, const struct sip_msg *m, struct leg *l, const char *contact);
struct call *call_find(struct uas *u, const struct sip_msg *m);
/* Is the request, as the edge says, of the one whose INVITE made the dialog? Knowing its tags is not enough. */
bool call_is_owner(const struct call *c, const struct sip_msg *m);
int  call_set_owner(struct call *c, const struct sip_msg *m);          /* of the INVITE, or of the 200 to ours */
void call_on_request(struct call *c, struct sip_st *st, const struct sip_msg *m);   /* in its dialog; c may be gone */
void call_end(struct call *c, enum leg_end why);       /* tells the peer and the model; c is gone or ENDING */
const char *call_id(const struct call *c);
int  call_alloc(struct call **cp, struct uas *u, struct leg *l, struct str id, const char *local_tag);
void call_enter(struct call *c);                       /* into the table, which owns it */
void call_leave(struct call *c);                       /* out of it: c is gone */
void call_attach(struct call *c);                      /* the leg's orders come to it */
void call_keep(struct call *c);                        /* dialog state to the leg, for the focus */
void call_expect_ack(struct call *c, struct sip_st *st);
void call_filter(struct call *c);                      /* the leg's filters to the media */

/* --- call_move.c: to a leg of another conference, same dialog. -EINVAL: not a call that can go */
int call_move(struct call *c, struct leg *to, const char *contact);

/* --- call_sdp.c: offers and answers */
/* For an INVITE or UPDATE: makes the body of the 200 (c->local; *ctype NULL: none). False: refused and answered. */
bool call_sdp_in(struct call *c, struct sip_st *st, const struct sip_msg *m, const char **ctype);
void call_sdp_apply(struct call *c);                   /* what was agreed */
bool call_sdp_ack(struct call *c, struct str body);    /* the answer in an ACK; false: it does not fit */
void call_on_offer(struct call *c, struct sip_st *st, const struct sip_msg *m);     /* re-INVITE, UPDATE */

/* --- call_out.c: a call that starts here */
struct call_dial_prm {
	struct conf    *conf;
	struct leg     *leg;                 /* announced, reference is taken */
	const char     *target, *user, *contact, *hdrs;   /* R-URI, To, Contact line, more header lines */
	bool            plain_ok;
	struct dialout *dialout;             /* told how it ends; reference is taken */
};
int  call_dial(struct uas *u, const struct call_dial_prm *prm);
void call_dial_stop(struct call *c, enum leg_end why); /* CANCEL; for call.c */
void call_dial_late(struct call *c);                   /* it rang too long; for call_timer.c */

/* --- call_timer.c: session timer */
bool call_timer_in(struct call *c, struct sip_st *st, const struct sip_msg *m);     /* false: refused and answered */
void call_timer_hdrs(const struct call *c, struct buf *b);
int  call_timer_init(struct call *c);
void call_timer_start(struct call *c);

#endif
