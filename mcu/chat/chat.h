/* SPDX-License-Identifier: Apache-2.0 */
/* chat.h - the chat of one conference: members, messages on their way, reports; no SIP, no sockets, no clock
 *
 *   chat_post() -> one message, a copy in the queue of every other member -> chat_pump() -> send() of the first copy of
 *   each queue -> chat_sent() with the recipient's answer -> the next copy; when all copies are settled, or after
 *   deadline_ms, report() with those who did not get it
 *
 * The order of one author's messages is kept, because every queue is first in, first out, with one copy out at a time.
 * The caller answers the author between chat_post() and chat_pump(), so the answer leaves before any copy. Whoever
 * comes later gets nothing old.
 */
#ifndef CHAT_CHAT_H
#define CHAT_CHAT_H
#include "mcu/chat/body.h"

#define CHAT_DEADLINE_MS 31000u              /* below the 32 s in which an author is told */
#define CHAT_TYPING_MS   3000u               /* between two relayed typing events of an author */

struct chat_room;
struct chat_member;

struct chat_out {                            /* one copy; valid during the call */
	struct str  ctype, body;
	const char *sender;                  /* name-addr of the author; NULL: the recipient does not know Ms-Sender */
	uint64_t    id;                      /* Message-Id */
};
struct chat_ops {                            /* arg: of the member that it is about. They must not end members */
	/* Sends; 0 leads to one chat_sent(), unless the member ends before. */
	int  (*send)(struct chat_member *to, const struct chat_out *out, void *arg);
	void (*report)(struct chat_member *author, struct str imdn, void *arg);
	void (*typing)(struct chat_member *to, const char *sender, bool typing, void *arg);
};
struct chat_prm {
	size_t   max_bytes;                  /* of a message */
	unsigned queue;                      /* copies waiting for one recipient */
	unsigned rate, burst;                /* messages a second of one author, and at once */
	bool     report_all;                 /* reports tell of those who got it, too */
};
int chat_room_alloc(struct chat_room **rp, const struct chat_prm *prm, const struct chat_ops *ops);
void chat_room_tick(struct chat_room *r, uint64_t now_ms);             /* about every second */
unsigned chat_room_open(const struct chat_room *r);                    /* messages on their way */

/* entity: the user, who may have several members; display: for recipients without Ms-Sender. The member leaves with its
 * last reference: copies for it are settled as not delivered, its own messages go on without a report. */
int  chat_member_alloc(struct chat_member **mp, struct chat_room *r, const char *entity, const char *display,
		       void *arg);
void chat_member_caps(struct chat_member *m, const struct mime_accept *accept, bool ms_sender);
void chat_member_open(struct chat_member *m);                          /* from here on messages are for it, too */
void chat_member_ready(struct chat_member *m);                         /* and from here on they are sent */
int  chat_member_rename(struct chat_member *m, const char *display);
void chat_member_eject(struct chat_member *m);                         /* its copies that still wait are dropped */

/* -ENODATA empty, -EMSGSIZE, -ENOTSUP (never relayed in conferences), -EAGAIN too many, -ENOMEM */
int  chat_post(struct chat_member *author, struct str ctype, struct str body, uint64_t now_ms, uint64_t *id);
void chat_pump(struct chat_room *r);
void chat_sent(struct chat_member *to, int code);                      /* SIP status; sends the next one */
void chat_typing(struct chat_member *author, bool typing, uint64_t now_ms);

#endif
