/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - conferences and their registry, see conf.h; users and endpoints are in user.c */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "focusd/conf.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"

const char *const conf_policy_names[POLICY_N] = { "closedAuthenticated", "openAuthenticated", "anonymous" };

const char *const conf_session_names[SESSION_N] = { "focus", "audio-video", "chat" };

int conf_session_find(struct str name)
{
	FOR_EACH_MCU_TYPE(s)
		if (str_ieq(name, str_c(conf_session_names[s])))
			return s;
	return -ENOENT;
}

bool conf_offers(const struct conf *c, enum conf_session s)
{
	struct str rest = str_c(c->types);

	while (!str_empty(rest))
		if (str_ieq(str_trim(str_cut(&rest, ',')), str_c(conf_session_names[s])))
			return true;
	return false;
}

void confs_init(struct confs *cs)
{
	*cs = (struct confs){ .next_id = 1 };
	TAILQ_INIT(&cs->dirty);
	TAILQ_INIT(&cs->changed);
}

void confs_mark(struct confs *cs, struct dirt *d)
{
	if (d->on)
		return;
	d->on = true;
	TAILQ_INSERT_TAIL(&cs->dirty, d, le);
}

void confs_changed(struct confs *cs, struct conf *c)
{
	if (c->on_changed)
		return;
	c->on_changed = true;
	TAILQ_INSERT_TAIL(&cs->changed, c, changed_le);
}

static void clear_gone(struct conf *c)
{
	for (unsigned i = 0; i < c->ngone; i++)
		mem_deref(c->gone[i]);
	c->ngone = 0;
}

void conf_told(struct confs *cs, struct conf *c)
{
	struct user *u;

	while ((u = TAILQ_FIRST(&c->changed_users))) {
		TAILQ_REMOVE(&c->changed_users, u, changed_le);
		u->changed = false;
		u->shown   = user_visible(u);
	}
	clear_gone(c);
	c->chg_state = c->chg_desc = c->chg_view = c->chg_full = false;
	if (c->on_changed) {
		TAILQ_REMOVE(&cs->changed, c, changed_le);
		c->on_changed = false;
	}
}

