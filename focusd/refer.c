/* SPDX-License-Identifier: Apache-2.0 */
/* refer.c - REFER to a conference (RFC 3515, RFC 4579 5.5, 5.11): "call him in", or with ;method=BYE "let him go"
 *
 * The one who asks is a participant with the rights of addUser and deleteUser. The outcome is told by NOTIFY with a
 * sipfrag; that subscription lives only as long as the call that it watches, and not in the store.
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/dialout.h"
#include "focusd/life.h"
#include "focusd/passcode.h"
#include "focusd/policy.h"
#include "focusd/uas.h"
#include "lib/base/mem.h"

struct refer { struct app *app; struct sip_dlg *dlg; char *contact; };

static void on_refer_destroy(void *arg)
{
	struct refer *r = arg;

	mem_deref(r->dlg);
	mem_deref(r->contact);
}

static const struct { const char *reason, *line; } frags[] = {
	{ "",                    "SIP/2.0 200 OK" },
	{ "userBusy",            "SIP/2.0 486 Busy Here" },
	{ "userDeclined",        "SIP/2.0 603 Decline" },
	{ "userNotAnswered",     "SIP/2.0 480 Temporarily Unavailable" },
	{ "userUnknown",         "SIP/2.0 404 Not Found" },
	{ "userDenied",          "SIP/2.0 403 Forbidden" },
	{ "mediaNotSupported",   "SIP/2.0 488 Not Acceptable Here" },
	{ "requestCancelled",    "SIP/2.0 487 Request Terminated" },
	{ "timeout",             "SIP/2.0 408 Request Timeout" },
};

static void notify(struct refer *r, const char *line, bool over)
{
	char *hdrs = str_printf("Event: refer\r\nSubscription-State: %s\r\nContact: <%s>;isfocus\r\n",
				over ? "terminated;reason=noresource" : "active;expires=200", r->contact);
	char *body = str_printf("%s\r\n", line);

	if (hdrs && body)
		say_later(r->app, r->dlg, "NOTIFY", hdrs, "message/sipfrag;version=2.0", str_c(body));
	mem_deref(hdrs);
	mem_deref(body);
}

static void over(struct refer *r, const char *reason)
{
	const char *line = "SIP/2.0 503 Service Unavailable";

	for (size_t i = 0; i < sizeof(frags) / sizeof(frags[0]); i++)
		if (cstr_eq(reason, frags[i].reason))
			line = frags[i].line;
	notify(r, line, true);
	mem_deref(r);
}

static void on_ringing(bool alerting, void *arg)
{
	notify(arg, alerting ? "SIP/2.0 180 Ringing" : "SIP/2.0 100 Trying", false);
}

static void on_dialed(int err, const char *reason, void *arg)
{
	over(arg, err ? reason : "");
}

static struct refer *accept_refer(struct uas_req *rq)
{
	struct refer *r = mem_zalloc(sizeof(*r), on_refer_destroy);
	char *hdrs = str_printf("Contact: <%s>;isfocus\r\n", rq->conf->focus_uri);

	if (!r || !hdrs || cstr_set(&r->contact, rq->conf->focus_uri) || sip_dlg_uas(&r->dlg, rq->m, sip_st_to_tag(rq->st))) {
		answer_error(rq->app, rq->st, 400, DIAG_NONE, "a REFER needs a Contact");
		r = mem_deref(r);
	} else {
		r->app = rq->app;
		answer(rq->app, rq->st, &(struct answer){ .code = 202, .to_tag = sip_st_to_tag(rq->st), .hdrs = hdrs });
		notify(r, "SIP/2.0 100 Trying", false);
	}
	mem_deref(hdrs);
	return r;
}

static void call_in(struct uas_req *rq, struct user *by, const char *target)
{
	struct dialout_prm p = { .conf = rq->conf, .session = SESSION_AV, .entity = target, .target = target, .by = by,
				 .ringcb = on_ringing };
	char aor[256];
	struct refer *r;
	int err;

	if (!str_istarts(str_c(target), STR("tel:"))) {  /* the user is the address of record, whatever parameters it is dialled with */
		struct str s = sip_uri_aor(str_c(target), aor, sizeof(aor));

		if (str_empty(s) || s.l >= sizeof(aor)) {
			answer_error(rq->app, rq->st, 400, DIAG_USER, "Refer-To cannot be read");
			return;
		}
		p.entity = s.p;
	}
	if (!dialout_allowed(rq->app, by, p.entity, target)) {
		answer_error(rq->app, rq->st, 403, DIAG_DIALOUT, "attendees may not call others into this conference");
		return;
	}
	r = accept_refer(rq);
	if (!r)
		return;
	err = dialout_start(rq->app, &p, on_dialed, r);
	if (err)
		over(r, "serverBusy");
}

static void let_go(struct uas_req *rq, struct user *by, const char *target)
{
	char aor[256];
	struct str s = sip_uri_aor(str_c(target), aor, sizeof(aor));
	struct user *u = str_empty(s) ? NULL : user_find(rq->conf, s.p);
	struct refer *r;

	if (!u) {
		answer_error(rq->app, rq->st, 404, DIAG_USER, "no such user in this conference");
	} else if (!policy_may_remove(by, u)) {
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "only presenters remove others");
	} else {
		r = accept_refer(rq);
		if (!r)
			return;
		life_eject(rq->app, u);
		over(r, "");
	}
}

void refer_on_request(struct uas_req *rq)
{
	struct user *by = rq->caller.entity ? user_find_caller(rq->conf, rq->caller.entity, caller_auth(&rq->caller)) : NULL;
	struct sip_addr to;
	struct str value;
	char *target;

	if (!by) {
		answer_error(rq->app, rq->st, 403, DIAG_FORBIDDEN, "only participants may refer others to a conference");
		return;
	}
	if (!passcode_again(rq))
		return;
	if (sip_addr_decode(&to, sip_msg_hdr(rq->m, "Refer-To", 0))) {
		answer_error(rq->app, rq->st, 400, DIAG_NONE, "Refer-To cannot be read");
		return;
	}
	target = str_dup(str_cut(&to.uri, '?'));
	if (!target || !dialout_target_valid(target)) {
		answer_error(rq->app, rq->st, 400, DIAG_USER, "Refer-To is no SIP or tel URI");
	} else {
		struct str uri = str_c(target), params = uri;
		bool gone = false;

		str_cut(&params, ';');
		gone = (sip_param(params, STR("method"), &value) || sip_param(to.params, STR("method"), &value)) && str_ieq(value, STR("BYE"));
		if (gone)
			let_go(rq, by, target);
		else
			call_in(rq, by, target);
	}
	mem_deref(target);
}
