/* SPDX-License-Identifier: Apache-2.0 */
/* attendant.c - see attendant.h
 *
 * enter -> is he paused? -> number -> pass code -> policy -> user and pending endpoint in the target -> an MCU for it ->
 * addUser with oc:move -> the answer. Wrong numbers, wrong pass codes and conferences that would not have him get one and
 * the same answer. Wrong tries count against the caller, his address and the conference (passcode.h).
 */
#include <errno.h>
#include "focusd/attendant.h"
#include "focusd/c3phttp.h"
#include "focusd/guess.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/passcode.h"
#include "focusd/policy.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

#define ORGANIZER     "attendant"
#define PER_ADDRESS   5u                 /* an address may be many callers: so many times the limit of one */
#define PER_TRUNK     50u

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_attendant_let_in_total", "Callers whose number and pass code were right"),
	METRIC_COUNTER("conclave_focus_attendant_wrong_total", "Wrong numbers and pass codes"),
	METRIC_COUNTER("conclave_focus_attendant_refused_total", "Right ones that were not admitted, and callers that are paused"),
};
enum { M_IN, M_WRONG, M_REFUSED };

int attendant_start(struct app *a)
{
	uint64_t pause_ms = (uint64_t)a->cfg.attendant_pause_s * 1000;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	return guesses_alloc(&a->wrong_entries, pause_ms, pause_ms);
}

/* --- its conference */
bool attendant_is(const struct conf *c)
{
	return c->name && cstr_eq(c->organizer, ORGANIZER);
}

bool attendant_reserved(const char *organizer)
{
	return cstr_ieq(organizer, ORGANIZER);
}

static int make(struct conf **cp, struct app *a)
{
	struct conf_prm prm = { .organizer = ORGANIZER, .domain = a->cfg.domain, .name = a->cfg.attendant_name,
				.subject = a->cfg.attendant_name, .types = "audio-video", .policy = POLICY_ANONYMOUS, .trunk_ok = true };
	char id[33];
	int err = conf_room_id(id, sizeof(id), a->cfg.attendant_name);

	prm.conf_id = id;
	return err ? err : conf_add(cp, &a->confs, &prm);
}

struct conf *attendant_conf(struct app *a, struct str user)
{
	struct conf *c = NULL;

	if (!*a->cfg.attendant_name || !str_ieq(user, str_c(a->cfg.attendant_name)))
		return NULL;
	c = conf_find_name(&a->confs, str_c(a->cfg.attendant_name));
	if (!c && make(&c, a))
		return NULL;
	return attendant_is(c) ? c : NULL;
}

/* --- who tries too often */
static char *caller_key(enum conf_auth auth, const char *caller)
{
	return caller ? str_printf("%s %s", auth == AUTH_NONE ? "trunk" : "user", caller) : NULL;
}

static char *address_key(const char *address)
{
	return address ? str_printf("address %s", address) : NULL;
}

static bool paused(const struct app *a, enum conf_auth auth, const char *caller, const char *address)
{
	char *k1 = caller_key(auth, caller), *k2 = address_key(address);
	uint64_t now = ev_now_ms(a->loop);
	bool yes = guess_paused(a->wrong_entries, k1, now) || guess_paused(a->wrong_entries, k2, now);

	mem_deref(k1);
	mem_deref(k2);
	return yes;
}

bool attendant_paused(const struct uas_req *rq)
{
	bool yes = paused(rq->app, caller_auth(&rq->caller), rq->caller.entity, rq->caller.address);

	if (yes)
		metric_inc(&metrics[M_REFUSED]);
	return yes;
}

/* A right entry does not wipe it out: who guesses would enter his own conference in between. */
static void wrong(struct app *a, const struct endpoint *e)
{
	bool trunk = e->user->auth == AUTH_NONE;
	unsigned limit = (unsigned)a->cfg.attendant_wrong;
	char *k1 = caller_key(e->user->auth, e->user->caller), *k2 = address_key(e->address);
	uint64_t now = ev_now_ms(a->loop);

	metric_inc(&metrics[M_WRONG]);
	guess_wrong(a->wrong_entries, k1, limit, now);
	guess_wrong(a->wrong_entries, k2, limit * (trunk ? PER_TRUNK : PER_ADDRESS), now);
	log_warn(conf, "attendant: wrong number or pass code by %s", e->user->caller ? e->user->caller : e->user->display);
	mem_deref(k1);
	mem_deref(k2);
}

