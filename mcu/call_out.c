/* SPDX-License-Identifier: Apache-2.0 */
/* call_out.c - a call that starts here: dial-out
 *
 * addUser (c3p_dial.c) -> offer, INVITE to the edge -> 180: the roster shows alerting -> 200: ACK, its answer, the same
 * call as any other from here on, of the one whom the edge names in that answer: nobody else may act in it. Refused, not
 * answered within [sip] ring_s, or not wanted any more: the leg is gone and the
 * focus hears why. Letting go of the INVITE cancels it; a 2xx that is late all the same is ended by lib/sip.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/callrec.h"
#include "mcu/dialout.h"
#include "mcu/uas.h"

static struct metric m_invites = METRIC_COUNTER("conclave_mcu_invites_sent_total", "INVITEs that would start a call");

struct call_dial {
	struct dialout *dialout;             /* reference */
	char           *target, *from, *to, *hdrs;
	char            edge[64];            /* where the INVITE went */
	unsigned        nedge;               /* its place in the list */
	uint32_t        cseq, min_se_s;
	bool            answered;            /* anything came back */
};

static void dial_destructor(void *arg)
{
	struct call_dial *d = arg;

	mem_deref(d->dialout);
	mem_deref(d->target);
	mem_deref(d->from);
	mem_deref(d->to);
	mem_deref(d->hdrs);
}

/* --- the INVITE */

static bool edge_address(struct call_dial *d, const char *list)
{
	struct str rest = str_c(list), one = STR_NULL;

	for (unsigned i = 0; i <= d->nedge; i++) {
		if (str_empty(rest))
			return false;
		one = str_trim(str_cut(&rest, ','));
	}
	snprintf(d->edge, sizeof(d->edge), STR_FMT, STR_ARG(one));
	return !str_empty(one) && one.l < sizeof(d->edge);
}

static void headers(const struct call *c, struct buf *b)
{
	const struct settings *s = &c->uas->app->cfg;
	uint32_t want = (uint32_t)s->session_s;

	if (want < c->dial->min_se_s)
		want = c->dial->min_se_s;
	buf_puts(b, c->contact);
	buf_puts(b, c->kind->hdrs);
	buf_printf(b, "Allow-Events: conference\r\nSession-Expires: %u\r\nMin-SE: %u\r\n", want,
		   c->dial->min_se_s ? c->dial->min_se_s : (uint32_t)s->min_se_s);
	buf_puts(b, c->dial->hdrs ? c->dial->hdrs : "");
}

static void on_answer(int err, const struct sip_msg *m, void *arg);

static int send_invite(struct call *c)
{
	struct call_dial *d = c->dial;
	struct sip_req r = {
		.method = "INVITE", .ruri = d->target, .from = d->from, .to = d->to, .call_id = c->id, .cseq = ++d->cseq,
		.ctype = "application/sdp", .body = str_c(c->local), .dest = d->edge,
	};
	struct buf b;
	int err;

	buf_init(&b, 16384);
	headers(c, &b);
	r.hdrs = b.p;
	err = b.err ? b.err : sip_request(c->uas->app->sip, &c->out, &r, on_answer, c);
	buf_fini(&b);
	if (!err)
		metric_inc(&m_invites);
	trace_add(c->id, "INVITE to %s by %s%s", d->target, d->edge, err ? ": not sent" : "");
	return err;
}

/* The next edge of the list, as long as none has said anything. */
static int send_somewhere(struct call *c)
{
	int err = -EINVAL;

	while (err && edge_address(c->dial, c->uas->app->cfg.edge_addresses)) {
		c->dial->nedge++;
		err = send_invite(c);
	}
	return err;
}

/* --- how it ends */

/* c is gone. */
static void fail(struct call *c, const char *reason)
{
	struct call_dial *d = mem_ref(c->dial);

	trace_add(c->id, "dial-out failed: %s", reason);
	log_info(leg, "call %s to %s: %s", c->id, d->target, reason);
	call_end(c, LEG_END_UNANSWERED);
	dialout_done(d->dialout, reason);
	mem_deref(d);
}

void call_dial_stop(struct call *c, enum leg_end why)
{
	c->out = mem_deref(c->out);
	if (why != LEG_END_UNANSWERED)
		dialout_done(c->dial->dialout, why == LEG_END_SHUTDOWN ? "serverBusy" : "requestCancelled");
}

void call_dial_late(struct call *c)
{
	fail(c, c->leg->state == LEG_ALERTING ? "userNotAnswered" : "timeout");
}

/* The peer refreshes when it says so; a peer without session timers is asked by us. */
static void session_timer(struct call *c, const struct sip_msg *m)
{
	struct str v = sip_msg_hdr(m, "Session-Expires", 0), value, rest = v;
	uint64_t s = (uint64_t)c->uas->app->cfg.session_s;

	if (v.p && (str_u64(str_trim(str_cut(&rest, ';')), &s) || s < 90 || s > 86400))
		s = (uint64_t)c->uas->app->cfg.session_s;
	c->se.interval_s     = (uint32_t)s;
	c->se.peer_supports  = v.p != NULL;
	c->se.peer_refreshes = sip_param(rest, STR("refresher"), &value) && str_ieq(value, STR("uas"));
	call_timer_start(c);
}

