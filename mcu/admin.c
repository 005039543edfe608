/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - commands of the operator on the Unix socket: list, show, stats, loglevel, why, volume
 *
 * A line -> JSON -> table row -> the row fills the answer object. `stats` of one conference asks the media threads, so
 * its answer waits for them.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "lib/ev/jsonsock.h"
#include "mcu/app.h"
#include "mcu/callrec.h"
#include "mcu/factory.h"
#include "mcu/recording.h"
#include "mcu/uas.h"

static void reply(struct jsonsock_req *rq, json_t *ans)
{
	char *text = ans ? json_dumps(ans, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	jsonsock_reply(rq, text ? str_c(text) : STR("{\"ok\":false,\"error\":\"out of memory\"}"));
	free(text);
	json_decref(ans);
}

static json_t *failure(const char *text)
{
	return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

static const char *field(const json_t *q, const char *name)
{
	const char *v = json_string_value(json_object_get(q, name));

	return v ? v : "";
}

/* --- list, show */

static json_t *conf_json(const struct conf *c)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:i,s:i,s:b,s:s*,s:I}", "id", c->id, "type", c->set->kind->name, "focus",
			 c->focus_uri, "uri", c->mcu_uri, "subject", c->subject, "epoch", (json_int_t)c->epoch,
			 "users", (int)HASH_COUNT(c->users), "legs",
			 (int)c->nlegs, "locked", c->locked, "recording", recording_path(c), "notified", (json_int_t)report_version(c->report));
}

static json_t *on_list(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	json_t *list = json_array();
	struct service *s;

	(void)rq;
	(void)q;
	SERVICES_FOREACH(s, a)
		for (struct conf *c = s->confs->by_key; c; c = c->hh.next)
			json_array_append_new(list, conf_json(c));
	return json_pack("{s:b,s:i,s:o}", "ok", 1, "calls", (int)uas_calls(a->uas), "conferences", list);
}

/* By conference id, MCU URI or focus URI, and `type` when it is given. */
static struct conf *find(struct app *a, const json_t *q)
{
	const char *name = field(q, "conf"), *type = field(q, "type");
	struct service *s;

	SERVICES_FOREACH(s, a) {
		if (*type && !cstr_ieq(type, s->kind->name))
			continue;
		for (struct conf *c = s->confs->by_key; c; c = c->hh.next)
			if (cstr_ieq(c->id, name) || cstr_ieq(c->org, name) || cstr_ieq(c->focus_uri, name) ||
			    cstr_ieq(c->mcu_uri, name))
				return c;
	}
	return NULL;
}

static const struct call *call_of(const struct leg *l)
{
	return l->call;
}

static json_t *leg_json(const struct leg *l)
{
	const struct call *c = call_of(l);
	bool sends, receives;
	json_t *j;

	leg_roster_dir(l, &sends, &receives);
	j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:b}", "user", l->user->entity, "name", l->user->display,
		      "role", l->user->role, "endpoint", l->endpoint, "state", leg_state_name(l->state), "sends", sends,
		      "receives", receives, "in_blocked", l->ingress_block, "out_blocked", l->egress_block, "talking",
		      l->talking);
	if (!j || !c)
		return j;
	json_object_set_new(j, "call_id", json_string(call_id(c)));
	json_object_set_new(j, "call", json_string(call_state_name(c->state)));
	json_object_set_new(j, "seconds", json_integer((json_int_t)((ev_now_ms(c->uas->app->loop) - c->since_ms) / 1000)));
	json_object_set_new(j, "encrypted", json_boolean(c->nego.set.srtp));
	json_object_set_new(j, "port", json_integer(c->media ? mleg_port(c->media) : 0));
	return j;
}

static json_t *on_show(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	struct conf *c = find(a, q);
	json_t *legs;
	struct leg *l;

	(void)rq;
	if (!c)
		return failure("no such conference on this server; `list` shows them");
	legs = json_array();
	for (struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te)
			json_array_append_new(legs, leg_json(l));
	return json_pack("{s:b,s:o,s:o}", "ok", 1, "conference", conf_json(c), "legs", legs);
}

/* --- stats: of the process, or of the legs of one conference */

struct gather {
	struct jsonsock_req *rq;             /* reference */
	json_t              *legs;
	unsigned             waiting;
};

struct one_leg { struct gather *g; char *user, *endpoint; };

