/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - C3P commands inside the focus dialog (docs/c3p.md)
 *
 * envelope checks -> the command's row -> rights -> handler. What the focus executes itself is answered in the 200; what
 * an MCU must do is answered 202 with `pending`, the MCU is asked after the commit, and its answer goes to the client in
 * an INFO of ours. The roster notification is what clients follow, whatever order the two arrive in. The last answers of
 * a dialog are kept: a request that comes again is answered again, not executed again.
 */
#include <errno.h>
#include "focusd/info_priv.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_commands_total", "C3P commands taken in focus dialogs"),
	METRIC_COUNTER("conclave_focus_commands_refused_total", "C3P commands refused"),
	METRIC_COUNTER("conclave_focus_commands_repeated_total", "C3P commands that came again and were answered as before"),
};

enum mcu_uri { MCU_NEVER, MCU_MAY, MCU_MUST };
struct command {
	const char  *name;
	bool         presenter;          /* else the handler looks at the target */
	enum mcu_uri mcu;
	cmd_handler *handler;
};

/* --- answers given, so that a repeated request is not executed twice */
#define KEPT 8u
struct kept { char *request_id, *command; int code, diag; char *body, *text; };
struct cmd_log { struct kept kept[KEPT]; unsigned next; };

static void kept_fini(struct kept *k)
{
	mem_deref(k->request_id);
	mem_deref(k->command);
	mem_deref(k->body);
	mem_deref(k->text);
	*k = (struct kept){ 0 };
}

static void on_log_destroy(void *arg)
{
	struct cmd_log *l = arg;

	for (unsigned i = 0; i < KEPT; i++)
		kept_fini(&l->kept[i]);
}

static void keep(struct endpoint *e, const struct c3p_req *req, int code, struct str body, int diag, const char *text)
{
	struct kept *k;

	if (!e->log)
		e->log = mem_zalloc(sizeof(*e->log), on_log_destroy);
	if (!e->log || body.l > 4096)            /* a large answer is a question that may be asked again */
		return;
	k = &e->log->kept[e->log->next++ % KEPT];
	kept_fini(k);
	k->code = code;
	k->diag = diag;
	k->body = str_dup(body);
	if (!k->body || cstr_set(&k->request_id, req->request_id) || cstr_set(&k->command, req->command) || cstr_set(&k->text, text))
		kept_fini(k);
}

static bool repeated(struct cmd_ctx *x)
{
	struct cmd_log *l = x->rq->ep->log;

	for (unsigned i = 0; l && i < KEPT; i++) {
		struct kept *k = &l->kept[i];

		if (!k->request_id || !cstr_eq(k->request_id, x->req->request_id) || !cstr_eq(k->command, x->req->command))
			continue;
		metric_inc(&metrics[2]);
		answer(x->rq->app, x->rq->st, &(struct answer){ .code = k->code, .ctype = C3P_CTYPE, .body = str_c(k->body),
								.diag = k->diag, .text = k->text });
		return true;
	}
	return false;
}

void info_kept_final(struct endpoint *e, const char *request_id, const char *command, struct str body)
{
	for (unsigned i = 0; e->log && i < KEPT; i++) {
		struct kept *k = &e->log->kept[i];
		char *s;

		if (!k->request_id || !cstr_eq(k->request_id, request_id) || !cstr_eq(k->command, command))
			continue;
		s = str_dup(body);
		if (s) {
			mem_deref(k->body);
			k->body = s;
			k->code = 200;
		}
		return;
	}
}

void info_body(struct cmd_ctx *x, int code, struct buf *b, enum diag diag, const char *text)
{
	if (!b->err)
		keep(x->rq->ep, x->req, code, buf_view(b), diag, text);
	answer_c3p(x->rq->app, x->rq->st, code, b, diag, text);
}

void info_respond(struct cmd_ctx *x, int code, enum c3p_code c3p, enum diag diag, const char *reason, const char *text)
{
	struct c3p_env env = c3p_env_of(x->req);
	struct buf b;

	buf_init(&b, 0);
	c3p_simple_response(&b, &env, c3p, x->req->command, reason, &x->req->keys);
	if (c3p == C3P_FAILURE)
		metric_inc(&metrics[1]);
	info_body(x, code, &b, diag, text);
}

void info_done(struct cmd_ctx *x)
{
	info_respond(x, 200, C3P_SUCCESS, DIAG_NONE, NULL, NULL);
}

void info_fail(struct cmd_ctx *x, int code, enum diag diag, const char *reason, const char *text)
{
	info_respond(x, code, C3P_FAILURE, diag, reason, text);
}

/* The type of MCU that mcuUri names, SESSION_FOCUS (0): none of this conference's. */
enum conf_session info_mcu_of(const struct cmd_ctx *x)
{
	FOR_EACH_MCU_TYPE(s)
		if (x->req->mcu_uri && conf_offers(x->rq->conf, s) && c3p_uri_same(str_c(x->req->mcu_uri), str_c(x->rq->conf->mcu[s].uri)))
			return s;
	return SESSION_FOCUS;
}

