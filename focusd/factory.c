/* SPDX-License-Identifier: Apache-2.0 */
/* factory.c - the table of conferencing servers, see factory.h */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "focusd/factory.h"
#include "focusd/mculink.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"

#define EXPIRES_MS 30000u
#define MAX_MCUS   256u

static struct metric metrics[] = {
	METRIC_GAUGE("conclave_factory_mcus", "Conferencing servers that are up"),
	METRIC_COUNTER("conclave_factory_pings_total", "Health reports taken"),
	METRIC_COUNTER("conclave_factory_down_total", "Conferencing servers lost"),
	METRIC_COUNTER("conclave_factory_placed_total", "Conferences placed"),
	METRIC_COUNTER("conclave_factory_refused_total", "Conferences that no server could take"),
};
enum { M_MCUS, M_PINGS, M_DOWN, M_PLACED, M_REFUSED };

static void on_mcu_destroy(void *arg)
{
	struct mcu *m = arg;

	mem_deref(m->id);
	mem_deref(m->type);
	mem_deref(m->instance);
	mem_deref(m->url);
	mem_deref(m->contact);
}

static void on_destroy(void *arg)
{
	struct factory *f = arg;
	struct mcu *m, *tmp;

	HASH_ITER(hh, f->mcus, m, tmp) {
		HASH_DEL(f->mcus, m);
		mem_deref(m);
	}
}

int factory_alloc(struct factory **fp)
{
	*fp = mem_zalloc(sizeof(**fp), on_destroy);
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	return *fp ? 0 : -ENOMEM;
}

struct mcu *factory_find(const struct app *a, const char *id)
{
	struct mcu *m = NULL;

	if (id)
		HASH_FIND_STR(a->factory->mcus, id, m);
	return m;
}

static void drop(struct app *a, struct mcu *m, const char *why)
{
	char *id = mem_ref(m->id), *instance = mem_ref(m->instance);

	HASH_DEL(a->factory->mcus, m);
	if (m->dirt.on)
		TAILQ_REMOVE(&a->confs.dirty, &m->dirt, le);
	a->confs.gonecb(DIRT_MCU, m->dirt.id, a->confs.arg);
	mem_deref(m);
	metric_inc(&metrics[M_DOWN]);
	metric_set(&metrics[M_MCUS], (int64_t)HASH_COUNT(a->factory->mcus));
	log_warn(factory, "mcu %s: down: %s", id, why);
	on_mcu_down(a, id, instance, why);
	announce_now(a);
	mem_deref(id);
	mem_deref(instance);
}

#define MAX_FIGURE 1000000u              /* of users, conferences, load: more is a mistake */

static unsigned attr_u(const struct xml_node *n, const char *name, unsigned dflt)
{
	const char *s = xml_attr(n, NULL, name);
	uint64_t v;

	return s && str_u64(str_c(s), &v) == 0 && v <= 1000000000u ? (unsigned)v : dflt;
}

static unsigned figure(const struct xml_node *n, const char *name, unsigned dflt)
{
	unsigned v = attr_u(n, name, dflt);

	return v < MAX_FIGURE ? v : MAX_FIGURE;
}

static bool contact_valid(const char *s)         /* goes into a header of ours: IP:PORT and nothing else */
{
	return s && *s && strlen(s) < 64 && strspn(s, "0123456789abcdefABCDEF:.[]") == strlen(s);
}

static int update(struct mcu *m, const struct xml_node *h)
{
	static const char *const states[] = { "active", "draining", "stopping" };
	const char *state = xml_attr(h, NULL, "state");
	int err = cstr_set(&m->url, xml_attr(h, NULL, "url")) | cstr_set(&m->contact, xml_attr(h, NULL, "contact")) |
		  cstr_set(&m->type, xml_attr(h, NULL, "type"));

	m->state = MCU_ACTIVE;
	for (int i = 0; i < 3; i++)
		if (cstr_eq(state, states[i]))
			m->state = (enum mcu_state)i;
	m->conferences     = figure(h, "conferences", 0);
	m->users           = figure(h, "users", 0);
	m->max_conferences = figure(h, "maxConferences", 1000);
	m->max_users       = figure(h, "maxUsers", 1000);
	m->load            = figure(h, "load", 0);
	m->announced       = 0;
	m->misses          = 0;
	return err ? -ENOMEM : 0;
}

static int add(struct app *a, struct mcu **mp, const char *id, const char *instance)
{
	struct mcu *m;

	if (HASH_COUNT(a->factory->mcus) >= MAX_MCUS)
		return -E2BIG;
	m = mem_zalloc(sizeof(*m), on_mcu_destroy);
	if (!m || cstr_set(&m->id, id) || cstr_set(&m->instance, instance)) {
		mem_deref(m);
		return -ENOMEM;
	}
	m->app  = a;
	m->dirt = (struct dirt){ .kind = DIRT_MCU, .id = a->confs.next_id++, .obj = m };
	HASH_ADD_KEYPTR(hh, a->factory->mcus, m->id, strlen(m->id), m);
	metric_set(&metrics[M_MCUS], (int64_t)HASH_COUNT(a->factory->mcus));
	*mp = m;
	return 0;
}

static bool id_valid(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == n;
}

