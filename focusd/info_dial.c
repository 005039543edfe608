/* SPDX-License-Identifier: Apache-2.0 */
/* info_dial.c - addUser in the focus dialog: dial-in to an MCU (connection data) and dial-out; see info.c */
#include <errno.h>
#include <stdio.h>
#include "focusd/dialout.h"
#include "focusd/info_priv.h"
#include "lib/base/mem.h"

struct wanted {                          /* what the command says, borrowed from its document */
	struct c3p_user      user;
	const struct xml_node *endpoint;
	const char          *entity, *method, *uri, *refer_to;
};

/* NULL, or why it is no addUser (ms-diagnostics in *diag) */
static const char *decode(struct cmd_ctx *x, struct wanted *w, enum diag *diag)
{
	static const char *const filled_by_us[] = { "accessMethod", "authMethod" };
	const struct xml_node *n = xml_child(x->req->cmd, NULL, "user");

	*w = (struct wanted){ 0 };
	*diag = DIAG_ADD_USER;
	if (!n || xml_next(n, NULL, "user") || c3p_user_decode(&w->user, n))
		return "one user is needed";
	w->endpoint = xml_child(n, NULL, "endpoint");
	if (w->endpoint && xml_next(w->endpoint, NULL, "endpoint"))
		return "at most one endpoint";
	w->entity   = w->endpoint ? xml_attr(w->endpoint, NULL, "entity") : NULL;
	w->uri      = w->endpoint ? xml_attr(w->endpoint, NULL, "endpoint-uri") : NULL;
	w->refer_to = w->endpoint ? xml_attr(w->endpoint, NULL, "refer-to-uri") : NULL;
	w->method   = xml_text(xml_child(w->endpoint, NULL, "joining-method"));
	*diag = DIAG_ACCESS;
	for (size_t i = 0; i < 2; i++) {
		const char *v = xml_text(xml_child(w->endpoint, NULL, filled_by_us[i]));

		if (v && *v)
			return "accessMethod and authMethod are filled by the server";
	}
	*diag = DIAG_ENDPOINT;
	if (w->entity && (!*w->entity || strlen(w->entity) > 128))
		return "the endpoint's entity is empty or too long";
	*diag = DIAG_ROLE;
	if (w->user.role && !cstr_eq(w->user.role, "presenter") && !cstr_eq(w->user.role, "attendee"))
		return "a role is presenter or attendee";
	*diag = DIAG_NONE;
	return NULL;
}

/* --- dial-in: the conference gets its MCU, the client is told where to call */
struct dial_in { struct relay *relay; struct app *app; enum conf_session session; char *key, *user, *endpoint; };

static void on_dial_in_destroy(void *arg)
{
	struct dial_in *d = arg;

	mem_deref(d->key);
	mem_deref(d->user);
	mem_deref(d->endpoint);
}

static void entry(struct xmlw *w, const char *key, const char *value)
{
	xmlw_start(w, "entry");
	xmlw_leaf(w, "key", key);
	xmlw_leaf(w, "value", value);
	xmlw_end(w);
}

static void on_ready(int err, const char *reason, void *arg)
{
	struct dial_in *d = arg;
	struct conf *c = conf_find_key(&d->app->confs, d->key);
	struct c3p_env env = info_relay_env(d->relay);
	struct c3p_endpoint e = { .entity = d->endpoint, .session_type = conf_session_names[d->session], .joining_method = "dialed-in" };
	struct c3p_user u = { .entity = d->user, .nendpoints = d->endpoint ? 1 : 0, .endpoints = &e };
	struct xmlw w;
	struct buf b;

	if (err || !c) {
		info_relay_fail(d->relay, err ? reason : "conferenceDoesntExist");
		mem_deref(d);
		return;
	}
	buf_init(&b, 65536);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "addUser");
	xmlw_start(&w, "conferenceKeys");
	xmlw_attr(&w, "confEntity", c->focus_uri);
	xmlw_end(&w);
	c3p_user_encode(&w, false, &u);
	xmlw_start(&w, "connection-info");
	entry(&w, "Mcu-Server-Uri", c->mcu[d->session].uri);
	entry(&w, "Mcu-Conference-Uri", c->mcu[d->session].uri);
	xmlw_end(&w);
	xmlw_end(&w);
	b.err = c3p_end(&w);
	info_relay_body(d->relay, C3P_SUCCESS, &b);
	mem_deref(d);
}

static void dial_in(struct cmd_ctx *x, const struct wanted *w)
{
	struct user *u = user_find(x->rq->conf, w->user.entity);
	struct dial_in *d;
	int err = -ENOMEM;

	if (!u || !user_has(u, SESSION_FOCUS)) {
		info_fail(x, 603, DIAG_USER, "userDoesntExist", "who dials in has joined the focus before");
		return;
	}
	if (!policy_may_act_on(x->by, u)) {
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters do this for others");
		return;
	}
	d = mem_zalloc(sizeof(*d), on_dial_in_destroy);
	if (d && (d->relay = info_relay_start(x))) {
		d->app     = x->rq->app;
		d->session = info_mcu_of(x);
		d->key     = mem_ref(x->rq->conf->key);
		d->user    = mem_ref(u->entity);
		err = cstr_set(&d->endpoint, w->entity);
	}
	info_pending(x, d ? d->relay : NULL, err);       /* the answer comes first, also when the MCU is there already */
	if (err || mculink_ensure(d->app, x->rq->conf, d->session, on_ready, d)) {
		if (!err)
			info_relay_fail(d->relay, "serverBusy");
		mem_deref(d);
	}
}

