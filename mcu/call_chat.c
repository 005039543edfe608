/* SPDX-License-Identifier: Apache-2.0 */
/* call_chat.c - what is done in a chat call, see call_kind in call.h: SIP on one side, mcu/chat on the other
 *
 * MESSAGE -> chat_post() -> 202 with Message-Id -> chat_pump() -> on_send() of every other member -> MESSAGE there
 * -> its answer -> chat_sent(). Reports go out as BENOTIFY, typing as INFO. A client that is gone without a BYE shows
 * by its answer to a MESSAGE, or to an OPTIONS when it has been silent for long.
 */
#include <errno.h>
#include <inttypes.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/chat/chat.h"
#include "mcu/chat/imdoc.h"
#include "mcu/chat/imsdp.h"
#include "mcu/uas.h"

#define PORT 5060u                           /* in descriptions; nothing is ever sent there */

struct chat_leg {
	struct call        *c;               /* borrowed: it owns us */
	struct chat_member *member;
	struct imsdp        sdp;             /* lines of the last description, types that the peer takes */
	char               *local;
	uint64_t            sess_id, version, heard_ms;
	bool                ms_sender;
	struct sip_ct      *message, *probe;
	struct tmr          tmr;
};

static struct sip *sip_of(const struct chat_leg *k)
{
	return k->c->uas->app->sip;
}

static uint64_t now_ms(const struct chat_leg *k)
{
	return ev_now_ms(k->c->uas->app->loop);
}

/* --- is it there? */

/* Answers after which no request in this dialog makes sense (RFC 5057); 480 is what the edge says when the client's
 * connection has ended. */
