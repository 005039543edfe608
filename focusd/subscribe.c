/* SPDX-License-Identifier: Apache-2.0 */
/* subscribe.c - SUBSCRIBE to the conference event package (RFC 6665, RFC 4575; docs/c3p.md, roster)
 *
 * Who holds a focus dialog or an admitted leg of the conference may subscribe. The first document is a NOTIFY behind the
 * 200, or stands in the 200 itself, which then waits for it (ms-piggyback-first-notify): it takes the place of the first
 * NOTIFY and that one's CSeq. A subscription ended out of its dialog (Expires: 0, new Call-ID) is answered and creates
 * nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include "focusd/notify_priv.h"
#include "focusd/passcode.h"
#include "focusd/uas.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

static struct metric refused = METRIC_COUNTER("conclave_focus_subscribes_refused_total", "SUBSCRIBE requests refused");
static struct metric piggybacked = METRIC_COUNTER("conclave_focus_documents_piggybacked_total",
						  "First documents that left in the answer to SUBSCRIBE");

static void refuse(struct uas_req *rq, int code, const char *hdrs, enum diag diag, const char *text)
{
	metric_register(&refused, 1);
	metric_inc(&refused);
	answer(rq->app, rq->st, &(struct answer){ .code = code, .hdrs = hdrs, .diag = diag, .text = text });
}

static bool accepts(const struct sip_msg *m)
{
	struct str v;

	if (str_empty(sip_msg_hdr(m, "Accept", 0)))
		return true;
	for (unsigned i = 0; !str_empty(v = sip_msg_hdr(m, "Accept", i)); i++) {
		struct str type = str_trim(str_cut(&v, ';'));

		if (str_ieq(type, STR(C3P_CTYPE_INFO)) || str_eq(type, STR("*/*")) || str_ieq(type, STR("application/*")))
			return true;
	}
	return false;
}

/* seconds granted; -1: too brief */
static long expires(const struct uas_req *rq)
{
	const struct focusd_cfg *cfg = &rq->app->cfg;
	struct str h = sip_msg_hdr(rq->m, "Expires", 0);
	uint64_t v;

	if (str_empty(h) || str_u64(str_trim(h), &v))
		return cfg->sub_default_s;
	if (v == 0)
		return 0;
	if (v < (uint64_t)cfg->sub_min_s)
		return -1;
	return v > (uint64_t)cfg->sub_max_s ? cfg->sub_max_s : (long)v;
}

static bool is_token(struct str s)               /* RFC 3261 25.1; it goes into headers of ours */
{
	static const char signs[] = "-.!%*_+`'~";

	for (size_t i = 0; i < s.l; i++)
		if (!isalnum((unsigned char)s.p[i]) && !memchr(signs, s.p[i], sizeof(signs) - 1))
			return false;
	return s.l > 0;
}

static bool event_ok(struct uas_req *rq, char *id, size_t size)
{
	struct str params = sip_msg_hdr(rq->m, "Event", 0), v, name = str_trim(str_cut(&params, ';'));

	if (!str_ieq(name, STR("conference"))) {
		refuse(rq, 489, "Allow-Events: conference\r\n", DIAG_NONE, "only the conference event package");
		return false;
	}
	id[0] = '\0';
	if (!sip_param(params, STR("id"), &v))
		return true;
	if (v.l >= size || !is_token(v)) {
		refuse(rq, 400, NULL, DIAG_NONE, "the event id is no token of at most 63 characters");
		return false;
	}
	snprintf(id, size, STR_FMT, STR_ARG(v));
	return true;
}

static char *headers(const struct conf *c, long seconds, bool over)
{
	return str_printf("Contact: <%s>;isfocus\r\nEvent: conference\r\nExpires: %ld\r\nAllow-Events: conference\r\n"
			  "Supported: ms-benotify, ms-piggyback-first-notify, com.microsoft.autoextend\r\n%s",
			  c->focus_uri, seconds, over ? "Subscription-State: terminated;reason=timeout\r\n" : "");
}

static void accept(struct uas_req *rq, const struct conf *c, const char *to_tag, long seconds, bool over)
{
	char *hdrs = headers(c, seconds, over);

	answer(rq->app, rq->st, &(struct answer){ .code = hdrs ? 200 : 503, .to_tag = to_tag, .hdrs = hdrs });
	mem_deref(hdrs);
}

