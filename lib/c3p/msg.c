/* SPDX-License-Identifier: Apache-2.0 */
/* msg.c - the C3P envelope
 *
 * In: xml_parse(), root and version checked, the envelope's attributes and the one command child picked out, the keys
 * of that command collected from whichever *Keys element it carries. Nothing is copied; the structs borrow from the
 * document. Out: xmlw with the envelope's namespaces declared once, so commands are written with the prefixes of
 * msg.h. Which attributes are right for whom is policy and not decided here.
 */
#include <errno.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/msg.h"

static struct metric malformed = METRIC_COUNTER("conclave_c3p_malformed_total", "Bodies that are XML but not C3P");

static __attribute__((constructor)) void malformed_register(void)
{
	metric_register(&malformed, 1);
}

static const char *const code_names[] = {
	[C3P_SUCCESS] = "success", [C3P_FAILURE] = "failure", [C3P_PENDING] = "pending",
};
#define NCODES (sizeof(code_names) / sizeof(code_names[0]))

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* --- reading */
static bool version_ok(const struct xml_node *root)
{
	const char *v = xml_attr(root, "", "C3PVersion");

	return !v || strcmp(v, "1") == 0;
}

/* The one child of the envelope, NULL when there is none, more than one, or one of a foreign namespace. */
static const struct xml_node *command_of(const struct xml_node *root)
{
	const struct xml_node *c = xml_first(root);

	if (!c || xml_next(c, NULL, NULL))
		return NULL;
	return strcmp(xml_ns(c), C3P_NS) == 0 || strcmp(xml_ns(c), C3P_NS_OC) == 0 ? c : NULL;
}

static void keys_read(struct c3p_keys *k, const struct xml_node *n)
{
	static const char *const names[] = { "confEntity", "conference-id", "userEntity", "endpointEntity", "mediaId" };
	const char **values[] = { &k->conf_entity, &k->conf_id, &k->user_entity, &k->endpoint_entity, &k->media_id };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = xml_attr(n, NULL, names[i]);

		if (!**values[i] && v)
			*values[i] = v;
	}
}

