/* SPDX-License-Identifier: Apache-2.0 */
/* st.c - server transactions (RFC 3261 17.2, 13.3.1.4, 9.2; RFC 4320)
 *
 * request -> known? the kept answer again -> CANCEL, ACK: to their INVITE -> else a new transaction -> requestcb.
 *   PROCEEDING  no final answer yet. INVITE: 100 after 100 ms; 408 after 10 min. Others: given up after 32 s
 *   ACCEPTED    2xx to INVITE: repeated at T1, 2*T1, .. T2 until its ACK, found by Call-ID, our tag and CSeq
 *   COMPLETED   answered; the answer is kept for 32 s for retransmissions and for the ACK to a non-2xx
 * The table owns a reference until the end; the user takes one to answer later. A request that nobody can answer any
 * more (no reference kept, no answer given) is answered 500 at once.
 */
#include <errno.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/sip/sip_priv.h"

#define TRYING_MS   100u
#define RING_MS     (10u * 60 * 1000)
#define SLIM_MS     1000u

enum st_state { ST_PROCEEDING, ST_ACCEPTED, ST_COMPLETED, ST_GONE };

struct sip_st {
	struct sip      *sip;                  /* NULL once it is gone */
	struct sip_conn *conn;                 /* where the request came in */
	struct sip_msg  *msg;
	char            *key, *ack_key;
	UT_hash_handle   hh, hh_ack;
	struct wtmr      tmr;
	enum st_state    state;
	bool             invite, cancelled, answered_100, acked;
	char             to_tag[72];
	char             peer[64];             /* TLS name */
	char             addr[64];             /* where it came from, "192.0.2.1:4711" */
	struct buf       last;                 /* the answer to repeat */
	uint32_t         interval_ms;
	uint64_t         end_ms;
	sip_cancel_cb   *cancelcb;
	sip_ack_cb      *ackcb;
	void            *arg;
};

static void leave_waiting(struct sip_st *st)
{
	if (!st->ack_key)
		return;
	HASH_DELETE(hh_ack, st->sip->waiting, st);
	st->ack_key = mem_deref(st->ack_key);
}

/* Out of the tables; the table's reference stays with the caller. */
static void leave(struct sip_st *st)
{
	if (!st->sip)
		return;
	wheel_stop(st->sip->wheel, &st->tmr);
	leave_waiting(st);
	HASH_DEL(st->sip->sts, st);
	st->sip->n_st--;
	metric_add(&sip_stats[SIP_ST_ALIVE], -1);
	st->sip   = NULL;
	st->state = ST_GONE;
	st->conn  = mem_deref(st->conn);
}

static void destructor(void *arg)
{
	struct sip_st *st = arg;

	leave(st);
	mem_deref(st->conn);
	mem_deref(st->msg);
	mem_deref(st->key);
	buf_fini(&st->last);
}

static void end(struct sip_st *st)
{
	leave(st);
	mem_deref(st);
}

/* --- keys */
/* Call-ID and CSeq stand in it too: an edge that forwards statelessly may use one branch for everything. */
static char *tx_key(const struct sip_msg *m, struct str method)
{
	struct sip_via via = { 0 };

	sip_via_decode(&via, sip_msg_hdr(m, "Via", 0));
	return str_printf(STR_FMT "\n" STR_FMT "\n" STR_FMT "\n" STR_FMT "\n%u", STR_ARG(method), STR_ARG(via.branch),
			  STR_ARG(via.sent_by), STR_ARG(sip_msg_call_id(m)), sip_msg_cseq(m));
}

static char *ack_key(const struct sip_msg *m, struct str to_tag)
{
	return str_printf(STR_FMT "\n" STR_FMT "\n" STR_FMT "\n%u", STR_ARG(sip_msg_call_id(m)), STR_ARG(to_tag),
			  STR_ARG(sip_msg_from_tag(m)), sip_msg_cseq(m));
}

static struct sip_st *find(struct sip *s, const struct sip_msg *m, struct str method)
{
	struct sip_st *st = NULL;
	char *key = tx_key(m, method);

	if (key)
		HASH_FIND_STR(s->sts, key, st);
	mem_deref(key);
	return st;
}

