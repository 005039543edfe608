/* SPDX-License-Identifier: Apache-2.0 */
/* mcunews.h - what MCUs tell the focus, over HTTPS: health, changes of their legs; and what their loss means */
#ifndef FOCUSD_MCUNEWS_H
#define FOCUSD_MCUNEWS_H
#include "focusd/app.h"

struct http_req;
void mcunews_on_http(struct http_req *rq, void *arg);    /* http_req_cb; arg: app */
void mcunews_sync(struct app *a, struct conf *c, enum conf_session s);        /* asks the conference's MCU for all it knows */
void mcunews_lost(struct app *a, struct conf *c, enum conf_session s);        /* its MCU is gone: legs leave the roster */

#endif
