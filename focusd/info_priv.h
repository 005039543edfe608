/* SPDX-License-Identifier: Apache-2.0 */
/* info_priv.h - between info.c (envelope, rights, answers) and the commands: info_focus.c, info_mcu.c,
 * info_filters.c, info_dial.c */
#ifndef FOCUSD_INFO_PRIV_H
#define FOCUSD_INFO_PRIV_H
#include "focusd/life.h"
#include "focusd/mculink.h"
#include "focusd/notify.h"
#include "focusd/policy.h"
#include "focusd/uas.h"
#include "lib/c3p/info.h"

struct cmd_ctx {
	struct uas_req       *rq;
	const struct c3p_req *req;
	struct user          *by;
};
typedef void (cmd_handler)(struct cmd_ctx *x);

void info_respond(struct cmd_ctx *x, int code, enum c3p_code c3p, enum diag diag, const char *reason, const char *text);
void info_done(struct cmd_ctx *x);                       /* 200, success */
void info_fail(struct cmd_ctx *x, int code, enum diag diag, const char *reason, const char *text);
/* A body built by the handler; the answer is kept for a repeated request like every other. */
void info_kept_final(struct endpoint *e, const char *request_id, const char *command, struct str body);   /* of a pending one */
void info_body(struct cmd_ctx *x, int code, struct buf *b, enum diag diag, const char *text);
/* The type of MCU that mcuUri names, SESSION_FOCUS (0): none of this conference's. */
enum conf_session info_mcu_of(const struct cmd_ctx *x);
struct user *info_target(struct cmd_ctx *x);             /* by userEntity; NULL: answered */

/* A command that an MCU executes: the client's INFO is answered 202 `pending`, the outcome goes to it in an INFO of ours. */
struct relay;
struct relay *info_relay_start(struct cmd_ctx *x);       /* NULL: no memory */
mculink_cb info_relay_done;                              /* arg: the relay */
void info_relay_fail(struct relay *r, const char *reason);           /* outcome without an MCU's answer */
void info_relay_body(struct relay *r, enum c3p_code code, struct buf *b);   /* one of its own; b is freed, r unless pending */
int info_relay_pending(const struct relay *r, const struct c3p_env *env, struct buf *b);      /* writes "still at work" */
struct c3p_env info_relay_env(const struct relay *r);
struct app *info_relay_app(const struct relay *r);
void info_pending(struct cmd_ctx *x, struct relay *r, int err);      /* err: of the call that was to start it; frees r then */

cmd_handler info_get_conference, info_lock, info_modify_roles, info_delete_conference, info_delete_user, info_modify_user,
	    info_set_access, info_modify_conference, info_modify_mcu;
cmd_handler info_modify_media, info_forward, info_announcements, info_endpoint_media, info_media_filters, info_endpoint_role;
cmd_handler info_add_user;

#endif
