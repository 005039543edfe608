/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the Focus Factory: C3P scheduling commands (docs/c3p.md, schedule)
 *
 * The organizer is known when they come here: service_sip.c takes them from SERVICE requests, service_http.c from POSTs
 * of scheduling tools. He acts on his own conferences only.
 */
#include <errno.h>
#include "focusd/life.h"
#include "focusd/pin.h"
#include "focusd/record.h"
#include "focusd/service.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/uri.h"
#include "lib/tls/cms.h"
#include "lib/tls/seal.h"

static struct metric requests = METRIC_COUNTER("conclave_focus_factory_commands_total", "Scheduling commands taken");

#define MAX_LIST (192u * 1024)           /* bytes of a list: it must fit into one SIP message */

static void reply_begin(const struct svc *x, struct xmlw *w, struct buf *b)
{
	struct c3p_env env = c3p_env_of(x->req);

	buf_init(b, 1024 * 1024);
	c3p_begin_response(w, b, &env, C3P_SUCCESS, NULL);
	xmlw_start(w, x->req->command);
}

static void reply_end(const struct svc *x, struct xmlw *w, struct buf *b)
{
	xmlw_end(w);
	c3p_end(w);
	x->reply(x, b);
}

static void fail(const struct svc *x, const char *reason)
{
	struct c3p_env env = c3p_env_of(x->req);
	struct buf b;

	buf_init(&b, 0);
	c3p_simple_response(&b, &env, C3P_FAILURE, x->req->command, reason, NULL);
	x->reply(x, &b);
}

static void write_types(const struct svc *x, struct xmlw *w)
{
	struct str rest = str_c(x->app->cfg.mcu_types);

	xmlw_start(w, "mcu-types");
	while (!str_empty(rest)) {
		char *t = str_dup(str_trim(str_cut(&rest, ',')));

		xmlw_leaf(w, "mcuType", t);
		mem_deref(t);
	}
	xmlw_end(w);
}

static void on_mcu_types(const struct svc *x)
{
	struct xmlw w;
	struct buf b;

	reply_begin(x, &w, &b);
	write_types(x, &w);
	reply_end(x, &w, &b);
}

static void on_capabilities(const struct svc *x)
{
	struct xmlw w;
	struct buf b;

	reply_begin(x, &w, &b);
	xmlw_attr(&w, "capability-version", "0");
	write_types(x, &w);
	xmlw_start(&w, "anonymous-scheduling");
	xmlw_leaf(&w, "enabled", x->app->cfg.anonymous_allowed ? "true" : "false");
	xmlw_end(&w);
	reply_end(x, &w, &b);
}

static void reply_record(const struct svc *x, const struct conf *c)
{
	struct xmlw w;
	struct buf b;

	reply_begin(x, &w, &b);
	record_encode(&w, c, true);
	reply_end(x, &w, &b);
}

static bool same_organizer(const struct svc *x, const struct conf *c)
{
	return str_ieq(str_c(c->organizer), x->organizer) && str_ieq(str_c(c->domain), x->domain);
}

static struct conf *find(const struct svc *x, const char *conf_id)
{
	const struct c3p_keys *k = &x->req->keys;
	struct conf *c = NULL;
	struct c3p_uri u;

	if (conf_id && *conf_id)
		c = conf_find(&x->app->confs, x->organizer, x->domain, str_c(conf_id));
	else if (*k->conf_entity && c3p_uri_decode(&u, str_c(k->conf_entity)) == 0 && str_ieq(u.user, x->organizer) &&
	    str_ieq(u.domain, x->domain))
		c = conf_find(&x->app->confs, u.user, u.domain, u.id);
	return c && !c->removing ? c : NULL;     /* removing: gone at the end of this turn */
}

static unsigned count(const struct svc *x)
{
	unsigned n = 0;

	for (const struct conf *c = x->app->confs.by_key; c; c = c->hh.next)
		n += same_organizer(x, c);
	return n;
}

static const char *add(const struct svc *x, const struct record *r, struct conf **cp)
{
	char *org = str_dup(x->organizer), *domain = str_dup(x->domain);
	struct conf_prm prm = { .organizer = org, .domain = domain, .conf_id = r->conf_id, .subject = r->subject,
				.policy = r->policy, .expiry_s = r->expiry_s, .invited = r->invited.l ? r->invited.p : "",
				.types = r->types.p };
	int err = org && domain ? conf_add(cp, &x->app->confs, &prm) : -ENOMEM;

	mem_deref(org);
	mem_deref(domain);
	if (!err) {
		cstr_set(&(*cp)->display, r->display);
		(*cp)->updated_s = app_wall_s();
	}
	return err == -EEXIST ? "conferenceExists" : err ? "serverBusy" : NULL;
}

static void on_add(const struct svc *x)
{
	struct conf *c = NULL;
	struct record r;
	const char *why = record_decode(&r, x->app, xml_child(x->req->cmd, NULL, "conference-info"));

	if (!why && find(x, r.conf_id))
		why = "conferenceExists";
	if (!why && count(x) >= (unsigned)x->app->cfg.max_conferences)
		why = "maxConferencesExceeded";
	if (!why)
		why = add(x, &r, &c);
	if (!why && pin_set(x->app, c, r.passcode)) {
		conf_remove(&x->app->confs, c);
		why = "serverBusy";
	}
	record_fini(&r);
	if (why) {
		fail(x, why);
		return;
	}
	log_info(conf, "%s: scheduled", c->key);
	reply_record(x, c);
}