static void on_destroy(void *arg)
{
	struct conf *c = arg;
	char *const strs[] = { c->key, c->number, c->organizer, c->domain, c->conf_id, c->name, c->focus_uri, c->subject,
			       c->display, c->pin, c->access, c->filters, c->invited, c->types };

	for (size_t i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		mem_deref(strs[i]);
	FOR_EACH_MCU_TYPE(s) {
		mem_deref(c->mcu[s].uri);
		mem_deref(c->mcu[s].node);
		mem_deref(c->mcu[s].instance);
		mem_deref(c->mcu[s].wish);
	}
	clear_gone(c);
	free(c->gone);
}

static char *make_key(struct str org, struct str domain, struct str id)
{
	char *k = str_printf(STR_FMT "@" STR_FMT "/" STR_FMT, STR_ARG(org), STR_ARG(domain), STR_ARG(id));

	for (char *p = k; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return k;
}

static const enum c3p_type mcu_types[SESSION_N] = { [SESSION_AV] = C3P_AUDIO_VIDEO, [SESSION_CHAT] = C3P_CHAT };

static int fill(struct conf *c, const struct conf_prm *p)
{
	int err = 0;

	c->key       = make_key(str_c(p->organizer), str_c(p->domain), str_c(p->conf_id));
	c->focus_uri = c3p_uri_make(p->organizer, p->domain, C3P_FOCUS, p->conf_id);
	if (!c->key || !c->focus_uri)
		return -ENOMEM;
	FOR_EACH_MCU_TYPE(s) {
		c->mcu[s].uri = c3p_uri_make(p->organizer, p->domain, mcu_types[s], p->conf_id);
		if (!c->mcu[s].uri)
			return -ENOMEM;
	}
	err |= cstr_set(&c->organizer, p->organizer);
	err |= cstr_set(&c->domain, p->domain);
	err |= cstr_set(&c->conf_id, p->conf_id);
	err |= cstr_set(&c->name, p->name);
	err |= cstr_set(&c->subject, p->subject ? p->subject : "");
	err |= cstr_set(&c->invited, p->invited ? p->invited : "");
	err |= cstr_set(&c->types, p->types ? p->types : "audio-video");
	err |= cstr_set(&c->pin, p->pin);
	c->policy   = c->policy_now = p->policy;
	c->expiry_s = p->expiry_s;
	c->trunk_ok = p->trunk_ok;
	return err ? -ENOMEM : 0;
}

struct conf *conf_find_number(const struct confs *cs, const char *number)
{
	struct conf *c;

	HASH_FIND(hh_number, cs->by_number, number, strlen(number), c);
	return c;
}

/* Seven digits at random: they tell nothing of each other, and those in use are few among those that could be. */
static int make_number(struct confs *cs, struct conf *c, const char *wanted)
{
	char hex[9], text[16];

	if (wanted && *wanted && !conf_find_number(cs, wanted))
		return cstr_set(&c->number, wanted);
	c->number_new = true;
	for (unsigned i = 0; i < 1000; i++) {
		if (str_random_hex(hex, 8))
			return -ENOMEM;
		snprintf(text, sizeof(text), "%lu", 1000000 + strtoul(hex, NULL, 16) % 9000000);
		if (!conf_find_number(cs, text))
			return cstr_set(&c->number, text);
	}
	return -ENOSPC;
}

int conf_add(struct conf **cp, struct confs *cs, const struct conf_prm *prm)
{
	struct conf *c;

	if (conf_find(cs, str_c(prm->organizer), str_c(prm->domain), str_c(prm->conf_id)) ||
	    (prm->name && conf_find_name(cs, str_c(prm->name))))
		return -EEXIST;
	c = mem_zalloc(sizeof(*c), on_destroy);
	if (!c)
		return -ENOMEM;
	TAILQ_INIT(&c->changed_users);
	TAILQ_INIT(&c->subs);
	if (fill(c, prm) || make_number(cs, c, prm->number)) {
		mem_deref(c);
		return -ENOMEM;
	}
	c->record_version = 1;
	c->dirt = (struct dirt){ .kind = DIRT_CONF, .id = cs->next_id++, .obj = c };
	HASH_ADD_KEYPTR(hh, cs->by_key, c->key, strlen(c->key), c);
	if (c->name)
		HASH_ADD_KEYPTR(hh_name, cs->by_name, c->name, strlen(c->name), c);
	HASH_ADD_KEYPTR(hh_number, cs->by_number, c->number, strlen(c->number), c);
	cs->nconf++;
	confs_mark(cs, &c->dirt);
	*cp = c;
	return 0;
}

static void unlink_conf(struct confs *cs, struct conf *c)
{
	HASH_DELETE(hh, cs->by_key, c);
	HASH_DELETE(hh_number, cs->by_number, c);
	if (c->name)
		HASH_DELETE(hh_name, cs->by_name, c);
	if (c->dirt.on)
		TAILQ_REMOVE(&cs->dirty, &c->dirt, le);
	conf_told(cs, c);
	cs->nconf--;
	if (c->active)
		cs->nactive--;
	mem_deref(c);
}

void conf_remove(struct confs *cs, struct conf *c)
{
	struct user *u, *tmp;

	HASH_ITER(hh, c->users, u, tmp)
		user_remove(cs, u);
	if (cs->gonecb)
		cs->gonecb(DIRT_CONF, c->dirt.id, cs->arg);
	unlink_conf(cs, c);
}

void confs_fini(struct confs *cs)
{
	struct conf *c, *tmp;

	cs->gonecb = NULL;
	HASH_ITER(hh, cs->by_key, c, tmp)
		conf_remove(cs, c);
}

struct conf *conf_find_key(const struct confs *cs, const char *key)
{
	struct conf *c;

	HASH_FIND_STR(cs->by_key, key, c);
	return c;
}

struct conf *conf_find(const struct confs *cs, struct str org, struct str domain, struct str id)
{
	char *k = make_key(org, domain, id);
	struct conf *c = k ? conf_find_key(cs, k) : NULL;

	mem_deref(k);
	return c;
}

struct conf *conf_find_name(const struct confs *cs, struct str name)
{
	struct conf *c;

	HASH_FIND(hh_name, cs->by_name, name.p, name.l, c);
	return c;
}

int conf_room_id(char *out, size_t outsz, const char *name)
{
	uint64_t h = 14695981039346656037u;          /* FNV-1a: spreads names that share their letters */
	size_t n = 0;

	for (const char *p = name; *p; p++) {
		h = (h ^ (unsigned char)*p) * 1099511628211u;
		if (n < 15 && n + 17 < outsz && isalnum((unsigned char)*p))
			out[n++] = (char)toupper((unsigned char)*p);
	}
	return outsz - n > 16 && snprintf(out + n, outsz - n, "%016llX", (unsigned long long)h) == 16 ? 0 : -EINVAL;
}

void conf_touch(struct confs *cs, struct conf *c)
{
	confs_mark(cs, &c->dirt);
}

enum conf_role conf_invited_role(const struct conf *c, const char *entity, bool *listed)
{
	struct str rest = str_c(c->invited);

	*listed = false;
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n'), role = str_cut(&line, ' ');

		if (!str_ieq(line, str_c(entity)))
			continue;
		*listed = true;
		return str_eq(role, STR("presenter")) ? ROLE_PRESENTER : ROLE_ATTENDEE;
	}
	return ROLE_ATTENDEE;
}

void conf_activate(struct confs *cs, struct conf *c, int64_t now_s)
{
	if (c->active)
		return;
	c->active      = true;
	c->locked      = false;
	c->recording   = false;
	c->had_auth    = false;
	c->activated_s = now_s;
	c->end_at_ms   = 0;
	c->epoch++;
	cs->nactive++;
	c->chg_state = true;
	confs_changed(cs, c);
	conf_touch(cs, c);
}

void conf_deactivate(struct confs *cs, struct conf *c)
{
	if (!c->active)
		return;
	c->active     = false;
	c->locked     = false;
	c->recording  = false;
	c->policy_now = c->policy;               /* what presenters changed is over; the next one is judged before it activates */
	c->access     = mem_deref(c->access);
	c->filters    = mem_deref(c->filters);
	c->end_at_ms  = 0;
	cs->nactive--;
	FOR_EACH_MCU_TYPE(s)
		conf_set_mcu(cs, c, s, CONF_MCU_NONE, NULL, NULL);
	c->chg_state = true;
	confs_changed(cs, c);
	conf_touch(cs, c);
}

int conf_access(const struct conf *c, const char *entity)
{
	struct str rest = str_c(c->access);

	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n'), word = str_cut(&line, ' ');

		if (str_ieq(line, str_c(entity)))
			return str_eq(word, STR("granted")) ? 1 : -1;
	}
	return 0;
}

