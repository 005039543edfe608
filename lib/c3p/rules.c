/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - media filters of roles, see rules.h */
#include "lib/base/str.h"
#include "lib/c3p/rules.h"

const char *const c3p_rule_roles[C3P_NRULES] = { "default", "attendee", "presenter" };

int c3p_rule_role(const char *role)
{
	if (!role || !*role)
		return C3P_RULE_DEFAULT;
	for (int i = 0; i < C3P_NRULES; i++)
		if (cstr_ieq(role, c3p_rule_roles[i]))
			return i;
	return -1;
}

static const char *text(const struct xml_node *n, const char *name)
{
	return xml_text(xml_child(n, NULL, name));
}

static enum c3p_say block_of(const char *s, const char **reason)
{
	if (!s)
		return C3P_UNSAID;
	if (!cstr_ieq(s, "block") && !cstr_ieq(s, "unblock"))
		*reason = "requestMalformed";
	return cstr_ieq(s, "block") ? C3P_YES : C3P_NO;
}

static enum c3p_say bool_of(const char *s, const char **reason)
{
	bool yes = cstr_ieq(s, "true") || cstr_eq(s, "1");

	if (!s)
		return C3P_UNSAID;
	if (!yes && !cstr_ieq(s, "false") && !cstr_eq(s, "0"))
		*reason = "requestMalformed";
	return yes ? C3P_YES : C3P_NO;
}

static void excepts(struct c3p_rule *r, const struct xml_node *in, const char **reason)
{
	const struct xml_node *n;

	for (n = xml_child(in, NULL, "exceptUser"); n; n = xml_next(n, NULL, "exceptUser")) {
		const char *who = xml_text(n);

		if (!*who || strlen(who) > 256 || strpbrk(who, " \t\r\n"))
			*reason = "invalidUserEntity";
		else if (r->nexcept == C3P_MAX_EXCEPT)
			*reason = "requestTooLarge";
		else
			r->except[r->nexcept++] = who;
	}
}

const char *c3p_rule_decode(struct c3p_rule *r, const struct xml_node *cmd)
{
	const struct xml_node *media = xml_child(cmd, NULL, "media");
	const char *type = text(media, "type"), *reason = NULL;
	int role = c3p_rule_role(text(cmd, "role"));

	if (type && *type && !cstr_ieq(type, "audio"))
		return "mediaNotSupported";
	if (role < 0)
		return "invalidRole";
	r->role    = c3p_rule_roles[role];
	r->ingress = block_of(text(cmd, "ingressFilter"), &reason);
	r->egress  = block_of(text(cmd, "egressFilter"), &reason);
	r->may_own = bool_of(text(cmd, "mayModifyOwnFilters"), &reason);
	r->nexcept = 0;
	excepts(r, cmd, &reason);
	if (!reason && !r->ingress && !r->egress && !r->may_own)
		return "requestMalformed";
	return reason;
}

/* The rule of a role that an element speaks of: initialFilters and mayModifyOwnFilters of one role are one rule. */
static struct c3p_rule *rule_of(struct c3p_rule *r, unsigned *n, const struct xml_node *e)
{
	const char *name = text(e, "role");
	int role = c3p_rule_role(name ? name : xml_attr(e, NULL, "role"));

	if (role < 0)
		return NULL;
	for (unsigned i = 0; i < *n; i++)
		if (r[i].role == c3p_rule_roles[role])
			return &r[i];
	r[*n].role    = c3p_rule_roles[role];
	r[*n].ingress = r[*n].egress = r[*n].may_own = C3P_UNSAID;
	r[*n].nexcept = 0;
	return &r[(*n)++];
}

const char *c3p_rules_decode(struct c3p_rule r[C3P_NRULES], unsigned *n, bool *full, const struct xml_node *rules)
{
	const char *reason = NULL;

	*n    = 0;
	*full = cstr_eq(xml_attr(rules, NULL, "state"), "full");
	for (const struct xml_node *e = xml_first(rules); e && !reason; e = xml_next(e, NULL, NULL)) {
		bool filters = str_starts(str_c(xml_name(e)), STR("initialFilters"));
		struct c3p_rule *one;

		if (!filters && !str_starts(str_c(xml_name(e)), STR("mayModifyOwnFilters")))
			continue;
		one = rule_of(r, n, e);
		if (!one)
			return "invalidRole";
		if (filters) {
			one->ingress = block_of(text(e, "ingressFilter"), &reason);
			one->egress  = block_of(text(e, "egressFilter"), &reason);
		} else {
			one->may_own = bool_of(text(e, "value"), &reason);
		}
		if (!one->nexcept)
			excepts(one, e, &reason);
	}
	return reason;
}

/* --- writing */
static size_t except_bytes(const struct c3p_rule *r, unsigned n)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < r[i].nexcept; k++)
			bytes += strlen(r[i].except[k]);
	return bytes;
}

static void write_filter(struct xmlw *w, const char *name, enum c3p_say v)
{
	if (v)
		xmlw_leaf(w, name, v == C3P_YES ? "block" : "unblock");
}

static void write_excepts(struct xmlw *w, const struct c3p_rule *r)
{
	for (unsigned i = 0; i < r->nexcept; i++)
		xmlw_leaf(w, "oc:exceptUser", r->except[i]);
}

static void write_rule(struct xmlw *w, const struct c3p_rule *r, bool with_excepts)
{
	bool filters = r->ingress || r->egress;

	if (filters) {
		xmlw_start(w, "msci:initialFilters");
		xmlw_leaf(w, "msci:role", r->role);
		write_filter(w, "msci:ingressFilter", r->ingress);
		write_filter(w, "msci:egressFilter", r->egress);
		if (with_excepts)
			write_excepts(w, r);
		xmlw_end(w);
	}
	if (r->may_own) {
		xmlw_start(w, "msci:mayModifyOwnFilters");
		xmlw_leaf(w, "msci:role", r->role);
		xmlw_leaf(w, "msci:value", r->may_own == C3P_YES ? "true" : "false");
		if (with_excepts && !filters)
			write_excepts(w, r);
		xmlw_end(w);
	}
}

void c3p_rules_encode(struct xmlw *w, const struct c3p_rule *r, unsigned n, bool full, size_t max_except_bytes)
{
	bool with_excepts = except_bytes(r, n) <= max_except_bytes;

	if (!n && !full)
		return;
	xmlw_start(w, "msci:mediaFiltersRules");
	if (full)
		xmlw_attr(w, "ci:state", "full");
	for (unsigned i = 0; i < n; i++)
		write_rule(w, &r[i], with_excepts);
	xmlw_end(w);
}