int factory_ping(struct app *a, const struct xml_node *h, const char **why)
{
	const char *id = xml_attr(h, NULL, "id"), *instance = xml_attr(h, NULL, "instance"), *url = xml_attr(h, NULL, "url");
	uint64_t seq = attr_u(h, "seq", 0);
	struct mcu *m;
	char *was;
	bool fresh = false;
	int err;

	*why = "health needs id, type, instance, url (https://...) and contact (IP:PORT)";
	if (!id_valid(id) || !id_valid(instance) || !id_valid(xml_attr(h, NULL, "type")) || !url || strlen(url) > 256 || strncmp(url, "https://", 8) || !contact_valid(xml_attr(h, NULL, "contact")))
		return -EBADMSG;
	m = factory_find(a, id);
	if (m && !cstr_eq(m->instance, instance)) {
		drop(a, m, "came back with a new instance");
		m = NULL;
	}
	if (m && seq < m->seq)
		return 0;                        /* overtaken by a newer one */
	if (!m) {
		err = add(a, &m, id, instance);
		*why = "too many MCUs";
		if (err)
			return err;
		fresh = true;
	}
	was = mem_ref(m->contact);
	err = update(m, h);
	m->seq      = seq;
	m->heard_ms = ev_now_ms(a->loop);
	metric_inc(&metrics[M_PINGS]);
	if (m->state == MCU_STOPPING) {
		mem_deref(was);
		drop(a, m, "says that it stops");
		return 0;
	}
	if (fresh || !cstr_eq(was, m->contact))
		confs_mark(&a->confs, &m->dirt);
	if (fresh) {
		log_info(factory, "mcu %s: up, %s, contact %s", id, m->type, m->contact);
		on_mcu_up(a, m);
	}
	if (fresh || !cstr_eq(was, m->contact))
		announce_now(a);
	mem_deref(was);
	return err;
}

int factory_restore(struct app *a, int64_t row, const struct factory_mcu *f)
{
	struct mcu *m;
	int err;

	if (!f->id || !f->instance || factory_find(a, f->id))
		return 0;
	err = add(a, &m, f->id, f->instance);
	if (err)
		return err;
	m->dirt.id = row;
	m->max_conferences = f->max_conferences;
	m->max_users       = f->max_users;
	m->heard_ms        = ev_now_ms(a->loop);
	return cstr_set(&m->type, f->type) | cstr_set(&m->url, f->url) | cstr_set(&m->contact, f->contact);
}

void factory_mark(struct app *a)
{
	for (struct mcu *m = a->factory->mcus; m; m = m->hh.next)
		confs_mark(&a->confs, &m->dirt);
}

static bool listed(const char *list, const char *id)
{
	struct str rest = str_c(list);

	while (!str_empty(rest))
		if (str_eq(str_cut(&rest, ','), str_c(id)))
			return true;
	return false;
}

static unsigned weight(const struct mcu *m)      /* 0..100 and more: the larger of its own figure and what is booked */
{
	unsigned booked = m->max_users ? 100 * (m->users + m->announced) / m->max_users : 100;

	return booked > m->load ? booked : m->load;
}

static bool fits(const struct mcu *m, const char *exclude)
{
	return m->state == MCU_ACTIVE && m->conferences < m->max_conferences && m->users + m->announced < m->max_users &&
	       !listed(exclude, m->id);
}

struct mcu *factory_prefer(struct app *a, const char *type, const char *id, const char *exclude)
{
	struct mcu *m = id ? factory_find(a, id) : NULL;

	if (!m || !cstr_eq(m->type, type) || !fits(m, exclude))
		return NULL;
	m->conferences++;                        /* as in factory_pick() */
	return m;
}

struct mcu *factory_pick(struct app *a, const char *type, const char *exclude, bool *known)
{
	struct mcu *m, *fit[MAX_MCUS], *best;
	uint32_t r[2] = { 0, 0 };
	unsigned n = 0;

	*known = false;
	for (m = a->factory->mcus; m; m = m->hh.next) {
		if (!cstr_eq(m->type, type))
			continue;
		*known = true;
		if (fits(m, exclude))
			fit[n++] = m;
	}
	if (!n) {
		metric_inc(&metrics[M_REFUSED]);
		return NULL;
	}
	if (getrandom(r, sizeof(r), 0) < 0)
		r[1] = 1;
	best = fit[r[0] % n];
	m    = fit[r[1] % n];
	if (weight(m) < weight(best))
		best = m;
	best->conferences++;                     /* until its next ping tells the truth */
	metric_inc(&metrics[M_PLACED]);
	return best;
}

struct probe { struct app *app; char *id, *instance; };

static void on_probe_destroy(void *arg)
{
	struct probe *p = arg;

	mem_deref(p->id);
	mem_deref(p->instance);
}

static void on_probed(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct probe *p = arg;
	struct mcu *m = factory_find(p->app, p->id);
	const struct xml_node *health = resp ? xml_child(resp->cmd, NULL, "health") : NULL;
	const char *why;

	(void)reason;
	if (m && cstr_eq(m->instance, p->instance)) {
		m->probing = false;
		m->misses  = err && err != -EPROTO ? m->misses + 1 : 0;
		if (err == -ECONNREFUSED || err == -ECONNRESET || m->misses >= 2)
			drop(p->app, m, err == -ETIMEDOUT ? "does not answer" : "connection refused");
		else if (health)
			factory_ping(p->app, health, &why);      /* another instance shows here too */
	}
	mem_deref(p);
}

static void probe(struct app *a, struct mcu *m)
{
	struct probe *p = mem_zalloc(sizeof(*p), on_probe_destroy);

	if (!p)
		return;
	p->app      = a;
	p->id       = mem_ref(m->id);
	p->instance = mem_ref(m->instance);
	m->probing  = true;
	if (mculink_ping(a, m, on_probed, p)) {
		m->probing = false;
		mem_deref(p);
	}
}

void factory_sweep(struct app *a)
{
	uint64_t now = ev_now_ms(a->loop);
	struct mcu *m, *tmp;

	HASH_ITER(hh, a->factory->mcus, m, tmp) {
		if (now > m->heard_ms + EXPIRES_MS)
			drop(a, m, "no health report for 30 s");
		else if (!m->probing)
			probe(a, m);
	}
}