/* --- the document in the answer */
bool subscribe_answer(struct sub *s, const struct doc *d)
{
	struct sip_st *st = s->first;
	unsigned left = s->granted_s;
	char *hdrs = s->conf && !d->reason && d->text.l ? headers(s->conf, left, false) : NULL;
	char *all = hdrs ? str_printf("%sSubscription-State: active;expires=%u\r\nms-piggyback-cseq: %u\r\n", hdrs, left,
				      s->dlg->local_cseq + 1)
			 : NULL;
	struct sip_reply r = { .code = 200, .to_tag = s->local_tag, .hdrs = all, .ctype = C3P_CTYPE_INFO, .body = buf_view(&d->text) };
	bool went = all && sip_reply(st, &r) == 0;

	metric_register(&piggybacked, 1);
	if (went) {
		s->dlg->local_cseq++;
		metric_inc(&piggybacked);
	} else {
		r = (struct sip_reply){ .code = 200, .to_tag = s->local_tag };
		mem_deref(hdrs);
		hdrs   = str_printf("Contact: <%s>;isfocus\r\nEvent: conference\r\nExpires: %u\r\n", s->contact, left);
		r.hdrs = hdrs;
		sip_reply(st, &r);
	}
	trace_add(s->dlg->call_id, "SUBSCRIBE answered 200%s", went ? " with the first document" : "");
	s->first = mem_deref(st);
	mem_deref(hdrs);
	mem_deref(all);
	return went;
}

void subscribe_late(struct sub *s)
{
	char *hdrs = headers(s->conf, s->granted_s, false);

	log_warn(conf, "subscription of %s: there is no first document yet, answered without", s->user_entity);
	answer(s->app, s->first, &(struct answer){ .code = hdrs ? 200 : 503, .to_tag = s->local_tag, .hdrs = hdrs });
	s->first = mem_deref(s->first);
	mem_deref(hdrs);
}

static unsigned flags_of(const struct uas_req *rq)
{
	return (sip_msg_has_token(rq->m, "Supported", "ms-benotify") ? SUB_BENOTIFY : 0u) |
	       (sip_msg_has_token(rq->m, "Supported", "com.microsoft.autoextend") ? SUB_AUTOEXTEND : 0u) |
	       (rq->caller.udp ? SUB_UDP : 0u);
}

void subscribe_on_request(struct uas_req *rq)
{
	struct user *u = rq->caller.entity ? user_find_caller(rq->conf, rq->caller.entity, caller_auth(&rq->caller)) : NULL;
	struct sub_prm prm = { .conf = rq->conf };
	char id[64];
	struct sub *s;
	long seconds = expires(rq);
	int err;

	if (!event_ok(rq, id, sizeof(id)))
		return;
	if (!accepts(rq->m)) {
		refuse(rq, 406, "Accept: " C3P_CTYPE_INFO "\r\n", DIAG_NONE, "documents are " C3P_CTYPE_INFO);
		return;
	}
	if (seconds < 0) {
		char hdr[48];

		snprintf(hdr, sizeof(hdr), "Min-Expires: %ld\r\n", rq->app->cfg.sub_min_s);
		refuse(rq, 423, hdr, DIAG_NONE, "interval too brief");
		return;
	}
	if (seconds == 0) {                      /* an end out of its dialog, also right after a BYE */
		accept(rq, rq->conf, NULL, 0, true);
		return;
	}
	if (!u) {                                /* a leg that the MCU has not reported yet counts: phones subscribe at once */
		refuse(rq, 403, NULL, DIAG_FORBIDDEN, "only participants may subscribe: join first");
		return;
	}
	if (!passcode_again(rq))
		return;
	if (u->nsubs >= USER_MAX_SUBS) {
		refuse(rq, 480, "Retry-After: 60\r\n", DIAG_NONE, "too many subscriptions of this user");
		return;
	}
	err = sip_dlg_uas(&prm.dlg, rq->m, sip_st_to_tag(rq->st));
	if (err) {
		refuse(rq, err == -EBADMSG ? 400 : 503, NULL, DIAG_NONE, "a subscription needs a Contact");
		return;
	}
	prm.local_tag    = sip_st_to_tag(rq->st);
	prm.user_entity  = u->entity;
	prm.event_id     = *id ? id : NULL;
	prm.flags        = flags_of(rq);
	prm.expires_at_s = app_wall_s() + seconds;
	prm.first        = sip_msg_has_token(rq->m, "Supported", "ms-piggyback-first-notify") && !rq->caller.udp ? rq->st : NULL;
	if (sub_add(&s, rq->app, &prm)) {
		mem_deref(prm.dlg);
		refuse(rq, 503, NULL, DIAG_NONE, "out of memory");
	} else if (!s->first) {
		accept(rq, rq->conf, prm.local_tag, seconds, false);     /* before the first document, which the turn's end makes */
	}
}

void subscribe_on_refresh(struct uas_req *rq, struct sub *s)
{
	long seconds = expires(rq);

	sip_dlg_target_refresh(s->dlg, rq->m);
	if (seconds < 0)
		seconds = rq->app->cfg.sub_min_s;
	accept(rq, s->conf, NULL, seconds, seconds == 0);
	s->expires_at_s = app_wall_s() + seconds;
	if (seconds == 0) {
		s->want_full = true;
		sub_end(rq->app, s, "timeout");
		return;
	}
	s->want_full   = true;                   /* clients refresh to close a gap (RFC 4575 4.6) */
	s->retry_at_ms = 0;
	confs_changed(&rq->app->confs, s->conf);
}
