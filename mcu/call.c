/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a call from its INVITE to its BYE, see call.h
 *
 * INVITE (admitted by uas.c) -> SDP, dialog -> 200 -> leg_attach() -> ACK -> leg_connected(). The model's orders
 * come in by leg_ops. Whoever ends a call, it ends in call_end() or on a BYE, and the model is told once.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/callrec.h"
#include "mcu/pair.h"
#include "mcu/uas.h"

static struct metric m_answered = METRIC_COUNTER("conclave_mcu_calls_answered_total", "INVITEs answered 200");
static struct metric m_ended = METRIC_COUNTER("conclave_mcu_calls_ended_total", "Calls that ended");

/* Reason of our BYE (RFC 3326). */
static const int causes[LEG_NENDS] = {
	[LEG_END_REMOVED] = 200, [LEG_END_CONF] = 200, [LEG_END_SHUTDOWN] = 503, [LEG_END_IDLE] = 408,
	[LEG_END_KEY] = 488, [LEG_END_NO_WAY] = 480, [LEG_END_TIMER] = 408, [LEG_END_NO_ACK] = 408, [LEG_END_REPLACED] = 200,
	[LEG_END_DEAD] = 408, [LEG_END_FAILED] = 500,
};

const char *call_state_name(enum call_state s)
{
	static const char *const names[] = { "calling", "answered", "up", "ending" };

	return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "";
}

const char *call_id(const struct call *c)
{
	return c->id;
}

static void drop_waiting(struct call *c)
{
	if (c->waiting)
		sip_st_set_cb(c->waiting, NULL, NULL, NULL);
	c->waiting = mem_deref(c->waiting);
}

static void destructor(void *arg)
{
	struct call *c = arg;

	tmr_fini(&c->tmr);
	drop_waiting(c);
	mem_deref(c->out);
	mem_deref(c->dial);
	mem_deref(c->attend);
	mem_deref(c->ask);
	if (c->leg)
		leg_detach(c->leg, c);
	if (c->kind)
		c->kind->stop(c);
	nego_fini(&c->nego);
	mem_deref(c->dlg);
	mem_deref(c->leg);
	mem_deref(c->conf_id);
	mem_deref(c->contact);
	mem_deref(c->owner);
	mem_deref(c->id);
	mem_deref(c->key);
	mem_deref(c->rec);
}

void call_enter(struct call *c)
{
	HASH_ADD_KEYPTR(hh, c->uas->calls, c->key, strlen(c->key), c);
}

void call_leave(struct call *c)
{
	struct uas *u = c->uas;

	HASH_DEL(u->calls, c);
	metric_inc(&m_ended);
	mem_deref(c);
	app_settled(u->app);
}

/* --- ending */

static void on_bye_answer(int err, const struct sip_msg *m, void *arg)
{
	struct uas *u = arg;

	if (!err && sip_msg_scode(m) < 200)
		return;
	u->byes--;
	app_settled(u->app);
}

static void bye(struct call *c, enum leg_end why)
{
	struct uas *u = c->uas;
	struct buf hdrs;
	int err;

	buf_init(&hdrs, 4096);
	buf_printf(&hdrs, "Reason: SIP;cause=%d;text=\"%s\"\r\n", causes[why] ? causes[why] : 200, leg_end_text(why));
	u->byes++;
	err = hdrs.err ? hdrs.err
		       : sip_dlg_request(u->app->sip, NULL, c->dlg, "BYE", hdrs.p, NULL, STR_NULL, on_bye_answer, u);
	buf_fini(&hdrs);
	if (err)
		u->byes--;
	trace_add(call_id(c), "BYE sent: %s", leg_end_text(why));
	if (err)
		log_warn(sip, "call %s: BYE not sent: %s", call_id(c), strerror(-err));
}

/* RFC 3261 15: a callee says BYE only after the ACK, or when no ACK comes any more. A server that goes down does not
 * wait. */
static void hang_up(struct call *c, enum leg_end why)
{
	c->why = why;
	c->attend = mem_deref(c->attend);
	c->ask = mem_deref(c->ask);
	callrec_end(c, why);
	c->kind->stop(c);
	tmr_stop(&c->tmr);
	if (c->state == CALL_CALLING) {
		call_dial_stop(c, why);
		call_leave(c);
		return;
	}
	c->out = mem_deref(c->out);
	if (c->waiting && why != LEG_END_SHUTDOWN) {
		c->state = CALL_ENDING;
		return;
	}
	bye(c, why);
	call_leave(c);
}

void call_end(struct call *c, enum leg_end why)
{
	if (c->state == CALL_ENDING)
		return;
	mem_ref(c->leg);
	leg_gone(c->leg, c, why);
	mem_deref(c->leg);
	hang_up(c, why);
}

static void on_leg_end(struct leg *l, enum leg_end why, void *arg)
{
	struct call *c = arg;

	(void)l;
	if (c->state != CALL_ENDING)
		hang_up(c, why);
}

void call_filter(struct call *c)
{
	c->kind->filter(c);
}

static void on_leg_filter(struct leg *l, void *arg)
{
	(void)l;
	call_filter(arg);
}