static void one_destructor(void *arg)
{
	struct one_leg *o = arg;

	mem_deref(o->user);
	mem_deref(o->endpoint);
	mem_deref(o->g);
}

static void gather_destructor(void *arg)
{
	struct gather *g = arg;

	json_decref(g->legs);
	mem_deref(g->rq);
}

static void gather_done(struct gather *g)
{
	if (--g->waiting)
		return;
	reply(g->rq, json_pack("{s:b,s:O}", "ok", 1, "legs", g->legs));
}

static void on_stats_of(const struct mleg_stats *s, void *arg)
{
	struct one_leg *o = arg;
	json_t *j;

	if (s) {
		j = json_pack("{s:s,s:s,s:s,s:s*,s:i,s:i}", "user", o->user, "endpoint", o->endpoint, "peer", s->peer,
			      "codec", s->started ? mcodec_name(s->codec) : NULL, "peer_lost_256",
			      (int)s->peer_fraction_lost, "level_dbov", s->level_dbov);
#define N(name) json_object_set_new(j, #name, json_integer((json_int_t)s->name))
		N(rx_packets); N(tx_packets); N(rx_bytes); N(tx_bytes); N(auth_failures); N(replays); N(late); N(lost);
		N(gaps); N(discarded); N(concealed); N(bad); N(jitter_us); N(rtt_us); N(buffer_ms); N(jitter_avg_us);
		N(jitter_max_us); N(rtt_avg_us); N(rtt_max_us); N(buffer_avg_ms); N(peer_expected); N(peer_lost);
		N(peer_jitter_us); N(peer_jitter_max_us); N(talk_ms); N(first_media_ms);
#undef N
#define F(name, known) json_object_set_new(j, #name, (known) ? json_real(s->name) : json_null())
		F(loss_in, true); F(loss_out, s->peer_expected); F(mos_in, s->mos_in > 0); F(mos_out, s->mos_out > 0);
#undef F
		json_array_append_new(o->g->legs, j);
	}
	gather_done(o->g);
	mem_deref(o);
}

static void ask(struct gather *g, const struct leg *l, struct mleg *ml)
{
	struct one_leg *o = mem_zalloc(sizeof(*o), one_destructor);

	if (!o)
		return;
	o->g        = mem_ref(g);
	o->user     = str_dup(str_c(l->user->entity));
	o->endpoint = str_dup(str_c(l->endpoint));
	g->waiting++;
	if (o->user && o->endpoint && !mleg_stats(ml, on_stats_of, o))
		return;
	g->waiting--;
	mem_deref(o);
}

static json_t *stats_of_conf(struct jsonsock_req *rq, struct conf *c)
{
	struct gather *g = mem_zalloc(sizeof(*g), gather_destructor);
	struct leg *l;

	if (!g)
		return failure("out of memory");
	g->rq      = mem_ref(rq);
	g->legs    = json_array();
	g->waiting = 1;
	for (struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te)
			if (call_of(l) && call_of(l)->media)
				ask(g, l, call_of(l)->media);
	gather_done(g);
	mem_deref(g);
	return NULL;
}

static json_t *service_json(const struct service *s)
{
	return json_pack("{s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i}", "id", s->id, "type", s->kind->name, "conferences",
			 (int)s->confs->nconfs, "legs", (int)s->confs->nlegs, "max_conferences", (int)s->confs->max_confs,
			 "max_legs", (int)s->confs->max_legs, "load", (int)factory_load(s->factory), "tickets",
			 (int)ticket_count(s->confs->tickets));
}

static json_t *on_stats(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	struct service *s;
	struct conf *c;
	json_t *types;

	if (*field(q, "conf")) {
		c = find(a, q);
		return c ? stats_of_conf(rq, c) : failure("no such conference on this server; `list` shows them");
	}
	types = json_array();
	SERVICES_FOREACH(s, a)
		json_array_append_new(types, service_json(s));
	return json_pack("{s:b,s:s,s:i,s:i,s:i,s:b,s:I,s:i,s:o,s:o}", "ok", 1, "node", a->cfg.node, "conferences",
			 (int)services_confs(a), "legs", (int)services_legs(a), "calls", (int)uas_calls(a->uas), "draining",
			 a->draining, "uptime_s", (json_int_t)((ev_now_ms(a->loop) - a->started_ms) / 1000),
			 "transactions", (int)sip_transactions(a->sip), "services", types, "ended", callrec_totals());
}

