/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - pieces of the conference-info document
 *
 * Writing follows the schema: RFC 4575's children in its order, Microsoft's behind them, ours last. Every RFC element
 * has two spellings, "ci:x" inside C3P and "x" in a notification whose default namespace is conference-info; a
 * notification must therefore declare ci, msci and oc besides its default. Reading matches names in any namespace,
 * because clients of this family put Microsoft's leaves into RFC elements with and without prefixes.
 */
#include <errno.h>
#include "lib/c3p/info.h"

#define CI(dflt, name) ((dflt) ? (name) : "ci:" name)

static const char *child_text(const struct xml_node *n, const char *name)
{
	return xml_text(xml_child(n, NULL, name));
}

/* --- media */
void c3p_media_encode(struct xmlw *w, bool dflt, const struct c3p_media *m)
{
	xmlw_start(w, CI(dflt, "media"));
	xmlw_attr(w, "id", m->id);
	xmlw_leaf(w, CI(dflt, "display-text"), m->display_text);
	xmlw_leaf(w, CI(dflt, "type"), m->type);
	xmlw_leaf(w, CI(dflt, "label"), m->label);
	xmlw_leaf(w, CI(dflt, "src-id"), m->src_id);
	xmlw_leaf(w, CI(dflt, "status"), m->status);
	xmlw_leaf(w, "msci:media-state", m->state);
	xmlw_leaf(w, "msci:media-ingress-filter", m->ingress);
	xmlw_leaf(w, "msci:media-egress-filter", m->egress);
	xmlw_end(w);
}

static const char *filter(const struct xml_node *n, const char *name)
{
	const char *v = child_text(n, name);

	if (cstr_ieq(v, "block"))
		return "block";
	return cstr_ieq(v, "unblock") ? "unblock" : NULL;
}

int c3p_media_decode(struct c3p_media *m, const struct xml_node *n)
{
	const char *id = xml_attr(n, NULL, "id");

	if (!id || !*id)
		return -EBADMSG;
	*m = (struct c3p_media){
		.id           = id,
		.type         = child_text(n, "type"),
		.label        = child_text(n, "label"),
		.status       = child_text(n, "status"),
		.display_text = child_text(n, "display-text"),
		.src_id       = child_text(n, "src-id"),
		.state        = child_text(n, "media-state"),
		.ingress      = filter(n, "media-ingress-filter"),
		.egress       = filter(n, "media-egress-filter"),
	};
	return 0;
}

/* --- endpoints */
static void joining_encode(struct xmlw *w, bool dflt, const struct c3p_endpoint *e)
{
	xmlw_leaf(w, CI(dflt, "joining-method"), e->joining_method);
	if (!e->joining_when)
		return;
	xmlw_start(w, CI(dflt, "joining-info"));
	xmlw_leaf(w, CI(dflt, "when"), e->joining_when);
	xmlw_end(w);
}

static void call_info_encode(struct xmlw *w, bool dflt, const struct c3p_endpoint *e)
{
	if (!e->call_id)
		return;
	xmlw_start(w, CI(dflt, "call-info"));
	xmlw_start(w, CI(dflt, "sip"));
	xmlw_leaf(w, CI(dflt, "call-id"), e->call_id);
	xmlw_leaf(w, CI(dflt, "from-tag"), e->from_tag);
	xmlw_leaf(w, CI(dflt, "to-tag"), e->to_tag);
	xmlw_end(w);
	xmlw_end(w);
}

void c3p_endpoint_encode(struct xmlw *w, bool dflt, const struct c3p_endpoint *e)
{
	xmlw_start(w, CI(dflt, "endpoint"));
	xmlw_attr(w, "entity", e->entity);
	xmlw_attr(w, "state", e->state);
	xmlw_attr(w, "msci:session-type", e->session_type);
	xmlw_attr(w, "msci:endpoint-uri", e->uri);
	xmlw_attr(w, "oc:leg", e->leg);
	xmlw_attr(w, "oc:talking", e->talking ? "true" : NULL);
	xmlw_attr(w, "oc:hand", e->hand ? "true" : NULL);
	xmlw_leaf(w, CI(dflt, "status"), e->status);
	joining_encode(w, dflt, e);
	xmlw_leaf(w, CI(dflt, "disconnection-method"), e->disconnection_method);
	for (unsigned i = 0; i < e->nmedia && i < C3P_MAX_MEDIA; i++)
		c3p_media_encode(w, dflt, &e->media[i]);
	call_info_encode(w, dflt, e);
	if (e->role) {
		xmlw_start(w, "msci:roles");
		xmlw_leaf(w, CI(dflt, "entry"), e->role);
		xmlw_end(w);
	}
	xmlw_end(w);
}

static bool is_true(const char *v)
{
	return cstr_ieq(v, "true") || cstr_eq(v, "1");
}