static void on_2xx(struct call *c, const struct sip_msg *m)
{
	struct call_dial *d = c->dial;

	if (call_set_owner(c, m) || sip_dlg_uac(&c->dlg, m, NULL)) {
		fail(c, "otherFailure");             /* no Contact: there is nothing to acknowledge to */
		return;
	}
	sip_dlg_ack(c->uas->app->sip, c->dlg, sip_msg_cseq(m));
	c->state        = CALL_UP;
	callrec_answered(c->rec);
	c->dial         = NULL;
	c->peer_updates = sip_msg_has_token(m, "Allow", "UPDATE");
	c->kind->peer(c, m);
	trace_add(c->id, "200 to our INVITE");
	if (!call_sdp_ack(c, sip_msg_body(m)) || !c->agreed) {
		dialout_done(d->dialout, "mediaNotSupported");
		call_end(c, LEG_END_FAILED);
	} else {
		session_timer(c, m);
		call_keep(c);
		c->kind->up(c);
		leg_connected(c->leg, c);
		dialout_done(d->dialout, NULL);
	}
	mem_deref(d);
}

/* 422: once more with the timer that the other side wants (RFC 4028 7.3). */
static bool again_422(struct call *c, const struct sip_msg *m)
{
	struct str v = sip_msg_hdr(m, "Min-SE", 0);
	uint64_t s;

	if (!v.p || c->dial->min_se_s || str_u64(str_trim(str_cut(&v, ';')), &s) || s < 90 || s > 86400)
		return false;
	c->dial->min_se_s = (uint32_t)s;
	return !send_invite(c);
}

static void on_answer(int err, const struct sip_msg *m, void *arg)
{
	struct call *c = arg;
	int code = err ? 0 : sip_msg_scode(m);

	c->dial->answered |= !err;
	if (!err && code < 200) {
		trace_add(c->id, "%d", code);
		if (code > 100)
			leg_alerting(c->leg, c);
		return;
	}
	c->out = mem_deref(c->out);
	if (err && err != -ETIMEDOUT && !c->dial->answered && !send_somewhere(c))
		return;
	if (err)
		fail(c, err == -ETIMEDOUT ? "timeout" : "otherFailure");
	else if (code < 300)
		on_2xx(c, m);
	else if (code != 422 || !again_422(c, m))
		fail(c, dialout_reason(code));
}

/* --- the beginning */

/* "Subject" <uri>;tag=x */
static char *from_value(const struct conf *conf, const char *tag)
{
	struct buf b;
	char *v;

	buf_init(&b, 2048);
	buf_puts(&b, "\"");
	for (const char *p = conf->subject; *p && b.l < 200; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			continue;
		if (*p == '"' || *p == '\\')
			buf_puts(&b, "\\");
		buf_write(&b, p, 1);
	}
	buf_printf(&b, "\" <%s>;tag=%s", conf->mcu_uri, tag);
	v = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return v;
}

static struct call_dial *dial_make(const struct call_dial_prm *p, const char *tag)
{
	struct call_dial *d = mem_zalloc(sizeof(*d), dial_destructor);

	if (!d)
		return NULL;
	d->target = str_dup(str_c(p->target));
	d->from   = from_value(p->conf, tag);
	d->to     = str_printf("<%s>", p->user);
	d->hdrs   = p->hdrs ? str_dup(str_c(p->hdrs)) : NULL;
	if (!d->target || !d->from || !d->to || (p->hdrs && !d->hdrs))
		return mem_deref(d);
	d->dialout = mem_ref(p->dialout);
	return d;
}

int call_dial(struct uas *u, const struct call_dial_prm *p)
{
	char id[64], tag[17];
	struct call *c;
	int err;

	metric_register(&m_invites, 1);
	err = str_random_hex(id, 32);
	if (!err)
		err = str_random_hex(tag, 16);
	if (!err)
		err = call_alloc(&c, u, p->leg, str_c(id), tag);
	if (err)
		return err;
	c->state   = CALL_CALLING;
	c->dial    = dial_make(p, tag);
	c->contact = str_dup(str_c(p->contact));
	err = c->dial && c->contact ? 0 : -ENOMEM;
	if (!err && c->kind->offer(c) != NEGO_OK)
		err = -ENOMEM;
	if (!err)
		err = send_somewhere(c);
	if (err) {
		mem_deref(c);
		return err;
	}
	tmr_start(&c->tmr, (uint64_t)u->app->cfg.ring_s * 1000);
	call_enter(c);
	call_attach(c);
	return 0;
}
