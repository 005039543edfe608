/* SPDX-License-Identifier: Apache-2.0 */
/* mcunews.h - what MCUs tell the focus, over HTTPS: health, changes of their legs; and what their loss means */
#ifndef FOCUSD_MCUNEWS_H
#define FOCUSD_MCUNEWS_H
#include "focusd/app.h"

void mcunews_init(void);
/* requests at /LiveServer/Focus/, see c3phttp.c */
struct http_req;
struct xml_node;
struct c3p_req;
void mcunews_on_notify(struct app *a, struct http_req *rq, const struct c3p_req *r);
void mcunews_on_get_conference(struct app *a, struct http_req *rq, const struct c3p_req *r);
bool mcunews_late_response(struct app *a, struct http_req *rq);          /* false: the body is no response */
/* conference-info as an MCU reports it: partial, or state="full" with all that is there */
void mcunews_apply(struct app *a, struct conf *c, enum conf_session s, const struct xml_node *info);
void mcunews_sync(struct app *a, struct conf *c, enum conf_session s);        /* asks the conference's MCU for all it knows */
void mcunews_lost(struct app *a, struct conf *c, enum conf_session s);        /* its MCU is gone: legs leave the roster */

#endif
