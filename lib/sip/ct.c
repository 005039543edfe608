/* SPDX-License-Identifier: Apache-2.0 */
/* ct.c - client transactions (RFC 3261 17.1, 9.1)
 *
 * sip_request() -> text -> the connection of the next hop -> table, until a final response, the time-out or the end of
 * that connection; then respcb once. TCP does not lose messages, so requests are never repeated.
 * The user's reference is the handle: when it goes while an answer is due, the table takes the transaction over
 * and it goes on without a callback. An INVITE nobody waits for any more is cancelled, and when it is answered 2xx all
 * the same, acknowledged and ended with BYE; so is what a second branch of a fork answers behind the first.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/sip/sip_priv.h"

#define RING_MS      200000u           /* an INVITE after its first 1xx: longer than any edge lets it ring */
#define SILENCE_MS   10000u            /* a connection that said nothing this long and lets time out is dead */

struct sip_ct {
	struct sip      *sip;
	struct sip_conn *conn;
	LIST_ENTRY(sip_ct) le;                 /* in conn->cts */
	UT_hash_handle   hh;
	struct wtmr      tmr;
	sip_response_cb *cb;
	void            *arg;
	char             branch[32];
	bool             active, owned, invite, proceeding, cancel;
	/* INVITE only, for ACK and CANCEL */
	char            *ruri, *route, *from, *to, *call_id;
	uint32_t         cseq;
};

static void leave(struct sip_ct *ct)
{
	if (!ct->active)
		return;
	ct->active = false;
	wheel_stop(ct->sip->wheel, &ct->tmr);
	HASH_DEL(ct->sip->cts, ct);
	LIST_REMOVE(ct, le);
	ct->sip->n_ct--;
	metric_add(&sip_stats[SIP_CT_ALIVE], -1);
	ct->conn = mem_deref(ct->conn);
}

static void destructor(void *arg)
{
	struct sip_ct *ct = arg;

	if (ct->active) {                                 /* the user let go; the table keeps it */
		ct->cb    = NULL;
		ct->owned = true;
		mem_ref(ct);
		if (ct->invite)
			sip_cancel(ct);
		return;
	}
	mem_deref(ct->conn);
	mem_deref(ct->ruri);
	mem_deref(ct->route);
	mem_deref(ct->from);
	mem_deref(ct->to);
	mem_deref(ct->call_id);
}

/* Last act: the callback may drop the handle. */
static void finish(struct sip_ct *ct, int err, const struct sip_msg *m)
{
	sip_response_cb *cb = ct->cb;
	bool owned = ct->owned;
	void *arg = ct->arg;

	leave(ct);
	ct->cb = NULL;
	if (cb)
		cb(err, m, arg);
	if (owned)
		mem_deref(ct);
}

/* It rings too long: the user is told now, and the call is cancelled so that it does not come to life later. */
static void give_up(struct sip_ct *ct)
{
	sip_response_cb *cb = ct->cb;

	ct->cb = NULL;
	sip_cancel(ct);
	if (cb)
		cb(-ETIMEDOUT, NULL, ct->arg);
}

static void on_timeout(void *arg)
{
	struct sip_ct *ct = arg;
	struct sip_conn *c = mem_ref(ct->conn);
	struct sip *s = ct->sip;
	bool dead = c->sip && wheel_now(s->wheel) - c->rx_ms > SILENCE_MS;

	metric_inc(&sip_stats[SIP_CT_TIMEOUTS]);
	if (ct->invite && ct->proceeding && !ct->cancel)
		give_up(ct);
	else
		finish(ct, -ETIMEDOUT, NULL);
	if (dead && c->sip)                               /* the next request tries a new one */
		sip_conn_close(c, -ETIMEDOUT);
	mem_deref(c);
}

/* --- sending */
static int keep_invite(struct sip_ct *ct, const struct sip_req *r)
{
	ct->invite  = true;
	ct->ruri    = str_dup(str_c(r->ruri));
	ct->from    = str_dup(str_c(r->from));
	ct->to      = str_dup(str_c(r->to));
	ct->call_id = str_dup(str_c(r->call_id));
	ct->route   = r->route ? str_dup(str_c(r->route)) : NULL;
	ct->cseq    = r->cseq;
	return ct->ruri && ct->from && ct->to && ct->call_id && (ct->route || !r->route) ? 0 : -ENOMEM;
}

static void enter(struct sip_ct *ct, struct sip *s, struct sip_conn *c, uint32_t timeout_ms)
{
	ct->sip    = s;
	ct->conn   = mem_ref(c);
	ct->active = true;
	LIST_INSERT_HEAD(&c->cts, ct, le);
	HASH_ADD_STR(s->cts, branch, ct);
	s->n_ct++;
	metric_add(&sip_stats[SIP_CT_ALIVE], 1);
	wheel_start(s->wheel, &ct->tmr, timeout_ms ? timeout_ms : SIP_KEEP_MS);
}

