/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - conferences, their users and legs as this MCU knows them; no SIP, no XML
 *
 * The focus makes conferences and announces users; a leg is one endpoint of a user here. A conf owns its users, a user
 * its legs. Every change that the focus should learn is marked in conf->report and told by the changed callback.
 */
#ifndef MCU_CONF_H
#define MCU_CONF_H
#include <sys/queue.h>
#include <uthash.h>
#include "lib/base/str.h"
#include "mcu/chat/chat.h"
#include "mcu/leg.h"
#include "mcu/media/media.h"
#include "mcu/report.h"
#include "mcu/service.h"
#include "mcu/ticket.h"

struct conf;
typedef void (conf_changed_cb)(struct conf *c, void *arg);     /* conf->report has something new */

struct conf_set {                            /* every conference of one type, and the bounds */
	const struct service_kind *kind;
	struct media      *media;            /* NULL: nothing to mix */
	struct ev_loop    *loop;
	struct ticket_box *tickets;
	struct conf       *by_key;
	unsigned           nconfs, nlegs;    /* legs: announced ones count */
	unsigned           max_confs, max_legs;
	struct chat_prm    chat;
	const struct chat_ops *chat_ops;
	bool               tones, draining;
	conf_changed_cb   *changedcb;
	void              *arg;
};
struct conf_set_prm {
	const struct service_kind *kind;
	struct media    *media;              /* reference is taken; NULL: nothing to mix */
	struct ev_loop  *loop;
	unsigned         max_confs, max_legs;
	bool             tones;              /* of new conferences */
	const struct chat_prm *chat;         /* without media: chat */
	const struct chat_ops *chat_ops;
	conf_changed_cb *changedcb;
	void            *arg;
};
int conf_set_alloc(struct conf_set **sp, const struct conf_set_prm *prm);

struct user {
	struct conf   *conf;                 /* borrowed */
	char          *entity, *display, *role;
	TAILQ_HEAD(, leg) legs;
	UT_hash_handle hh;
};

#define CONF_RULES 3
struct rule;
struct conf {
	struct conf_set *set;                /* NULL: ended */
	char            *key;                /* user@domain:id in lower case */
	char            *id, *org, *domain, *focus_uri, *mcu_uri, *subject, *notify_url;
	uint64_t         epoch;
	bool             locked, tones;
	bool             attendant;          /* each of its callers is alone with the attendant (attend.h) */
	bool             music;              /* somebody is alone and hears it (bridge.c) */
	unsigned         nlegs, max_legs;    /* max 0: no bound of its own */
	struct mroom    *room;               /* audio-video, else NULL */
	struct chat_room *chat;              /* chat, else NULL */
	struct rule     *rules[CONF_RULES];  /* rules.c; NULL: none */
	struct report   *report;
	void            *recording;          /* of recording.c, reference; NULL: none runs */
	const char      *unrecorded;         /* why the last one ended by itself, until the focus has said something else */
	void            *notifier;           /* of notify.c, reference */
	struct user     *users;              /* by entity */
	UT_hash_handle   hh;
};
struct conf_prm {
	struct str  org, domain, id;         /* of its URIs */
	const char *focus_uri, *mcu_uri, *subject, *notify_url;
	uint64_t    epoch;
	bool        locked, attendant;
	unsigned    max_legs;
};
/* -EEXIST: already here with this or a later epoch (*cp is it); -EBUSY at the bound or draining. An older one of the
 * same name is ended first. *cp is borrowed. */
int  conf_add(struct conf **cp, struct conf_set *s, const struct conf_prm *prm);
struct conf *conf_find(struct conf_set *s, struct str org, struct str domain, struct str id);
void conf_end(struct conf *c, enum leg_end why);       /* ends its legs and drops it */
void conf_end_all(struct conf_set *s, enum leg_end why);
void conf_lock(struct conf *c, bool locked);
void conf_set_tones(struct conf *c, bool on);
int  conf_set_subject(struct conf *c, const char *subject);
void conf_changed(struct conf *c);                     /* for leg.c */

struct expect_prm {                          /* an announced leg */
	const char *entity, *display, *role, *endpoint, *joining, *session_type;
	const char *ticket, *call_id;
	bool        any_media;               /* plain RTP allowed */
	bool        may_send, may_recv;      /* rights in SDP */
	bool        ingress_block, egress_block;
};
/* The user is made when needed. A leg with that endpoint is renewed: its next INVITE replaces the running one.
 * -EBUSY: no room here, -EEXIST: the ticket is another leg's. */
int  conf_expect(struct leg **lp, struct conf *c, const struct expect_prm *prm);
int  conf_dial(struct leg **lp, struct conf *c, const struct expect_prm *prm);      /* a leg to call; -EBUSY, -EEXIST */
struct user *conf_user(struct conf *c, const char *entity);
struct leg  *user_leg(struct user *u, const char *endpoint);
int  user_set_role(struct user *u, const char *role);
int  user_set_display(struct user *u, const char *display);
unsigned conf_user_end(struct user *u, enum leg_end why);   /* every leg; returns how many; u may be gone */
void conf_drop_leg(struct leg *l);                     /* for leg.c: takes it out, its user with the last one */
void conf_sweep(struct conf_set *s);                   /* announced legs that never came; every second */

#endif
