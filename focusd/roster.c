/* SPDX-License-Identifier: Apache-2.0 */
/* roster.c - the conference document (RFC 4575 and Microsoft's conference-view) from the model
 *
 * A full document holds everything; a partial one whole `user` elements of those that changed, deleted ones by their
 * key, and of the rest what the marks say. See docs/c3p.md.
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/filters.h"
#include "focusd/notify.h"
#include "lib/base/mem.h"
#include "lib/c3p/info.h"
#include "lib/c3p/uri.h"

#define CI(dflt, name) ((dflt) ? (name) : "ci:" name)

static void write_description(struct xmlw *w, bool dflt, const struct conf *c)
{
	struct str types = str_c(c->types);

	xmlw_start(w, CI(dflt, "conference-description"));
	if (c->display)
		xmlw_leaf(w, CI(dflt, "display-text"), c->display);
	xmlw_leaf(w, CI(dflt, "subject"), c->subject);
	xmlw_start(w, CI(dflt, "conf-uris"));
	while (!str_empty(types)) {
		struct str t = str_cut(&types, ',');
		int type = c3p_type_find(t);
		char *uri = type < 0 ? NULL : c3p_uri_make(c->organizer, c->domain, (enum c3p_type)type, c->conf_id);

		if (!uri)
			continue;
		xmlw_start(w, CI(dflt, "entry"));
		xmlw_leaf(w, CI(dflt, "uri"), uri);
		xmlw_leaf(w, CI(dflt, "display-text"), c3p_type_names[type]);
		xmlw_leaf(w, CI(dflt, "purpose"), c3p_type_names[type]);
		xmlw_end(w);
		mem_deref(uri);
	}
	xmlw_end(w);
	xmlw_leaf(w, "msci:conference-id", c->conf_id);
	xmlw_leaf(w, "msci:admission-policy", conf_policy_names[c->policy_now]);
	xmlw_start(w, "msci:pstn-access");
	xmlw_leaf(w, "msci:id", c->number);
	xmlw_end(w);
	xmlw_end(w);
}

static unsigned visible(const struct conf *c)
{
	unsigned n = 0;

	for (const struct user *u = c->users; u; u = u->hh.next)
		n += user_visible(u);
	return n;
}

static void write_state(struct xmlw *w, bool dflt, const struct conf *c)
{
	char n[16];

	snprintf(n, sizeof(n), "%u", visible(c));
	xmlw_start(w, CI(dflt, "conference-state"));
	xmlw_leaf(w, CI(dflt, "user-count"), n);
	xmlw_leaf(w, CI(dflt, "active"), c->active ? "true" : "false");
	xmlw_leaf(w, CI(dflt, "locked"), c->locked ? "true" : "false");
	if (c->recording)
		xmlw_leaf(w, "oc:recording", "true");
	xmlw_end(w);
}

static void fill_media(struct c3p_media *m, const struct ep_media *src)
{
	*m = (struct c3p_media){ .id = src->id, .type = src->type, .label = src->label, .status = src->status,
				 .state = "connected", .ingress = src->in_blocked ? "block" : "unblock",
				 .egress = src->out_blocked ? "block" : NULL };
}

static void write_user(struct xmlw *w, bool dflt, const struct user *u)
{
	struct c3p_endpoint eps[C3P_MAX_ENDPOINTS];
	struct c3p_user cu = { .entity = u->entity, .display_text = u->display, .role = user_role_name(u), .state = "full",
			       .endpoints = eps };
	const struct endpoint *e;
	unsigned n = 0;

	TAILQ_FOREACH(e, &u->eps, le) {
		if (e->status == EP_PENDING || n == C3P_MAX_ENDPOINTS)
			continue;
		eps[n] = (struct c3p_endpoint){
			.entity = e->entity,
			.session_type = conf_session_names[e->session],
			.status = ep_status_names[e->status], .joining_method = e->dialed_out ? "dialed-out" : "dialed-in", .joining_when = e->joined,
			.role = e->role,
			.talking = e->talking, .hand = e->hand, .nmedia = e->nmedia,
		};
		for (unsigned i = 0; i < e->nmedia; i++)
			fill_media(&eps[n].media[i], &e->media[i]);
		n++;
	}
	cu.nendpoints = n;
	c3p_user_encode(w, dflt, &cu);
}

static void write_users(struct xmlw *w, bool dflt, const struct roster_doc *d)
{
	struct c3p_user gone = { .state = "deleted" };

	if (!d->full && !d->nusers && !d->ngone)
		return;
	xmlw_start(w, CI(dflt, "users"));
	xmlw_attr(w, "state", d->full ? "full" : "partial");
	if (d->full && !d->users) {
		for (const struct user *u = d->conf->users; u; u = u->hh.next)
			if (user_visible(u))
				write_user(w, dflt, u);
	}
	for (unsigned i = 0; i < d->nusers; i++)
		write_user(w, dflt, d->users[i]);
	for (unsigned i = 0; i < d->ngone; i++) {
		const struct user *back = user_find(d->conf, d->gone[i]);

		if (back && user_visible(back))
			continue;                /* left and came back between two documents */
		gone.entity = d->gone[i];
		c3p_user_encode(w, dflt, &gone);
	}
	xmlw_end(w);
}

static void write_views(struct xmlw *w, bool dflt, const struct conf *c, bool full)
{
	static const char *const media[SESSION_N] = { [SESSION_AV] = "audio", [SESSION_CHAT] = "chat" };
	struct filters f;

	if (filters_read(&f, c->filters))
		w->b->err = -ENOMEM;
	xmlw_start(w, "msci:conference-view");
	xmlw_attr(w, "ci:state", full ? "full" : "partial");
	FOR_EACH_MCU_TYPE(s) {
		struct c3p_entity_view v = { .entity = c->mcu[s].uri, .locked = c->locked, .media_types = { media[s] },
					     .active = c->mcu[s].state == CONF_MCU_READY,
					     .rules = f.rule, .nrules = s == SESSION_AV ? f.n : 0 };

		if (conf_offers(c, s))
			c3p_entity_view_encode(w, dflt, &v);
	}
	xmlw_end(w);
	filters_fini(&f);
}

void roster_write(struct xmlw *w, bool dflt, const struct roster_doc *d)
{
	const struct conf *c = d->conf;

	xmlw_start(w, CI(dflt, "conference-info"));
	if (dflt) {
		xmlw_attr(w, "xmlns", C3P_NS_CI);
		xmlw_attr(w, "xmlns:ci", C3P_NS_CI);
		xmlw_attr(w, "xmlns:msci", C3P_NS_MSCI);
		xmlw_attr(w, "xmlns:oc", C3P_NS_OC);
	}
	xmlw_attr(w, "entity", c->focus_uri);
	xmlw_attr(w, "state", d->full ? "full" : "partial");
	xmlw_attrf(w, "version", "%u", d->version);
	if (d->full || d->desc)
		write_description(w, dflt, c);
	if (d->full || d->state)
		write_state(w, dflt, c);
	write_users(w, dflt, d);
	if (d->full || d->view)
		write_views(w, dflt, c, d->full);
	xmlw_end(w);
}

void roster_encode(struct buf *b, const struct roster_doc *d)
{
	struct xmlw w;

	buf_puts(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	xmlw_init(&w, b);
	roster_write(&w, true, d);
}

size_t roster_user_size(const struct user *u)
{
	struct xmlw w;
	struct buf b;
	size_t n;

	buf_init(&b, 0);
	xmlw_init(&w, &b);
	write_user(&w, true, u);
	n = b.l;
	buf_fini(&b);
	return n;
}
