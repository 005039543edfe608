/* SPDX-License-Identifier: Apache-2.0 */
/* c3phttp.h - C3P over HTTPS as focusd serves it: paths, who may ask what, answers (docs/interfaces.md) */
#ifndef FOCUSD_C3PHTTP_H
#define FOCUSD_C3PHTTP_H
#include "focusd/app.h"
#include "lib/c3p/msg.h"
#include "lib/http/http.h"

void c3phttp_on_request(struct http_req *rq, void *arg);         /* http_req_cb; arg: app */
void c3phttp_reply(struct http_req *rq, const struct c3p_req *r, enum c3p_code code, const char *reason);

/* factory_srv.c */
void factory_on_ping(struct app *a, struct http_req *rq, const struct c3p_req *r);
void factory_on_get_mcu(struct app *a, struct http_req *rq, const struct c3p_req *r);

#endif
