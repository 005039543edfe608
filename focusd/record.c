/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - see record.h */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "focusd/record.h"
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"
#include "lib/sip/msg.h"
#include "lib/tls/cms.h"
#include "lib/tls/seal.h"

#define YEAR_S 31557600
#define MAX_TEXT 512u                    /* bytes of a subject or a display text */
#define MAX_INVITED_BYTES (256u * 1024)
#define MAX_LIST_BYTES (160u * 1024)     /* of the list as a record shows it: it must fit into one SIP message */
#define LIST_ENTRY_BYTES 110u            /* what an entry takes besides its address */

static bool listed(const char *list, const char *type)
{
	struct str rest = str_c(list);

	while (!str_empty(rest))
		if (str_eq(str_trim(str_cut(&rest, ',')), str_c(type)))
			return true;
	return false;
}

static bool type_offered(const struct app *a, const char *type)
{
	return listed(a->cfg.mcu_types, type);
}

static const char *decode_types(struct record *r, const struct app *a, const struct xml_node *view)
{
	static const char *const known[] = { "audio-video", "chat", "applicationsharing", "meeting", "phone-conf" };

	for (const struct xml_node *v = xml_child(view, NULL, "entity-view"); v; v = xml_next(v, NULL, "entity-view")) {
		const char *type = xml_attr(v, NULL, "entity");
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= cstr_eq(type, known[i]);
		if (!is_known)
			return "unknownMcuType";
		if (!type_offered(a, type))
			return "mcuTypeNotAvailable";
		if (listed(r->types.p, type))
			continue;
		buf_printf(&r->types, "%s%s", r->types.l ? "," : "", type);
	}
	if (!r->types.l)
		buf_puts(&r->types, a->cfg.mcu_types);
	return NULL;
}

struct seen { UT_hash_handle hh; char uri[]; };

/* false: he is on it already, however his address was written; or there is no memory */
static bool list_once(struct seen **all, struct str uri)
{
	struct seen *n = malloc(sizeof(*n) + uri.l + 1), *old;

	if (!n)
		return false;
	for (size_t i = 0; i < uri.l; i++)
		n->uri[i] = (char)tolower((unsigned char)uri.p[i]);
	n->uri[uri.l] = '\0';
	HASH_FIND(hh, *all, n->uri, uri.l, old);
	if (old) {
		free(n);
		return false;
	}
	HASH_ADD_KEYPTR(hh, *all, n->uri, uri.l, n);
	return true;
}

static const char *decode_list(struct record *r, const struct xml_node *users, struct seen **all)
{
	size_t bytes = 0;

	for (const struct xml_node *u = xml_child(users, NULL, "user"); u; u = xml_next(u, NULL, "user")) {
		const char *entity = xml_attr(u, NULL, "entity");
		const char *role = xml_text(xml_child(xml_child(u, NULL, "roles"), NULL, "entry"));
		struct sip_uri uri;
		char aor[256];
		struct str s;

		if (!entity || sip_uri_decode(&uri, str_c(entity)) || str_empty(uri.user) || str_empty(uri.host) || str_ieq(uri.scheme, STR("tel")))
			return "invalidUserEntity";
		s = sip_uri_aor(str_c(entity), aor, sizeof(aor));
		if (str_empty(s) || memchr(s.p, '\n', s.l))
			return "invalidUserEntity";
		if (role && !cstr_eq(role, "presenter") && !cstr_eq(role, "attendee"))
			return "invalidRole";
		if (!list_once(all, s))
			return "userExists";
		bytes += LIST_ENTRY_BYTES + s.l;
		if (bytes > MAX_LIST_BYTES)
			return "maxMeetingSizeExceeded";
		buf_printf(&r->invited, "%s " STR_FMT "\n", role ? role : "attendee", STR_ARG(s));
	}
	return r->invited.err ? "maxMeetingSizeExceeded" : NULL;
}

static const char *decode_users(struct record *r, const struct xml_node *users)
{
	struct seen *all = NULL, *n, *tmp;
	const char *why = decode_list(r, users, &all);

	HASH_ITER(hh, all, n, tmp) {
		HASH_DEL(all, n);
		free(n);
	}
	return why;
}

static const char *decode_description(struct record *r, const struct app *a, const struct xml_node *d)
{
	const char *policy = xml_text(xml_child(d, NULL, "admission-policy"));
	const char *expiry = xml_text(xml_child(d, NULL, "expiry-time"));
	int64_t now = app_wall_s();
	int i = 0;

	r->subject = xml_text(xml_child(d, NULL, "subject"));
	r->display = xml_text(xml_child(d, NULL, "display-text"));
	r->conf_id = xml_text(xml_child(d, NULL, "conference-id"));
	if (!r->conf_id || !c3p_id_valid(str_c(r->conf_id)))
		return "invalidConferenceId";
	if ((r->subject && strlen(r->subject) > MAX_TEXT) || (r->display && strlen(r->display) > MAX_TEXT))
		return "requestTooLarge";       /* every document would carry it */
	r->expiry_s = expiry && *expiry ? app_utc_parse(expiry) : now + a->cfg.default_expiry_s;
	if (r->expiry_s < now - YEAR_S || r->expiry_s > now + 10 * (int64_t)YEAR_S)
		return "invalidExpiryTime";
	while (policy && i < POLICY_N && !cstr_eq(policy, conf_policy_names[i]))
		i++;
	if (i == POLICY_N)
		return "invalidAdmissionPolicy";
	r->policy = policy ? (enum conf_policy)i : POLICY_OPEN;
	return r->policy == POLICY_ANONYMOUS && !a->cfg.anonymous_allowed ? "anonymousUsersNotAllowed" : NULL;
}