/* --- sending */
/* On the connection of the request; when that is gone, to the address in its Via (RFC 3261 18.2.2). */
static int send_on(struct sip_st *st, struct str data)
{
	struct sip_via via;
	struct sip_conn *c;
	struct str host;
	uint16_t port;
	int err;

	if (st->conn->st && !sip_conn_send(st->conn, data))
		return 0;
	if (!st->msg || sip_via_decode(&via, sip_msg_hdr(st->msg, "Via", 0)) || !sip_addr_split(st->addr, &host, &port))
		return -ENOTCONN;
	err = sip_conn_get(&c, st->sip, host, via.port, sip_msg_call_id(st->msg));
	if (err)
		return err;
	mem_ref(c);
	mem_deref(st->conn);
	st->conn = c;
	return sip_conn_send(c, data);
}

static int transmit(struct sip_st *st, const struct buf *b, int code)
{
	sip_count(false, STR_NULL, code);
	return send_on(st, buf_view(b));
}

static void repeat(struct sip_st *st)
{
	metric_inc(&sip_stats[SIP_RETRANS_OUT]);
	send_on(st, buf_view(&st->last));
}

/* --- timers */
static void start_accepted(struct sip_st *st)
{
	st->interval_ms = SIP_T1_MS;
	st->end_ms = wheel_now(st->sip->wheel) + SIP_KEEP_MS;
	wheel_start(st->sip->wheel, &st->tmr, st->interval_ms);
}

static void no_ack(struct sip_st *st)
{
	sip_ack_cb *cb = st->ackcb;

	metric_inc(&sip_stats[SIP_ST_TIMEOUTS]);
	log_warn(sip, "call %.64s: no ACK to our 2xx", st->key);
	mem_ref(st);
	end(st);
	if (cb)
		cb(st, NULL, -ETIMEDOUT, st->arg);
	mem_deref(st);
}

static void on_accepted_tmr(struct sip_st *st)
{
	uint64_t now = wheel_now(st->sip->wheel);

	if (now >= st->end_ms) {
		no_ack(st);
		return;
	}
	repeat(st);
	st->interval_ms = st->interval_ms * 2 < SIP_T2_MS ? st->interval_ms * 2 : SIP_T2_MS;
	if (now + st->interval_ms > st->end_ms)
		st->interval_ms = (uint32_t)(st->end_ms - now);
	wheel_start(st->sip->wheel, &st->tmr, st->interval_ms);
}

static void on_proceeding_tmr(struct sip_st *st)
{
	if (st->invite && !st->answered_100) {
		sip_reply(st, &(struct sip_reply){ .code = 100 });
		wheel_start(st->sip->wheel, &st->tmr, RING_MS);
		return;
	}
	metric_inc(&sip_stats[SIP_ST_TIMEOUTS]);
	log_warn(sip, STR_FMT " never answered by us", STR_ARG(sip_msg_method(st->msg)));
	if (st->invite)
		sip_reply(st, &(struct sip_reply){ .code = 408 });
	else
		end(st);                                  /* RFC 4320: an answer now would only do harm */
}

static void on_completed_tmr(struct sip_st *st)
{
	uint64_t now = wheel_now(st->sip->wheel);

	if (now >= st->end_ms) {
		end(st);
		return;
	}
	if (mem_nrefs(st) == 1)                           /* nobody else can ask for the request: only the answer stays */
		st->msg = mem_deref(st->msg);
	wheel_start(st->sip->wheel, &st->tmr, st->end_ms - now);
}

static void on_tmr(void *arg)
{
	struct sip_st *st = arg;

	if (st->state == ST_PROCEEDING)
		on_proceeding_tmr(st);
	else if (st->state == ST_ACCEPTED)
		on_accepted_tmr(st);
	else
		on_completed_tmr(st);
}

/* --- the user's side */
static int enter_accepted(struct sip_st *st)
{
	struct str theirs = sip_msg_to_tag(st->msg);

	st->ack_key = ack_key(st->msg, theirs.l ? theirs : str_c(sip_st_to_tag(st)));
	if (!st->ack_key)
		return -ENOMEM;
	HASH_ADD_KEYPTR(hh_ack, st->sip->waiting, st->ack_key, strlen(st->ack_key), st);
	st->state = ST_ACCEPTED;
	start_accepted(st);
	return 0;
}

static void enter_completed(struct sip_st *st)
{
	st->state  = ST_COMPLETED;
	st->end_ms = wheel_now(st->sip->wheel) + SIP_KEEP_MS;
	wheel_start(st->sip->wheel, &st->tmr, SLIM_MS);
}

