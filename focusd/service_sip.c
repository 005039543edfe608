/* SPDX-License-Identifier: Apache-2.0 */
/* service_sip.c - scheduling commands in SERVICE: the factory URI's user must be the caller
 *
 * Malformed is 400 without a body; everything else a 200 with a C3P response, success or failure.
 */
#include "focusd/service.h"
#include "focusd/uas.h"
#include "lib/base/mem.h"

static void on_reply(const struct svc *x, struct buf *b)
{
	const struct uas_req *rq = x->arg;

	answer_c3p(x->app, rq->st, 200, b, DIAG_NONE, NULL);
}

/* The factory URI of the caller himself. */
static bool own_factory(const struct uas_req *rq)
{
	struct sip_uri me;

	return !rq->plain && rq->type == C3P_FOCUSFACTORY && sip_uri_decode(&me, str_c(rq->caller.entity)) == 0 &&
	       str_ieq(me.user, rq->uri.user) && str_ieq(me.host, rq->uri.domain);
}

void service_on_request(struct uas_req *rq)
{
	struct c3p_req req = { 0 };
	struct svc x = { .app = rq->app, .req = &req, .organizer = rq->uri.user, .domain = rq->uri.domain, .reply = on_reply,
			 .arg = rq };
	char *to = str_dup(sip_msg_ruri(rq->m));
	enum diag diag = DIAG_NONE;
	const char *text = "out of memory";
	int code = 503;

	if (!to)
		;
	else if (caller_auth(&rq->caller) != AUTH_ENTERPRISE) {
		code = 403, diag = DIAG_FORBIDDEN, text = "only users of this domain schedule conferences";
	} else if (!str_istarts(sip_msg_hdr(rq->m, "Content-Type", 0), STR(C3P_CTYPE))) {
		code = 415, text = "C3P is expected here";
	} else if (c3p_req_decode(&req, sip_msg_body(rq->m))) {
		code = 400, diag = DIAG_NOT_C3P, text = "the body is not a C3P request";
	} else if (!own_factory(rq)) {
		code = 403, diag = DIAG_TO, text = "not your focus factory";
	} else {
		rq->conf = NULL;                 /* the keys name a record, not the target */
		code = uas_c3p_check(rq, &req, to, &diag, &text);
	}
	if (code)
		answer(rq->app, rq->st, &(struct answer){ .code = code, .diag = diag, .text = text,
							   .hdrs = code == 415 ? "Accept: " C3P_CTYPE "\r\n" : NULL });
	else
		service_execute(&x);
	c3p_req_fini(&req);
	mem_deref(to);
}
