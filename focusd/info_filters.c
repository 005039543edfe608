/* SPDX-License-Identifier: Apache-2.0 */
/* info_filters.c - media filters of roles ("mute all"): modifyUsersMediaFilters, and modifyConference with mediaFiltersRules
 *
 * The rules belong to the conference: they are committed and shown first, then the MCU is told. One that refuses, or does
 * not answer, has them taken back. Where there is no MCU yet the answer is the 200, and the one that comes gets the rules.
 */
#include <errno.h>
#include "focusd/filters.h"
#include "focusd/info_priv.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct change { struct relay *relay; struct app *app; char *key, *was, *now; };

static void on_change_destroy(void *arg)
{
	struct change *h = arg;

	mem_deref(h->key);
	mem_deref(h->was);
	mem_deref(h->now);
}

/* Unless somebody changed them since. */
static void take_back(struct change *h, struct conf *c)
{
	if (!c || !c->active || !cstr_eq(c->filters ? c->filters : "", h->now ? h->now : ""))
		return;
	log_warn(conf, "%s: the MCU did not take the media filters, the old ones hold", c->key);
	conf_set_filters(&h->app->confs, c, mem_ref(h->was));
	mculink_set_filters(h->app, c);
}

static void on_changed(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct change *h = arg;

	if (err)
		take_back(h, conf_find_key(&h->app->confs, h->key));
	info_relay_done(err, reason, resp, h->relay);
	mem_deref(h);
}

static int tell_mcu(struct cmd_ctx *x, struct change *h)
{
	struct conf *c = x->rq->conf;
	int err;

	h->app   = x->rq->app;
	h->key   = mem_ref(c->key);
	h->was   = mem_ref(c->filters);
	h->now   = mem_ref(h->now);
	h->relay = info_relay_start(x);
	err = h->relay ? mculink_forward(h->app, c, SESSION_AV, x->req->cmd, x->by, on_changed, h) : -ENOMEM;
	info_pending(x, h->relay, err);
	return err;
}

static void change(struct cmd_ctx *x, struct c3p_rule *rules, unsigned n, bool full)
{
	struct conf *c = x->rq->conf;
	struct change *h = mem_zalloc(sizeof(*h), on_change_destroy);
	char *now = NULL;

	for (unsigned i = 0; i < n; i++)
		if (!rules[i].nexcept)           /* who mutes all does not mean himself */
			rules[i].except[rules[i].nexcept++] = x->by->entity;
	if (!h || filters_merge(&now, c->filters, rules, n, full)) {
		info_fail(x, 503, DIAG_NONE, "serverBusy", "out of memory");
		mem_deref(h);
		return;
	}
	if (c->mcu[SESSION_AV].state != CONF_MCU_READY) {
		conf_set_filters(&x->rq->app->confs, c, now);
		info_done(x);
		mem_deref(h);
		return;
	}
	h->now = now;
	if (tell_mcu(x, h)) {
		mem_deref(now);
		mem_deref(h);
	} else {
		conf_set_filters(&x->rq->app->confs, c, now);
	}
	log_info(conf, "%s: media filters of roles changed by %s", c->key, x->by->entity);
}

static void refuse(struct cmd_ctx *x, const char *reason)
{
	static const struct { const char *reason; enum diag diag; const char *text; } rows[] = {
		{ "invalidRole",       DIAG_ROLE,    "a role is default, attendee or presenter" },
		{ "mediaNotSupported", DIAG_NONE,    "filters are for audio" },
		{ "invalidUserEntity", DIAG_USER,    "an exception is no SIP URI" },
		{ "requestTooLarge",   DIAG_NONE,    "too many exceptions" },
		{ "requestMalformed",  DIAG_NOT_C3P, "a filter is block or unblock, mayModifyOwnFilters true or false; one is needed" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (cstr_eq(rows[i].reason, reason))
			info_fail(x, 603, rows[i].diag, reason, rows[i].text);
}

void info_media_filters(struct cmd_ctx *x)
{
	struct c3p_rule rule;
	const char *reason = c3p_rule_decode(&rule, x->req->cmd);

	if (reason)
		refuse(x, reason);
	else if (info_mcu_of(x) != SESSION_AV)
		info_forward(x);                 /* another MCU knows best what it has no filters for */
	else
		change(x, &rule, 1, false);
}

/* The rules in the entity-view of the audio MCU; NULL: none */
static const struct xml_node *rules_of(const struct cmd_ctx *x)
{
	const struct xml_node *v = xml_child(xml_child(x->req->cmd, NULL, "conference-info"), NULL, "conference-view"), *r;

	for (v = xml_child(v, NULL, "entity-view"); v; v = xml_next(v, NULL, "entity-view")) {
		const char *entity = xml_attr(v, NULL, "entity");

		if (!entity || (!cstr_ieq(entity, conf_session_names[SESSION_AV]) &&
				!c3p_uri_same(str_c(entity), str_c(x->rq->conf->mcu[SESSION_AV].uri))))
			continue;
		r = xml_child(xml_child(v, NULL, "entity-state"), NULL, "mediaFiltersRules");
		r = r ? r : xml_child(xml_child(v, NULL, "entity-settings"), NULL, "mediaFiltersRules");
		if (r)
			return r;
	}
	return NULL;
}

void info_modify_mcu(struct cmd_ctx *x)
{
	const struct xml_node *rules = info_mcu_of(x) == SESSION_AV ? rules_of(x) : NULL;
	struct c3p_rule r[C3P_NRULES];
	const char *reason;
	bool full;
	unsigned n;

	if (!rules) {
		info_forward(x);
		return;
	}
	reason = c3p_rules_decode(r, &n, &full, rules);
	if (reason)
		refuse(x, reason);
	else
		change(x, r, n, full);
}
