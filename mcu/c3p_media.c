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

static enum rule_value block_of(const char *text, const char **reason)
{
	if (!text)
		return RULE_UNSAID;
	if (!cstr_ieq(text, "block") && !cstr_ieq(text, "unblock"))
		*reason = "requestMalformed";
	return cstr_ieq(text, "block") ? RULE_YES : RULE_NO;
}

static enum rule_value bool_of(const char *text)
{
	return !text ? RULE_UNSAID : c3p_is_true(text) ? RULE_YES : RULE_NO;
}

static const char *set_rule(struct c3p_call *k, struct rule_prm *p)
{
	int err;

	if (!p->nexcept && k->rq->requested_by) {    /* who mutes all does not mean himself */
		p->except  = (const char **)&k->rq->requested_by;
		p->nexcept = 1;
	}
	err = rules_set(k->conf, p);
	return !err ? NULL : err == -EINVAL ? "invalidRole" : err == -E2BIG ? "requestTooLarge" : "serverBusy";
}

static bool for_audio(const struct xml_node *cmd)
{
	const struct xml_node *media = xml_child(cmd, NULL, "media");
	const char *type = c3p_text_of(media, "type");

	return !media || !type || !*type || cstr_ieq(type, "audio");
}

const char *c3p_media_filters(struct c3p_call *k)
{
	const struct xml_node *cmd = k->rq->cmd, *n;
	const char *except[RULE_MAX_EXCEPT], *reason = NULL, *role = c3p_text_of(cmd, "role");
	struct rule_prm p = {
		.role    = role && *role ? role : "default",
		.ingress = block_of(c3p_text_of(cmd, "ingressFilter"), &reason),
		.egress  = block_of(c3p_text_of(cmd, "egressFilter"), &reason),
		.may_own = bool_of(c3p_text_of(cmd, "mayModifyOwnFilters")),
		.except  = except,
	};

	if (!k->conf->room || !for_audio(cmd))
		return "mediaNotSupported";
	for (n = xml_child(cmd, NULL, "exceptUser"); n && p.nexcept < RULE_MAX_EXCEPT; n = xml_next(n, NULL, "exceptUser"))
		except[p.nexcept++] = xml_text(n);
	if (n)
		return "requestTooLarge";
	if (!p.ingress && !p.egress && !p.may_own)
		return "requestMalformed";
	return reason ? reason : set_rule(k, &p);
}

/* --- the conference: the same as a change of the MCU's entity-state (c3p.md 2.3, 3.7) */

static const char *rules_in(struct c3p_call *k, const struct xml_node *rules)
{
	const struct xml_node *n;
	const char *reason = NULL;

	for (n = xml_first(rules); n && !reason; n = xml_next(n, NULL, NULL)) {
		struct str name = str_c(xml_name(n));
		struct rule_prm p = { .role = c3p_text_of(n, "role") };

		if (!p.role)
			p.role = xml_attr(n, NULL, "role");
		if (!p.role || !*p.role)
			p.role = "default";
		if (str_starts(name, STR("initialFilters"))) {
			p.ingress = block_of(c3p_text_of(n, "ingressFilter"), &reason);
			p.egress  = block_of(c3p_text_of(n, "egressFilter"), &reason);
		} else if (str_starts(name, STR("mayModifyOwnFilters"))) {
			p.may_own = bool_of(c3p_text_of(n, "value"));
		} else {
			continue;
		}
		if (!reason)
			reason = set_rule(k, &p);
	}
	return reason;
}

static const char *state_in(struct c3p_call *k, const struct xml_node *state)
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
		reason = state_in(k, xml_child(v, NULL, "entity-state"));
		if (!reason)
			reason = state_in(k, xml_child(v, NULL, "entity-settings"));
	}
	return reason;
}
