/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_msg.c - any bytes as a request or response; every user in it is read, written and read again */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/c3p/info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void user(struct buf *b, const struct xml_node *n)
{
	static struct c3p_endpoint eps[C3P_MAX_ENDPOINTS];
	const struct c3p_env env = { .request_id = "1" };
	struct c3p_req again;
	struct c3p_user u, v;
	struct xmlw w;
	unsigned i = 0;

	if (c3p_user_decode(&u, n))
		return;
	for (const struct xml_node *e = xml_child(n, NULL, "endpoint"); e; e = xml_next(e, NULL, "endpoint"))
		if (!c3p_endpoint_decode(&eps[i], e))
			i++;
	u.endpoints  = eps;
	u.nendpoints = i;
	buf_reset(b);
	c3p_begin_request(&w, b, &env);
	xmlw_start(&w, "addUser");
	c3p_user_encode(&w, false, &u);
	xmlw_end(&w);
	if (c3p_end(&w) || b->l > XML_MAX_BYTES)
		return;
	if (c3p_req_decode(&again, buf_view(b)))
		abort();
	if (c3p_user_decode(&v, xml_child(again.cmd, C3P_NS_CI, "user")) || v.nendpoints != u.nendpoints)
		abort();
	c3p_req_fini(&again);
}

static void walk(struct buf *b, const struct xml_node *n)
{
	for (const struct xml_node *c = xml_first(n); c; c = xml_next(c, NULL, NULL)) {
		if (xml_is(c, NULL, "user"))
			user(b, c);
		walk(b, c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str body = { (const char *)data, size };
	struct c3p_resp resp;
	struct c3p_req req;
	struct buf b;

	buf_init(&b, 0);
	if (!c3p_req_decode(&req, body)) {
		const struct c3p_env env = { .request_id = req.request_id, .from = req.to, .to = req.from, .epoch = req.epoch };

		walk(&b, req.cmd);
		buf_reset(&b);
		if (c3p_simple_response(&b, &env, C3P_FAILURE, "ping", req.command, &req.keys))
			abort();
		if (b.l <= XML_MAX_BYTES && c3p_resp_decode(&resp, buf_view(&b)))
			abort();
		if (b.l <= XML_MAX_BYTES)
			c3p_resp_fini(&resp);
		c3p_req_fini(&req);
	}
	if (!c3p_resp_decode(&resp, body)) {
		walk(&b, resp.cmd);
		c3p_resp_fini(&resp);
	}
	buf_fini(&b);
	return 0;
}
