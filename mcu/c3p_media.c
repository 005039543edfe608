/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_media.c - commands about media: filters of one leg, of a role, of the conference; adding and removing a medium
 *
 * A leg here has one medium, number 1. Taking it away ends the leg; a second one is not there yet.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "mcu/c3p_cmds.h"
#include "mcu/factory.h"
#include "mcu/rules.h"

/* --- one leg */

/* Filters given by name win; a bare status means the filters that lead to it. */
static void filters_of(const struct c3p_media *m, bool *in, bool *out)
{
	if (!m->ingress && !m->egress && m->status) {
		*in  = cstr_ieq(m->status, "recvonly") || cstr_ieq(m->status, "inactive");
		*out = cstr_ieq(m->status, "sendonly") || cstr_ieq(m->status, "inactive");
	}
	if (m->ingress)
		*in = cstr_ieq(m->ingress, "block");
	if (m->egress)
		*out = cstr_ieq(m->egress, "block");
}

static bool is_own(const struct c3p_call *k)
{
	return cstr_ieq(k->rq->requested_by, k->user->entity) && !cstr_ieq(k->rq->requested_role, "presenter");
}

const char *c3p_modify_media(struct c3p_call *k)
{
	const struct xml_node *n = xml_child(k->rq->cmd, NULL, "media");
	struct leg *l = k->leg;
	struct c3p_media m;
	bool in = l->ingress_block, out = l->egress_block;

	if (!k->conf->room)
		return "notSupported";
	if (!n || c3p_media_decode(&m, n) || (!m.ingress && !m.egress && !m.status))
		return "requestMalformed";
	if (!cstr_eq(m.id, k->rq->keys.media_id) || (m.type && !cstr_ieq(m.type, "audio")))
		return "mediaDoesntExist";
	filters_of(&m, &in, &out);
	if (is_own(k) && !rules_may_own(l) && ((l->ingress_block && !in) || (l->egress_block && !out)))
		return "unauthorized";
	l->ingress_by_rule &= in && l->ingress_block;
	l->egress_by_rule  &= out && l->egress_block;
	leg_filter(l, in, out);
	return NULL;
}

const char *c3p_add_media(struct c3p_call *k)
{
	const struct xml_node *n = xml_child(k->rq->cmd, NULL, "media");
	struct c3p_media m;

	if (!n || c3p_media_decode(&m, n) || !m.type || !*m.type)
		return "requestMalformed";
	return cstr_ieq(m.type, k->svc->kind->medium) ? "mediaExists" : "mediaNotSupported";
}

/* A call without any medium is no call. */
const char *c3p_delete_media(struct c3p_call *k)
{
	leg_end(k->leg, LEG_END_REMOVED);
	k->leg = NULL;
	k->user = NULL;
	factory_changed(k->svc->factory);
	return NULL;
}

/* --- a role */

static const char *reason_of(int err)
{
	return !err ? NULL : err == -EINVAL ? "invalidRole" : err == -E2BIG ? "requestTooLarge" : "serverBusy";
}

/* who mutes all does not mean himself */
static struct rule_prm prm_of(const struct c3p_call *k, const struct c3p_rule *r)
{
	struct rule_prm p = { .role = r->role, .ingress = (enum rule_value)r->ingress, .egress = (enum rule_value)r->egress,
			      .may_own = (enum rule_value)r->may_own, .except = r->except, .nexcept = r->nexcept };

	if (!p.nexcept && k->rq->requested_by) {
		p.except  = &k->rq->requested_by;
		p.nexcept = 1;
	}
	return p;
}

const char *c3p_media_filters(struct c3p_call *k)
{
	struct c3p_rule r;
	const char *reason = k->conf->room ? c3p_rule_decode(&r, k->rq->cmd) : "mediaNotSupported";
	struct rule_prm p;

	if (reason)
		return reason;
	p = prm_of(k, &r);
	return reason_of(rules_set(k->conf, &p));
}

/* --- the conference: the same as a change of the MCU's entity-state (c3p.md 2.3, 3.7) */

static const char *rules_in(struct c3p_call *k, const struct xml_node *rules)
{
	struct c3p_rule r[C3P_NRULES];
	struct rule_prm p[C3P_NRULES];
	bool full;
	unsigned n;
	const char *reason = c3p_rules_decode(r, &n, &full, rules);
	int err = 0;

	if (reason)
		return reason;
	for (unsigned i = 0; i < n; i++)
		p[i] = prm_of(k, &r[i]);
	if (full)
		return reason_of(rules_replace(k->conf, p, n));
	for (unsigned i = 0; i < n && !err; i++)
		err = rules_set(k->conf, &p[i]);
	return reason_of(err);
}

const char *c3p_entity_state(struct c3p_call *k, const struct xml_node *state)
{
	const struct xml_node *rules = xml_child(state, NULL, "mediaFiltersRules");
	const char *tones = c3p_text_of(xml_child(state, NULL, "entry-exit-announcements"), "enabled");

	if ((rules || tones) && !k->conf->room)
		return "notSupported";
	if (tones)
		conf_set_tones(k->conf, c3p_is_true(tones));
	return rules ? rules_in(k, rules) : NULL;
}

static bool is_ours(const struct c3p_call *k, const struct xml_node *view)
{
	const char *entity = xml_attr(view, NULL, "entity");

	return entity && (cstr_ieq(entity, k->svc->kind->name) || c3p_uri_same(str_c(entity), str_c(k->conf->mcu_uri)));
}

const char *c3p_modify_conference(struct c3p_call *k)
{
	const struct xml_node *info = xml_child(k->rq->cmd, NULL, "conference-info"), *v;
	const char *subject = c3p_text_of(xml_child(info, NULL, "conference-description"), "subject"), *reason = NULL;

	if (!info)
		return "requestMalformed";
	if (subject && conf_set_subject(k->conf, subject))
		return "serverBusy";
	v = xml_child(xml_child(info, NULL, "conference-view"), NULL, "entity-view");
	for (; v && !reason; v = xml_next(v, NULL, "entity-view")) {
		if (!is_ours(k, v))
			continue;
		reason = c3p_entity_state(k, xml_child(v, NULL, "entity-state"));
		if (!reason)
			reason = c3p_entity_state(k, xml_child(v, NULL, "entity-settings"));
	}
	return reason;
}
