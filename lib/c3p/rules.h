/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - media filters of roles ("mute all attendees"), as clients ask for them and as documents show them
 *
 * modifyUsersMediaFilters has one rule, mediaFiltersRules (in modifyConference, addConference and the entity-view) those of
 * several roles. Who keeps them: focusd/filters.c for the conference, mcu/rules.c for the legs.
 */
#ifndef C3P_RULES_H
#define C3P_RULES_H
#include <stddef.h>
#include "lib/xml/xml.h"

enum c3p_say { C3P_UNSAID, C3P_NO, C3P_YES };
enum { C3P_RULE_DEFAULT, C3P_RULE_ATTENDEE, C3P_RULE_PRESENTER, C3P_NRULES };
extern const char *const c3p_rule_roles[C3P_NRULES];
#define C3P_MAX_EXCEPT 256u

struct c3p_rule {
	const char  *role;                       /* one of c3p_rule_roles */
	enum c3p_say ingress, egress;            /* YES: block */
	enum c3p_say may_own;                    /* YES: participants may change their own filters */
	unsigned     nexcept;
	const char  *except[C3P_MAX_EXCEPT];     /* users; borrowed, as all text here */
};

int c3p_rule_role(const char *role);             /* index; NULL or "" is default; -1: none of them */
/* Both return NULL, or the reason for the failure. */
const char *c3p_rule_decode(struct c3p_rule *r, const struct xml_node *cmd);         /* modifyUsersMediaFilters */
/* At most one for each role. *full: those that are not named have no rule any more. */
const char *c3p_rules_decode(struct c3p_rule r[C3P_NRULES], unsigned *n, bool *full, const struct xml_node *rules);
/* mediaFiltersRules, nothing when n is 0 and full is not set. Exceptions are left out when they take more than max bytes. */
void c3p_rules_encode(struct xmlw *w, const struct c3p_rule *r, unsigned n, bool full, size_t max_except_bytes);

#endif