static bool is_dead(int code)
{
	static const int codes[] = { 404, 408, 410, 480, 481, 482, 484, 485, 604 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* Last call of an answer's callback: k may be gone. */
static void judge(struct chat_leg *k, int code)
{
	if (!is_dead(code)) {
		k->heard_ms = now_ms(k);
		return;
	}
	log_info(leg, "call %s: the client answers %d", call_id(k->c), code);
	trace_add(call_id(k->c), "the client answers %d: gone", code);
	call_end(k->c, LEG_END_DEAD);
}

static void on_probed(int err, const struct sip_msg *m, void *arg)
{
	struct chat_leg *k = arg;

	if (!err && sip_msg_scode(m) < 200)
		return;
	k->probe = mem_deref(k->probe);
	if (!err)
		judge(k, sip_msg_scode(m));
}

static void on_tmr(void *arg)
{
	struct chat_leg *k = arg;
	uint64_t limit = (uint64_t)k->c->uas->app->cfg.chat_probe_s * 1000, silent = now_ms(k) - k->heard_ms;

	tmr_start(&k->tmr, silent < limit ? limit - silent : limit);
	if (silent >= limit && !k->probe && !k->message)
		sip_dlg_request(sip_of(k), &k->probe, k->c->dlg, "OPTIONS", k->c->kind->accept, NULL, STR_NULL, on_probed, k);
}

/* --- copies, reports, typing: the ops of the room */

static void on_answered(int err, const struct sip_msg *m, void *arg)
{
	struct chat_leg *k = arg;
	int code = err ? err == -ETIMEDOUT ? 408 : 503 : sip_msg_scode(m);

	if (code < 200)
		return;
	k->message = mem_deref(k->message);
	chat_sent(k->member, code);
	if (!err)
		judge(k, code);
}

/* One header value on one line, whatever a multipart said. */
static char *clean(struct str s)
{
	char *text = str_dup(s);

	for (char *p = text; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return text;
}

static int on_send(struct chat_member *to, const struct chat_out *out, void *arg)
{
	struct chat_leg *k = arg;
	char *ctype = clean(out->ctype);
	struct buf h;
	int err;

	(void)to;
	buf_init(&h, 4096);
	if (out->sender)
		buf_printf(&h, "Ms-Sender: %s\r\n", out->sender);
	buf_printf(&h, "Message-Id: %" PRIu64 "\r\n", out->id);
	err = ctype ? h.err : -ENOMEM;
	if (!err)
		err = sip_dlg_request(sip_of(k), &k->message, k->c->dlg, "MESSAGE", h.p, ctype, out->body, on_answered, k);
	buf_fini(&h);
	mem_deref(ctype);
	if (err)
		log_warn(leg, "call %s: MESSAGE not sent: %s", call_id(k->c), strerror(-err));
	return err;
}

static void on_report(struct chat_member *author, struct str imdn, void *arg)
{
	struct chat_leg *k = arg;

	(void)author;
	trace_add(call_id(k->c), "delivery report sent");
	sip_dlg_request(sip_of(k), NULL, k->c->dlg, "BENOTIFY", NULL, IMDOC_IMDN_TYPE, imdn, NULL, NULL);
}

static void on_typing(struct chat_member *to, const char *sender, bool typing, void *arg)
{
	struct chat_leg *k = arg;
	struct buf h, b;

	(void)to;
	buf_init(&h, 4096);
	buf_init(&b, 1024);
	buf_printf(&h, "Ms-Sender: %s\r\n", sender);
	if (!imdoc_typing_encode(&b, typing) && !h.err)
		sip_dlg_request(sip_of(k), NULL, k->c->dlg, "INFO", h.p, IMDOC_TYPING_TYPE, buf_view(&b), NULL, NULL);
	buf_fini(&h);
	buf_fini(&b);
}

const struct chat_ops call_chat_ops = { on_send, on_report, on_typing };

/* --- life */

static void leg_destructor(void *arg)
{
	struct chat_leg *k = arg;

	tmr_fini(&k->tmr);
	mem_deref(k->message);
	mem_deref(k->probe);
	mem_deref(k->member);
	mem_deref(k->local);
}

static int start(struct call *c, struct conf *conf)
{
	const struct user *u = c->leg->user;
	struct chat_leg *k = mem_zalloc(sizeof(*k), leg_destructor);
	int err;

	if (!k)
		return -ENOMEM;
	k->c       = c;
	k->sess_id = ev_wall_ms();
	err = tmr_init(&k->tmr, c->uas->app->loop, on_tmr, k);
	if (!err)
		err = chat_member_alloc(&k->member, conf->chat, u->entity, u->display, k);
	if (err)
		mem_deref(k);
	else
		c->chat = k;
	return err;
}

/* Who was sent away says nothing any more; at the end of the conference there is nobody to tell. */
static void stop(struct call *c)
{
	struct chat_leg *k = c->chat;

	if (!k)
		return;
	c->chat = NULL;
	if (c->why == LEG_END_REMOVED || c->why == LEG_END_CONF || c->why == LEG_END_SHUTDOWN)
		chat_member_eject(k->member);
	mem_deref(k);
	c->local = NULL;
}

static void peer(struct call *c, const struct sip_msg *m)
{
	if (sip_msg_has_token(m, "Supported", "ms-sender"))
		c->chat->ms_sender = true;
	c->chat->heard_ms = now_ms(c->chat);
}

static void up(struct call *c)
{
	chat_member_ready(c->chat->member);
	tmr_start(&c->chat->tmr, (uint64_t)c->uas->app->cfg.chat_probe_s * 1000);
}

static void filter(struct call *c)
{
	(void)c;                                     /* chat has no filters */
}

/* --- descriptions */

static enum nego_fault write_local(struct call *c, const struct imsdp *s)
{
	struct chat_leg *k = c->chat;
	struct imsdp_prm prm = {
		.ip = c->uas->app->policy.ip, .name = c->uas->app->policy.name, .sess_id = k->sess_id,
		.version = k->version ? k->version : 1, .port = PORT,
	};
	struct buf b;
	char *text = NULL;

	buf_init(&b, IMSDP_MAX_BYTES);
	if (!imsdp_encode(&b, s, &prm))
		text = str_dup(buf_view(&b));
	if (text && k->local && !cstr_eq(text, k->local)) {
		mem_deref(text);
		text = NULL;
		prm.version++;
		buf_reset(&b);
		if (!imsdp_encode(&b, s, &prm))
			text = str_dup(buf_view(&b));
	}
	buf_fini(&b);
	if (!text)
		return NEGO_NO_MEMORY;
	mem_deref(k->local);
	k->local = text;
	k->version = prm.version;
	c->local = text;
	return NEGO_OK;
}

static enum nego_fault fault_of(int err)
{
	return !err ? NEGO_OK : err == -ENOENT ? NEGO_NO_CHAT : NEGO_SYNTAX;
}

static enum nego_fault answer(struct call *c, struct str offer_text)
{
	struct imsdp s;
	enum nego_fault f = fault_of(imsdp_decode(&s, offer_text));

	if (f == NEGO_OK)
		f = write_local(c, &s);
	if (f == NEGO_OK) {
		c->chat->sdp = s;
		c->agreed    = true;
		c->offering  = false;
	}
	return f;
}

static enum nego_fault offer(struct call *c)
{
	enum nego_fault f;

	if (!c->agreed)
		imsdp_offer(&c->chat->sdp);
	f = write_local(c, &c->chat->sdp);
	c->offering = f == NEGO_OK;
	return f;
}

static void again(struct call *c)
{
	c->offering = true;
}

static enum nego_fault take(struct call *c, struct str text)
{
	struct imsdp s;
	enum nego_fault f = fault_of(imsdp_decode(&s, text));

	if (f == NEGO_OK && s.active != c->chat->sdp.active)
		f = NEGO_ANSWER;
	if (f == NEGO_OK) {
		c->chat->sdp.accept = s.accept;
		c->agreed   = true;
		c->offering = false;
	}
	return f;
}

static void forget_offer(struct call *c)
{
	c->offering = false;
}

static void apply(struct call *c)
{
	chat_member_caps(c->chat->member, &c->chat->sdp.accept, c->chat->ms_sender);
	chat_member_open(c->chat->member);
	trace_add(call_id(c), "chat: %u types taken, %s", c->chat->sdp.accept.n,
		  c->chat->ms_sender ? "knows Ms-Sender" : "names stand in the text");
}

static char *keepable(const struct call *c)
{
	return c->local ? str_dup(str_c(c->local)) : NULL;
}

/* --- requests of the client */

static void refuse_post(struct call *c, struct sip_st *st, int err)
{
	trace_add(call_id(c), "MESSAGE refused: %s", strerror(-err));
	switch (err) {
	case -ENODATA:
		uas_refuse(st, 400, 0, NULL, "an empty message");
		break;
	case -EMSGSIZE:
		uas_refuse(st, 413, 6013, NULL, "the message is too large");
		break;
	case -ENOTSUP:
		uas_refuse(st, 415, 6012, c->kind->accept, "this type is not relayed in conferences");
		break;
	case -EAGAIN:
		uas_refuse(st, 503, 6014, "Retry-After: 1\r\n", "too many messages; wait a little");
		break;
	default:
		uas_refuse(st, 500, 0, NULL, "out of memory");
	}
}

static void typing_in(struct call *c, struct sip_st *st, struct str body)
{
	bool typing;

	if (imdoc_typing_decode(&typing, body)) {
		uas_refuse(st, 400, 0, NULL, "not a typing document");
		return;
	}
	sip_reply(st, &(struct sip_reply){ .code = 200 });
	chat_typing(c->chat->member, typing, now_ms(c->chat));
}

static void on_message(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	struct str ctype = sip_msg_hdr(m, "Content-Type", 0), body = sip_msg_body(m);
	struct chat_leg *k = c->chat;
	char hdr[40];
	uint64_t id;
	int err;

	if (mime_is(ctype, IMDOC_COMPOSING_TYPE)) {
		typing_in(c, st, body);
		return;
	}
	if (mime_is(ctype, IMDOC_IMDN_TYPE)) {       /* reports are ours to make */
		sip_reply(st, &(struct sip_reply){ .code = 200 });
		return;
	}
	if (c->leg->user)
		chat_member_rename(k->member, c->leg->user->display);
	err = chat_post(k->member, ctype, body, now_ms(k), &id);
	if (err) {
		refuse_post(c, st, err);
		return;
	}
	snprintf(hdr, sizeof(hdr), "Message-Id: %" PRIu64 "\r\n", id);
	sip_reply(st, &(struct sip_reply){ .code = 202, .hdrs = hdr });
	trace_add(call_id(c), "message %" PRIu64 ", %zu bytes", id, body.l);
	chat_pump(c->leg->user->conf->chat);
}

static void on_info(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	struct str ctype = sip_msg_hdr(m, "Content-Type", 0);

	if (mime_is(ctype, IMDOC_TYPING_TYPE))
		typing_in(c, st, sip_msg_body(m));
	else if (str_empty(sip_msg_body(m)))
		sip_reply(st, &(struct sip_reply){ .code = 200 });
	else
		uas_refuse(st, 415, 6012, "Accept: " IMDOC_TYPING_TYPE "\r\n", "INFO carries typing here");
}

static bool request(struct call *c, struct sip_st *st, const struct sip_msg *m)
{
	bool message = str_eq(sip_msg_method(m), STR("MESSAGE"));

	if (!message && !str_eq(sip_msg_method(m), STR("INFO")))
		return false;
	c->chat->heard_ms = now_ms(c->chat);
	if (message)
		on_message(c, st, m);
	else
		on_info(c, st, m);
	return true;
}

#define ACCEPT "Accept: application/sdp, text/plain, text/html, image/gif, multipart/alternative, " \
	       IMDOC_COMPOSING_TYPE ", " IMDOC_IMDN_TYPE "\r\n"

const struct call_kind call_chat = {
	.hdrs = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS, MESSAGE\r\nSupported: timer, ms-sender\r\n" ACCEPT,
	.accept = ACCEPT,
	.start = start, .stop = stop, .peer = peer, .answer = answer, .offer = offer, .again = again, .take = take,
	.forget_offer = forget_offer, .apply = apply, .up = up, .filter = filter, .keepable = keepable, .request = request,
};