static bool passcode_valid(const char *s)
{
	size_t n = strlen(s);

	return n >= 4 && n <= 16 && strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

/* oc:passcode under pstn-access, or conference-key: CMS for our certificate (provisioning of the client, getEncryptionKey) */
static const char *decode_passcode(struct record *r, const struct app *a, const struct xml_node *d)
{
	const struct xml_node *n = xml_child(xml_child(d, NULL, "pstn-access"), NULL, "passcode");
	const char *encoding;
	int err;

	if (!n)
		n = xml_child(d, NULL, "conference-key");
	if (!n || !*xml_text(n))
		return NULL;
	encoding = xml_attr(n, NULL, "encoding");
	if (encoding && !cstr_eq(encoding, "cms-base64"))
		return "invalidEncryptionKeyUsed";
	err = cms_open(a->cms, &r->passcode, str_c(xml_text(n)), xml_attr(n, NULL, "keyId"));
	if (err)
		return err == -ESTALE ? "staleEncryptionKey" : err == -ENOMEM ? "serverBusy" : "invalidEncryptionKeyUsed";
	return passcode_valid(r->passcode) ? NULL : "invalidPasscode";
}

const char *record_decode(struct record *r, const struct app *a, const struct xml_node *info)
{
	const char *version = info ? xml_attr(info, NULL, "version") : NULL, *why;

	*r = (struct record){ 0 };
	buf_init(&r->invited, MAX_INVITED_BYTES);
	buf_init(&r->types, 1024);
	if (!info)
		return "requestMalformed";
	why = decode_description(r, a, xml_child(info, NULL, "conference-description"));
	if (!version)
		version = xml_text(xml_child(xml_child(info, NULL, "conference-description"), NULL, "version"));
	r->has_version = version && str_u64(str_c(version), &r->version) == 0;
	if (!why)
		why = decode_passcode(r, a, xml_child(info, NULL, "conference-description"));
	if (!why)
		why = decode_users(r, xml_child(info, NULL, "users"));
	if (!why)
		why = decode_types(r, a, xml_child(info, NULL, "conference-view"));
	return why;
}

void record_fini(struct record *r)
{
	buf_fini(&r->invited);
	buf_fini(&r->types);
	seal_wipe(r->passcode);
	r->passcode = mem_deref(r->passcode);
}

static void leaf_utc(struct xmlw *w, const char *name, int64_t s)
{
	char *t = s ? app_utc(s) : NULL;

	xmlw_leaf(w, name, t);
	mem_deref(t);
}

static void encode_users(struct xmlw *w, const struct conf *c)
{
	struct str rest = str_c(c->invited);

	xmlw_start(w, "ci:users");
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n'), role = str_cut(&line, ' ');
		char *entity = str_dup(line), *r = str_dup(role);

		xmlw_start(w, "ci:user");
		xmlw_attr(w, "entity", entity);
		xmlw_start(w, "ci:roles");
		xmlw_leaf(w, "ci:entry", r);
		xmlw_end(w);
		xmlw_end(w);
		mem_deref(entity);
		mem_deref(r);
	}
	xmlw_end(w);
}

static void encode_types(struct xmlw *w, const struct conf *c)
{
	struct str rest = str_c(c->types);

	xmlw_start(w, "msci:conference-view");
	while (!str_empty(rest)) {
		char *type = str_dup(str_cut(&rest, ','));

		xmlw_start(w, "msci:entity-view");
		xmlw_attr(w, "entity", type);
		xmlw_end(w);
		mem_deref(type);
	}
	xmlw_end(w);
}

void record_encode(struct xmlw *w, const struct conf *c, bool whole)
{
	record_encode_with(w, c, whole, NULL);
}

void record_encode_with(struct xmlw *w, const struct conf *c, bool whole, const char *passcode)
{
	xmlw_start(w, "ci:conference-info");
	xmlw_attr(w, "entity", c->focus_uri);
	xmlw_attrf(w, "version", "%u", c->record_version);
	xmlw_start(w, "ci:conference-description");
	xmlw_leaf(w, "ci:display-text", c->display);
	xmlw_leaf(w, "ci:subject", c->subject);
	xmlw_leaf(w, "msci:conference-id", c->conf_id);
	xmlw_leaf(w, "msci:conference-key", passcode);
	leaf_utc(w, "msci:last-update", c->updated_s);
	leaf_utc(w, "msci:last-activate", c->activated_s);
	xmlw_leaf(w, "msci:is-active", c->active ? "true" : "false");
	leaf_utc(w, "msci:expiry-time", c->expiry_s);
	xmlw_leaf(w, "msci:admission-policy", conf_policy_names[c->policy]);
	xmlw_start(w, "msci:pstn-access");
	xmlw_leaf(w, "msci:id", c->number);
	xmlw_end(w);
	xmlw_end(w);
	if (whole) {
		encode_users(w, c);
		encode_types(w, c);
	}
	xmlw_end(w);
}