int sip_request(struct sip *s, struct sip_ct **ctp, const struct sip_req *r, sip_response_cb *cb, void *arg)
{
	struct sip_ct *ct;
	struct sip_conn *c;
	struct buf b;
	int err = 0;

	if (r->no_answer) {
		if (ctp)
			*ctp = NULL;
		buf_init(&b, 0);
		err = sip_send_once(s, r, &b);
		buf_fini(&b);
		return err;
	}
	ct = mem_zalloc(sizeof(*ct), destructor);
	if (!ct)
		return -ENOMEM;
	buf_init(&b, 0);
	sip_make_branch(ct->branch);
	ct->tmr.cb  = on_timeout;
	ct->tmr.arg = ct;
	ct->cb      = cb;
	ct->arg     = arg;
	err = sip_encode(&b, s, r, ct->branch);
	if (!err && cstr_eq(r->method, "INVITE"))
		err = keep_invite(ct, r);
	if (!err)
		err = sip_send(&c, s, r, &b);
	buf_fini(&b);
	if (err) {
		mem_deref(ct);
		return err;
	}
	enter(ct, s, c, r->timeout_ms);
	ct->owned = !ctp;
	if (ctp)
		*ctp = ct;
	return 0;
}

/* ACK and CANCEL of an INVITE: its branch, number and route again */
static int send_like(struct sip_ct *ct, const char *method, const char *to)
{
	struct sip_req r = {
		.method = method, .ruri = ct->ruri, .from = ct->from, .to = to, .call_id = ct->call_id,
		.cseq = ct->cseq, .route = ct->route,
	};
	struct buf b;
	int err;

	buf_init(&b, 0);
	err = sip_encode(&b, ct->sip, &r, ct->branch);
	if (!err)
		err = sip_conn_send(ct->conn, buf_view(&b));
	if (!err)
		sip_count(false, str_c(method), 0);
	buf_fini(&b);
	return err;
}

int sip_cancel(struct sip_ct *ct)
{
	if (!ct->active || !ct->invite)
		return -EINVAL;
	if (ct->cancel)
		return 0;
	ct->cancel = true;
	if (!ct->proceeding)                              /* 9.1: not before the first 1xx */
		return 0;
	wheel_start(ct->sip->wheel, &ct->tmr, SIP_KEEP_MS);
	return send_like(ct, "CANCEL", ct->to);
}

/* --- responses in */
static void end_unwanted(struct sip *s, const struct sip_msg *m)
{
	struct sip_dlg *d;

	if (sip_dlg_uac(&d, m, NULL))
		return;
	sip_dlg_ack(s, d, sip_msg_cseq(m));
	sip_dlg_request(s, NULL, d, "BYE", NULL, NULL, STR_NULL, NULL, NULL);
	mem_deref(d);
}

static void on_provisional(struct sip_ct *ct, const struct sip_msg *m)
{
	bool first = !ct->proceeding;

	ct->proceeding = true;
	if (ct->invite && first) {
		wheel_start(ct->sip->wheel, &ct->tmr, ct->cancel ? SIP_KEEP_MS : RING_MS);
		if (ct->cancel)
			send_like(ct, "CANCEL", ct->to);
	}
	if (ct->cb)
		ct->cb(0, m, ct->arg);                    /* the caller holds ct */
}

static void on_final(struct sip_ct *ct, const struct sip_msg *m)
{
	struct sip *s = ct->sip;
	bool unwanted = ct->invite && !ct->cb && sip_msg_scode(m) < 300;
	struct str to = sip_msg_line(m, "To", 0);

	if (ct->invite && sip_msg_scode(m) >= 300) {
		char *copy = str_dup(to);

		if (copy)
			send_like(ct, "ACK", copy);
		mem_deref(copy);
	}
	if (unwanted)
		end_unwanted(s, m);
	finish(ct, 0, m);
}

void sip_ct_receive(struct sip *s, struct sip_conn *c, const struct sip_msg *m)
{
	struct str branch = sip_msg_branch(m), method = sip_msg_method(m);
	struct sip_ct *ct = NULL;

	(void)c;
	if (str_eq(method, STR("CANCEL")))
		return;                                   /* the INVITE's own answer is what counts */
	HASH_FIND(hh, s->cts, branch.p, branch.l, ct);
	if (!ct || ct->invite != str_eq(method, STR("INVITE"))) {
		if (str_eq(method, STR("INVITE")) && sip_msg_scode(m) / 100 == 2) {
			if (!sip_ack_again(s, m))         /* the second phone that answered: the first one has the call */
				end_unwanted(s, m);
		} else {
			metric_inc(&sip_stats[SIP_STRAY]);
		}
		return;
	}
	mem_ref(ct);
	if (sip_msg_scode(m) < 200)
		on_provisional(ct, m);
	else
		on_final(ct, m);
	mem_deref(ct);
}

void sip_ct_conn_closed(struct sip_conn *c, int err)
{
	struct sip_ct *ct;

	while ((ct = LIST_FIRST(&c->cts)))
		finish(ct, err, NULL);
}

/* The end of the sip: no callback comes any more. */
void sip_ct_flush(struct sip *s)
{
	struct sip_ct *ct, *tmp;

	HASH_ITER(hh, s->cts, ct, tmp) {
		ct->cb = NULL;
		finish(ct, -ESHUTDOWN, NULL);
	}
}