int c3p_endpoint_decode(struct c3p_endpoint *e, const struct xml_node *n)
{
	const struct xml_node *sip = xml_child(xml_child(n, NULL, "call-info"), NULL, "sip");
	const char *entity = xml_attr(n, NULL, "entity");
	struct c3p_endpoint x = {
		.entity               = entity,
		.session_type         = xml_attr(n, NULL, "session-type"),
		.uri                  = xml_attr(n, NULL, "endpoint-uri"),
		.state                = xml_attr(n, NULL, "state"),
		.status               = child_text(n, "status"),
		.joining_method       = child_text(n, "joining-method"),
		.joining_when         = child_text(xml_child(n, NULL, "joining-info"), "when"),
		.disconnection_method = child_text(n, "disconnection-method"),
		.call_id              = child_text(sip, "call-id"),
		.from_tag             = child_text(sip, "from-tag"),
		.to_tag               = child_text(sip, "to-tag"),
		.leg                  = xml_attr(n, C3P_NS_OC, "leg"),
		.talking              = is_true(xml_attr(n, C3P_NS_OC, "talking")),
		.hand                 = is_true(xml_attr(n, C3P_NS_OC, "hand")),
	};

	if (!entity || !*entity)
		return -EBADMSG;
	for (n = xml_child(n, NULL, "media"); n; n = xml_next(n, NULL, "media")) {
		if (x.nmedia == C3P_MAX_MEDIA || c3p_media_decode(&x.media[x.nmedia], n))
			return -EBADMSG;
		x.nmedia++;
	}
	*e = x;
	return 0;
}

/* --- users */
void c3p_user_encode(struct xmlw *w, bool dflt, const struct c3p_user *u)
{
	xmlw_start(w, CI(dflt, "user"));
	xmlw_attr(w, "entity", u->entity);
	xmlw_attr(w, "state", u->state);
	xmlw_leaf(w, CI(dflt, "display-text"), u->display_text);
	if (u->role) {
		xmlw_start(w, CI(dflt, "roles"));
		xmlw_leaf(w, CI(dflt, "entry"), u->role);
		xmlw_end(w);
	}
	for (unsigned i = 0; i < u->nendpoints; i++)
		c3p_endpoint_encode(w, dflt, &u->endpoints[i]);
	xmlw_end(w);
}

int c3p_user_decode(struct c3p_user *u, const struct xml_node *n)
{
	const char *entity = xml_attr(n, NULL, "entity");
	unsigned count = 0;

	if (!entity || !*entity)
		return -EBADMSG;
	for (const struct xml_node *e = xml_child(n, NULL, "endpoint"); e; e = xml_next(e, NULL, "endpoint"))
		if (++count > C3P_MAX_ENDPOINTS)
			return -EBADMSG;
	*u = (struct c3p_user){
		.entity       = entity,
		.display_text = child_text(n, "display-text"),
		.role         = child_text(xml_child(n, NULL, "roles"), "entry"),
		.state        = xml_attr(n, NULL, "state"),
		.nendpoints   = count,
		.node         = n,
	};
	return 0;
}

/* --- entity views */
static const struct { const char *type, *label; } labels[] = {
	{ "audio",              "main-audio" },
	{ "video",              "main-video" },
	{ "panoramic-video",    "panoramic-video" },
	{ "chat",               "chat" },
	{ "applicationsharing", "applicationsharing" },
};

const char *c3p_media_label(const char *type)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (cstr_eq(type, labels[i].type))
			return labels[i].label;
	return NULL;
}

static void view_media_encode(struct xmlw *w, bool dflt, const struct c3p_entity_view *v)
{
	size_t max = sizeof(v->media_types) / sizeof(v->media_types[0]);

	if (!v->media_types[0])
		return;
	xmlw_start(w, "msci:media");
	for (size_t i = 0; i < max && v->media_types[i]; i++) {
		xmlw_start(w, CI(dflt, "entry"));
		xmlw_attr(w, "label", c3p_media_label(v->media_types[i]));
		xmlw_leaf(w, CI(dflt, "type"), v->media_types[i]);
		xmlw_leaf(w, CI(dflt, "status"), "sendrecv");
		xmlw_end(w);
	}
	xmlw_end(w);
}

#define MAX_EXCEPT_BYTES 1024u                   /* more exceptions than fit are left out: each user's own filters tell */

/* A deleted view is its key alone; a partial one leaves the capabilities, which never change, as they are. */
void c3p_entity_view_encode(struct xmlw *w, bool dflt, const struct c3p_entity_view *v)
{
	const char *state = v->state ? v->state : "full";

	xmlw_start(w, "msci:entity-view");
	xmlw_attr(w, "ci:state", state);
	xmlw_attr(w, "entity", v->entity);
	if (!cstr_eq(state, "deleted")) {
		if (cstr_eq(state, "full"))
			xmlw_leaf(w, "msci:entity-capabilities", "");
		xmlw_start(w, "msci:entity-state");
		xmlw_leaf(w, "msci:active", v->active ? "true" : "false");
		xmlw_leaf(w, "msci:locked", v->locked ? "true" : "false");
		view_media_encode(w, dflt, v);
		c3p_rules_encode(w, v->rules, v->nrules, false, MAX_EXCEPT_BYTES);
		xmlw_end(w);
	}
	xmlw_end(w);
}
