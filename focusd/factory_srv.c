/* SPDX-License-Identifier: Apache-2.0 */
/* factory_srv.c - the MCU factory over HTTPS: health reports of MCUs, getMCU of focuses */
#include <stdio.h>
#include "focusd/c3phttp.h"
#include "focusd/factory.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

void factory_on_ping(struct app *a, struct http_req *rq, const struct c3p_req *r)
{
	struct c3p_env env = c3p_env_of(r);
	const char *why;
	struct xmlw w;
	struct buf b;

	if (factory_ping(a, xml_child(r->cmd, NULL, "health"), &why)) {
		log_warn(factory, "health report refused: %s", why);
		c3phttp_reply(rq, r, C3P_FAILURE, "requestMalformed");
		return;
	}
	buf_init(&b, 0);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "ping");
	xmlw_start(&w, "oc:ack");
	xmlw_attr(&w, "interval", "10");
	xmlw_attr(&w, "expires", "30");
	xmlw_end(&w);
	xmlw_end(&w);
	c3p_end(&w);
	http_reply(rq, 200, C3P_HTTP_CTYPE, buf_view(&b));
	buf_fini(&b);
}

/* mcuType, and any number of exclude with an id. The caller asks addConference of the one it gets, and comes again, with
 * that one excluded, when it refuses. */
void factory_on_get_mcu(struct app *a, struct http_req *rq, const struct c3p_req *r)
{
	struct c3p_env env = c3p_env_of(r);
	const char *type = xml_text(xml_child(r->cmd, NULL, "mcuType"));
	struct buf exclude, b;
	struct xmlw w;
	struct mcu *m;
	bool known = false;

	buf_init(&exclude, 4096);
	for (const struct xml_node *n = xml_child(r->cmd, NULL, "exclude"); n; n = xml_next(n, NULL, "exclude"))
		buf_printf(&exclude, "%s,", xml_text(n));
	m = type && !exclude.err ? factory_prefer(a, type, xml_text(xml_child(r->cmd, C3P_NS_OC, "prefer")), exclude.p) : NULL;
	if (!m && type && !exclude.err)
		m = factory_pick(a, type, exclude.p, &known);
	buf_fini(&exclude);
	if (!m) {
		c3phttp_reply(rq, r, C3P_FAILURE, !type ? "requestMalformed" : known ? "serverBusy" : "mcuTypeNotAvailable");
		return;
	}
	buf_init(&b, 0);
	c3p_begin_response(&w, &b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "getMCU");
	xmlw_start(&w, "mcu");
	xmlw_attr(&w, "id", m->id);
	xmlw_attr(&w, "oc:instance", m->instance);
	xmlw_attr(&w, "url", m->url);
	xmlw_attrf(&w, "sipContact", "sip:%s;transport=tls", m->contact);
	xmlw_end(&w);
	xmlw_end(&w);
	c3p_end(&w);
	http_reply(rq, 200, C3P_HTTP_CTYPE, buf_view(&b));
	buf_fini(&b);
}
