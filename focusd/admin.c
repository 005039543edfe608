/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the admin socket: one JSON request and answer a line (docs/interfaces.md), for confctl and scripts/conclave
 *
 * Changes take the same way as a client's commands: the model, the commit, then the answer.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include "focusd/attendant.h"
#include "focusd/control.h"
#include "focusd/factory.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/notify.h"
#include "focusd/pin.h"
#include "focusd/service.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "lib/base/trace.h"
#include "lib/c3p/msg.h"
#include "lib/c3p/uri.h"
#include "lib/ev/jsonsock.h"

struct late { struct jsonsock_req *rq; char *json; };

static void on_late_destroy(void *arg)
{
	struct late *l = arg;

	mem_deref(l->rq);
	mem_deref(l->json);
}

static void on_committed(int err, void *arg)
{
	struct late *l = arg;

	jsonsock_reply(l->rq, err ? STR("{\"ok\":false,\"error\":\"the store cannot be written, see focusd's log\"}") : str_c(l->json));
	mem_deref(l);
}

/* Takes the reference to o. */
static void reply(struct app *a, struct jsonsock_req *rq, json_t *o)
{
	struct late *l = mem_zalloc(sizeof(*l), on_late_destroy);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (l && text)
		l->json = str_dup(str_c(text));
	free(text);
	json_decref(o);
	if (!l || !l->json) {
		mem_deref(l);
		jsonsock_reply(rq, STR("{\"ok\":false,\"error\":\"out of memory\"}"));
		return;
	}
	l->rq = mem_ref(rq);
	store_defer(a->store, on_committed, l);
}

