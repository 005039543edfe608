/* SPDX-License-Identifier: Apache-2.0 */
/* call_av.c - what is done in an audio-video call, see call_kind in call.h
 *
 * Descriptions are nego.h's, media is a leg of the media engine; its events come in here.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/attend.h"
#include "mcu/bridge.h"
#include "mcu/callrec.h"
#include "mcu/pair.h"
#include "mcu/uas.h"

/* --- media */

static void on_media(struct mleg *ml, enum mleg_event ev, int v, void *arg)
{
	struct call *c = arg;

	(void)ml;
	switch (ev) {
	case MLEG_MEDIA:
		trace_add(call_id(c), "first media packet");
		break;
	case MLEG_TALK:
		leg_talk(c->leg, v && !c->leg->ingress_block);
		break;
	case MLEG_DTMF:
		trace_add(call_id(c), "DTMF");
		bridge_digit(c, (char)v);
		break;
	case MLEG_IDLE:
		if (c->nego.set.recv || !c->se.interval_s)     /* on hold a refreshed session is life enough */
			call_end(c, LEG_END_IDLE);
		break;
	case MLEG_NO_WAY:
		call_end(c, LEG_END_NO_WAY);
		break;
	case MLEG_BAD_KEY:
		call_end(c, LEG_END_KEY);
		break;
	}
}

static int start(struct call *c, struct conf *conf)
{
	c->told_block = c->leg->ingress_block;
	return (c->leg->may_share && !conf->attendant ? mleg_alloc_shared : mleg_alloc)(&c->media, conf->room, call_id(c), on_media, c);
}

static void stop(struct call *c)
{
	c->media = mem_deref(c->media);
}

static void filter(struct call *c)
{
	const struct leg *l = c->leg;

	if (!c->media)
		return;
	mleg_mute(c->media, l->ingress_block || c->held, l->egress_block);
	if (c->told_block != l->ingress_block && c->state != CALL_CALLING)
		bridge_muted(c);
	c->told_block = l->ingress_block;
	callrec_muted(c->rec, l->ingress_block && !(l->user && l->user->conf->attendant));
	trace_add(call_id(c), "filters: in %s, out %s", l->ingress_block ? "block" : "unblock",
		  l->egress_block ? "block" : "unblock");
}

static void up(struct call *c)
{
	const struct user *u = c->leg->user;

	if (u && u->conf->attendant && attend_start(&c->attend, c))
		log_warn(leg, "call %s: out of memory for the attendant", call_id(c));
}

static bool is_ms_kind(const struct sip_msg *m)
{
	static const char *const marks[] = { "UCCAPI", "RTC/", "Sipe" };
	struct str ua = sip_msg_hdr(m, sip_msg_is_request(m) ? "User-Agent" : "Server", 0);

	if (str_empty(ua))
		ua = sip_msg_hdr(m, "User-Agent", 0);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (!str_empty(ua) && memmem(ua.p, ua.l, marks[i], strlen(marks[i])))
			return true;
	return false;
}

static void peer(struct call *c, const struct sip_msg *m)
{
	int err = 0;

	c->ms_kind = is_ms_kind(m);
	if (c->media && mleg_shared(c->media) && !str_empty(sip_msg_body(m)) && !pair_may_share(m, true))
		err = mleg_unshare(c->media);
	if (err)
		log_warn(leg, "call %s: no port pair of its own: %s", call_id(c), strerror(-err));
}

/* --- descriptions */

static struct nego_prm params(const struct call *c)
{
	return (struct nego_prm){
		.policy   = &c->uas->app->policy,
		.port     = mleg_port(c->media),
		.plain_ok = c->plain_ok,
		.ms_kind  = c->ms_kind,
		.may_send = c->leg->may_send,
		.may_recv = c->leg->may_recv,
	};
}

static enum nego_fault now(struct call *c, enum nego_fault f)
{
	c->local    = c->nego.local;
	c->offering = c->nego.offering;
	c->agreed   = c->nego.done;
	return f;
}

