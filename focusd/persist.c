/* SPDX-License-Identifier: Apache-2.0 */
/* persist.c - the model and the subscriptions as rows, both ways; the only file that knows the column order */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "focusd/app.h"
#include "focusd/factory.h"
#include "focusd/farewell.h"
#include "focusd/notify.h"
#include "focusd/store.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define CSEQ_BLOCK 1000u                 /* CSeq values reserved at once: a restarted focus goes on above them */
#define CSEQ_ABOVE 1000u                 /* in the row of a BYE: above what requests under way can have used meanwhile */

/* MCUs as one text: "type|node|instance|version\n" of those that are ready */
static char *mcus_text(const struct conf *c)
{
	struct buf b;
	char *s;

	buf_init(&b, 0);
	FOR_EACH_MCU_TYPE(t)
		if (c->mcu[t].state == CONF_MCU_READY)
			buf_printf(&b, "%s|%s|%s|%u\n", conf_session_names[t], c->mcu[t].node, c->mcu[t].instance, c->mcu[t].version);
	s = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return s;
}

static int load_mcus(struct conf *c, struct str text)
{
	int err = 0;

	while (!str_empty(text) && !err) {
		struct str line = str_cut(&text, '\n');
		int t = conf_session_find(str_cut(&line, '|'));
		char *node = str_dup(str_cut(&line, '|')), *instance = str_dup(str_cut(&line, '|'));
		uint64_t version = 0;

		if (t > 0 && node && instance && str_u64(line, &version) == 0) {
			err = cstr_set(&c->mcu[t].node, node) | cstr_set(&c->mcu[t].instance, instance);
			c->mcu[t].state   = CONF_MCU_READY;
			c->mcu[t].version = (uint32_t)version;
		}
		mem_deref(node);
		mem_deref(instance);
	}
	return err;
}

static void put_conf(struct app *a, const struct conf *c)
{
	char *mcus = mcus_text(c);
	const struct store_val v[] = {
		SV_STR(c->organizer), SV_STR(c->domain), SV_STR(c->conf_id), SV_STR(c->name), SV_STR(c->subject),
		SV_STR(c->display), SV_INT(c->policy), SV_INT(c->expiry_s), SV_STR(c->pin), SV_INT(c->trunk_ok),
		SV_STR(c->invited), SV_STR(c->types), SV_INT(c->record_version), SV_INT(c->updated_s), SV_INT(c->activated_s),
		SV_INT(c->active), SV_INT(c->locked), SV_INT(c->had_auth), SV_INT(c->epoch), SV_INT(c->version),
		SV_INT(c->end_at_ms), SV_STR(mcus), SV_INT(c->policy_now),
		SV_STR(c->access), SV_STR(c->filters), SV_STR(c->number), SV_INT(c->recording),
	};

	store_put(a->store, STORE_CONF, c->dirt.id, v, N(v));
	mem_deref(mcus);
}

static void put_user(struct app *a, const struct user *u)
{
	const struct store_val v[] = { SV_INT(u->conf->dirt.id), SV_STR(u->entity), SV_STR(u->caller), SV_STR(u->display),
				       SV_INT(u->role), SV_INT(u->auth) };

	store_put(a->store, STORE_USER, u->dirt.id, v, N(v));
}

