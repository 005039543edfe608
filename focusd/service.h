/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - one scheduling command, whatever carried it */
#ifndef FOCUSD_SERVICE_H
#define FOCUSD_SERVICE_H
#include "focusd/app.h"
#include "lib/base/buf.h"
#include "lib/c3p/msg.h"

struct svc;
typedef void (svc_reply_cb)(const struct svc *x, struct buf *b);   /* a C3P response, after the commit; frees b */
struct svc {
	struct app           *app;
	const struct c3p_req *req;
	struct str            organizer, domain;         /* who asks, authenticated */
	svc_reply_cb         *reply;
	void                 *arg;
};
void service_execute(const struct svc *x);               /* replies once, before it returns */

/* service_http.c: POSTs of scheduling tools, digest by the users' own credentials; port 0 in the configuration: off */
int  service_http_start(struct app *a);
bool service_http_is_user(const struct app *a, const char *name);      /* in the edge's table of users */

#endif
