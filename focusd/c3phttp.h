/* SPDX-License-Identifier: Apache-2.0 */
/* c3phttp.h - C3P over HTTPS as focusd serves it: paths, who may ask what, answers (docs/interfaces.md) */
#ifndef FOCUSD_C3PHTTP_H
#define FOCUSD_C3PHTTP_H
#include "focusd/app.h"
#include "lib/c3p/msg.h"
#include "lib/http/http.h"

void c3phttp_on_request(struct http_req *rq, void *arg);         /* http_req_cb; arg: app */
void c3phttp_reply(struct http_req *rq, const struct c3p_req *r, enum c3p_code code, const char *reason);
/* After the commit of this turn; reason NULL: success. The first for whoever kept the envelope. */
void c3phttp_done(struct app *a, struct http_req *rq, const struct c3p_env *env, const char *command, const char *reason);
void c3phttp_answer(struct app *a, struct http_req *rq, const struct c3p_req *r, const char *reason);
/* What an MCU's request speaks of, NULL when there is no such one; a leg only of this activation. */
struct conf *c3phttp_conf(struct app *a, const char *entity);
struct endpoint *c3phttp_leg(struct app *a, const struct c3p_req *r);

/* factory_srv.c */
void factory_on_ping(struct app *a, struct http_req *rq, const struct c3p_req *r);
void factory_on_get_mcu(struct app *a, struct http_req *rq, const struct c3p_req *r);

#endif
