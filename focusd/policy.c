/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - see policy.h */
#include <stdio.h>
#include "focusd/policy.h"

const struct policy_answer policy_answers[POLICY_NEXT] = {
	[POLICY_OK]           = { 200, 0, "", "" },
	[POLICY_NOT_LISTED]   = { 403, 3014, "unauthorized", "this conference admits only the people on its list" },
	[POLICY_NO_ANONYMOUS] = { 403, 3014, "anonymousUsersNotAllowed", "this conference admits only authenticated users" },
	[POLICY_NO_TRUNK]     = { 403, 3014, "anonymousUsersNotAllowed", "this conference does not admit callers from trunks" },
	[POLICY_LOCKED]       = { 403, 3014, "unauthorized", "the conference is locked" },
	[POLICY_DENIED]       = { 403, 3014, "unauthorized", "a presenter has denied you access to this conference" },
	[POLICY_FULL]         = { 480, 3014, "maxMeetingSizeExceeded", "the conference is full" },
	[POLICY_NEEDS_PIN]    = { 403, 3014, "invalidPasscode", "this conference needs a pass code" },
};

static bool is_organizer(const struct conf *c, const struct policy_caller *who)
{
	char uri[512];

	if (!who->entity || who->auth != AUTH_ENTERPRISE)
		return false;
	snprintf(uri, sizeof(uri), "sip:%s@%s", c->organizer, c->domain);
	return str_ieq(str_c(uri), str_c(who->entity));
}

static enum policy_no admitted(const struct conf *c, const struct policy_caller *who, bool listed)
{
	if (who->trunk)
		return !c->trunk_ok && c->policy_now != POLICY_ANONYMOUS ? POLICY_NO_TRUNK
		       : c->pin && !who->pin_ok ? POLICY_NEEDS_PIN : POLICY_OK;
	if (who->auth == AUTH_NONE)
		return c->policy_now != POLICY_ANONYMOUS ? POLICY_NO_ANONYMOUS : c->pin && !who->pin_ok ? POLICY_NEEDS_PIN : POLICY_OK;
	if (listed || c->policy_now == POLICY_ANONYMOUS)
		return POLICY_OK;
	return c->policy_now == POLICY_OPEN && who->auth == AUTH_ENTERPRISE ? POLICY_OK : POLICY_NOT_LISTED;
}

enum policy_no policy_admit(const struct conf *c, const struct policy_caller *who, unsigned max_users, enum conf_role *role)
{
	enum policy_no no;
	bool listed = false;
	int access;

	*role = who->entity && who->auth != AUTH_NONE ? conf_invited_role(c, who->entity, &listed) : ROLE_ATTENDEE;
	if (is_organizer(c, who)) {
		*role = ROLE_ORGANIZER;          /* always in, whatever the lock and the list say */
		return POLICY_OK;
	}
	access = who->entity ? conf_access(c, who->entity) : 0;
	if (access < 0)
		return POLICY_DENIED;
	if (who->auth == AUTH_NONE)
		access = 0;                      /* what a trunk asserts opens no door */
	if (who->present)
		return POLICY_OK;
	no = access > 0 ? POLICY_OK : admitted(c, who, listed);
	if (no == POLICY_OK && access <= 0 && c->active && c->locked && *role == ROLE_ATTENDEE)
		no = POLICY_LOCKED;
	if (no == POLICY_OK && c->nusers >= max_users)
		no = POLICY_FULL;
	return no;
}

bool policy_is_presenter(const struct user *u)
{
	return u->role >= ROLE_PRESENTER;
}

bool policy_may_act_on(const struct user *by, const struct user *target)
{
	return by == target || policy_is_presenter(by);
}

bool policy_may_remove(const struct user *by, const struct user *target)
{
	return by == target || (policy_is_presenter(by) && target->role != ROLE_ORGANIZER);
}

bool policy_may_set_role(const struct user *by, const struct user *target, enum conf_role role)
{
	return policy_is_presenter(by) && (target->role != ROLE_ORGANIZER || role == ROLE_PRESENTER);
}
