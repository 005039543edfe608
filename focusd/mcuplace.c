/* SPDX-License-Identifier: Apache-2.0 */
/* mcuplace.c - a conference gets its MCU of a type: getMCU of the factory, addConference on the server it names
 *
 * One placement a conference and type at a time; whoever else needs it waits. A server that refuses is left out and the
 * next one is asked, three in all.
 */
#include <errno.h>
#include "focusd/factory.h"
#include "focusd/mculink.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define MAX_TRIES 3u

struct waiter {
	TAILQ_ENTRY(waiter) le;
	char             *key;
	enum conf_session session;
	uint32_t          epoch;
	mculink_ready_cb *cb;
	void             *arg;
};
static TAILQ_HEAD(, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);

/* reads: the state may be read back from the store meanwhile, and then knows nothing of a placement */
struct placement {
	struct app       *app;
	enum conf_session session;
	char             *key, *node, *instance, *tried;
	unsigned          tries, reads;
	uint32_t          epoch;
	char             *filters;       /* those that addConference carried */
	bool              recording;     /* likewise */
};

static void on_placement_destroy(void *arg)
{
	struct placement *p = arg;

	mem_deref(p->key);
	mem_deref(p->node);
	mem_deref(p->instance);
	mem_deref(p->tried);
	mem_deref(p->filters);
}

static void on_waiter_destroy(void *arg)
{
	mem_deref(((struct waiter *)arg)->key);
}

static void wake(const char *key, enum conf_session s, uint32_t epoch, int err, const char *reason)
{
	struct waiter *w, *next;

	for (w = TAILQ_FIRST(&waiters); w; w = next) {
		next = TAILQ_NEXT(w, le);
		if (!cstr_eq(w->key, key) || w->session != s || w->epoch != epoch)
			continue;
		TAILQ_REMOVE(&waiters, w, le);
		w->cb(err, reason, w->arg);
		mem_deref(w);
		next = TAILQ_FIRST(&waiters);    /* the callback may have changed the list */
	}
}

static void place(struct placement *p);

static void on_added(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct placement *p = arg;
	struct conf *c = conf_find_key(&p->app->confs, p->key);
	const struct mcu *m = factory_find(p->app, p->node);
	bool exists = err == -EPROTO && cstr_eq(reason, "conferenceExists");

	(void)resp;
	if (exists)
		err = 0;
	if (!c || !c->active || c->epoch != p->epoch) {
		wake(p->key, p->session, p->epoch, -ENOENT, "conferenceDoesntExist");
		mem_deref(p);
	} else if (p->reads != p->app->reads || c->mcu[p->session].state != CONF_MCU_ADDING) {
		wake(p->key, p->session, p->epoch, -EBUSY, "serverBusy");
		mem_deref(p);
	} else if (!err && m && cstr_eq(m->instance, p->instance)) {
		conf_set_mcu(&p->app->confs, c, p->session, CONF_MCU_READY, p->node, p->instance);
		if (p->session == SESSION_AV && p->filters != c->filters)
			mculink_set_filters(p->app, c);          /* changed meanwhile */
		if (p->session == SESSION_AV && (exists || p->recording != c->recording))    /* it may have missed an order */
			mculink_set_recording(p->app, c, c->recording, NULL, NULL);
		wake(p->key, p->session, p->epoch, 0, "");
		mem_deref(p);
	} else {
		place(p);
	}
}

static void give_up(struct placement *p, struct conf *c, const char *reason)
{
	log_warn(factory, "%s: no MCU: %s", p->key, reason);
	if (c && p->reads == p->app->reads && c->mcu[p->session].state == CONF_MCU_ADDING)
		conf_set_mcu(&p->app->confs, c, p->session, CONF_MCU_NONE, NULL, NULL);
	wake(p->key, p->session, p->epoch, -EBUSY, reason);
	mem_deref(p);
}

static int remember(struct placement *p, const struct conf *c, const struct mcu *m)
{
	char *tried = str_printf("%s%s%s", p->tried ? p->tried : "", p->tried ? "," : "", m->id);

	if (!tried)
		return -ENOMEM;
	mem_deref(p->filters);
	p->filters = mem_ref(c->filters);
	p->recording = c->recording;
	mem_deref(p->tried);
	p->tried = tried;
	return cstr_set(&p->node, m->id) | cstr_set(&p->instance, m->instance);
}

static void on_got_mcu(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct placement *p = arg;
	struct conf *c = conf_find_key(&p->app->confs, p->key);
	const struct xml_node *n = resp ? xml_child(resp->cmd, NULL, "mcu") : NULL;
	const char *id = n ? xml_attr(n, NULL, "id") : NULL;
	const struct mcu *m = !err && id ? factory_find(p->app, id) : NULL;

	if (!c || !c->active || c->epoch != p->epoch)
		give_up(p, NULL, "conferenceDoesntExist");
	else if (!m)
		give_up(p, c, err == -EPROTO ? reason : "serverBusy");
	else if (remember(p, c, m) || mculink_add_conference(p->app, c, p->session, m, on_added, p))
		give_up(p, c, "serverBusy");
}

static void place(struct placement *p)
{
	struct conf *c = conf_find_key(&p->app->confs, p->key);

	if (!c)
		give_up(p, NULL, "conferenceDoesntExist");
	else if (p->tries++ >= MAX_TRIES || mculink_get_mcu(p->app, c, p->session, p->tried, on_got_mcu, p))
		give_up(p, c, "serverBusy");
}

int mculink_ensure(struct app *a, struct conf *c, enum conf_session s, mculink_ready_cb *cb, void *arg)
{
	struct waiter *w;
	struct placement *p;

	if (c->mcu[s].state == CONF_MCU_READY && factory_find(a, c->mcu[s].node)) {
		cb(0, "", arg);
		return 0;
	}
	w = mem_zalloc(sizeof(*w), on_waiter_destroy);
	if (!w)
		return -ENOMEM;
	w->key   = mem_ref(c->key);
	w->epoch = c->epoch;
	w->session = s;
	w->cb    = cb;
	w->arg = arg;
	if (c->mcu[s].state == CONF_MCU_ADDING) {
		TAILQ_INSERT_TAIL(&waiters, w, le);
		return 0;
	}
	p = mem_zalloc(sizeof(*p), on_placement_destroy);
	if (!p) {
		mem_deref(w);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&waiters, w, le);
	p->app   = a;
	p->key   = mem_ref(c->key);
	p->epoch = c->epoch;
	p->session = s;
	p->reads = a->reads;
	conf_set_mcu(&a->confs, c, s, CONF_MCU_ADDING, NULL, NULL);
	place(p);
	return 0;
}
