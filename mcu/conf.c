/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - the conferences of this MCU, see conf.h */
#include <ctype.h>
#include <errno.h>
#include <time.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/conf.h"
#include "mcu/rules.h"

#define AWAIT_MS (TICKET_MS + 1000)          /* an INVITE that left in time may still be on its way */

static void set_destructor(void *arg)
{
	struct conf_set *s = arg;

	conf_end_all(s, LEG_END_SHUTDOWN);
	mem_deref(s->tickets);
	mem_deref(s->media);
}

int conf_set_alloc(struct conf_set **sp, const struct conf_set_prm *prm)
{
	struct conf_set *s = mem_zalloc(sizeof(*s), set_destructor);
	int err;

	if (!s)
		return -ENOMEM;
	err = ticket_box_alloc(&s->tickets);
	if (err) {
		mem_deref(s);
		return err;
	}
	s->kind      = prm->kind;
	s->media     = mem_ref(prm->media);
	s->loop      = prm->loop;
	s->max_confs = prm->max_confs;
	s->max_legs  = prm->max_legs;
	s->tones     = prm->tones;
	s->chat      = *prm->chat;
	s->chat_ops  = prm->chat_ops;
	s->changedcb = prm->changedcb;
	s->arg       = prm->arg;
	*sp = s;
	return 0;
}

/* --- conferences */

static int replace(char **sp, const char *text)
{
	char *s;

	if (!text || cstr_eq(*sp, text))
		return 0;
	s = str_dup(str_c(text));
	if (!s)
		return -ENOMEM;
	mem_deref(*sp);
	*sp = s;
	return 0;
}

