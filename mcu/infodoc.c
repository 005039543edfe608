/* SPDX-License-Identifier: Apache-2.0 */
/* infodoc.c - writing conference-info documents, see infodoc.h
 *
 * Endpoints are written from the model at the moment of writing; one that is in the report but no longer in the model
 * is gone, and told as deleted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "lib/c3p/info.h"
#include "mcu/infodoc.h"

static const char *dir_name(bool sends, bool receives)
{
	static const char *const names[2][2] = { { "inactive", "recvonly" }, { "sendonly", "sendrecv" } };

	return names[sends][receives];
}

static const char *status_of(const struct leg *l)
{
	switch (l->state) {
	case LEG_CONNECTED: return "connected";
	case LEG_DIALING:   return "dialing-out";
	case LEG_ALERTING:  return "alerting";
	default:            return "dialing-in";
	}
}

static void endpoint(struct c3p_endpoint *e, const struct leg *l)
{
	const struct service_kind *k = l->user->conf->set->kind;
	bool sends, receives;

	leg_roster_dir(l, &sends, &receives);
	*e = (struct c3p_endpoint){
		.entity         = l->endpoint,
		.session_type   = k->name,
		.state          = "full",
		.status         = status_of(l),
		.role           = l->role,
		.joining_method = l->joining,
		.joining_when   = l->when,
		.leg            = l->kept,
		.talking        = l->talking,
		.hand           = l->hand,
		.nmedia         = 1,
	};
	e->media[0] = (struct c3p_media){
		.id      = "1",
		.type    = k->medium,
		.label   = c3p_media_label(k->medium),
		.status  = dir_name(sends, receives),
		.state   = status_of(l),
		.ingress = l->ingress_block ? "block" : "unblock",
		.egress  = l->egress_block ? "block" : "unblock",
	};
}

static void user_open(struct xmlw *w, const char *entity)
{
	xmlw_start(w, "ci:user");
	xmlw_attr(w, "entity", entity);
	xmlw_attr(w, "state", "partial");
}

struct writing {
	struct xmlw *w;
	struct conf *c;
	const char  *user;       /* whose element is open */
};

static void to_user(struct writing *wr, const char *entity)
{
	if (cstr_eq(wr->user, entity))
		return;
	if (wr->user)
		xmlw_end(wr->w);
	wr->user = entity;
	if (entity)
		user_open(wr->w, entity);
}

static bool on_item(const struct report_item *it, void *arg)
{
	struct writing *wr = arg;
	struct user *u;
	struct leg *l;
	struct c3p_endpoint e = { .entity = it->endpoint, .session_type = wr->c->set->kind->name, .state = "deleted" };

	if (!*it->user)                              /* of the conference, see recorded() */
		return true;
	if (wr->w->b->l > INFODOC_MAX_BYTES)
		return false;
	u = conf_user(wr->c, it->user);
	l = u ? user_leg(u, it->endpoint) : NULL;
	if (l && (leg_shown(l) || l->state == LEG_ANSWERED))
		endpoint(&e, l);
	to_user(wr, it->user);
	c3p_endpoint_encode(wr->w, false, &e);
	return true;
}

/* Whether it is recorded, as far as that is not what the focus has asked for or may not know. */
static void recorded(struct xmlw *w, const struct conf *c)
{
	if (!c->recording && !c->unrecorded)
		return;
	xmlw_start(w, "ci:conference-state");
	xmlw_start(w, "oc:recording");
	if (c->unrecorded)
		xmlw_attr(w, "reason", c->unrecorded);
	xmlw_text(w, c->recording ? "true" : "false");
	xmlw_end(w);
	xmlw_end(w);
}

static void info_open(struct xmlw *w, const struct conf *c, uint64_t version, const char *state)
{
	xmlw_start(w, "ci:conference-info");
	xmlw_attr(w, "entity", c->focus_uri);
	xmlw_attrf(w, "version", "%" PRIu64, version);
	xmlw_attr(w, "state", state);
}

int infodoc_notify(struct buf *b, struct conf *c)
{
	uint64_t version = report_version(c->report) + 1;
	struct writing wr = { .c = c };
	char id[48], epoch[24];
	struct c3p_env env = { .request_id = id, .from = c->mcu_uri, .to = c->focus_uri, .epoch = epoch };
	struct xmlw w;
	int err;

	if (report_busy(c->report) || !report_pending(c->report))
		return 0;
	snprintf(epoch, sizeof(epoch), "%" PRIu64, c->epoch);
	snprintf(id, sizeof(id), "%s.%" PRIu64, epoch, version);
	c3p_begin_request(&w, b, &env);
	wr.w = &w;
	xmlw_start(&w, "oc:notify");
	info_open(&w, c, version, "partial");
	if (c->unrecorded)
		recorded(&w, c);
	xmlw_start(&w, "ci:users");
	xmlw_attr(&w, "state", "partial");
	report_take(c->report, INFODOC_MAX_ITEMS, on_item, &wr);
	to_user(&wr, NULL);
	xmlw_end(&w);
	xmlw_end(&w);
	xmlw_end(&w);
	err = c3p_end(&w);
	if (err)
		report_untake(c->report);
	return err;
}

/* --- getConference */

/* false: the document is full before all of his legs are in it; the others are told by notification */
static bool user_full(struct xmlw *w, const struct user *u)
{
	bool any = false, all = true;
	struct leg *l;

	TAILQ_FOREACH(l, &u->legs, te) {
		struct c3p_endpoint e;

		if (!leg_shown(l))
			continue;
		if (w->b->l > INFODOC_MAX_BYTES) {
			report_mark(u->conf->report, u->entity, l->endpoint, REPORT_STATE);
			all = false;
			continue;
		}
		if (!any)
			user_open(w, u->entity);
		any = true;
		endpoint(&e, l);
		c3p_endpoint_encode(w, false, &e);
	}
	if (any)
		xmlw_end(w);
	return all;
}

static void view(struct xmlw *w, const struct conf *c)
{
	struct c3p_entity_view v = {
		.entity = c->mcu_uri, .state = "full", .active = true, .locked = c->locked, .media_types = { c->set->kind->medium },
	};

	xmlw_start(w, "msci:conference-view");
	xmlw_attr(w, "ci:state", "full");
	c3p_entity_view_encode(w, false, &v);
	xmlw_end(w);
}

/* How it will be written: only what stands in a full document is there, so it must not be one that ends early. */
static size_t escaped(const char *s)
{
	size_t n = 0;

	for (; s && *s; s++)
		n += strchr("<>&\"'\r\n\t", *s) ? 6 : 1;
	return n;
}

static bool fits(const struct conf *c)
{
	size_t bytes = 4096;

	for (const struct user *u = c->users; u; u = u->hh.next) {
		const struct leg *l;

		TAILQ_FOREACH(l, &u->legs, te)
			bytes += 1500 + escaped(u->entity) + escaped(l->kept);
	}
	return bytes < INFODOC_MAX_BYTES;
}

void infodoc_full(struct xmlw *w, struct conf *c)
{
	const char *state = fits(c) ? "full" : "partial";
	bool all = true;
	struct user *u;

	info_open(w, c, report_version(c->report), state);
	recorded(w, c);
	xmlw_start(w, "ci:users");
	xmlw_attr(w, "state", state);
	for (u = c->users; u; u = u->hh.next)
		all &= user_full(w, u);
	xmlw_end(w);
	view(w, c);
	xmlw_end(w);
	if (!all)
		conf_changed(c);
}