struct user *info_target(struct cmd_ctx *x)
{
	struct user *u = user_find(x->rq->conf, x->req->keys.user_entity);

	if (!u || !user_visible(u)) {
		info_fail(x, 603, DIAG_NONE, "userDoesntExist", "no such user in this conference");
		return NULL;
	}
	return u;
}

static const struct command commands[] = {
	/* name                         presenter  mcuUri     handler */
	{ "getConference",              false,     MCU_NEVER, info_get_conference },
	{ "deleteConference",           true,      MCU_NEVER, info_delete_conference },
	{ "modifyConference",           true,      MCU_MAY,   info_modify_conference },
	{ "modifyConferenceLock",       true,      MCU_NEVER, info_lock },
	{ "modifyUsersMediaFilters",    true,      MCU_MUST,  info_media_filters },
	{ "modifyConferenceAnnouncements", true,   MCU_MUST,  info_announcements },
	{ "addUser",                    false,     MCU_MUST,  info_add_user },
	{ "deleteUser",                 false,     MCU_MAY,   info_delete_user },
	{ "modifyUser",                 false,     MCU_NEVER, info_modify_user },
	{ "modifyUserRoles",            true,      MCU_NEVER, info_modify_roles },
	{ "setUserAccess",              true,      MCU_NEVER, info_set_access },
	{ "modifyEndpointRole",         true,      MCU_MUST,  info_endpoint_role },
	{ "addEndpointMedia",           false,     MCU_MUST,  info_endpoint_media },
	{ "deleteEndpointMedia",        false,     MCU_MUST,  info_endpoint_media },
	{ "modifyEndpointMedia",        false,     MCU_MAY,   info_modify_media },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (cstr_eq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Sharing and data servers call nobody (MS-CONFBAS 2.2.3.15): said so also where there is none. */
static bool asks_silent_server_to_call(const struct cmd_ctx *x)
{
	const struct xml_node *ep = xml_child(xml_child(x->req->cmd, NULL, "user"), NULL, "endpoint");
	struct c3p_uri u;

	return cstr_eq(x->req->command, "addUser") && cstr_eq(xml_text(xml_child(ep, NULL, "joining-method")), "dialed-out") &&
	       c3p_uri_decode(&u, str_c(x->req->mcu_uri)) == 0 && (u.type == C3P_APPLICATIONSHARING || u.type == C3P_MEETING);
}

static void execute(struct cmd_ctx *x)
{
	const struct command *cmd = find(x->req->command);

	if (!cmd)
		info_fail(x, 501, DIAG_UNKNOWN_COMMAND, "notSupported", "this focus does not know the command");
	else if (x->req->mcu_uri && cmd->mcu == MCU_NEVER)
		info_fail(x, 400, DIAG_NO_MCU_HERE, "requestMalformed", "this command is not for an MCU");
	else if (!x->req->mcu_uri && cmd->mcu == MCU_MUST)
		info_fail(x, 400, DIAG_MCU_URI, "requestMalformed", "this command needs mcuUri");
	else if (x->req->mcu_uri && asks_silent_server_to_call(x))
		info_fail(x, 603, DIAG_MCU_URI, "notSupported", "this type of conferencing server calls nobody");
	else if (x->req->mcu_uri && !info_mcu_of(x))
		info_fail(x, 603, DIAG_MCU_URI, "mcuTypeNotAvailable", "mcuUri is not one of this conference's");
	else if (cmd->presenter && !policy_is_presenter(x->by))
		info_fail(x, 403, DIAG_FORBIDDEN, "unauthorized", "only presenters may do this");
	else
		cmd->handler(x);
}

void info_on_request(struct uas_req *rq)
{
	struct c3p_req req = { 0 };
	struct cmd_ctx x = { .rq = rq, .req = &req, .by = rq->ep->user };
	enum diag diag;
	const char *text;
	int code;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	metric_inc(&metrics[0]);
	rq->conf = rq->ep->user->conf;
	if (!str_istarts(sip_msg_hdr(rq->m, "Content-Type", 0), STR(C3P_CTYPE))) {
		answer(rq->app, rq->st, &(struct answer){ .code = 415, .hdrs = "Accept: " C3P_CTYPE "\r\n", .text = "C3P is expected here" });
		return;
	}
	if (c3p_req_decode(&req, sip_msg_body(rq->m))) {
		metric_inc(&metrics[1]);
		answer_error(rq->app, rq->st, 400, DIAG_NOT_C3P, "the body is not a C3P request");
		return;
	}
	code = uas_c3p_check(rq, &req, rq->conf->focus_uri, &diag, &text);
	if (code) {
		metric_inc(&metrics[1]);
		answer_error(rq->app, rq->st, code, diag, text);
	} else if (!repeated(&x)) {
		execute(&x);
	}
	c3p_req_fini(&req);
}