static char *make_key(struct str org, struct str domain, struct str id)
{
	char *key = str_printf(STR_FMT "@" STR_FMT ":" STR_FMT, STR_ARG(org), STR_ARG(domain), STR_ARG(id));

	for (char *p = key; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return key;
}

static void conf_destructor(void *arg)
{
	struct conf *c = arg;

	mem_deref(c->recording);
	mem_deref(c->notifier);
	mem_deref(c->room);
	mem_deref(c->chat);
	mem_deref(c->report);
	for (unsigned i = 0; i < CONF_RULES; i++)
		mem_deref(c->rules[i]);
	mem_deref(c->key);
	mem_deref(c->id);
	mem_deref(c->org);
	mem_deref(c->domain);
	mem_deref(c->focus_uri);
	mem_deref(c->mcu_uri);
	mem_deref(c->subject);
	mem_deref(c->notify_url);
}

struct conf *conf_find(struct conf_set *s, struct str org, struct str domain, struct str id)
{
	char *key = make_key(org, domain, id);
	struct conf *c = NULL;

	if (key)
		HASH_FIND_STR(s->by_key, key, c);
	mem_deref(key);
	return c;
}

static int conf_alloc(struct conf **cp, struct conf_set *s, const struct conf_prm *prm)
{
	struct conf *c = mem_zalloc(sizeof(*c), conf_destructor);
	int err = -ENOMEM;

	if (!c)
		return err;
	c->key        = make_key(prm->org, prm->domain, prm->id);
	c->id         = str_dup(prm->id);
	c->org        = str_dup(prm->org);
	c->domain     = str_dup(prm->domain);
	c->focus_uri  = str_dup(str_c(prm->focus_uri));
	c->mcu_uri    = str_dup(str_c(prm->mcu_uri));
	c->subject    = str_dup(str_c(prm->subject));
	c->notify_url = str_dup(str_c(prm->notify_url));
	c->epoch      = prm->epoch;
	c->locked     = prm->locked;
	c->max_legs   = prm->max_legs;
	c->attendant  = prm->attendant;
	c->tones      = s->tones && !prm->attendant;
	if (c->key && c->id && c->org && c->domain && c->focus_uri && c->mcu_uri && c->subject && c->notify_url)
		err = report_alloc(&c->report);
	if (!err)
		err = s->media ? mroom_alloc(&c->room, s->media, c->id) : chat_room_alloc(&c->chat, &s->chat, s->chat_ops);
	if (err) {
		mem_deref(c);
		return err;
	}
	if (c->room)
		mroom_tones(c->room, c->tones);
	*cp = c;
	return 0;
}

/* Another focus that took the conference over says where it is reached. */
static void renew(struct conf *c, const struct conf_prm *prm)
{
	if (replace(&c->notify_url, prm->notify_url))
		log_warn(conf, "conference %s: no memory for its new focus", c->id);
	c->locked   = prm->locked;
	c->max_legs = prm->max_legs;
}

int conf_add(struct conf **cp, struct conf_set *s, const struct conf_prm *prm)
{
	struct conf *c = conf_find(s, prm->org, prm->domain, prm->id);
	int err;

	if (c && c->epoch >= prm->epoch) {
		if (c->epoch == prm->epoch)
			renew(c, prm);
		*cp = c;
		return -EEXIST;
	}
	if (s->draining || (!c && s->nconfs >= s->max_confs))
		return -EBUSY;
	if (c)
		conf_end(c, LEG_END_CONF);
	err = conf_alloc(&c, s, prm);
	if (err)
		return err;
	c->set = s;
	s->nconfs++;
	HASH_ADD_KEYPTR(hh, s->by_key, c->key, strlen(c->key), c);
	log_info(conf, "conference %s: here for %s, epoch %llu", c->id, s->kind->name, (unsigned long long)c->epoch);
	*cp = c;
	return 0;
}

void conf_end(struct conf *c, enum leg_end why)
{
	struct conf_set *s = c->set;
	struct user *u, *next;

	if (!s)
		return;
	HASH_DEL(s->by_key, c);
	s->nconfs--;
	HASH_ITER(hh, c->users, u, next)
		conf_user_end(u, why);
	c->set = NULL;
	c->recording = mem_deref(c->recording);
	log_info(conf, "conference %s: %s ended: %s", c->id, s->kind->name, leg_end_text(why));
	mem_deref(c);
}

void conf_end_all(struct conf_set *s, enum leg_end why)
{
	struct conf *c, *next;

	HASH_ITER(hh, s->by_key, c, next)
		conf_end(c, why);
}

void conf_lock(struct conf *c, bool locked)
{
	c->locked = locked;
}

void conf_set_tones(struct conf *c, bool on)
{
	c->tones = on;
	if (c->room)
		mroom_tones(c->room, on);
}

int conf_set_subject(struct conf *c, const char *subject)
{
	return replace(&c->subject, subject);
}

void conf_changed(struct conf *c)
{
	if (c->set && c->set->changedcb)
		c->set->changedcb(c, c->set->arg);
}

/* --- users and legs */

static void user_destructor(void *arg)
{
	struct user *u = arg;

	mem_deref(u->entity);
	mem_deref(u->display);
	mem_deref(u->role);
}

struct user *conf_user(struct conf *c, const char *entity)
{
	struct user *u = NULL;

	HASH_FIND_STR(c->users, entity, u);
	if (u)
		return u;
	for (u = c->users; u; u = u->hh.next)            /* another spelling of the same URI */
		if (cstr_ieq(u->entity, entity))
			return u;
	return NULL;
}

struct leg *user_leg(struct user *u, const char *endpoint)
{
	struct leg *l;

	TAILQ_FOREACH(l, &u->legs, te)
		if (cstr_ieq(l->endpoint, endpoint))
			return l;
	return NULL;
}

static int user_get(struct user **up, struct conf *c, const struct expect_prm *prm)
{
	struct user *u = conf_user(c, prm->entity);
	int err = 0;

	if (!u) {
		u = mem_zalloc(sizeof(*u), user_destructor);
		if (!u)
			return -ENOMEM;
		TAILQ_INIT(&u->legs);
		u->entity = str_dup(str_c(prm->entity));
		if (!u->entity || replace(&u->display, prm->display ? prm->display : "") ||
		    replace(&u->role, prm->role ? prm->role : "attendee")) {
			mem_deref(u);
			return -ENOMEM;
		}
		u->conf = c;
		HASH_ADD_KEYPTR(hh, c->users, u->entity, strlen(u->entity), u);
	} else {
		err = replace(&u->display, prm->display);
		if (!err)
			err = replace(&u->role, prm->role);
	}
	*up = u;
	return err;
}

int user_set_role(struct user *u, const char *role)
{
	int err = replace(&u->role, role);
	struct leg *l;

	if (!err)
		TAILQ_FOREACH(l, &u->legs, te)
			rules_apply(l);
	return err;
}

int user_set_display(struct user *u, const char *display)
{
	return replace(&u->display, display);
}

static void user_unused(struct user *u)
{
	if (!TAILQ_EMPTY(&u->legs))
		return;
	HASH_DEL(u->conf->users, u);
	mem_deref(u);
}

static void leg_destructor(void *arg)
{
	struct leg *l = arg;

	mem_deref(l->endpoint);
	mem_deref(l->joining);
	mem_deref(l->when);
	mem_deref(l->kept);
	mem_deref(l->role);
}

static char *now_text(void)
{
	char text[32];
	time_t t = time(NULL);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return str_dup(str_c(text));
}

static struct leg *leg_make(const struct expect_prm *prm)
{
	struct leg *l = mem_zalloc(sizeof(*l), leg_destructor);

	if (!l)
		return NULL;
	l->endpoint = str_dup(str_c(prm->endpoint));
	l->joining  = str_dup(prm->joining && *prm->joining ? str_c(prm->joining) : STR("dialed-in"));
	l->when     = now_text();
	if (!l->endpoint || !l->joining || !l->when)
		return mem_deref(l);
	l->may_send      = prm->may_send;
	l->may_recv      = prm->may_recv;
	l->ingress_block = prm->ingress_block;
	l->egress_block  = prm->egress_block;
	l->peer_send     = l->peer_recv = true;
	return l;
}

static int leg_add(struct leg **lp, struct conf *c, struct user *u, const struct expect_prm *prm)
{
	struct leg *l;

	if (c->set->draining || c->set->nlegs >= c->set->max_legs || (c->max_legs && c->nlegs >= c->max_legs))
		return -EBUSY;
	if (c->room && mroom_busy(c->room))
		return -EBUSY;
	l = leg_make(prm);
	if (!l)
		return -ENOMEM;
	l->user = u;
	TAILQ_INSERT_TAIL(&u->legs, l, te);
	c->nlegs++;
	c->set->nlegs++;
	rules_apply(l);
	*lp = l;
	return 0;
}

/* Out without a report: for a leg whose announcement failed, and behind leg.c's own report. */
void conf_drop_leg(struct leg *l)
{
	struct user *u = l->user;

	if (!u)
		return;
	if (l->awaited)
		ticket_forget(u->conf->set->tickets, l);
	TAILQ_REMOVE(&u->legs, l, te);
	u->conf->nlegs--;
	u->conf->set->nlegs--;
	l->user = NULL;
	mem_deref(l);
	user_unused(u);
}

int conf_expect(struct leg **lp, struct conf *c, const struct expect_prm *prm)
{
	struct conf_set *s = c->set;
	uint64_t now = ev_now_ms(s->loop);
	bool fresh = false;
	struct user *u;
	struct leg *l;
	int err;

	err = user_get(&u, c, prm);
	if (err)
		return err;
	l = user_leg(u, prm->endpoint);
	if (!l) {
		fresh = true;
		err = leg_add(&l, c, u, prm);
		if (err) {
			user_unused(u);
			return err;
		}
	}
	err = ticket_add(s->tickets, prm->ticket, prm->call_id, c->key, l, now);
	if (err) {
		if (fresh)
			conf_drop_leg(l);
		return err;
	}
	l->any_media  = prm->any_media;
	if (c->attendant)
		l->ingress_block = l->egress_block = true;       /* callers are strangers to each other */
	l->awaited    = true;
	l->awaited_ms = now;
	*lp = l;
	return 0;
}

int conf_dial(struct leg **lp, struct conf *c, const struct expect_prm *prm)
{
	struct user *u;
	int err = user_get(&u, c, prm);

	if (err)
		return err;
	if (user_leg(u, prm->endpoint))
		return -EEXIST;
	err = leg_add(lp, c, u, prm);
	if (err)
		user_unused(u);
	else
		(*lp)->any_media = prm->any_media;
	return err;
}

unsigned conf_user_end(struct user *u, enum leg_end why)
{
	struct leg *l, *next;
	unsigned n = 0;

	for (l = TAILQ_FIRST(&u->legs); l; l = next) {
		next = TAILQ_NEXT(l, te);              /* the last leg takes u along, and then next is NULL */
		leg_end(l, why);
		n++;
	}
	return n;
}

static void sweep_user(struct user *u, uint64_t now)
{
	struct leg *l, *next;

	for (l = TAILQ_FIRST(&u->legs); l; l = next) {
		next = TAILQ_NEXT(l, te);
		if (!l->awaited || now - l->awaited_ms < AWAIT_MS)
			continue;
		l->awaited = false;
		if (l->state == LEG_ANNOUNCED)
			leg_end(l, LEG_END_NO_SHOW);
	}
}

void conf_sweep(struct conf_set *s)
{
	uint64_t now = ev_now_ms(s->loop);
	struct conf *c, *cn;
	struct user *u, *un;

	ticket_sweep(s->tickets, now);
	HASH_ITER(hh, s->by_key, c, cn) {
		if (c->chat)
			chat_room_tick(c->chat, now);
		HASH_ITER(hh, c->users, u, un)
			sweep_user(u, now);
	}
}