static json_t *ok(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *error(const char *text)
{
	return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

static const char *text_of(const json_t *in, const char *key)
{
	const char *s = json_string_value(json_object_get(in, key));

	return s ? s : "";
}

/* a room's name, a conference id, a conference URI */
static struct conf *find_conf(struct app *a, const char *s)
{
	struct conf *c = conf_find_name(&a->confs, str_c(s));
	struct c3p_uri u;

	if (c || !*s)
		return c;
	if (c3p_uri_decode(&u, str_c(s)) == 0)
		return conf_find(&a->confs, u.user, u.domain, u.id);
	for (c = a->confs.by_key; c; c = c->hh.next)
		if (cstr_ieq(c->conf_id, s) || cstr_eq(c->key, s))
			return c;
	return NULL;
}

static const char no_conf[] = "no such conference: give a room's name, a conference id or a conference URI (see `list`)";

static struct conf *conf_of(struct app *a, const json_t *in)
{
	struct conf *c = find_conf(a, text_of(in, "conf"));

	return c && !c->removing ? c : NULL;
}

static struct user *find_user(const struct conf *c, const char *s)
{
	struct user *u = user_find(c, s);

	for (u = u ? u : c->users; u && !cstr_eq(u->entity, s); u = u->hh.next)
		if (str_istarts(str_c(u->entity), STR("sip:")) && str_starts(str_c(u->entity + 4), str_c(s)) &&
		    (u->entity[4 + strlen(s)] == '@' || u->entity[4 + strlen(s)] == '\0'))
			return u;
	return u;
}

/* --- looking */
static json_t *conf_summary(const struct conf *c)
{
	unsigned n = 0;

	for (const struct user *u = c->users; u; u = u->hh.next)
		n += user_visible(u);
	return json_pack("{s:s*,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:i,s:i,s:I,s:s*,s:s,s:b,s:b}", "name", c->name, "id", c->conf_id, "number", c->number, "uri",
			 c->focus_uri, "subject", c->subject, "policy", conf_policy_names[c->policy], "active", c->active, "locked",
			 c->locked, "recording", c->recording, "users", (int)n, "subscriptions", (int)c->nsubs, "version", (json_int_t)c->version, "mcu",
			 c->mcu[SESSION_AV].state == CONF_MCU_READY ? c->mcu[SESSION_AV].node : NULL, "organizer", c->organizer, "trunk", c->trunk_ok, "pin",
			 c->pin != NULL);
}

static json_t *on_list(struct app *a, const json_t *in)
{
	json_t *list = json_array();

	(void)in;
	for (const struct conf *c = a->confs.by_key; c; c = c->hh.next)
		if (!attendant_is(c))
			json_array_append_new(list, conf_summary(c));
	return json_pack("{s:b,s:o}", "ok", 1, "conferences", list);
}

static json_t *endpoint_json(const struct endpoint *e)
{
	json_t *media = json_array();

	for (unsigned i = 0; i < e->nmedia; i++)
		json_array_append_new(media, json_pack("{s:s,s:s,s:s*,s:b,s:b}", "id", e->media[i].id, "type", e->media[i].type, "status",
						       e->media[i].status, "muted", e->media[i].in_blocked, "deaf",
						       e->media[i].out_blocked));
	return json_pack("{s:s,s:s,s:s,s:b,s:b,s:s*,s:s*,s:o}", "entity", e->entity, "session",
			 conf_session_names[e->session], "status", ep_status_names[e->status], "talking",
			 e->talking, "hand", e->hand, "joined", e->joined, "call_id", e->dlg ? NULL : e->call_id, "media", media);
}

static json_t *on_show(struct app *a, const json_t *in)
{
	struct conf *c = find_conf(a, text_of(in, "conf"));
	json_t *o, *users, *eps;
	const struct endpoint *e;

	if (!c)
		return error(no_conf);
	users = json_array();
	for (const struct user *u = c->users; u; u = u->hh.next) {
		eps = json_array();
		TAILQ_FOREACH(e, &u->eps, le)
			json_array_append_new(eps, endpoint_json(e));
		json_array_append_new(users, json_pack("{s:s,s:s*,s:s,s:o}", "entity", u->entity, "display", u->display, "role",
						       u->role == ROLE_ORGANIZER ? "organizer" : user_role_name(u), "endpoints", eps));
	}
	o = conf_summary(c);
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "roster", users);
	return o;
}

static json_t *on_stats(struct app *a, const json_t *in)
{
	json_t *mcus = json_array();

	(void)in;
	for (const struct mcu *m = a->factory->mcus; m; m = m->hh.next)
		json_array_append_new(mcus, json_pack("{s:s,s:s,s:s,s:i,s:i,s:i}", "id", m->id, "type", m->type, "contact", m->contact,
						      "conferences", (int)m->conferences, "users", (int)m->users, "load", (int)m->load));
	return json_pack("{s:b,s:s,s:i,s:i,s:i,s:i,s:I,s:b,s:o}", "ok", 1, "node", a->cfg.node, "conferences", (int)a->confs.nconf,
			 "active", (int)a->confs.nactive, "users", (int)a->confs.nusers, "subscriptions",
			 (int)HASH_COUNT(a->subs_by_tag), "uptime_s", (json_int_t)((ev_now_ms(a->loop) - a->started_ms) / 1000), "draining",
			 a->draining, "mcus", mcus);
}

static void each_event(uint64_t wall_ms, const char *text, unsigned lost, void *arg)
{
	char *when = app_utc((int64_t)(wall_ms / 1000));

	if (lost)
		json_array_append_new(arg, json_pack("{s:s,s:s}", "time", "", "text", "(earlier events are no longer kept)"));
	json_array_append_new(arg, json_pack("{s:s*,s:I,s:s}", "time", when, "ms", (json_int_t)(wall_ms % 1000), "text", text));
	mem_deref(when);
}

static json_t *on_why(struct app *a, const json_t *in)
{
	json_t *events = json_array();

	(void)a;
	if (trace_find(text_of(in, "call_id"), each_event, events) < 0) {
		json_decref(events);
		return error("focusd knows nothing of this Call-ID (it keeps the last calls only)");
	}
	return json_pack("{s:b,s:o}", "ok", 1, "events", events);
}

/* --- a back-up: beside the database, where this process may write; confctl takes it from there */
struct backup { struct app *app; struct jsonsock_req *rq; char *path; };

static void on_backup_destroy(void *arg)
{
	struct backup *b = arg;

	mem_deref(b->rq);
	mem_deref(b->path);
}

static void on_backed_up(int err, void *arg)
{
	struct backup *b = arg;
	json_t *o = err ? error(err == -ENOSPC ? "the back-up does not fit on the disk of the database" : "the back-up failed, see focusd's log")
			: json_pack("{s:b,s:s}", "ok", 1, "path", b->path);
	char *text = json_dumps(o, JSON_COMPACT);

	jsonsock_reply(b->rq, text ? str_c(text) : STR("{\"ok\":false,\"error\":\"out of memory\"}"));
	free(text);
	json_decref(o);
	mem_deref(b);
}

static json_t *on_backup(struct app *a, struct jsonsock_req *rq, const json_t *in)
{
	struct backup *b = mem_zalloc(sizeof(*b), on_backup_destroy);
	int err = -ENOMEM;

	(void)in;
	if (b && (b->path = str_printf("%s.backup", a->cfg.store_path))) {
		b->app = a;
		b->rq  = mem_ref(rq);
		err    = store_backup(a->store, b->path, on_backed_up, b);
	}
	if (!err)
		return NULL;
	mem_deref(b);
	return error(err == -EBUSY ? "a back-up is being made already" : "out of memory");
}

/* --- changing */
static int policy_find(const char *s)
{
	for (int i = 0; i < POLICY_N; i++)
		if (cstr_ieq(conf_policy_names[i], s))
			return i;
	return *s ? -ENOENT : POLICY_OPEN;
}

static bool room_name_valid(const char *s)
{
	size_t n = strlen(s);

	return n && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._+") == n;
}

static json_t *on_add(struct app *a, const json_t *in)
{
	const char *name = text_of(in, "name"), *org = text_of(in, "organizer"), *pin = text_of(in, "pin");
	int policy = policy_find(text_of(in, "policy")), err;
	const json_t *trunk = json_object_get(in, "trunk");
	struct conf_prm prm = { .organizer = *org ? org : "rooms", .domain = a->cfg.domain, .name = name, .subject = name,
				.types = a->cfg.mcu_types, .trunk_ok = !trunk || json_is_true(trunk) };
	char id[33];
	struct conf *c;

	if (!room_name_valid(name))
		return error("a room's name has 1 to 64 letters, digits or -._+ (it is the user part of its address)");
	if (attendant_reserved(org) || cstr_ieq(name, a->cfg.attendant_name))
		return error("this name is the attendant's ([attendant] name of focusd's configuration)");
	if (*org && !room_name_valid(org))
		return error("an organizer is the user part of an address: 1 to 64 letters, digits or -._+");
	if (service_http_is_user(a, name))
		return error("this name is a user's: calls to it go to his phones; choose another one for the room");
	if (policy < 0)
		return error("policy is closedAuthenticated, openAuthenticated or anonymous");
	if (*pin && (strlen(pin) < 4 || strlen(pin) > 16))
		return error("a PIN has 4 to 16 characters");
	prm.policy  = (enum conf_policy)policy;
	prm.conf_id = id;
	if (conf_room_id(id, sizeof(id), name))
		return error("out of memory");
	err = conf_add(&c, &a->confs, &prm);
	if (err)
		return error(err == -EEXIST ? "a room of this name exists" : "out of memory");
	err = pin_set(a, c, pin);
	if (err) {
		conf_remove(&a->confs, c);
		return error("the PIN cannot be sealed, see focusd's log");
	}
	c->updated_s = app_wall_s();
	log_info(admin, "room %s added: %s", name, c->focus_uri);
	return json_pack("{s:b,s:s,s:s,s:s,s:s}", "ok", 1, "name", c->name, "id", c->conf_id, "number", c->number, "uri",
			 c->focus_uri);
}

static json_t *on_end(struct app *a, struct conf *c, const json_t *in)
{
	(void)in;
	if (!c->active)
		return error("this conference is not running");
	life_end(a, c);
	return ok();
}

static json_t *on_remove(struct app *a, struct conf *c, const json_t *in)
{
	(void)in;
	life_remove(a, c);
	return ok();
}

static json_t *on_lock(struct app *a, struct conf *c, const json_t *in)
{
	bool locked = json_is_true(json_object_get(in, "locked"));

	if (!c->active)
		return error("this conference is not running: a lock holds for a running one");
	control_lock(a, c, locked, "the operator");
	return ok();
}

/* --- recording: the MCU's answer is the operator's */
struct record { struct app *app; struct jsonsock_req *rq; };

static void on_record_destroy(void *arg)
{
	mem_deref(((struct record *)arg)->rq);
}

static const struct { const char *reason, *text; } record_errors[] = {
	{ "notSupported",    "not recorded: the media server of this conference records nothing ([recording] path of mcu.conf is empty)" },
	{ "diskFull",        "not recorded: the media server's disk has less room than [recording] min_free_mb of mcu.conf asks for" },
	{ "recordingFailed", "not recorded: the media server cannot write to [recording] path of mcu.conf, its log says why" },
};

static json_t *record_error(const char *reason)
{
	for (size_t i = 0; i < sizeof(record_errors) / sizeof(record_errors[0]); i++)
		if (cstr_eq(record_errors[i].reason, reason))
			return error(record_errors[i].text);
	return error("not recorded: the media server refused, see focusd's log");
}

/* One that does not answer is no failure: it, or the next, records as soon as it hears of it. */
static void on_recorded(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct record *r = arg;

	(void)resp;
	reply(r->app, r->rq, err == -EPROTO ? record_error(reason) : json_pack("{s:b,s:b}", "ok", 1, "waiting", err != 0));
	mem_deref(r);
}

static json_t *on_record(struct app *a, struct jsonsock_req *rq, const json_t *in)
{
	bool on = json_is_true(json_object_get(in, "on"));
	struct conf *c = conf_of(a, in);
	struct record *r;

	if (!c)
		return error(no_conf);
	if (on && (!c->active || c->mcu[SESSION_AV].state != CONF_MCU_READY))
		return error("this conference has no audio at the moment");
	if (c->recording == on)
		return ok();
	r = mem_zalloc(sizeof(*r), on_record_destroy);
	if (!r)
		return error("out of memory");
	r->app = a;
	r->rq  = mem_ref(rq);
	if (control_record(a, c, on, "the operator", on_recorded, r))
		on_recorded(0, "", NULL, r);
	return NULL;
}

static json_t *on_mute(struct app *a, struct conf *c, const json_t *in)
{
	struct user *u = find_user(c, text_of(in, "user"));
	const char *filter = json_is_true(json_object_get(in, "muted")) ? "block" : "unblock";
	struct endpoint *e;
	unsigned n = 0;

	if (!u)
		return error("no such user in this conference (see `show`)");
	TAILQ_FOREACH(e, &u->eps, le)
		for (unsigned i = 0; i < e->nmedia; i++) {
			struct c3p_keys k = { .conf_entity = c->focus_uri, .conf_id = "", .user_entity = u->entity,
					      .endpoint_entity = e->entity, .media_id = e->media[i].id };

			if (cstr_eq(e->media[i].type, "audio") &&
			    mculink_modify_media(a, c, e->session, &k, "audio", filter, NULL, NULL, NULL, NULL) == 0)
				n++;
		}
	return n ? ok() : error("this user has no audio here");
}

static json_t *on_kick(struct app *a, struct conf *c, const json_t *in)
{
	struct user *u = find_user(c, text_of(in, "user"));

	if (!u)
		return error("no such user in this conference (see `show`)");
	life_eject(a, u);
	return ok();
}

static json_t *on_role(struct app *a, struct conf *c, const json_t *in)
{
	struct user *u = find_user(c, text_of(in, "user"));
	const char *role = text_of(in, "role");

	if (!u)
		return error("no such user in this conference (see `show`)");
	if (!cstr_eq(role, "presenter") && !cstr_eq(role, "attendee"))
		return error("role is presenter or attendee");
	if (u->role == ROLE_ORGANIZER)
		return error("the organizer stays presenter");
	user_set_role(&a->confs, u, cstr_eq(role, "presenter") ? ROLE_PRESENTER : ROLE_ATTENDEE);
	mculink_set_role(a, c, u, NULL);
	return ok();
}

static json_t *on_loglevel(struct app *a, const json_t *in)
{
	const char *area = text_of(in, "area");

	(void)a;
	if (log_set(*area ? area : NULL, text_of(in, "level")))
		return error("level is error, warn, info or debug; area is all or one of app sip tls http c3p conf store factory media leg admin");
	return ok();
}

static json_t *on_drain(struct app *a, const json_t *in)
{
	const json_t *v = json_object_get(in, "draining");

	a->draining = !v || json_is_true(v);
	log_info(admin, "draining: %s", a->draining ? "yes" : "no");
	return ok();
}

/* Each has one of: of the focus; of a conference; answered later, when it returns NULL. */
static const struct { const char *cmd; json_t *(*any)(struct app *a, const json_t *in);
		      json_t *(*conf)(struct app *a, struct conf *c, const json_t *in);
		      json_t *(*later)(struct app *a, struct jsonsock_req *rq, const json_t *in); } commands[] = {
	{ "list",     on_list,     NULL,      NULL },
	{ "show",     on_show,     NULL,      NULL },
	{ "add",      on_add,      NULL,      NULL },
	{ "end",      NULL,        on_end,    NULL },
	{ "remove",   NULL,        on_remove, NULL },
	{ "lock",     NULL,        on_lock,   NULL },
	{ "record",   NULL,        NULL,      on_record },
	{ "mute",     NULL,        on_mute,   NULL },
	{ "kick",     NULL,        on_kick,   NULL },
	{ "role",     NULL,        on_role,   NULL },
	{ "stats",    on_stats,    NULL,      NULL },
	{ "loglevel", on_loglevel, NULL,      NULL },
	{ "why",      on_why,      NULL,      NULL },
	{ "drain",    on_drain,    NULL,      NULL },
	{ "backup",   NULL,        NULL,      on_backup },
};

static json_t *execute(struct app *a, struct jsonsock_req *rq, const json_t *in)
{
	const char *cmd = text_of(in, "cmd");
	struct conf *c;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!cstr_eq(commands[i].cmd, cmd))
			continue;
		if (commands[i].later)
			return commands[i].later(a, rq, in);
		if (commands[i].any)
			return commands[i].any(a, in);
		c = conf_of(a, in);
		return c ? commands[i].conf(a, c, in) : error(no_conf);
	}
	return error("unknown cmd; one of list show add end remove lock record mute kick role stats loglevel why drain backup");
}

/* NULL is answered later, or there was no memory for an answer: then the socket says that there is none. */
static void on_line(struct jsonsock_req *rq, struct str line, void *arg)
{
	json_error_t err;
	json_t *in = json_loadb(line.p, line.l, 0, &err), *out;

	out = json_is_object(in) ? execute(arg, rq, in) : error("not a JSON object");
	if (out)
		reply(arg, rq, out);
	json_decref(in);
}

int admin_start(struct app *a)
{
	if (!*a->cfg.admin_socket)
		return 0;
	return jsonsock_alloc(&a->admin, a->loop, a->cfg.admin_socket, on_line, a);
}