static void on_modify(const struct svc *x)
{
	struct record r;
	const char *why = record_decode(&r, x->app, xml_child(x->req->cmd, NULL, "conference-info"));
	struct conf *c = r.conf_id ? find(x, r.conf_id) : NULL;

	if (!why && !c)
		why = "conferenceDoesntExist";
	if (!why && (!r.has_version || r.version != c->record_version))
		why = "invalidVersion";
	if (!why && (cstr_set(&c->subject, r.subject ? r.subject : "") || cstr_set(&c->display, r.display) ||
		     cstr_set(&c->invited, r.invited.l ? r.invited.p : "") || cstr_set(&c->types, r.types.p)))
		why = "serverBusy";
	if (!why && r.passcode && pin_set(x->app, c, r.passcode))
		why = "serverBusy";
	if (!why) {
		if (!c->active || r.policy != c->policy)
			c->policy_now = r.policy;        /* who is inside stays; later ones are judged by it */
		c->policy   = r.policy;
		c->expiry_s = r.expiry_s;
		c->record_version++;
		c->updated_s = app_wall_s();
		c->chg_desc  = true;
		conf_touch(&x->app->confs, c);
		confs_changed(&x->app->confs, c);
	}
	record_fini(&r);
	if (why)
		fail(x, why);
	else
		reply_record(x, c);
}

static void on_delete(const struct svc *x)
{
	struct conf *c = find(x, x->req->keys.conf_id);
	struct xmlw w;
	struct buf b;

	if (!c) {
		fail(x, "conferenceDoesntExist");
		return;
	}
	reply_begin(x, &w, &b);
	xmlw_start(&w, "ci:conference-info");
	xmlw_attr(&w, "entity", c->focus_uri);
	xmlw_end(&w);
	reply_end(x, &w, &b);
	log_info(conf, "%s: deleted", c->key);
	life_remove(x->app, c);
}

/* The organizer gets his pass code back, encrypted for the certificate that he sends. */
static const char *passcode_for(const struct svc *x, const struct conf *c, char **out)
{
	const char *cert = xml_text(xml_child(xml_child(x->req->cmd, NULL, "encryption-key"), NULL, "x509-certificate"));
	char *plain = NULL;
	int err;

	*out = NULL;
	if (!cert || !c->pin)
		return NULL;
	err = pin_open(x->app, c, &plain);
	if (!err)
		err = cms_encrypt_for(out, str_c(cert), str_c(plain));
	seal_wipe(plain);
	mem_deref(plain);
	return err == -EBADMSG ? "invalidEncryptionKey" : err ? "otherFailure" : NULL;
}

static void on_get(const struct svc *x)
{
	struct conf *c = find(x, x->req->keys.conf_id);
	char *passcode = NULL;
	const char *why = c ? passcode_for(x, c, &passcode) : "conferenceDoesntExist";
	struct xmlw w;
	struct buf b;

	if (why) {
		fail(x, why);
		return;
	}
	reply_begin(x, &w, &b);
	record_encode_with(&w, c, true, passcode);
	reply_end(x, &w, &b);
	mem_deref(passcode);
}

static void on_encryption_key(const struct svc *x)
{
	struct xmlw w;
	struct buf b;

	reply_begin(x, &w, &b);
	xmlw_start(&w, "msci:encryption-key");
	xmlw_leaf(&w, "msci:x509-certificate", cms_cert(x->app->cms));
	xmlw_end(&w);
	reply_end(x, &w, &b);
}

static void on_list(const struct svc *x)
{
	int64_t now = app_wall_s();
	unsigned n = 0;
	struct xmlw w;
	struct buf b;

	reply_begin(x, &w, &b);
	xmlw_start(&w, "conferences");
	for (const struct conf *c = x->app->confs.by_key; c && n < 1000 && b.l < MAX_LIST; c = c->hh.next)
		if (same_organizer(x, c) && (!c->expiry_s || c->expiry_s > now || c->active)) {
			record_encode(&w, c, false);
			n++;
		}
	xmlw_end(&w);
	reply_end(x, &w, &b);
}

static const struct { const char *name; void (*handler)(const struct svc *x); } commands[] = {
	{ "getConferencingCapabilities", on_capabilities },
	{ "getAvailableMcuTypes",        on_mcu_types },
	{ "addConference",               on_add },
	{ "modifyConference",            on_modify },
	{ "deleteConference",            on_delete },
	{ "getConference",               on_get },
	{ "getConferences",              on_list },
	{ "getEncryptionKey",            on_encryption_key },
};

void service_execute(const struct svc *x)
{
	metric_register(&requests, 1);
	metric_inc(&requests);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (cstr_eq(x->req->command, commands[i].name)) {
			commands[i].handler(x);
			return;
		}
	fail(x, "notSupported");
}
