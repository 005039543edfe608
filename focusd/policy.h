/* SPDX-License-Identifier: Apache-2.0 */
/* policy.h - who may enter a conference and who may do what in it; pure decisions over the model */
#ifndef FOCUSD_POLICY_H
#define FOCUSD_POLICY_H
#include "focusd/conf.h"

enum policy_no { POLICY_OK, POLICY_NOT_LISTED, POLICY_NO_ANONYMOUS, POLICY_NO_TRUNK, POLICY_LOCKED, POLICY_DENIED, POLICY_FULL,
		 POLICY_NEEDS_PIN, POLICY_NEXT };
struct policy_caller {
	const char    *entity;           /* NULL: unknown */
	enum conf_auth auth;
	bool           trunk;
	bool           present;          /* is a user already: adds an endpoint */
	bool           pin_ok;           /* showed the pass code */
};
/* The admission checks in the order of docs/c3p.md; *role is granted on POLICY_OK. */
enum policy_no policy_admit(const struct conf *c, const struct policy_caller *who, unsigned max_users, enum conf_role *role);

struct policy_answer { int code, diag; const char *reason, *text; };     /* reason: C3P's; text: for ms-diagnostics */
extern const struct policy_answer policy_answers[POLICY_NEXT];

bool policy_is_presenter(const struct user *u);
/* May `by` act on `target` (mute, remove)? Everybody may on himself; presenters on others. */
bool policy_may_act_on(const struct user *by, const struct user *target);
bool policy_may_remove(const struct user *by, const struct user *target);
bool policy_may_set_role(const struct user *by, const struct user *target, enum conf_role role);

#endif