static int take_tag(struct sip_st *st, const char *tag)
{
	if (tag && *tag && !st->to_tag[0] && !sip_msg_to_tag(st->msg).l) {
		if (strlen(tag) >= sizeof(st->to_tag) || strpbrk(tag, " \t;,\"<>"))
			return -EINVAL;
		strcpy(st->to_tag, tag);
	}
	return 0;
}

int sip_reply(struct sip_st *st, const struct sip_reply *r)
{
	struct buf b;
	int err;

	if (!st->sip)
		return -ESHUTDOWN;
	if (st->state != ST_PROCEEDING)
		return -EALREADY;
	err = take_tag(st, r->to_tag);
	if (err)
		return err;
	buf_init(&b, 0);
	err = sip_encode_reply(&b, st->msg, r, r->code > 100 ? sip_st_to_tag(st) : NULL, st->addr, st->sip->name);
	if (err)
		goto out;
	if (r->code >= 200) {
		if (st->invite && r->code < 300) {
			err = enter_accepted(st);
			if (err)
				goto out;
		} else {
			enter_completed(st);
		}
	} else if (st->invite && !st->answered_100) {
		st->answered_100 = true;                  /* any provisional answer stops the caller's repetitions */
		wheel_start(st->sip->wheel, &st->tmr, RING_MS);
	}
	err = transmit(st, &b, r->code);
	buf_fini(&st->last);
	st->last = b;
	if (err)
		log_warn(sip, "answer %d cannot be sent: %s", r->code, strerror(-err));
	return r->code >= 200 ? 0 : err;                  /* a final answer is kept and repeated */
out:
	buf_fini(&b);
	return err;
}

static void put_quoted(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_write(b, "\\", 1);
		buf_write(b, (unsigned char)*s < ' ' || *s == 0x7f ? " " : s, 1);
	}
}

int sip_replyf(struct sip_st *st, int code, int diag, const char *text)
{
	struct sip_reply r = { .code = code };
	struct buf b;
	int err;

	buf_init(&b, 4096);
	if (diag > 0) {
		buf_printf(&b, "ms-diagnostics: %d;reason=\"", diag);
		put_quoted(&b, text ? text : sip_reason(code));
		buf_puts(&b, "\";source=\"");
		put_quoted(&b, st->sip ? st->sip->name : "");
		buf_puts(&b, "\"\r\n");
		r.hdrs = b.p;
	}
	err = b.err ? b.err : sip_reply(st, &r);
	buf_fini(&b);
	return err;
}

const struct sip_msg *sip_st_msg(const struct sip_st *st)
{
	return st->msg;
}

const char *sip_st_to_tag(struct sip_st *st)
{
	struct str theirs = st->msg ? sip_msg_to_tag(st->msg) : STR_NULL;

	if (st->to_tag[0])
		return st->to_tag;
	if (theirs.l && theirs.l < sizeof(st->to_tag))
		memcpy(st->to_tag, theirs.p, theirs.l);
	else
		str_random_hex(st->to_tag, 16);
	return st->to_tag;
}

const char *sip_st_peer(const struct sip_st *st)
{
	return st->peer;
}

bool sip_st_cancelled(const struct sip_st *st)
{
	return st->cancelled;
}

void sip_st_set_cb(struct sip_st *st, sip_cancel_cb *cancelcb, sip_ack_cb *ackcb, void *arg)
{
	st->cancelcb = cancelcb;
	st->ackcb    = ackcb;
	st->arg      = arg;
}

/* --- requests in */
/* An answer of the stack's own that leaves no transaction behind. */
static void stateless(struct sip *s, struct sip_conn *c, const struct sip_msg *m, int code, const char *tag)
{
	char made[17] = "";
	struct buf b;

	if (!tag)
		str_random_hex(made, 16);
	buf_init(&b, 0);
	if (!sip_encode_reply(&b, m, &(struct sip_reply){ .code = code }, tag ? tag : made, sip_conn_addr(c), s->name)) {
		sip_count(false, STR_NULL, code);
		sip_conn_send(c, buf_view(&b));
	}
	buf_fini(&b);
}

