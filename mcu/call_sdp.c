/* SPDX-License-Identifier: Apache-2.0 */
/* call_sdp.c - offers and answers of a call (RFC 3264, 3311), between SIP bodies and call_kind
 *
 * One exchange at a time: while an offer of ours is out, or our 200 awaits its ACK, the peer's offer is answered 491.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/chat/mime.h"
#include "mcu/uas.h"

static struct metric m_refused = METRIC_COUNTER("conclave_mcu_sdp_refused_total", "Offers that were refused");

static const struct { int code, diag; } refusals[NEGO_NFAULTS] = {
	[NEGO_SYNTAX]    = { 488, 7008 },
	[NEGO_NO_AUDIO]  = { 488, 7010 },
	[NEGO_TRANSPORT] = { 488, 7010 },
	[NEGO_NO_CODEC]  = { 488, 7010 },
	[NEGO_INSECURE]  = { 488, 7010 },
	[NEGO_NO_CRYPTO] = { 488, 7010 },
	[NEGO_FAMILY]    = { 488, 7009 },
	[NEGO_ICE]       = { 488, 7008 },    /* Communicator's family calls again in its other form */
	[NEGO_ANSWER]    = { 488, 7010 },
	[NEGO_NO_CHAT]   = { 488, 6012 },
	[NEGO_NO_MEMORY] = { 500, 0 },
};

/* Communicator's family reads the reason from a Warning of its own kind and then offers encryption. */
static void refuse(struct call *c, struct sip_st *st, enum nego_fault f)
{
	bool levels = c->ms_kind && (f == NEGO_INSECURE || f == NEGO_NO_CRYPTO);

	metric_register(&m_refused, 1);
	metric_inc(&m_refused);
	log_warn(leg, "call %s: %d: %s", call_id(c), refusals[f].code, nego_fault_text(f));
	trace_add(call_id(c), "%d: %s", refusals[f].code, nego_fault_text(f));
	uas_refuse(st, refusals[f].code, refusals[f].diag,
		   levels ? "Warning: 308 lcs.microsoft.com \"Encryption Levels not compatible\"\r\n" : NULL, "%s",
		   nego_fault_text(f));
}

static bool has_candidates(struct str s)
{
	return s.l && memmem(s.p, s.l, "a=candidate:", 12);
}

/* The description of a body, STR_NULL: it has none. Communicator's family wraps it into a multipart/alternative beside
 * one for older servers, which is empty but for a refused line: the last one with candidates counts, else the last. */
static struct str sdp_of(const struct sip_msg *m)
{
	struct str ctype = sip_msg_hdr(m, "Content-Type", 0), body = sip_msg_body(m), found = STR_NULL;
	struct mime_part parts[MIME_MAX_PARTS];
	unsigned n = 0;

	if (mime_is(ctype, "application/sdp"))
		return body;
	if (!mime_is(ctype, "multipart/alternative") || mime_parts(parts, &n, ctype, body))
		return STR_NULL;
	for (unsigned i = 0; i < n; i++)
		if (mime_is(parts[i].ctype, "application/sdp") &&
		    (has_candidates(parts[i].body) || !has_candidates(found)))
			found = parts[i].body;
	return found;
}

static bool wrong_type(struct call *c, struct sip_st *st)
{
	trace_add(call_id(c), "415: body is not application/sdp");
	uas_refuse(st, 415, 7004, c->kind->accept, "only application/sdp is supported here");
	return false;
}

bool call_sdp_in(struct call *c, struct sip_st *st, const struct sip_msg *m, const char **ctype)
{
	bool update = str_eq(sip_msg_method(m), STR("UPDATE"));
	struct str body = sip_msg_body(m);
	enum nego_fault f;

	*ctype = NULL;
	if (str_empty(body) && update)
		return true;
	if (!str_empty(body)) {
		body = sdp_of(m);
		if (str_empty(body))
			return wrong_type(c, st);
	}
	f = str_empty(body) ? c->kind->offer(c) : c->kind->answer(c, body);
	if (f != NEGO_OK) {
		refuse(c, st, f);
		return false;
	}
	*ctype = "application/sdp";
	return true;
}

void call_sdp_apply(struct call *c)
{
	if (c->agreed && !c->offering)
		c->kind->apply(c);
}

bool call_sdp_ack(struct call *c, struct str body)
{
	enum nego_fault f;

	if (!c->offering)
		return true;
	f = c->kind->take(c, body);
	if (f != NEGO_OK) {
		c->kind->forget_offer(c);
		log_warn(leg, "call %s: the peer's answer: %s", call_id(c), nego_fault_text(f));
		trace_add(call_id(c), "the peer's answer: %s", nego_fault_text(f));
		return false;
	}
	call_sdp_apply(c);
	return true;
}

static bool glare(const struct call *c, const struct sip_msg *m)
{
	bool invite = str_eq(sip_msg_method(m), STR("INVITE"));

	if (invite)
		return c->waiting || c->out;
	return !str_empty(sip_msg_body(m)) && (c->offering || c->out);
}

static void answer(struct call *c, struct sip_st *st, const char *ctype)
{
	bool invite = str_eq(sip_msg_method(sip_st_msg(st)), STR("INVITE"));
	struct buf hdrs;
	int err;

	buf_init(&hdrs, 8192);
	buf_puts(&hdrs, c->contact);
	buf_puts(&hdrs, c->kind->hdrs);
	call_timer_hdrs(c, &hdrs);
	if (invite)
		call_expect_ack(c, st);
	err = hdrs.err ? hdrs.err : sip_reply(st, &(struct sip_reply){
		.code = 200, .hdrs = hdrs.p, .ctype = ctype, .body = ctype ? str_c(c->local) : STR_NULL });
	buf_fini(&hdrs);
	if (err)
		log_warn(sip, "call %s: 200 not sent: %s", call_id(c), strerror(-err));
}

void call_on_offer(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	const char *ctype;

	if (glare(c, m)) {
		trace_add(call_id(c), "491: another exchange is under way");
		uas_refuse(st, 491, 0, NULL, "another offer is being handled");
		return;
	}
	if (!call_timer_in(c, st, m) || !call_sdp_in(c, st, m, &ctype))
		return;
	sip_dlg_target_refresh(c->dlg, m);
	c->kind->peer(c, m);
	answer(c, st, ctype);
	if (ctype)
		call_sdp_apply(c);
	call_timer_start(c);
	call_keep(c);
}