/* setUserAccess repeats userKeys: the first one counts here, its handler walks the rest. */
static void keys_decode(struct c3p_keys *k, const struct xml_node *cmd)
{
	static const char *const names[] = { "mediaKeys", "endpointKeys", "userKeys", "conferenceKeys" };

	*k = (struct c3p_keys){ "", "", "", "", "" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		keys_read(k, xml_child(cmd, NULL, names[i]));
}

static int envelope(struct xml_doc **dp, struct str body, const char *name, const struct xml_node **rootp,
		    const struct xml_node **cmdp)
{
	const struct xml_node *root;
	struct xml_doc *d;
	const char *id;
	int err = xml_parse(&d, body);

	if (err)
		return err;
	root  = xml_root(d);
	id    = xml_attr(root, "", "requestId");
	*cmdp = command_of(root);
	if (!xml_is(root, C3P_NS, name) || !version_ok(root) || !*cmdp || !id || !*id) {
		metric_inc(&malformed);
		mem_deref(d);
		return -EBADMSG;
	}
	*rootp = root;
	*dp    = d;
	return 0;
}

int c3p_req_decode(struct c3p_req *r, struct str body)
{
	const struct xml_node *root, *cmd;
	struct xml_doc *d;
	int err = envelope(&d, body, "request", &root, &cmd);

	if (err)
		return err;
	*r = (struct c3p_req){
		.doc            = d,
		.request_id     = xml_attr(root, "", "requestId"),
		.from           = or_empty(xml_attr(root, "", "from")),
		.to             = or_empty(xml_attr(root, "", "to")),
		.command        = xml_name(cmd),
		.cmd            = cmd,
		.mcu_uri        = xml_attr(cmd, NULL, "mcuUri"),
		.epoch          = xml_attr(root, C3P_NS_OC, "epoch"),
		.requested_by   = xml_attr(root, C3P_NS_OC, "requestedBy"),
		.requested_role = xml_attr(root, C3P_NS_OC, "requestedRole"),
	};
	keys_decode(&r->keys, cmd);
	return 0;
}

void c3p_req_fini(struct c3p_req *r)
{
	mem_deref(r->doc);
	*r = (struct c3p_req){ 0 };
}

static int code_find(const char *name)
{
	for (size_t i = 0; name && i < NCODES; i++)
		if (cstr_ieq(name, code_names[i]))
			return (int)i;
	return -ENOENT;
}

int c3p_resp_decode(struct c3p_resp *r, struct str body)
{
	const struct xml_node *root, *cmd;
	const char *reason = NULL;
	struct xml_doc *d;
	int code, err = envelope(&d, body, "response", &root, &cmd);

	if (err)
		return err;
	code = code_find(xml_attr(root, "", "code"));
	if (code < 0) {
		metric_inc(&malformed);
		mem_deref(d);
		return -EBADMSG;
	}
	if (code == C3P_FAILURE) {
		reason = xml_attr(cmd, NULL, "reason");
		if (!reason)
			reason = xml_attr(root, NULL, "reason");
	}
	*r = (struct c3p_resp){
		.doc        = d,
		.request_id = xml_attr(root, "", "requestId"),
		.from       = or_empty(xml_attr(root, "", "from")),
		.to         = or_empty(xml_attr(root, "", "to")),
		.command    = xml_name(cmd),
		.reason     = or_empty(reason),
		.code       = (enum c3p_code)code,
		.cmd        = cmd,
	};
	return 0;
}

void c3p_resp_fini(struct c3p_resp *r)
{
	mem_deref(r->doc);
	*r = (struct c3p_resp){ 0 };
}

/* --- writing */
static void begin(struct xmlw *w, struct buf *b, const char *name, const struct c3p_env *env)
{
	const char *const attrs[][2] = {
		{ "xmlns",             C3P_NS },
		{ "xmlns:mscp",        C3P_NS_MSCP },
		{ "xmlns:ci",          C3P_NS_CI },
		{ "xmlns:msci",        C3P_NS_MSCI },
		{ "xmlns:cis",         C3P_NS_CIS },
		{ "xmlns:oc",          C3P_NS_OC },
		{ "C3PVersion",        "1" },
		{ "requestId",         env->request_id },
		{ "from",              env->from },
		{ "to",                env->to },
		{ "oc:epoch",          env->epoch },
		{ "oc:requestedBy",    env->requested_by },
		{ "oc:requestedRole",  env->requested_role },
		{ "oc:callback",       env->callback },
	};

	xmlw_init(w, b);
	xmlw_start(w, name);
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		xmlw_attr(w, attrs[i][0], attrs[i][1]);
}

struct c3p_env c3p_env_of(const struct c3p_req *r)
{
	return (struct c3p_env){ .request_id = r->request_id, .from = r->to, .to = r->from };
}

void c3p_begin_request(struct xmlw *w, struct buf *b, const struct c3p_env *env)
{
	begin(w, b, "request", env);
}

void c3p_begin_response(struct xmlw *w, struct buf *b, const struct c3p_env *env, enum c3p_code code,
			const char *reason)
{
	begin(w, b, "response", env);
	xmlw_attr(w, "code", code_names[code]);
	if (reason && *reason)
		xmlw_attr(w, "reason", reason);
}

int c3p_end(struct xmlw *w)
{
	xmlw_end(w);
	if (w->depth && !w->b->err)
		w->b->err = -EINVAL;            /* the command element was left open: our own mistake */
	return w->b->err;
}

static bool set(const char *s)
{
	return s && *s;
}

void c3p_write_keys(struct xmlw *w, const char *element, const struct c3p_keys *k)
{
	const char *const attrs[][2] = {
		{ "confEntity",         k->conf_entity },
		{ "msci:conference-id", k->conf_id },
		{ "userEntity",         k->user_entity },
		{ "endpointEntity",     k->endpoint_entity },
		{ "mediaId",            k->media_id },
	};

	xmlw_start(w, element);
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (set(attrs[i][1]))
			xmlw_attr(w, attrs[i][0], attrs[i][1]);
	xmlw_end(w);
}

static const char *keys_element(const struct c3p_keys *k)
{
	if (set(k->media_id))
		return "mediaKeys";
	if (set(k->endpoint_entity))
		return "endpointKeys";
	return set(k->user_entity) ? "userKeys" : "conferenceKeys";
}

int c3p_simple_response(struct buf *b, const struct c3p_env *env, enum c3p_code code, const char *command,
			const char *reason, const struct c3p_keys *keys)
{
	struct xmlw w;

	c3p_begin_response(&w, b, env, code, reason);
	xmlw_start(&w, command);
	if (set(reason))
		xmlw_attr(&w, "reason", reason);
	if (keys)
		c3p_write_keys(&w, keys_element(keys), keys);
	xmlw_end(&w);
	return c3p_end(&w);
}