static const struct leg_ops ops = { on_leg_end, on_leg_filter };

void call_attach(struct call *c)
{
	callrec_leg(c->rec, c);
	if (c->state == CALL_CALLING)
		leg_dialing(c->leg, &ops, c);
	else
		leg_attach(c->leg, &ops, c);
}

/* --- what the focus keeps of a dialog */

void call_keep(struct call *c)
{
	const struct sip_dlg *d = c->dlg;
	char *sdp = c->kind->keepable(c), *text, *kept = NULL;
	json_t *j = json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s*,s:I,s:I,s:b,s:I,s:s*}", "v", 1, "callId", d->call_id,
			      "localTag", d->local_tag, "remoteTag", d->remote_tag, "local", d->local_uri, "remote",
			      d->remote_uri, "target", d->remote_target, "route", d->route, "localCseq",
			      (json_int_t)d->local_cseq, "remoteCseq", (json_int_t)d->remote_cseq, "plain", c->plain_ok,
			      "sessionS", (json_int_t)c->se.interval_s, "sdp", sdp);

	text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (text)
		kept = str_dup(str_c(text));
	if (kept)
		leg_keep(c->leg, kept);
	free(text);
	json_decref(j);
	mem_deref(sdp);
}

/* --- the first INVITE */

/* The ACK, or none within 32 s. A re-INVITE's ACK comes here, too. */
static void on_ack(struct sip_st *st, const struct sip_msg *ack, int err, void *arg)
{
	struct call *c = arg;

	(void)st;
	drop_waiting(c);
	if (c->state == CALL_ENDING) {
		bye(c, c->why);
		call_leave(c);
		return;
	}
	trace_add(call_id(c), err ? "no ACK" : "ACK");
	if (err) {
		call_end(c, LEG_END_NO_ACK);
		return;
	}
	if (!call_sdp_ack(c, sip_msg_body(ack))) {
		if (!c->agreed)
			call_end(c, LEG_END_FAILED);
		return;                          /* a running session goes on as it was */
	}
	if (c->state == CALL_ANSWERED) {
		c->state = CALL_UP;
		call_keep(c);
		c->kind->up(c);
		leg_connected(c->leg, c);
	}
}

void call_expect_ack(struct call *c, struct sip_st *st)
{
	drop_waiting(c);
	c->waiting = mem_ref(st);
	sip_st_set_cb(st, NULL, on_ack, c);
}

int call_alloc(struct call **cp, struct uas *u, struct leg *l, struct str id, const char *local_tag)
{
	struct conf *conf = l->user->conf;
	struct call *c = mem_zalloc(sizeof(*c), destructor);
	int err = -ENOMEM;

	if (!c)
		return err;
	nego_init(&c->nego);
	c->uas      = u;
	c->kind     = conf->room ? &call_av : &call_chat;
	c->leg      = mem_ref(l);
	c->plain_ok = l->any_media;
	c->since_ms = ev_now_ms(u->app->loop);
	c->rec      = callrec_alloc(u->app, id, conf->set->kind->name);
	c->id       = str_dup(id);
	c->conf_id  = str_dup(str_c(conf->id));
	c->key      = str_printf(STR_FMT "\n%s", STR_ARG(id), local_tag);
	if (c->id && c->conf_id && c->key)
		err = call_timer_init(c);
	if (!err)
		err = c->kind->start(c, conf);
	if (err) {
		mem_deref(c);
		return err;
	}
	metric_register(&m_answered, 1);
	metric_register(&m_ended, 1);
	*cp = c;
	return 0;
}

static int send_200(struct call *c, struct sip_st *st, const char *ctype)
{
	struct buf hdrs;
	int err;

	buf_init(&hdrs, 8192);
	buf_puts(&hdrs, c->contact);
	buf_puts(&hdrs, c->kind->hdrs);
	buf_puts(&hdrs, "Allow-Events: conference\r\n");
	call_timer_hdrs(c, &hdrs);
	call_expect_ack(c, st);
	err = hdrs.err ? hdrs.err : sip_reply(st, &(struct sip_reply){
		.code = 200, .hdrs = hdrs.p, .ctype = ctype, .body = str_c(c->local) });
	buf_fini(&hdrs);
	return err;
}

static void refuse(struct sip_st *st, const struct sip_msg *m, const struct leg *l, int err)
{
	const struct service_kind *k = l->user ? l->user->conf->set->kind : NULL;
	struct str id = sip_msg_call_id(m);
	char text[128];

	snprintf(text, sizeof(text), STR_FMT, STR_ARG(id));
	log_warn(leg, "call %s: refused: %s", text, strerror(-err));
	trace_add(text, "refused: %s", strerror(-err));
	if (err == -EBADMSG)
		uas_refuse(st, 400, 7005, NULL, "no usable Contact or From tag");
	else
		uas_refuse(st, 503, k ? k->diag_busy : 0, "Retry-After: 5\r\n", "no media port or memory is free");
}

