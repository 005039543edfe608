/* SPDX-License-Identifier: Apache-2.0 */
/* user.c - users and endpoints of a conference, see conf.h */
#include <errno.h>
#include <stdlib.h>
#include "focusd/conf.h"
#include "lib/base/mem.h"

const char *const ep_status_names[EP_NSTATUS] = {
	"pending", "dialing-out", "dialing-in", "alerting", "on-hold", "connected", "muted-via-focus",
	"disconnecting", "disconnected",
};

int ep_status_find(const char *name)
{
	for (int i = 0; i < EP_NSTATUS; i++)
		if (cstr_eq(ep_status_names[i], name))
			return i;
	return -ENOENT;
}

static void mark_changed(struct confs *cs, struct user *u)
{
	if (!u->changed) {
		u->changed = true;
		TAILQ_INSERT_TAIL(&u->conf->changed_users, u, changed_le);
	}
	confs_changed(cs, u->conf);
}

void user_touch(struct confs *cs, struct user *u)
{
	confs_mark(cs, &u->dirt);
	mark_changed(cs, u);
}

struct user *user_find(const struct conf *c, const char *entity)
{
	struct user *u;

	HASH_FIND_STR(c->users, entity, u);
	return u;
}

struct user *user_find_caller(const struct conf *c, const char *caller, enum conf_auth auth)
{
	struct user *u = user_find(c, caller);

	if (auth != AUTH_NONE)                   /* their entity is their identity */
		return u && u->auth == auth ? u : NULL;
	for (u = c->users; u; u = u->hh.next)
		if (u->auth == AUTH_NONE && cstr_ieq(u->caller, caller))
			return u;
	return NULL;
}

