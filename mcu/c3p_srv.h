/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_srv.h - C3P commands of the focus: between the HTTPS server (c3p_srv.c) and the commands (c3p_cmds.c) */
#ifndef MCU_C3P_SRV_H
#define MCU_C3P_SRV_H
#include "lib/c3p/msg.h"
#include "mcu/app.h"

struct c3p_call {                            /* one command being handled */
	struct app           *app;
	struct service       *svc;
	const struct c3p_req *rq;
	struct conf          *conf;          /* as the command's table row needs them */
	struct user          *user;
	struct leg           *leg;
	bool                  pending;       /* a success is not the end of it */
};
enum c3p_needs { NEEDS_NOTHING, NEEDS_CONF, NEEDS_USER, NEEDS_LEG, NEEDS_MEDIA };
typedef const char *(c3p_cmd_cb)(struct c3p_call *k);                  /* NULL: success; else the reason */
typedef void (c3p_write_cb)(struct c3p_call *k, struct xmlw *w);       /* inside the command element of a success */
struct c3p_cmd {
	const char    *name;
	c3p_cmd_cb    *run;
	enum c3p_needs needs;
	c3p_write_cb  *write;                /* NULL: an empty element */
};
const struct c3p_cmd *c3p_cmd_find(const char *name);

#endif