static int call_answering(struct call **cp, struct uas *u, struct sip_st *st, const struct sip_msg *m, struct leg *l,
			  const char *contact)
{
	struct call *c;
	int err;

	l->may_share = pair_may_share(m, false);
	err = call_alloc(&c, u, l, sip_msg_call_id(m), sip_st_to_tag(st));
	if (err)
		return err;
	c->state        = CALL_ANSWERED;
	c->peer_updates = sip_msg_has_token(m, "Allow", "UPDATE");
	c->contact      = str_dup(str_c(contact));
	err = c->contact ? call_set_owner(c, m) : -ENOMEM;
	if (!err)
		err = sip_dlg_uas(&c->dlg, m, sip_st_to_tag(st));
	if (err) {
		mem_deref(c);
		return err;
	}
	c->kind->peer(c, m);
	callrec_peer(c->rec, m);
	*cp = c;
	return 0;
}

void call_invite(struct uas *u, struct sip_st *st, const struct sip_msg *m, struct leg *l, const char *contact)
{
	const char *ctype;
	struct call *c = NULL;
	int err;

	err = call_answering(&c, u, st, m, l, contact);
	if (err) {
		refuse(st, m, l, err);
		goto refused;
	}
	if (!call_timer_in(c, st, m) || !call_sdp_in(c, st, m, &ctype))
		goto refused;
	err = send_200(c, st, ctype);
	if (err) {
		refuse(st, m, l, err);
		goto refused;
	}
	metric_inc(&m_answered);
	callrec_answered(c->rec);
	call_enter(c);
	trace_add(call_id(c), "200 sent, conference %s, %s %s", c->conf_id, l->user->entity, l->endpoint);
	call_attach(c);
	call_sdp_apply(c);
	call_timer_start(c);
	return;
refused:
	mem_deref(c);
	leg_refused(l);
}

/* --- requests in the dialog */

struct call *call_find(struct uas *u, const struct sip_msg *m)
{
	struct str id = sip_msg_call_id(m), tag = sip_msg_to_tag(m);
	char *key = str_printf(STR_FMT "\n" STR_FMT, STR_ARG(id), STR_ARG(tag));
	struct call *c = NULL;

	if (key)
		HASH_FIND_STR(u->calls, key, c);
	mem_deref(key);
	return c && c->dlg && sip_dlg_match(c->dlg, m) ? c : NULL;
}

/* A user is who he is; of trunks, other domains and the anonymous the kind is all that stays the same. */
static char *owner_of(const struct sip_msg *m)
{
	struct str access = sip_msg_hdr(m, "Conclave-Access", 0), kind = str_trim(str_cut(&access, ';'));
	struct sip_addr pai;
	char aor[256] = "";
	struct str who = STR_NULL;

	if (str_eq(kind, STR("user")) && sip_addr_decode(&pai, sip_msg_hdr(m, "P-Asserted-Identity", 0)) == 0)
		who = sip_uri_aor(pai.uri, aor, sizeof(aor));
	return str_printf(STR_FMT " " STR_FMT, STR_ARG(kind), STR_ARG(who));
}

int call_set_owner(struct call *c, const struct sip_msg *m)
{
	c->owner = owner_of(m);
	return c->owner ? 0 : -ENOMEM;
}

bool call_is_owner(const struct call *c, const struct sip_msg *m)
{
	char *who = c->owner ? owner_of(m) : NULL;
	bool ok = !c->owner || cstr_ieq(c->owner, who);

	mem_deref(who);
	return ok;
}

static void on_bye(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	(void)m;
	sip_reply(st, &(struct sip_reply){ .code = 200 });
	trace_add(call_id(c), "BYE from the peer");
	callrec_end(c, LEG_END_HANGUP);
	mem_ref(c->leg);
	leg_gone(c->leg, c, LEG_END_HANGUP);
	mem_deref(c->leg);
	call_leave(c);
}

static void on_options(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	(void)m;
	sip_reply(st, &(struct sip_reply){ .code = 200, .hdrs = c->kind->hdrs });
}

static const struct {
	const char *method;
	void      (*on)(struct call *c, struct sip_st *st, const struct sip_msg *m);
} methods[] = {
	{ "INVITE",  call_on_offer },
	{ "UPDATE",  call_on_offer },
	{ "BYE",     on_bye },
	{ "OPTIONS", on_options },
};

void call_on_request(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	struct str method = sip_msg_method(m);
	int err = sip_dlg_accept(c->dlg, m);

	trace_add(call_id(c), STR_FMT " received", STR_ARG(method));
	if (err) {
		uas_refuse(st, err == -EPROTO ? 500 : 481, 0, err == -EPROTO ? "Retry-After: 3\r\n" : NULL,
			   "CSeq or tags do not fit this dialog");
		return;
	}
	if (c->state == CALL_ENDING && !str_eq(method, STR("BYE"))) {
		uas_refuse(st, 481, 0, NULL, "this call has ended");
		return;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(method, str_c(methods[i].method))) {
			methods[i].on(c, st, m);
			return;
		}
	}
	if (!c->kind->request(c, st, m))
		uas_refuse(st, 405, 0, c->kind->hdrs, "not a method of this server");
}