/* --- the way in */
struct entry {                           /* a caller on his way; survives both conferences */
	struct app      *app;
	struct http_req *hr;
	char *request_id, *from, *to;
	char *lobby, *user, *endpoint;   /* keys at the attendant */
	char *key, *entity;              /* in the target */
};

static void on_entry_destroy(void *arg)
{
	struct entry *t = arg;
	char *const strs[] = { t->request_id, t->from, t->to, t->lobby, t->user, t->endpoint, t->key, t->entity };

	mem_deref(t->hr);
	for (size_t i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		mem_deref(strs[i]);
}

static void finish(struct entry *t, const char *reason)
{
	struct c3p_env env = { .request_id = t->request_id, .from = t->to, .to = t->from };
	struct conf *c = reason ? conf_find_key(&t->app->confs, t->key) : NULL;
	struct endpoint *e = c ? endpoint_find(c, t->entity) : NULL;

	if (e)
		life_leg_gone(t->app, e);
	c3phttp_done(t->app, t->hr, &env, "enter", reason);
	mem_deref(t);
}

static void on_moved(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct entry *t = arg;

	(void)resp;
	if (err)
		log_warn(conf, "%s: a caller of the attendant does not get there: %s", t->key, err == -EPROTO ? reason : strerror(-err));
	finish(t, err ? "serverBusy" : NULL);
}

static void on_ready(int err, const char *reason, void *arg)
{
	struct entry *t = arg;
	struct conf *c = conf_find_key(&t->app->confs, t->key), *lobby = conf_find_key(&t->app->confs, t->lobby);
	struct endpoint *e = c ? endpoint_find(c, t->entity) : NULL;
	struct mculink_move from = { .user = t->user, .endpoint = t->endpoint };

	(void)reason;
	from.conf = lobby;
	if (err || !e || !lobby || mculink_move_user(t->app, c, e, &from, on_moved, t))
		finish(t, "serverBusy");
}

static int make_user(struct user **up, struct app *a, struct conf *c, const struct user *who, enum conf_role role)
{
	char hex[9], *entity;
	int err;

	if (who->auth != AUTH_NONE) {
		*up = user_find_caller(c, who->caller, who->auth);
		return *up ? 0 : user_add(up, &a->confs, c, who->entity, who->caller, who->display, role, who->auth);
	}
	if (str_random_hex(hex, 8))
		return -ENOMEM;
	entity = str_printf("sip:phone-%s@%s", hex, a->cfg.domain);
	err = entity ? user_add(up, &a->confs, c, entity, who->caller, who->display, role, who->auth) : -ENOMEM;
	mem_deref(entity);
	return err;
}

static int make_endpoint(char **entity, struct app *a, struct user *u, const struct endpoint *from)
{
	struct endpoint *e;
	char *guid = str_guid();
	int err = guid ? endpoint_add(&e, &a->confs, u, guid, SESSION_AV) : -ENOMEM;

	mem_deref(guid);
	if (err)
		return err;
	cstr_set(&e->instance, from->instance);
	cstr_set(&e->call_id, from->call_id);
	cstr_set(&e->address, from->address);
	e->drop_at_ms = ev_now_ms(a->loop) + (uint64_t)a->cfg.pending_s * 1000;
	*entity = mem_ref(e->entity);
	return 0;
}

static int entry_fill(struct entry *t, struct http_req *hr, const struct c3p_req *r, const struct endpoint *e, const struct conf *c)
{
	t->hr       = mem_ref(hr);
	t->lobby    = mem_ref(e->user->conf->key);
	t->user     = mem_ref(e->user->entity);
	t->endpoint = mem_ref(e->entity);
	t->key      = mem_ref(c->key);
	return cstr_set(&t->request_id, r->request_id) | cstr_set(&t->from, r->from) | cstr_set(&t->to, r->to);
}

static void let_in(struct app *a, struct http_req *hr, const struct c3p_req *r, const struct endpoint *e, struct conf *c,
		   enum conf_role role)
{
	struct entry *t = mem_zalloc(sizeof(*t), on_entry_destroy);
	struct user *u = NULL;
	int err = t ? entry_fill(t, hr, r, e, c) : -ENOMEM;

	conf_activate(&a->confs, c, app_wall_s());
	if (!err) {
		t->app = a;
		err = make_user(&u, a, c, e->user, role);
	}
	if (!err && role == ROLE_ORGANIZER)
		user_set_role(&a->confs, u, role);
	if (!err)
		err = make_endpoint(&t->entity, a, u, e);
	life_review(a, c);
	if (err) {
		if (u && TAILQ_EMPTY(&u->eps))
			user_remove(&a->confs, u);
		mem_deref(t);
		c3phttp_answer(a, hr, r, "serverBusy");
		return;
	}
	metric_inc(&metrics[M_IN]);
	log_info(conf, "%s: %s comes from the attendant", c->key, u->entity);
	trace_add(e->call_id, "the attendant lets %s into %s", u->entity, c->key);
	cstr_set(&c->mcu[SESSION_AV].wish, e->user->conf->mcu[SESSION_AV].node);      /* a call cannot leave its server */
	if (mculink_ensure(a, c, SESSION_AV, on_ready, t))
		finish(t, "serverBusy");
}

/* NULL and the target, or why not. Only whoever knows the pass code learns that a conference is locked or full. */
static const char *judge(struct app *a, const struct endpoint *e, const struct c3p_req *r, struct conf **cp, enum conf_role *role)
{
	const char *number = xml_text(xml_child(r->cmd, NULL, "number")), *pin = xml_text(xml_child(r->cmd, NULL, "passcode"));
	struct conf *c = number && *number ? conf_find_number(&a->confs, number) : NULL;
	struct policy_caller who = { .entity = e->user->caller, .auth = e->user->auth, .trunk = e->user->auth == AUTH_NONE,
				     .pin_ok = true };
	int err = c && !c->removing && conf_offers(c, SESSION_AV) && !(c->expiry_s && c->expiry_s < app_wall_s() && !c->active)
		  ? passcode_try(a, c, str_c(pin)) : -ENOENT;
	enum policy_no no;

	if (err == -EBUSY)
		return "tooManyAttempts";
	if (err) {
		wrong(a, e);
		return "invalidPasscode";
	}
	who.present = who.auth != AUTH_NONE && user_find_caller(c, who.entity, who.auth);
	no = policy_admit(c, &who, (unsigned)a->cfg.max_users, role);
	*cp = c;
	if (no == POLICY_OK)
		return NULL;
	metric_inc(&metrics[M_REFUSED]);
	if (no == POLICY_LOCKED)
		return "conferenceLocked";
	if (no == POLICY_FULL)
		return "maxMeetingSizeExceeded";
	if (!c->pin) {                           /* that there is such a number is all he would learn */
		wrong(a, e);
		return "invalidPasscode";
	}
	return "unauthorized";
}

void attendant_on_enter(struct app *a, struct http_req *hr, const struct c3p_req *r)
{
	struct endpoint *e = c3phttp_leg(a, r);
	enum conf_role role = ROLE_ATTENDEE;
	struct conf *c = NULL;
	const char *reason;

	if (!e || !attendant_is(e->user->conf)) {
		c3phttp_answer(a, hr, r, "endpointDoesntExist");
		return;
	}
	reason = paused(a, e->user->auth, e->user->caller, e->address) ? "tooManyAttempts" : judge(a, e, r, &c, &role);
	trace_add(e->call_id, "attendant: %s", reason ? reason : "number and pass code are right");
	if (reason)
		c3phttp_answer(a, hr, r, reason);
	else
		let_in(a, hr, r, e, c, role);
}