static uint32_t reserve(uint32_t *ceiling, const struct sip_dlg *d)
{
	if (d && d->local_cseq + CSEQ_BLOCK / 4 > *ceiling)
		*ceiling = d->local_cseq + CSEQ_BLOCK;
	return *ceiling;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

/* media as one text: "id|type|label|status|in|out\n"; none of them may hold '|' (checked where they come in) */
static char *media_text(const struct endpoint *e)
{
	struct buf b;
	char *s;

	buf_init(&b, 0);
	for (unsigned i = 0; i < e->nmedia; i++)
		buf_printf(&b, "%s|%s|%s|%s|%d|%d\n", or_empty(e->media[i].id), or_empty(e->media[i].type),
			   or_empty(e->media[i].label), or_empty(e->media[i].status), e->media[i].in_blocked,
			   e->media[i].out_blocked);
	s = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return s;
}

static void put_endpoint(struct app *a, struct endpoint *e)
{
	static const struct sip_dlg none;
	const struct sip_dlg *d = e->dlg ? e->dlg : &none;
	char *media = media_text(e);
	const struct store_val v[] = {
		SV_INT(e->user->dirt.id), SV_STR(e->entity), SV_INT(e->session), SV_INT(e->status), SV_STR(e->joined),
		SV_STR(e->instance), SV_STR(d->call_id), SV_STR(d->local_tag), SV_STR(d->remote_tag), SV_STR(d->local_uri),
		SV_STR(d->remote_uri), SV_STR(d->remote_target), SV_STR(d->route), SV_INT(reserve(&e->cseq_ceiling, e->dlg)),
		SV_INT(d->remote_cseq), SV_INT(e->session_s), SV_STR(e->call_id), SV_STR(e->ticket), SV_STR(e->leg),
		SV_INT(e->needs_focus), SV_STR(media), SV_STR(e->role), SV_INT(e->dialed_out),
	};

	store_put(a->store, STORE_ENDPOINT, e->dirt.id, v, N(v));
	mem_deref(media);
}

static void put_sub(struct app *a, struct sub *s)
{
	const struct sip_dlg *d = s->dlg;
	const struct store_val v[] = {
		SV_INT(s->conf->dirt.id), SV_STR(s->user_entity), SV_STR(d->call_id), SV_STR(d->local_tag), SV_STR(d->remote_tag),
		SV_STR(d->local_uri), SV_STR(d->remote_uri), SV_STR(d->remote_target), SV_STR(d->route),
		SV_INT(reserve(&s->cseq_ceiling, d)), SV_INT(d->remote_cseq), SV_INT(s->expires_at_s), SV_INT(s->flags),
		SV_INT(s->own_version), SV_STR(s->event_id),
	};

	store_put(a->store, STORE_SUB, s->dirt.id, v, N(v));
}

void persist_bye(struct app *a, int64_t id, const struct sip_dlg *d)
{
	const struct store_val v[] = {
		SV_STR(d->call_id), SV_STR(d->local_tag), SV_STR(d->remote_tag), SV_STR(d->local_uri), SV_STR(d->remote_uri),
		SV_STR(d->remote_target), SV_STR(d->route), SV_INT(d->local_cseq + CSEQ_ABOVE), SV_INT(d->remote_cseq),
	};

	store_put(a->store, STORE_BYE, id, v, N(v));
}

static void put_mcu(struct app *a, const struct mcu *m)
{
	const struct store_val v[] = { SV_STR(m->id), SV_STR(m->type), SV_STR(m->instance), SV_STR(m->url), SV_STR(m->contact),
				       SV_INT(m->max_conferences), SV_INT(m->max_users) };

	store_put(a->store, STORE_MCU, m->dirt.id, v, N(v));
}

void persist_turn(struct app *a)
{
	struct dirt *d;

	while ((d = TAILQ_FIRST(&a->confs.dirty))) {
		TAILQ_REMOVE(&a->confs.dirty, d, le);
		d->on = false;
		switch (d->kind) {
		case DIRT_CONF:     put_conf(a, d->obj); break;
		case DIRT_USER:     put_user(a, d->obj); break;
		case DIRT_ENDPOINT: put_endpoint(a, d->obj); break;
		case DIRT_SUB:      put_sub(a, d->obj); break;
		case DIRT_MCU:      put_mcu(a, d->obj); break;
		}
	}
}

void persist_on_gone(enum dirt_kind kind, int64_t id, void *arg)
{
	static const enum store_table table[] = { [DIRT_CONF] = STORE_CONF, [DIRT_USER] = STORE_USER,
						  [DIRT_ENDPOINT] = STORE_ENDPOINT, [DIRT_SUB] = STORE_SUB, [DIRT_MCU] = STORE_MCU };
	struct app *a = arg;

	store_del(a->store, table[kind], id);
}

/* --- reading. Children name their parent's row id. */
struct load {
	struct app *a;
	struct idmap { int64_t id; void *obj; UT_hash_handle hh; } *ids;
	int64_t max_id;
};

static int remember(struct load *l, int64_t id, void *obj)
{
	struct idmap *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct idmap){ .id = id, .obj = obj };
	HASH_ADD(hh, l->ids, id, sizeof(m->id), m);
	if (id > l->max_id)
		l->max_id = id;
	return 0;
}

static void *parent(const struct load *l, int64_t id)
{
	struct idmap *m;

	HASH_FIND(hh, l->ids, &id, sizeof(id), m);
	return m ? m->obj : NULL;
}

