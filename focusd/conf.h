/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - the model: conferences, their users and endpoints; no SIP, no XML, no I/O
 *
 *   conf (record + running state) -> user (one identity) -> endpoint (one session: the focus dialog or an MCU leg)
 *
 * A command handler changes the model through the functions below. Each change marks the object twice: dirty for the
 * store (persist.c writes it in this turn's transaction) and changed for the subscribers (notify.c tells them).
 * Objects are borrowed by everybody but the registry; who waits for an answer keeps keys and looks again.
 */
#ifndef FOCUSD_CONF_H
#define FOCUSD_CONF_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>
#include "lib/base/str.h"

enum conf_policy { POLICY_CLOSED, POLICY_OPEN, POLICY_ANONYMOUS, POLICY_N };
extern const char *const conf_policy_names[POLICY_N];
enum conf_role { ROLE_ATTENDEE, ROLE_PRESENTER, ROLE_ORGANIZER };   /* rising rights; the organizer shows as presenter */
enum conf_auth { AUTH_ENTERPRISE, AUTH_FEDERATED, AUTH_NONE };      /* how the user is known; NONE: trunk, anonymous */
enum conf_session { SESSION_FOCUS, SESSION_AV, SESSION_CHAT, SESSION_N };   /* the focus, then the MCU types */
extern const char *const conf_session_names[SESSION_N];             /* C3P's names of them */
#define FOR_EACH_MCU_TYPE(s) for (enum conf_session s = SESSION_AV; s < SESSION_N; s++)
enum ep_status { EP_PENDING, EP_DIALING_OUT, EP_DIALING_IN, EP_ALERTING, EP_ON_HOLD, EP_CONNECTED, EP_MUTED,
		 EP_DISCONNECTING, EP_DISCONNECTED, EP_NSTATUS };
extern const char *const ep_status_names[EP_NSTATUS];               /* RFC 4575 5.7 */
enum conf_mcu_state { CONF_MCU_NONE, CONF_MCU_ADDING, CONF_MCU_READY };

struct conf_mcu {                        /* a conference's MCU of one type */
	enum conf_mcu_state state;
	char    *uri;                    /* the MCU conference URI, also while there is no MCU */
	char    *node, *instance;
	char    *wish;                   /* the server that is best for it while it has none; not kept */
	uint32_t version;                /* last oc:notify taken */
	bool     syncing, stale;         /* a getConference is under way; one is owed */
};

struct sip_dlg;
struct cmd_log;
struct conf;
struct user;
struct sub;

/* What a persistent object carries: its row id and its place in the list of dirty objects. */
enum dirt_kind { DIRT_CONF, DIRT_USER, DIRT_ENDPOINT, DIRT_SUB, DIRT_MCU };
struct dirt {
	TAILQ_ENTRY(dirt) le;
	enum dirt_kind kind;
	bool           on;
	int64_t        id;
	void          *obj;
};

#define EP_MAX_MEDIA 4
#define USER_MAX_EPS 16                  /* as many as a document tells of */
#define USER_MAX_SUBS 16
#define MAX_NAME 256                     /* bytes of a display name; longer ones are cut */
struct ep_media {
	char *id, *type, *label, *status;
	bool  in_blocked, out_blocked;       /* msci:media-ingress-filter, -egress-filter */
};

struct endpoint {
	struct dirt        dirt;
	struct user       *user;
	TAILQ_ENTRY(endpoint) le;            /* user's */
	UT_hash_handle     hh;               /* conference's, by entity */
	UT_hash_handle     hh_tag;           /* registry's, by the dialog's local tag; focus endpoints only */
	char              *entity;           /* "{GUID}" */
	enum conf_session  session;
	enum ep_status     status;
	char              *joined;           /* joining-info/when, UTC */
	char              *instance;         /* +sip.instance, epid or Contact: the same one replaces, another adds */
	/* the focus dialog */
	struct sip_dlg    *dlg;              /* NULL for an MCU leg */
	char              *local_tag;        /* of dlg, the key of hh_tag */
	uint32_t           cseq_ceiling;     /* CSeq values up to here are reserved in the store */
	uint32_t           session_s;        /* RFC 4028 interval, 0: none (then probed) */
	uint64_t           refreshed_ms;     /* monotonic: last request of the client, or last probe */
	unsigned           misses;           /* unanswered probes */
	bool               probing;
	struct cmd_log    *log;              /* info.c: the last answers of the dialog */
	bool               mentioned;        /* mcunews.c: in the report at hand */
	/* the MCU leg */
	char              *call_id;          /* Call-ID of the media INVITE */
	char              *ticket;           /* until the leg is connected */
	char              *leg;              /* the MCU's own state of it, opaque */
	bool               needs_focus;      /* came by the MCU's URI: goes when the user's focus dialogs go */
	bool               talking, hand;    /* hand: asks to speak */
	char              *address;          /* where the call came from, as the edge saw it; not kept */
	char              *role;             /* of this endpoint on its MCU; NULL: the user's */
	bool               dialed_out;
	uint64_t           drop_at_ms;       /* monotonic: a pending leg is forgotten, a leg without focus dialog ends; 0: no */
	unsigned           nmedia;
	struct ep_media    media[EP_MAX_MEDIA];
};

struct user {
	struct dirt     dirt;
	struct conf    *conf;
	UT_hash_handle  hh;
	TAILQ_ENTRY(user) changed_le;
	bool            changed, shown;      /* shown: the last published document had it */
	char           *entity;              /* sip:user@domain, or generated for the unauthenticated */
	char           *caller;              /* the identity the edge asserted; NULL: none */
	char           *display;
	enum conf_role  role;
	enum conf_auth  auth;
	TAILQ_HEAD(, endpoint) eps;
	unsigned        neps, nsubs;
};

struct conf {
	struct dirt      dirt;
	UT_hash_handle   hh, hh_name, hh_number;
	char            *key;                /* "organizer@domain/id", lower case */
	char            *organizer, *domain, *conf_id;
	char            *name;               /* a room's plain address (user part), NULL: none */
	char            *number;             /* digits, for the attendant's callers; one of its own in this domain */
	bool             number_new;         /* was given just now */
	char            *focus_uri;
	char            *subject, *display;
	enum conf_policy policy;
	int64_t          expiry_s;           /* UTC; 0: never */
	char            *pin;                /* sealed, see lib/tls/seal.h; NULL: none */
	bool             trunk_ok;
	char            *invited;            /* lines "presenter sip:x@y" */
	char            *types;              /* "chat,audio-video": MCU types of the record */
	uint32_t         record_version;
	int64_t          updated_s, activated_s;
	/* running */
	bool             active, locked, recording, had_auth, removing;   /* removing: goes at the end of this turn */
	uint32_t         epoch, version;     /* activation counter; last published document */
	enum conf_policy policy_now;         /* of this activation */
	char            *access;             /* lines "granted sip:x@y" of this activation, see setUserAccess */
	char            *filters;            /* media filters of roles, of this activation, see filters.h; NULL: none */
	int64_t          end_at_ms;          /* wall clock; 0: not ending */
	struct conf_mcu  mcu[SESSION_N];     /* by type; [SESSION_FOCUS] is not used */
	struct user     *users;              /* hash by entity */
	struct endpoint *eps;                /* hash by entity */
	unsigned         nusers;             /* shown or about to be */
	/* what the next document tells */
	bool             on_changed, chg_state, chg_desc, chg_view, chg_full;
	TAILQ_ENTRY(conf) changed_le;
	TAILQ_HEAD(, user) changed_users;
	char           **gone;               /* entities of users that left, to be told */
	unsigned         ngone, gone_size;
	TAILQ_HEAD(, sub) subs;
	unsigned         nsubs, nsplit;      /* nsplit: those in the middle of a full document in portions */
	uint64_t         published_ms;       /* monotonic, of the last document */
};

TAILQ_HEAD(conf_list, conf);
struct confs {                           /* the registry */
	struct conf      *by_key, *by_name, *by_number;
	struct endpoint  *by_tag;
	TAILQ_HEAD(, dirt) dirty;
	struct conf_list  changed;
	int64_t           next_id;
	unsigned          nconf, nusers, nactive;
	/* called for a row that is gone; set by persist.c */
	void            (*gonecb)(enum dirt_kind kind, int64_t id, void *arg);
	void             *arg;
};

void confs_init(struct confs *cs);
void confs_fini(struct confs *cs);       /* all objects, without marking */

/* --- conferences. conf_add takes what the caller filled in prm; -EEXIST, -ENOMEM. */
struct conf_prm {
	const char *organizer, *domain, *conf_id, *name, *subject, *invited, *types, *pin;
	const char *number;              /* NULL: one is made */
	enum conf_policy policy;
	int64_t expiry_s;
	bool    trunk_ok;
};
int  conf_add(struct conf **cp, struct confs *cs, const struct conf_prm *prm);
void conf_remove(struct confs *cs, struct conf *c);
struct conf *conf_find(const struct confs *cs, struct str organizer, struct str domain, struct str id);
struct conf *conf_find_key(const struct confs *cs, const char *key);
struct conf *conf_find_name(const struct confs *cs, struct str name);
struct conf *conf_find_number(const struct confs *cs, const char *number);
int  conf_room_id(char *out, size_t outsz, const char *name);          /* a room's id, derived from its name */
void conf_touch(struct confs *cs, struct conf *c);                     /* dirty only */
enum conf_role conf_invited_role(const struct conf *c, const char *entity, bool *listed);

void conf_activate(struct confs *cs, struct conf *c, int64_t now_s);
void conf_deactivate(struct confs *cs, struct conf *c);                /* users must be gone */
int  conf_set_access(struct confs *cs, struct conf *c, const char *entity, bool granted);
int  conf_access(const struct conf *c, const char *entity);             /* 1 granted, -1 denied, 0 neither */
void conf_set_filters(struct confs *cs, struct conf *c, char *text);   /* takes text */
void conf_set_recording(struct confs *cs, struct conf *c, bool on);
void conf_set_locked(struct confs *cs, struct conf *c, bool locked);
void conf_set_mcu(struct confs *cs, struct conf *c, enum conf_session s, enum conf_mcu_state st, const char *node,
		  const char *instance);
int  conf_session_find(struct str name);                               /* of an MCU type; -ENOENT */
bool conf_offers(const struct conf *c, enum conf_session s);           /* the record lists the type */
/* Next deadline from who is here: sets or clears end_at_ms. */
void conf_review_end(struct confs *cs, struct conf *c, int64_t now_ms, int64_t grace_ms, int64_t empty_ms);

/* --- users and endpoints */
struct user *user_find(const struct conf *c, const char *entity);
/* By the identity that the edge asserted: a trunk may claim anybody's, so only users known in the same way count. */
struct user *user_find_caller(const struct conf *c, const char *caller, enum conf_auth auth);
int  user_add(struct user **up, struct confs *cs, struct conf *c, const char *entity, const char *caller,
	      const char *display, enum conf_role role, enum conf_auth auth);  /* -EEXIST, -ENOMEM */
void user_remove(struct confs *cs, struct user *u);                    /* with its endpoints */
void user_set_role(struct confs *cs, struct user *u, enum conf_role role);
int  user_set_display(struct confs *cs, struct user *u, const char *display);
void user_touch(struct confs *cs, struct user *u);                     /* dirty and changed */
bool user_has(const struct user *u, enum conf_session s);              /* a connected one */
bool user_has_leg(const struct user *u);                               /* a connected one on any MCU */
bool user_visible(const struct user *u);                               /* has an endpoint past pending */
const char *user_role_name(const struct user *u);

struct endpoint *endpoint_find(const struct conf *c, const char *entity);
struct endpoint *endpoint_find_tag(const struct confs *cs, struct str tag);
struct endpoint *endpoint_find_instance(const struct user *u, enum conf_session s, const char *instance);
int  endpoint_add(struct endpoint **ep, struct confs *cs, struct user *u, const char *entity, enum conf_session s);   /* -E2BIG, -ENOMEM */
void endpoint_bind(struct confs *cs, struct endpoint *e, struct sip_dlg *dlg, const char *local_tag);  /* takes dlg */
void endpoint_remove(struct confs *cs, struct endpoint *e, bool keep_user);   /* the user goes with its last one unless kept */
void endpoint_touch(struct confs *cs, struct endpoint *e);             /* dirty, and the user changed */
void endpoint_set_status(struct confs *cs, struct endpoint *e, enum ep_status st);
int  endpoint_set_media(struct endpoint *e, unsigned i, const char *id, const char *type, const char *label,
			const char *status, bool in_blocked, bool out_blocked);
struct ep_media *endpoint_media(struct endpoint *e, const char *id);
int  ep_status_find(const char *name);                                 /* -ENOENT */

void confs_mark(struct confs *cs, struct dirt *d);                     /* dirty */
void confs_changed(struct confs *cs, struct conf *c);                  /* something for the next document */
void conf_hide_users(struct confs *cs, struct conf *c);                /* those whose last visible endpoint went are told as gone */
void conf_told(struct confs *cs, struct conf *c);                      /* the marks went into a document */

#endif
