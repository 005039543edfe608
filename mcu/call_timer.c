/* SPDX-License-Identifier: Apache-2.0 */
/* call_timer.c - the session timer of a call (RFC 4028)
 *
 * Where the peer refreshes, silence ends the call. Where we do, an UPDATE without a body goes out at half time, or a
 * re-INVITE with our last description to a peer that does not list UPDATE; a peer that says the dialog is gone, or
 * nothing at all, is taken at its word.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/uas.h"

#define RETRY_MS  5000u
#define GLARE_MS  1500u              /* RFC 3261 14.1: the side that did not make the Call-ID waits less */
#define MAX_TRIES 4u

bool call_timer_in(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	const struct settings *s = &c->uas->app->cfg;
	struct se_prm prm = { (uint32_t)s->session_s, (uint32_t)s->min_se_s };
	struct se se;
	char hdr[32];
	int err;

	err = se_answer(&se, &prm, sip_msg_has_token(m, "Supported", "timer") || sip_msg_has_token(m, "Require", "timer"),
			sip_msg_hdr(m, "Session-Expires", 0), sip_msg_hdr(m, "Min-SE", 0));
	if (!err) {
		c->se = se;
		return true;
	}
	snprintf(hdr, sizeof(hdr), "Min-SE: %u\r\n", prm.min_s);
	trace_add(call_id(c), "session timer refused");
	if (err == -ERANGE)
		uas_refuse(st, 422, 0, hdr, "the session timer is too short");
	else
		uas_refuse(st, 400, 7005, NULL, "Session-Expires or Min-SE is not a number");
	return false;
}

void call_timer_hdrs(const struct call *c, struct buf *b)
{
	if (!c->se.interval_s)
		return;
	buf_printf(b, "Session-Expires: %u;refresher=%s\r\n", c->se.interval_s, c->se.peer_refreshes ? "uac" : "uas");
	if (c->se.peer_supports)
		buf_puts(b, "Require: timer\r\n");
}

void call_timer_start(struct call *c)
{
	c->tries = 0;
	if (c->se.interval_s)
		tmr_start(&c->tmr, se_wait_ms(&c->se));
	else
		tmr_stop(&c->tmr);
}

static void again(struct call *c, uint32_t wait_ms)
{
	if (++c->tries >= MAX_TRIES)
		call_end(c, LEG_END_TIMER);
	else
		tmr_start(&c->tmr, wait_ms);
}

/* Our refresh made us the "uac": the answer may change the interval, not who refreshes. */
static void refreshed(struct call *c, const struct sip_msg *m)
{
	struct str v = sip_msg_hdr(m, "Session-Expires", 0);
	uint64_t s;

	if (v.p && !str_u64(str_trim(str_cut(&v, ';')), &s) && s >= 90 && s < 86400 * 7)
		c->se.interval_s = (uint32_t)s;
	sip_dlg_target_refresh(c->dlg, m);
	call_timer_start(c);
	call_keep(c);
}

static bool invite_done(struct call *c, const struct sip_msg *m)
{
	sip_dlg_target_refresh(c->dlg, m);
	sip_dlg_ack(c->uas->app->sip, c->dlg, c->out_cseq);
	return call_sdp_ack(c, sip_msg_body(m));
}

static void on_answer(int err, const struct sip_msg *m, void *arg)
{
	struct call *c = arg;
	int code = m ? sip_msg_scode(m) : 0;
	bool invite = m && str_eq(sip_msg_method(m), STR("INVITE"));

	if (!err && code < 200)
		return;
	c->out = mem_deref(c->out);
	trace_add(call_id(c), "our refresh: %d", err ? err : code);
	if (!err && code < 300 && (!invite || invite_done(c, m))) {
		refreshed(c, m);
		return;
	}
	c->kind->forget_offer(c);
	if (err || code == 408 || code == 481 || code == 404)
		call_end(c, LEG_END_TIMER);
	else
		again(c, code == 491 ? GLARE_MS : RETRY_MS);
}

static int refresh(struct call *c)
{
	bool invite = !c->peer_updates;
	struct buf hdrs;
	int err;

	buf_init(&hdrs, 8192);
	buf_puts(&hdrs, c->contact);
	buf_puts(&hdrs, c->kind->hdrs);
	buf_printf(&hdrs, "Session-Expires: %u;refresher=uac\r\n", c->se.interval_s);
	err = hdrs.err;
	if (invite)
		c->kind->again(c);           /* the same version asks for nothing new */
	if (!err)
		err = sip_dlg_request(c->uas->app->sip, &c->out, c->dlg, invite ? "INVITE" : "UPDATE", hdrs.p,
				      invite ? "application/sdp" : NULL, invite ? str_c(c->local) : STR_NULL,
				      on_answer, c);
	buf_fini(&hdrs);
	if (err)
		c->kind->forget_offer(c);
	c->out_cseq = c->dlg->local_cseq;
	trace_add(call_id(c), "refresh by %s", invite ? "INVITE" : "UPDATE");
	return err;
}

static void on_tmr(void *arg)
{
	struct call *c = arg;

	if (c->state == CALL_CALLING) {
		call_dial_late(c);
	} else if (c->se.peer_refreshes || !c->se.interval_s) {
		log_info(leg, "call %s: not refreshed within %u s", call_id(c), c->se.interval_s);
		call_end(c, LEG_END_TIMER);
	} else if (c->out || c->waiting) {
		tmr_start(&c->tmr, RETRY_MS);
	} else if (refresh(c)) {
		again(c, RETRY_MS);
	} else {
		call_keep(c);
	}
}

int call_timer_init(struct call *c)
{
	return tmr_init(&c->tmr, c->uas->app->loop, on_tmr, c);
}