/* --- loglevel, why */

static void on_level(const char *area, const char *level, void *arg)
{
	json_object_set_new(arg, area, json_string(level));
}

static json_t *on_loglevel(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	json_t *levels;

	(void)a;
	(void)rq;
	if (*field(q, "level") && log_set(*field(q, "area") ? field(q, "area") : NULL, field(q, "level")))
		return failure("area or level is not known; levels are error, warn, info and debug");
	levels = json_object();
	log_dump(on_level, levels);
	return json_pack("{s:b,s:o}", "ok", 1, "levels", levels);
}

struct events { json_t *list; unsigned lost; };

static void on_event(uint64_t wall_ms, const char *text, unsigned lost, void *arg)
{
	struct events *e = arg;

	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	char when[32];

	e->lost += lost;
	gmtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_array_append_new(e->list, json_pack("{s:s,s:I,s:s}", "time", when, "ms", (json_int_t)(wall_ms % 1000), "text", text));
}

static json_t *on_why(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	struct events e = { json_array(), 0 };

	(void)a;
	(void)rq;
	if (trace_find(field(q, "call_id"), on_event, &e) < 0) {
		json_decref(e.list);
		return failure("nothing is known of that Call-ID; only the last calls are kept");
	}
	return json_pack("{s:b,s:i,s:o}", "ok", 1, "lost", (int)e.lost, "events", e.list);
}

/* --- dispatch. A row that returns NULL answers later. */
/* --- volume: of what others hear of a user (`in`), of what he hears (`out`); decibels, both optional */
static bool decibels(const json_t *q, const char *name, int *db)
{
	const json_t *v = json_object_get(q, name);

	*db = (int)json_integer_value(v);
	return !v || (json_is_integer(v) && *db >= -60 && *db <= 12);
}

static bool is_user(const struct user *u, const char *name)
{
	struct str rest = str_c(u->entity), user;

	if (cstr_ieq(u->entity, name))
		return true;
	str_cut(&rest, ':');
	user = str_cut(&rest, '@');
	return user.l && str_ieq(user, str_c(name));
}

static json_t *on_volume(struct app *a, struct jsonsock_req *rq, const json_t *q)
{
	struct conf *c = find(a, q);
	unsigned n = 0;
	int in, out;
	struct leg *l;

	(void)rq;
	if (!c)
		return failure("no such conference on this server; `list` shows them");
	if (!decibels(q, "in", &in) || !decibels(q, "out", &out))
		return failure("in and out are whole decibels, -60 to 12");
	for (struct user *u = c->users; u; u = u->hh.next) {
		if (!is_user(u, field(q, "user")))
			continue;
		TAILQ_FOREACH(l, &u->legs, te) {
			const struct call *k = call_of(l);

			if (!k || !k->media)
				continue;
			n++;
			if (json_object_get(q, "in"))
				mleg_gain(k->media, in);
			if (json_object_get(q, "out")) {
				l->volume_db = (int8_t)out;      /* the caller's keys go on from here */
				mleg_volume(k->media, out);
			}
		}
	}
	return n ? json_pack("{s:b,s:i}", "ok", 1, "legs", (int)n) : failure("no such user with sound in this conference");
}

static const struct {
	const char *name;
	json_t   *(*on)(struct app *a, struct jsonsock_req *rq, const json_t *q);
} rows[] = {
	{ "list",     on_list },
	{ "show",     on_show },
	{ "stats",    on_stats },
	{ "loglevel", on_loglevel },
	{ "why",      on_why },
	{ "volume",   on_volume },
};

static void on_line(struct jsonsock_req *rq, struct str line, void *arg)
{
	json_t *q = json_loadb(line.p, line.l, JSON_REJECT_DUPLICATES, NULL), *ans;

	if (!json_is_object(q)) {
		json_decref(q);
		reply(rq, failure("not a JSON object on one line"));
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!cstr_eq(rows[i].name, field(q, "cmd")))
			continue;
		ans = rows[i].on(arg, rq, q);
		json_decref(q);
		if (ans)
			reply(rq, ans);
		return;
	}
	json_decref(q);
	reply(rq, failure("unknown cmd; list, show, stats, loglevel and why are known"));
}

int admin_start(struct app *a)
{
	return *a->cfg.admin_socket ? jsonsock_alloc(&a->admin, a->loop, a->cfg.admin_socket, on_line, a) : 0;
}
