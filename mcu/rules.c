/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - media filters of roles, see rules.h */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/rules.h"

static const char *const roles[CONF_RULES] = { "default", "attendee", "presenter" };

struct rule {
	enum rule_value ingress, egress, may_own;
	char           *except[RULE_MAX_EXCEPT];
	unsigned        nexcept;
};

static void destructor(void *arg)
{
	struct rule *r = arg;

	for (unsigned i = 0; i < r->nexcept; i++)
		mem_deref(r->except[i]);
}

static bool excepted(const struct rule *r, const struct user *u)
{
	for (unsigned i = 0; i < r->nexcept; i++)
		if (cstr_ieq(r->except[i], u->entity))
			return true;
	return false;
}

/* One property of a user: his role's rule, else everybody's. Offsets keep the three of them in one function. */
static enum rule_value value(const struct user *u, size_t off)
{
	const struct conf *c = u->conf;

	for (unsigned i = CONF_RULES; i-- > 0;) {
		const struct rule *r = c->rules[i];
		enum rule_value v;

		if (!r || (i && !cstr_ieq(roles[i], u->role)) || excepted(r, u))
			continue;
		v = *(const enum rule_value *)((const char *)r + off);
		if (v != RULE_UNSAID)
			return v;
	}
	return RULE_UNSAID;
}

/* What a filter becomes: a rule's block, else not what a rule had set. */
static bool filter(enum rule_value v, bool now, bool *by_rule)
{
	if (v == RULE_YES) {
		*by_rule |= !now;
		return true;
	}
	if (v == RULE_NO || *by_rule) {
		*by_rule = false;
		return false;
	}
	return now;
}

static void apply(struct leg *l, bool ingress, bool egress)
{
	bool in = l->ingress_block, out = l->egress_block;

	if (ingress)
		in = filter(value(l->user, offsetof(struct rule, ingress)), in, &l->ingress_by_rule);
	if (egress)
		out = filter(value(l->user, offsetof(struct rule, egress)), out, &l->egress_by_rule);
	leg_filter(l, in, out);
}

void rules_apply(struct leg *l)
{
	if (l->user)
		apply(l, true, true);
}

bool rules_may_own(const struct leg *l)
{
	return !l->user || value(l->user, offsetof(struct rule, may_own)) != RULE_NO;
}

static int rule_make(struct rule **rp, const struct rule *old, const struct rule_prm *p)
{
	struct rule *r = mem_zalloc(sizeof(*r), destructor);

	if (!r)
		return -ENOMEM;
	r->ingress = p->ingress != RULE_UNSAID || !old ? p->ingress : old->ingress;
	r->egress  = p->egress != RULE_UNSAID || !old ? p->egress : old->egress;
	r->may_own = p->may_own != RULE_UNSAID || !old ? p->may_own : old->may_own;
	for (unsigned i = 0; i < p->nexcept; i++) {
		r->except[i] = str_dup(str_c(p->except[i]));
		if (!r->except[i]) {
			mem_deref(r);
			return -ENOMEM;
		}
		r->nexcept++;
	}
	*rp = r;
	return 0;
}

static unsigned role_index(const char *role)
{
	unsigned i = 0;

	while (i < CONF_RULES && !cstr_ieq(role, roles[i]))
		i++;
	return i;
}

/* What the command does not speak of stays as it is. */
static void apply_role(struct conf *c, unsigned i, bool ingress, bool egress)
{
	const struct rule *r = c->rules[i];
	struct user *u;
	struct leg *l;

	log_info(conf, "conference %s: filters of %s: in %d, out %d, own %d, %u excepted", c->id, roles[i], r ? r->ingress : 0,
		 r ? r->egress : 0, r ? r->may_own : 0, r ? r->nexcept : 0);
	for (u = c->users; u; u = u->hh.next) {
		if (i && !cstr_ieq(roles[i], u->role))
			continue;
		TAILQ_FOREACH(l, &u->legs, te)
			apply(l, ingress, egress);
	}
}

int rules_set(struct conf *c, const struct rule_prm *p)
{
	unsigned i = role_index(p->role);
	struct rule *r;
	int err;

	if (i == CONF_RULES)
		return -EINVAL;
	if (p->nexcept > RULE_MAX_EXCEPT)
		return -E2BIG;
	err = rule_make(&r, c->rules[i], p);
	if (err)
		return err;
	mem_deref(c->rules[i]);
	c->rules[i] = r;
	apply_role(c, i, p->ingress != RULE_UNSAID, p->egress != RULE_UNSAID);
	return 0;
}

static bool same(const struct rule *r, const struct rule_prm *p)
{
	if (!r || !p)
		return !r && !p;
	if (r->ingress != p->ingress || r->egress != p->egress || r->may_own != p->may_own || r->nexcept != p->nexcept)
		return false;
	for (unsigned i = 0; i < r->nexcept; i++)
		if (!cstr_ieq(r->except[i], p->except[i]))
			return false;
	return true;
}

static int replace_one(struct conf *c, unsigned i, const struct rule_prm *p)
{
	struct rule *r = NULL;
	int err = p ? rule_make(&r, NULL, p) : 0;

	if (err)
		return err;
	mem_deref(c->rules[i]);
	c->rules[i] = r;
	apply_role(c, i, true, true);
	return 0;
}

int rules_replace(struct conf *c, const struct rule_prm *p, unsigned n)
{
	const struct rule_prm *of[CONF_RULES] = { NULL };
	int err = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned role = role_index(p[i].role);

		if (role == CONF_RULES || p[i].nexcept > RULE_MAX_EXCEPT)
			return role == CONF_RULES ? -EINVAL : -E2BIG;
		of[role] = &p[i];
	}
	for (unsigned i = 0; i < CONF_RULES && !err; i++)
		if (!same(c->rules[i], of[i]))
			err = replace_one(c, i, of[i]);
	return err;
}
