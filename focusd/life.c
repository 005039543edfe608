/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - see life.h */
#include "focusd/farewell.h"
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/notify.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

void life_review(struct app *a, struct conf *c)
{
	conf_review_end(&a->confs, c, (int64_t)ev_wall_ms(), a->cfg.grace_s * 1000, a->cfg.empty_s * 1000);
}

static void bye(struct app *a, const struct endpoint *e)
{
	if (e->dlg)
		farewell(a, e->dlg);
}

void life_focus_gone(struct app *a, struct endpoint *e, bool say_bye)
{
	struct user *u = e->user;
	struct conf *c = u->conf;
	char *entity = mem_ref(u->entity);
	struct endpoint *leg;

	if (say_bye)
		bye(a, e);
	endpoint_remove(&a->confs, e, false);
	u = user_find(c, entity);
	if (!u || (!user_has(u, SESSION_FOCUS) && !user_has_leg(u)))
		sub_end_of_user(a, c, entity, "noresource");
	if (u && !user_has(u, SESSION_FOCUS))
		TAILQ_FOREACH(leg, &u->eps, le)
			if (leg->needs_focus)
				leg->drop_at_ms = ev_now_ms(a->loop) + (uint64_t)a->cfg.focus_hold_s * 1000;
	mem_deref(entity);
	life_review(a, c);
}

void life_leg_gone(struct app *a, struct endpoint *e)
{
	struct conf *c = e->user->conf;
	char *entity = mem_ref(e->user->entity);

	endpoint_remove(&a->confs, e, false);
	if (!user_find(c, entity))
		sub_end_of_user(a, c, entity, "noresource");
	mem_deref(entity);
	life_review(a, c);
}

void life_eject(struct app *a, struct user *u)
{
	struct conf *c = u->conf;
	struct endpoint *e;
	unsigned legs = 0;

	TAILQ_FOREACH(e, &u->eps, le) {
		legs |= 1u << e->session;
		bye(a, e);
	}
	FOR_EACH_MCU_TYPE(t)
		if (legs & 1u << t)
			mculink_delete_user(a, c, t, u->entity, NULL, NULL, NULL);
	sub_end_of_user(a, c, u->entity, "noresource");
	log_info(conf, "%s: %s is out", c->key, u->entity);
	user_remove(&a->confs, u);
	life_review(a, c);
}

void life_end(struct app *a, struct conf *c)
{
	struct user *u, *tmp;
	struct endpoint *e;
	struct sub *s;

	if (!c->active)
		return;
	log_info(conf, "%s: ends", c->key);
	FOR_EACH_MCU_TYPE(t)
		if (c->mcu[t].state == CONF_MCU_READY)
			mculink_delete_conference(a, c, t);
	HASH_ITER(hh, c->users, u, tmp) {
		TAILQ_FOREACH(e, &u->eps, le)
			bye(a, e);
		user_remove(&a->confs, u);
	}
	TAILQ_FOREACH(s, &c->subs, le)
		sub_end(a, s, "noresource");
	conf_deactivate(&a->confs, c);
}

void life_remove(struct app *a, struct conf *c)
{
	life_end(a, c);
	c->removing = true;
	confs_changed(&a->confs, c);
}