static void on_cancel(struct sip *s, struct sip_conn *c, const struct sip_msg *m)
{
	struct sip_st *st = find(s, m, STR("INVITE"));

	if (!st) {
		stateless(s, c, m, 481, NULL);
		return;
	}
	mem_ref(st);
	stateless(s, c, m, 200, sip_st_to_tag(st));
	if (st->state == ST_PROCEEDING && !st->cancelled) {
		st->cancelled = true;
		if (st->cancelcb)
			st->cancelcb(st, st->arg);
		else
			sip_reply(st, &(struct sip_reply){ .code = 487 });
	}
	mem_deref(st);
}

static void on_ack(struct sip *s, const struct sip_msg *m)
{
	char *key = ack_key(m, sip_msg_to_tag(m));
	struct sip_st *st = NULL;

	if (key)
		HASH_FIND(hh_ack, s->waiting, key, strlen(key), st);
	mem_deref(key);
	if (!st) {
		if (!find(s, m, STR("INVITE")))           /* else: the ACK to a non-2xx, or one more */
			metric_inc(&sip_stats[SIP_STRAY]);
		return;
	}
	mem_ref(st);
	leave_waiting(st);
	st->acked = true;
	st->state = ST_COMPLETED;
	wheel_start(s->wheel, &st->tmr, SLIM_MS);
	if (st->ackcb)
		st->ackcb(st, m, 0, st->arg);
	mem_deref(st);
}

static void on_retransmission(struct sip_st *st, struct sip_conn *c)
{
	metric_inc(&sip_stats[SIP_RETRANS_IN]);
	if (!st->last.l)
		return;
	if (c != st->conn) {
		mem_deref(st->conn);
		st->conn = mem_ref(c);
	}
	if (st->state != ST_COMPLETED || !st->acked)
		repeat(st);
}

static int new_st(struct sip_st **stp, struct sip *s, struct sip_conn *c, struct sip_msg *m)
{
	struct sip_st *st = mem_zalloc(sizeof(*st), destructor);

	if (!st)
		return -ENOMEM;
	st->key  = tx_key(m, sip_msg_method(m));
	st->conn = mem_ref(c);
	st->msg  = mem_ref(m);
	buf_init(&st->last, 0);
	if (!st->key) {
		mem_deref(st);
		return -ENOMEM;
	}
	st->invite  = str_eq(sip_msg_method(m), STR("INVITE"));
	st->tmr.cb  = on_tmr;
	st->tmr.arg = st;
	snprintf(st->peer, sizeof(st->peer), "%s", stream_peer_name(c->st));
	snprintf(st->addr, sizeof(st->addr), "%s", stream_peer_addr(c->st));
	st->sip = s;
	HASH_ADD_KEYPTR(hh, s->sts, st->key, strlen(st->key), st);
	s->n_st++;
	metric_add(&sip_stats[SIP_ST_ALIVE], 1);
	wheel_start(s->wheel, &st->tmr, st->invite ? TRYING_MS : SIP_KEEP_MS);
	*stp = st;
	return 0;
}

static int refusal(const struct sip *s, const struct sip_msg *m)
{
	uint64_t hops = 70;
	struct str v = sip_msg_hdr(m, "Max-Forwards", 0);

	if (v.p && str_u64(v, &hops))
		return 400;
	if (hops == 0)
		return 483;
	return s->draining || !s->requestcb ? 503 : 0;
}

void sip_st_receive(struct sip *s, struct sip_conn *c, struct sip_msg *m)
{
	struct str method = sip_msg_method(m);
	struct sip_st *st;
	int code;

	if (str_eq(method, STR("ACK"))) {
		on_ack(s, m);
		return;
	}
	if (str_eq(method, STR("CANCEL"))) {
		on_cancel(s, c, m);
		return;
	}
	st = find(s, m, method);
	if (st) {
		on_retransmission(st, c);
		return;
	}
	if (new_st(&st, s, c, m)) {
		stateless(s, c, m, 503, NULL);
		return;
	}
	code = refusal(s, m);
	if (code) {
		sip_reply(st, &(struct sip_reply){ .code = code });
		return;
	}
	mem_ref(st);
	s->requestcb(st, m, s->arg);
	if (st->sip && st->state == ST_PROCEEDING && mem_nrefs(st) == 2) {
		log_warn(sip, STR_FMT " was not answered and is held by nobody", STR_ARG(method));
		sip_reply(st, &(struct sip_reply){ .code = 500 });
	}
	mem_deref(st);
}

void sip_st_flush(struct sip *s)
{
	struct sip_st *st, *tmp;

	HASH_ITER(hh, s->sts, st, tmp)
		end(st);
}
