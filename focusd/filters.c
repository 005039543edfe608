/* SPDX-License-Identifier: Apache-2.0 */
/* filters.c - see filters.h */
#include <errno.h>
#include <stdio.h>
#include "focusd/filters.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define MAX_TEXT (C3P_NRULES * (C3P_MAX_EXCEPT * 264u + 32u))

static enum c3p_say say_of(struct str word)
{
	return word.l == 1 && *word.p == '1' ? C3P_NO : word.l == 1 && *word.p == '2' ? C3P_YES : C3P_UNSAID;
}

static struct c3p_rule *read_rule(struct filters *f, struct str line)
{
	struct c3p_rule *r = &f->rule[f->n];
	struct str name = str_cut(&line, ' ');
	int role = 0;

	while (role < C3P_NRULES && !str_eq(name, str_c(c3p_rule_roles[role])))
		role++;
	if (role == C3P_NRULES || f->n == C3P_NRULES)
		return NULL;
	r->role    = c3p_rule_roles[role];
	r->ingress = say_of(str_cut(&line, ' '));
	r->egress  = say_of(str_cut(&line, ' '));
	r->may_own = say_of(line);
	r->nexcept = 0;
	f->n++;
	return r;
}

int filters_read(struct filters *f, const char *text)
{
	struct c3p_rule *r = NULL;
	char *line, *next;

	f->n    = 0;
	f->text = NULL;
	if (!text)
		return 0;
	f->text = str_dup(str_c(text));
	if (!f->text)
		return -ENOMEM;
	for (line = f->text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (str_starts(str_c(line), STR("rule ")))
			r = read_rule(f, str_c(line + 5));
		else if (str_starts(str_c(line), STR("but ")) && r && r->nexcept < C3P_MAX_EXCEPT)
			r->except[r->nexcept++] = line + 4;
	}
	return 0;
}

void filters_fini(struct filters *f)
{
	f->text = mem_deref(f->text);
	f->n    = 0;
}

static void write_rule(struct buf *b, const struct c3p_rule *was, const struct c3p_rule *now)
{
	const struct c3p_rule *except = now ? now : was;
	enum c3p_say in = now && (now->ingress || !was) ? now->ingress : was->ingress;
	enum c3p_say out = now && (now->egress || !was) ? now->egress : was->egress;
	enum c3p_say own = now && (now->may_own || !was) ? now->may_own : was->may_own;

	buf_printf(b, "rule %s %d %d %d\n", except->role, in, out, own);
	for (unsigned i = 0; i < except->nexcept; i++)
		buf_printf(b, "but %s\n", except->except[i]);
}

static const struct c3p_rule *of_role(const struct c3p_rule *r, unsigned n, const char *role)
{
	for (unsigned i = 0; i < n; i++)
		if (cstr_eq(r[i].role, role))
			return &r[i];
	return NULL;
}

int filters_merge(char **out, const char *text, const struct c3p_rule *r, unsigned n, bool full)
{
	struct filters was;
	struct buf b;
	int err = filters_read(&was, full ? NULL : text);

	if (err)
		return err;
	buf_init(&b, MAX_TEXT);
	for (int i = 0; i < C3P_NRULES; i++) {
		const struct c3p_rule *old = of_role(was.rule, was.n, c3p_rule_roles[i]), *now = of_role(r, n, c3p_rule_roles[i]);

		if (old || now)
			write_rule(&b, old, now);
	}
	err = b.err;
	if (!err && b.l) {
		*out = str_dup(buf_view(&b));
		err  = *out ? 0 : -ENOMEM;
	} else if (!err) {
		*out = NULL;
	}
	buf_fini(&b);
	filters_fini(&was);
	return err;
}
