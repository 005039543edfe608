/* SPDX-License-Identifier: Apache-2.0 */
/* leg.h - one endpoint of a user in a conference: announced, connected, gone; filters and what the roster shows
 *
 * The signalling side attaches itself with leg_attach() and gets orders by its ops; it reports news with the functions
 * below. No SIP here: `call` is opaque.
 */
#ifndef MCU_LEG_H
#define MCU_LEG_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "lib/base/str.h"
#include "mcu/keys.h"

struct leg;
struct user;
struct conf;

#define LEG_ENDS(X) \
	X(HANGUP,   "the participant hung up",             "departed") \
	X(REMOVED,  "removed by the focus",                "booted") \
	X(CONF,     "the conference ended",                "departed") \
	X(SHUTDOWN, "this server goes down",               "failed") \
	X(IDLE,     "no media for too long",               "failed") \
	X(KEY,      "media cannot be decrypted",           "failed") \
	X(NO_WAY,   "ICE found no way for media",          "failed") \
	X(TIMER,    "the session was not refreshed",       "failed") \
	X(NO_ACK,   "the answer was not acknowledged",     "failed") \
	X(REPLACED, "another call of the same endpoint",   "departed") \
	X(MOVED,    "went on to another conference",       "departed") \
	X(ATTENDANT, "the attendant ended the call",       "departed") \
	X(REFUSED,  "the call was refused",                "failed") \
	X(UNANSWERED, "the call to it was not answered",   "failed") \
	X(NO_SHOW,  "announced, but no call came",         "failed") \
	X(DEAD,     "the client does not answer any more", "failed") \
	X(FAILED,   "the call failed",                     "failed")
enum leg_end {
#define X(name, text, method) LEG_END_##name,
	LEG_ENDS(X)
#undef X
	LEG_NENDS
};
const char *leg_end_text(enum leg_end why);
const char *leg_end_method(enum leg_end why);          /* RFC 4575 disconnection-method */

enum leg_state { LEG_ANNOUNCED, LEG_DIALING, LEG_ALERTING, LEG_ANSWERED, LEG_CONNECTED, LEG_GONE };
const char *leg_state_name(enum leg_state s);

struct leg_ops {
	void (*end)(struct leg *l, enum leg_end why, void *call);   /* end the dialog; the leg is out already */
	void (*filter)(struct leg *l, void *call);                  /* the filters changed: apply them */
};

struct leg {
	struct user *user;                   /* borrowed; NULL: gone */
	char        *endpoint, *joining, *when;
	char        *role;                   /* of this endpoint alone, NULL: the user's */
	char        *kept;                   /* our state of the dialog, for the focus to keep */
	enum leg_state state;
	bool         any_media, may_share;   /* plain RTP, too; a port pair with others (pair.h) */
	bool         may_send, may_recv;     /* rights of the participant */
	bool         ingress_block, egress_block;
	bool         ingress_by_rule, egress_by_rule;      /* rules.h set it */
	bool         peer_send, peer_recv;   /* what his SDP says: hold */
	bool         talking;
	bool         awaited;                /* a ticket for it is out */
	uint64_t     awaited_ms;             /* since when */
	struct keys_in keys;                 /* bridge.h: what he has pressed */
	int8_t       volume_db;              /* of what he hears */
	bool         hand, alone;            /* his hand is up; he hears music */
	bool         record_told;            /* he knows that he is recorded */
	const struct leg_ops *ops;
	void        *call;
	TAILQ_ENTRY(leg) te;                 /* of its user */
};

void leg_attach(struct leg *l, const struct leg_ops *ops, void *call);   /* its INVITE was answered; an old call is ended */
void leg_dialing(struct leg *l, const struct leg_ops *ops, void *call);  /* our INVITE is out */
void leg_alerting(struct leg *l, const void *call);
void leg_refused(struct leg *l);                       /* its INVITE was refused; a running older call goes on */
void leg_detach(struct leg *l, const void *call);      /* that call will take no more orders */
void leg_connected(struct leg *l, const void *call);
void leg_gone(struct leg *l, const void *call, enum leg_end why);        /* the call ended by itself */
void leg_end(struct leg *l, enum leg_end why);         /* ends the call, too */
void leg_direction(struct leg *l, bool peer_send, bool peer_recv);
void leg_keep(struct leg *l, char *kept);              /* takes the reference */
void leg_talk(struct leg *l, bool talking);
int  leg_set_role(struct leg *l, const char *role);
bool leg_shown(const struct leg *l);                   /* in the roster */
void leg_filter(struct leg *l, bool ingress_block, bool egress_block);
bool leg_self_mute(struct leg *l);                     /* toggles his own ingress filter; false: he may not lift it */
void leg_hand(struct leg *l, bool up);
/* What the roster shows: the media direction as the participant has it. */
void leg_roster_dir(const struct leg *l, bool *sends, bool *receives);

#endif