/* --- dial-out */
static void on_dialed(int err, const char *reason, void *arg)
{
	if (err)
		info_relay_fail(arg, reason);
	else
		info_relay_done(0, "", NULL, arg);
}

/* "sip:bob@example.net?Replaces=..." -> the URI and the header lines (RFC 3261 19.1.1) */
static int split_headers(const char *s, char **uri, char **headers)
{
	const char *q = strchr(s, '?');
	struct str rest = str_c(q ? q + 1 : NULL);
	struct buf b;

	*uri = str_dup((struct str){ s, q ? (size_t)(q - s) : strlen(s) });
	*headers = NULL;
	if (!*uri)
		return -ENOMEM;
	buf_init(&b, 2048);
	while (!str_empty(rest)) {
		struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');

		if (!str_ieq(name, STR("Replaces")) && !str_ieq(name, STR("Subject")))
			continue;                /* the others are ours to set */
		buf_printf(&b, STR_FMT ": ", STR_ARG(name));
		for (size_t i = 0; i < value.l; i++) {
			unsigned c = (unsigned char)value.p[i];

			if (c == '%' && i + 2 < value.l && sscanf(value.p + i + 1, "%2x", &c) == 1)
				i += 2;
			if (c >= ' ' && c != 0x7f)
				buf_printf(&b, "%c", (int)c);
		}
		buf_puts(&b, "\r\n");
	}
	if (b.l && !b.err)
		*headers = str_dup(buf_view(&b));
	buf_fini(&b);
	return 0;
}

static void on_ringing(bool alerting, void *arg)
{
	struct c3p_env env = info_relay_env(arg);
	struct buf b;

	(void)alerting;
	buf_init(&b, 0);
	b.err = info_relay_pending(arg, &env, &b);
	info_relay_body(arg, C3P_PENDING, &b);
}

static void dial_out(struct cmd_ctx *x, const struct wanted *w)
{
	const char *target = w->refer_to && *w->refer_to ? w->refer_to : w->uri && *w->uri ? w->uri : w->user.entity;
	struct dialout_prm p = { .conf = x->rq->conf, .session = info_mcu_of(x), .entity = w->user.entity, .by = x->by,
				 .display = w->user.display_text, .endpoint = w->entity, .ringcb = on_ringing,
				 .role = cstr_eq(w->user.role, "presenter") && policy_is_presenter(x->by) ? ROLE_PRESENTER : ROLE_ATTENDEE };
	char *uri = NULL, *headers = NULL, aor[256];
	struct relay *r;
	int err;

	err = split_headers(target, &uri, &headers);
	if (!err && !dialout_allowed(x->rq->app, x->by, w->user.entity, uri)) {
		info_fail(x, 403, DIAG_DIALOUT, "unauthorized", "attendees may not call others into this conference");
	} else if (!err && (!dialout_target_valid(uri) || !dialout_target_valid(w->user.entity) ||
			    !dialout_entity(x->rq->app, w->user.entity, uri, aor, sizeof(aor)) ||
			    str_istarts(str_c(w->user.entity), STR("tel:")))) {
		info_fail(x, 603, DIAG_USER, "invalidUserEntity", "the user is no SIP URI, or what is to be dialled no SIP or tel URI");
	} else {
		r = err ? NULL : info_relay_start(x);
		p.entity  = dialout_entity(x->rq->app, w->user.entity, uri, aor, sizeof(aor));
		p.target  = uri;
		p.headers = headers;
		info_respond(x, 202, C3P_PENDING, DIAG_NONE, NULL, NULL);
		err = r ? dialout_start(x->rq->app, &p, on_dialed, r) : -ENOMEM;
		if (err && r)
			info_relay_fail(r, err == -EEXIST ? "userExists" : err == -E2BIG ? "maxMeetingSizeExceeded" : "serverBusy");
	}
	mem_deref(uri);
	mem_deref(headers);
}

void info_add_user(struct cmd_ctx *x)
{
	struct wanted w;
	enum diag diag;
	const char *why = decode(x, &w, &diag);

	if (why)
		info_fail(x, 400, diag, "requestMalformed", why);
	else if (cstr_eq(w.method, "dialed-out"))
		dial_out(x, &w);
	else if (!w.method || cstr_eq(w.method, "dialed-in"))
		dial_in(x, &w);
	else
		info_fail(x, 400, DIAG_ADD_USER, "requestMalformed", "joining-method is dialed-in or dialed-out");
}