/* Cut to MAX_NAME bytes between two characters of UTF-8; what cannot stand in a line becomes a space. */
static char *make_display(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	char *d;

	if (n > MAX_NAME)
		for (n = MAX_NAME; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	d = str_dup((struct str){ s, n });
	for (char *p = d; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return d;
}

static void on_user_destroy(void *arg)
{
	struct user *u = arg;

	mem_deref(u->entity);
	mem_deref(u->caller);
	mem_deref(u->display);
}

int user_add(struct user **up, struct confs *cs, struct conf *c, const char *entity, const char *caller,
	     const char *display, enum conf_role role, enum conf_auth auth)
{
	struct user *u = user_find(c, entity);

	if (u)
		return -EEXIST;
	u = mem_zalloc(sizeof(*u), on_user_destroy);
	if (!u)
		return -ENOMEM;
	TAILQ_INIT(&u->eps);
	u->conf = c;
	u->role = role;
	u->auth = auth;
	u->display = make_display(display);
	if (!u->display || cstr_set(&u->entity, entity) || cstr_set(&u->caller, caller)) {
		mem_deref(u);
		return -ENOMEM;
	}
	u->dirt = (struct dirt){ .kind = DIRT_USER, .id = cs->next_id++, .obj = u };
	HASH_ADD_KEYPTR(hh, c->users, u->entity, strlen(u->entity), u);
	c->nusers++;
	cs->nusers++;
	user_touch(cs, u);
	*up = u;
	return 0;
}

static void remember_gone(struct confs *cs, struct user *u)
{
	struct conf *c = u->conf;
	char **p;

	if (c->ngone == c->gone_size) {
		p = realloc(c->gone, (c->gone_size ? c->gone_size * 2 : 8) * sizeof(*p));
		if (!p) {
			c->chg_full = true;          /* no memory to tell who: tell everything */
			confs_changed(cs, c);
			return;
		}
		c->gone      = p;
		c->gone_size = c->gone_size ? c->gone_size * 2 : 8;
	}
	c->gone[c->ngone++] = mem_ref(u->entity);
	c->chg_state = true;
	confs_changed(cs, c);
}

void conf_hide_users(struct confs *cs, struct conf *c)
{
	struct user *u;

	TAILQ_FOREACH(u, &c->changed_users, changed_le)
		if (u->shown && !user_visible(u))
			remember_gone(cs, u);
}

static void unlink_endpoint(struct confs *cs, struct endpoint *e)
{
	TAILQ_REMOVE(&e->user->eps, e, le);
	e->user->neps--;
	HASH_DELETE(hh, e->user->conf->eps, e);
	if (e->local_tag)
		HASH_DELETE(hh_tag, cs->by_tag, e);
	if (e->dirt.on)
		TAILQ_REMOVE(&cs->dirty, &e->dirt, le);
	if (cs->gonecb)
		cs->gonecb(DIRT_ENDPOINT, e->dirt.id, cs->arg);
	mem_deref(e);
}

void user_remove(struct confs *cs, struct user *u)
{
	struct conf *c = u->conf;
	struct endpoint *e;

	while ((e = TAILQ_FIRST(&u->eps)))
		unlink_endpoint(cs, e);
	if (u->shown)
		remember_gone(cs, u);
	if (u->changed)
		TAILQ_REMOVE(&c->changed_users, u, changed_le);
	if (u->dirt.on)
		TAILQ_REMOVE(&cs->dirty, &u->dirt, le);
	if (cs->gonecb)
		cs->gonecb(DIRT_USER, u->dirt.id, cs->arg);
	HASH_DELETE(hh, c->users, u);
	c->nusers--;
	cs->nusers--;
	mem_deref(u);
}

int user_set_display(struct confs *cs, struct user *u, const char *display)
{
	char *d = make_display(display);

	if (!d)
		return -ENOMEM;
	mem_deref(u->display);
	u->display = d;
	user_touch(cs, u);
	return 0;
}

void user_set_role(struct confs *cs, struct user *u, enum conf_role role)
{
	if (u->role == role)
		return;
	u->role = role;
	user_touch(cs, u);
}

bool user_has(const struct user *u, enum conf_session s)
{
	const struct endpoint *e;

	TAILQ_FOREACH(e, &u->eps, le)
		if (e->session == s && e->status > EP_DIALING_IN)
			return true;
	return false;
}

bool user_has_leg(const struct user *u)
{
	FOR_EACH_MCU_TYPE(s)
		if (user_has(u, s))
			return true;
	return false;
}

bool user_visible(const struct user *u)
{
	const struct endpoint *e;

	TAILQ_FOREACH(e, &u->eps, le)
		if (e->status != EP_PENDING)
			return true;
	return false;
}

const char *user_role_name(const struct user *u)
{
	return u->role == ROLE_ATTENDEE ? "attendee" : "presenter";
}

/* --- endpoints */
static void media_fini(struct ep_media *m)
{
	mem_deref(m->id);
	mem_deref(m->type);
	mem_deref(m->label);
	mem_deref(m->status);
	*m = (struct ep_media){ 0 };
}

static void on_endpoint_destroy(void *arg)
{
	struct endpoint *e = arg;
	char *const strs[] = { e->entity, e->joined, e->instance, e->local_tag, e->call_id, e->ticket, e->leg, e->role, e->address };

	for (size_t i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		mem_deref(strs[i]);
	for (unsigned i = 0; i < EP_MAX_MEDIA; i++)
		media_fini(&e->media[i]);
	mem_deref(e->dlg);
	mem_deref(e->log);
}

int endpoint_add(struct endpoint **ep, struct confs *cs, struct user *u, const char *entity, enum conf_session s)
{
	struct endpoint *e;

	if (u->neps >= USER_MAX_EPS)
		return -E2BIG;
	e = mem_zalloc(sizeof(*e), on_endpoint_destroy);
	if (!e)
		return -ENOMEM;
	e->user    = u;
	e->session = s;
	if (cstr_set(&e->entity, entity)) {
		mem_deref(e);
		return -ENOMEM;
	}
	e->dirt = (struct dirt){ .kind = DIRT_ENDPOINT, .id = cs->next_id++, .obj = e };
	TAILQ_INSERT_TAIL(&u->eps, e, le);
	u->neps++;
	HASH_ADD_KEYPTR(hh, u->conf->eps, e->entity, strlen(e->entity), e);
	endpoint_touch(cs, e);
	*ep = e;
	return 0;
}

void endpoint_bind(struct confs *cs, struct endpoint *e, struct sip_dlg *dlg, const char *local_tag)
{
	if (e->local_tag)
		HASH_DELETE(hh_tag, cs->by_tag, e);
	mem_deref(e->dlg);
	e->dlg = dlg;
	e->local_tag = mem_deref(e->local_tag);
	if (cstr_set(&e->local_tag, local_tag) == 0)
		HASH_ADD_KEYPTR(hh_tag, cs->by_tag, e->local_tag, strlen(e->local_tag), e);
	confs_mark(cs, &e->dirt);
}

void endpoint_remove(struct confs *cs, struct endpoint *e, bool keep_user)
{
	struct user *u = e->user;
	bool shown = e->status != EP_PENDING;

	unlink_endpoint(cs, e);
	if (TAILQ_EMPTY(&u->eps) && !keep_user)
		user_remove(cs, u);
	else if (shown)
		mark_changed(cs, u);
}

void endpoint_touch(struct confs *cs, struct endpoint *e)
{
	confs_mark(cs, &e->dirt);
	if (e->status != EP_PENDING)
		mark_changed(cs, e->user);
}

void endpoint_set_status(struct confs *cs, struct endpoint *e, enum ep_status st)
{
	if (e->status == st)
		return;
	e->status = st;
	endpoint_touch(cs, e);
	mark_changed(cs, e->user);
	if (!e->user->shown)
		e->user->conf->chg_state = true;     /* user-count grows */
}

struct endpoint *endpoint_find(const struct conf *c, const char *entity)
{
	struct endpoint *e;

	HASH_FIND_STR(c->eps, entity, e);
	return e;
}

struct endpoint *endpoint_find_tag(const struct confs *cs, struct str tag)
{
	struct endpoint *e;

	HASH_FIND(hh_tag, cs->by_tag, tag.p, tag.l, e);
	return e;
}

struct endpoint *endpoint_find_instance(const struct user *u, enum conf_session s, const char *instance)
{
	struct endpoint *e;

	if (!instance)
		return NULL;
	TAILQ_FOREACH(e, &u->eps, le)
		if (e->session == s && cstr_eq(e->instance, instance))
			return e;
	return NULL;
}

int endpoint_set_media(struct endpoint *e, unsigned i, const char *id, const char *type, const char *label,
		       const char *status, bool in_blocked, bool out_blocked)
{
	struct ep_media *m;
	int err = 0;

	if (i >= EP_MAX_MEDIA)
		return -E2BIG;
	m = &e->media[i];
	err |= cstr_set(&m->id, id);
	err |= cstr_set(&m->type, type);
	err |= cstr_set(&m->label, label);
	err |= cstr_set(&m->status, status);
	m->in_blocked  = in_blocked;
	m->out_blocked = out_blocked;
	if (e->nmedia < i + 1)
		e->nmedia = i + 1;
	return err ? -ENOMEM : 0;
}

struct ep_media *endpoint_media(struct endpoint *e, const char *id)
{
	for (unsigned i = 0; i < e->nmedia; i++)
		if (cstr_eq(e->media[i].id, id))
			return &e->media[i];
	return NULL;
}