static int load_conf(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;
	struct conf_prm prm = { .organizer = v[0].s, .domain = v[1].s, .conf_id = v[2].s, .name = v[3].s, .subject = v[4].s,
				.policy = (enum conf_policy)v[6].i, .expiry_s = v[7].i, .pin = v[8].s, .trunk_ok = v[9].i,
				.invited = v[10].s, .types = v[11].s, .number = v[25].s };
	struct conf *c;
	int err;

	(void)n;
	if (!prm.organizer || !prm.domain || !prm.conf_id || v[6].i < 0 || v[6].i >= POLICY_N)
		return -EBADMSG;
	err = conf_add(&c, &l->a->confs, &prm);
	if (err)
		return err;
	c->dirt.id        = id;
	c->record_version = (uint32_t)v[12].i;
	c->updated_s      = v[13].i;
	c->activated_s    = v[14].i;
	c->active         = v[15].i;
	c->locked         = v[16].i;
	c->had_auth       = v[17].i;
	c->recording      = v[26].is_int && v[26].i;
	c->epoch          = (uint32_t)v[18].i;
	c->version        = (uint32_t)v[19].i;
	c->end_at_ms      = v[20].i;
	l->a->confs.nactive += c->active;
	err = cstr_set(&c->display, v[5].s) | load_mcus(c, str_c(v[21].s)) |
	      cstr_set(&c->access, v[23].s) | cstr_set(&c->filters, v[24].s);
	if (v[22].is_int && v[22].i >= 0 && v[22].i < POLICY_N)
		c->policy_now = (enum conf_policy)v[22].i;
	return err ? -ENOMEM : remember(l, id, c);
}

static int load_user(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;
	struct conf *c = parent(l, v[0].i);
	struct user *u;
	int err;

	(void)n;
	if (!c || !v[1].s || user_find(c, v[1].s))
		return 0;
	err = user_add(&u, &l->a->confs, c, v[1].s, v[2].s, v[3].s, (enum conf_role)v[4].i, (enum conf_auth)v[5].i);
	if (err)
		return err;
	u->dirt.id = id;
	return remember(l, id, u);
}

/* columns: call_id, local_tag, remote_tag, local_uri, remote_uri, remote_target, route, cseq ceiling, remote cseq */
static void on_dlg_destroy(void *arg)
{
	struct sip_dlg *d = arg;
	char *const strs[] = { d->call_id, d->local_tag, d->remote_tag, d->local_uri, d->remote_uri, d->remote_target, d->route };

	for (size_t i = 0; i < N(strs); i++)
		mem_deref(strs[i]);
}

static struct sip_dlg *load_dlg(const struct store_val *v)
{
	struct sip_dlg *d = mem_zalloc(sizeof(*d), on_dlg_destroy);

	if (!d)
		return NULL;
	if (cstr_set(&d->call_id, v[0].s) | cstr_set(&d->local_tag, v[1].s) | cstr_set(&d->remote_tag, v[2].s) |
	    cstr_set(&d->local_uri, v[3].s) | cstr_set(&d->remote_uri, v[4].s) | cstr_set(&d->remote_target, v[5].s) |
	    cstr_set(&d->route, v[6].s))
		return mem_deref(d);
	d->local_cseq  = (uint32_t)v[7].i;       /* above everything that was sent */
	d->remote_cseq = (uint32_t)v[8].i;
	return d;
}

static int load_media(struct endpoint *e, struct str text)
{
	char f[6][64];
	int err = 0;

	for (unsigned i = 0; !str_empty(text) && i < EP_MAX_MEDIA && !err; i++) {
		struct str line = str_cut(&text, '\n');

		for (unsigned k = 0; k < 6; k++) {
			struct str v = str_cut(&line, '|');      /* STR_ARG reads its argument twice */

			snprintf(f[k], sizeof(f[k]), STR_FMT, STR_ARG(v));
		}
		err = endpoint_set_media(e, i, f[0], or_null(f[1]), or_null(f[2]), or_null(f[3]), f[4][0] == '1', f[5][0] == '1');
	}
	return err;
}