static enum nego_fault answer(struct call *c, struct str offer)
{
	struct nego_prm prm = params(c);

	return now(c, nego_answer(&c->nego, &prm, offer));
}

static enum nego_fault offer(struct call *c)
{
	struct nego_prm prm = params(c);

	return now(c, nego_offer(&c->nego, &prm));
}

static void again(struct call *c)
{
	c->nego.offering = true;
	now(c, NEGO_OK);
}

static enum nego_fault take(struct call *c, struct str text)
{
	struct nego_prm prm = params(c);

	return now(c, nego_take_answer(&c->nego, &prm, text));
}

static void forget_offer(struct call *c)
{
	nego_abandon(&c->nego);
	now(c, NEGO_OK);
}

/* A phone that holds goes from both ways to one, its own: what it sends then is its music, which nobody wants to hear. One
 * that only ever sends is a source of sound like any other. */
static void hold(struct call *c)
{
	c->both |= c->nego.peer_dir == SDP_SENDRECV;
	c->held  = c->both && c->nego.peer_dir == SDP_SENDONLY;
}

static void apply(struct call *c)
{
	const struct nego *n = &c->nego;
	int err = mleg_set(c->media, &n->set);

	if (err)
		log_warn(leg, "call %s: media engine: %s", call_id(c), strerror(-err));
	hold(c);
	mleg_mute(c->media, c->leg->ingress_block || c->held, c->leg->egress_block);
	leg_direction(c->leg, n->peer_dir == SDP_SENDRECV || n->peer_dir == SDP_SENDONLY,
		      n->peer_dir == SDP_SENDRECV || n->peer_dir == SDP_RECVONLY);
	trace_add(call_id(c), "media: codec %d, %s, %s, ours %s, peer %s", n->set.codec,
		  n->suite ? n->suite->name : "no encryption", n->set.rtcp_mux ? "mux" : "no mux", sdp_dir_name(n->dir),
		  sdp_dir_name(n->peer_dir));
}

static char *keepable(const struct call *c)
{
	return nego_keepable(&c->nego);
}

/* --- requests of its own */

/* DTMF of phones that send it as INFO (application/dtmf-relay: "Signal=6"; application/dtmf: "6"). */
static void on_info(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	struct str ctype = sip_msg_hdr(m, "Content-Type", 0), body = str_trim(sip_msg_body(m)), line;
	int digit = 0;

	ctype = str_trim(str_cut(&ctype, ';'));
	if (str_ieq(ctype, STR("application/dtmf")) && body.l)
		digit = toupper((unsigned char)body.p[0]);
	while (str_ieq(ctype, STR("application/dtmf-relay")) && !str_empty(body)) {
		line = str_cut(&body, '\n');
		if (str_ieq(str_trim(str_cut(&line, '=')), STR("Signal")) && str_trim(line).l)
			digit = toupper((unsigned char)str_trim(line).p[0]);
	}
	if (!str_empty(ctype) && !digit) {
		uas_refuse(st, 415, 0, "Accept: application/dtmf-relay, application/dtmf\r\n", "INFO carries DTMF here");
		return;
	}
	sip_reply(st, &(struct sip_reply){ .code = 200 });
	if (digit)
		bridge_digit(c, (char)digit);
}

static bool request(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	if (!str_eq(sip_msg_method(m), STR("INFO")))
		return false;
	on_info(c, st, m);
	return true;
}

const struct call_kind call_av = {
	.hdrs = UAS_ALLOW "Supported: timer\r\nAccept: application/sdp\r\n",
	.accept = "Accept: application/sdp\r\n",
	.start = start, .stop = stop, .peer = peer, .answer = answer, .offer = offer, .again = again, .take = take,
	.forget_offer = forget_offer, .apply = apply, .up = up, .filter = filter, .keepable = keepable, .request = request,
};