void conf_set_filters(struct confs *cs, struct conf *c, char *text)
{
	mem_deref(c->filters);
	c->filters  = text;
	c->chg_view = true;
	confs_changed(cs, c);
	conf_touch(cs, c);
}

#define MAX_ACCESS 65536u                /* bytes of the list */

int conf_set_access(struct confs *cs, struct conf *c, const char *entity, bool granted)
{
	struct str rest = str_c(c->access);
	struct buf b;
	char *s;

	if (strpbrk(entity, " \r\n"))
		return -EINVAL;
	buf_init(&b, MAX_ACCESS);
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n'), who = line;

		str_cut(&who, ' ');
		if (!str_ieq(who, str_c(entity)))
			buf_printf(&b, STR_FMT "\n", STR_ARG(line));
	}
	buf_printf(&b, "%s %s\n", granted ? "granted" : "denied", entity);
	s = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	if (!s)
		return -ENOMEM;
	mem_deref(c->access);
	c->access = s;
	conf_touch(cs, c);
	return 0;
}

void conf_set_locked(struct confs *cs, struct conf *c, bool locked)
{
	if (c->locked == locked)
		return;
	c->locked    = locked;
	c->chg_state = c->chg_view = true;
	confs_changed(cs, c);
	conf_touch(cs, c);
}

void conf_set_recording(struct confs *cs, struct conf *c, bool on)
{
	if (c->recording == on)
		return;
	c->recording = on;
	c->chg_state = true;
	confs_changed(cs, c);
	conf_touch(cs, c);
}

void conf_set_mcu(struct confs *cs, struct conf *c, enum conf_session s, enum conf_mcu_state st, const char *node,
		  const char *instance)
{
	struct conf_mcu *m = &c->mcu[s];
	bool shown = m->state == CONF_MCU_READY;

	if (cstr_set(&m->node, node) || cstr_set(&m->instance, instance))
		st = CONF_MCU_NONE;
	m->state = st;
	if (st != CONF_MCU_READY) {
		m->version = 0;
		m->stale = m->syncing = false;
	}
	if (shown != (st == CONF_MCU_READY)) {
		c->chg_view = true;
		confs_changed(cs, c);
	}
	conf_touch(cs, c);
}

void conf_review_end(struct confs *cs, struct conf *c, int64_t now_ms, int64_t grace_ms, int64_t empty_ms)
{
	int64_t was = c->end_at_ms;
	bool auth = false;

	if (!c->active)
		return;
	for (struct user *u = c->users; u && !auth; u = u->hh.next)
		auth = u->auth != AUTH_NONE && user_visible(u);
	if (auth)
		c->had_auth = true;
	if (auth || (c->users && !c->had_auth))
		c->end_at_ms = 0;
	else if (!c->end_at_ms)
		c->end_at_ms = now_ms + (c->users ? grace_ms : empty_ms);
	if (c->end_at_ms != was)
		conf_touch(cs, c);
}