static int load_endpoint(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;
	struct user *u = parent(l, v[0].i);
	struct endpoint *e;
	struct sip_dlg *d;
	int err;

	(void)n;
	if (!u || !v[1].s || endpoint_find(u->conf, v[1].s) || u->neps >= USER_MAX_EPS)
		return 0;
	err = endpoint_add(&e, &l->a->confs, u, v[1].s, (enum conf_session)v[2].i);
	if (err)
		return err;
	e->dirt.id      = id;
	e->status       = v[3].i >= 0 && v[3].i < EP_NSTATUS ? (enum ep_status)v[3].i : EP_CONNECTED;
	e->session_s    = (uint32_t)v[15].i;
	e->cseq_ceiling = (uint32_t)v[13].i;
	e->needs_focus  = v[19].i;
	e->refreshed_ms = ev_now_ms(l->a->loop);
	if (e->status < EP_ON_HOLD)              /* announced or being called: nobody watches over that any more */
		e->drop_at_ms = e->refreshed_ms + (uint64_t)l->a->cfg.pending_s * 1000;
	err = cstr_set(&e->joined, v[4].s) | cstr_set(&e->instance, v[5].s) | cstr_set(&e->call_id, v[16].s) |
	      cstr_set(&e->ticket, v[17].s) | cstr_set(&e->leg, v[18].s) | cstr_set(&e->role, v[21].s);
	e->dialed_out = v[22].i;
	if (err)
		return -ENOMEM;
	if (v[6].s && v[7].s) {
		d = load_dlg(&v[6]);
		if (!d)
			return -ENOMEM;
		endpoint_bind(&l->a->confs, e, d, d->local_tag);
	}
	err = load_media(e, str_c(v[20].s));
	return err ? err : remember(l, id, e);
}

static int load_sub(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;
	struct sub_prm prm = { .conf = parent(l, v[0].i), .user_entity = v[1].s, .event_id = v[14].s,
			       .expires_at_s = v[11].i, .flags = (unsigned)v[12].i };
	struct sub *s;
	int err;

	(void)n;
	if (!prm.conf || !v[2].s || !v[3].s)
		return 0;
	prm.dlg = load_dlg(&v[2]);
	if (!prm.dlg)
		return -ENOMEM;
	prm.local_tag = prm.dlg->local_tag;
	err = sub_add(&s, l->a, &prm);
	if (err)
		return err;
	s->dirt.id      = id;
	s->cseq_ceiling = (uint32_t)v[9].i;
	s->own_version  = (uint32_t)v[13].i;
	return remember(l, id, s);
}

static int load_mcu(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;

	(void)n;
	if (id > l->max_id)
		l->max_id = id;
	return factory_restore(l->a, id, &(struct factory_mcu){ .id = v[0].s, .type = v[1].s, .instance = v[2].s, .url = v[3].s,
			       .contact = v[4].s, .max_conferences = (unsigned)v[5].i, .max_users = (unsigned)v[6].i });
}

static int load_bye(int64_t id, const struct store_val *v, unsigned n, void *arg)
{
	struct load *l = arg;
	struct sip_dlg *d = v[0].s && v[1].s ? load_dlg(v) : NULL;

	(void)n;
	if (id > l->max_id)
		l->max_id = id;
	farewell_again(l->a, id, d);
	mem_deref(d);
	return 0;
}

void persist_forget(struct app *a)
{
	struct dirt *d;

	while ((d = TAILQ_FIRST(&a->confs.dirty))) {
		TAILQ_REMOVE(&a->confs.dirty, d, le);
		d->on = false;
	}
}

/* What was just read is neither dirty nor news. */
static void settle(struct app *a)
{
	struct conf *c;

	persist_forget(a);
	while ((c = TAILQ_FIRST(&a->confs.changed)))
		conf_told(&a->confs, c);
	for (c = a->confs.by_key; c; c = c->hh.next)     /* a store from before there were numbers */
		if (c->number_new)
			confs_mark(&a->confs, &c->dirt);
}

int persist_load(struct app *a)
{
	static store_row_cb *const cbs[STORE_NTABLES] = { [STORE_CONF] = load_conf, [STORE_USER] = load_user,
							  [STORE_ENDPOINT] = load_endpoint, [STORE_SUB] = load_sub, [STORE_MCU] = load_mcu,
							  [STORE_BYE] = load_bye };
	struct load l = { .a = a };
	struct idmap *m, *tmp;
	int err = 0;

	a->loading = true;
	for (unsigned t = 0; t < STORE_NTABLES && !err; t++)
		err = store_load(a->store, t, cbs[t], &l);
	HASH_ITER(hh, l.ids, m, tmp) {
		HASH_DEL(l.ids, m);
		free(m);
	}
	settle(a);
	if (l.max_id >= a->confs.next_id)
		a->confs.next_id = l.max_id + 1;
	a->loading = false;
	if (!err)
		log_info(store, "%u conferences (%u active) and %u users read", a->confs.nconf, a->confs.nactive, a->confs.nusers);
	return err;
}
