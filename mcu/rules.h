/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - media filters of a role: "mute all attendees", for those who are there and for those who come later
 *
 * A rule belongs to a role, or to everybody. The one of a leg's own role wins over the one for everybody. Whoever is
 * excepted is as if there were no rule. A filter that a rule set is lifted with the rule, and by a change of role; one
 * that somebody set by hand since then stays.
 */
#ifndef MCU_RULES_H
#define MCU_RULES_H
#include "mcu/conf.h"

enum rule_value { RULE_UNSAID, RULE_NO, RULE_YES };

struct rule_prm {
	const char     *role;                /* attendee, presenter, or default: everybody */
	enum rule_value ingress, egress;     /* YES: block */
	enum rule_value may_own;             /* YES: participants may change their own filters */
	const char *const *except;           /* users */
	unsigned        nexcept;
};
#define RULE_MAX_EXCEPT 256u

/* Keeps the rule and applies it. -EINVAL: no such role; -E2BIG; -ENOMEM. What a rule leaves unsaid stays as it was. */
int  rules_set(struct conf *c, const struct rule_prm *p);
/* These and no others. A rule that is as it was touches nobody. */
int  rules_replace(struct conf *c, const struct rule_prm *p, unsigned n);
void rules_apply(struct leg *l);                       /* to a newcomer, or after a change of role */
bool rules_may_own(const struct leg *l);               /* may the participant unblock himself? */

#endif
