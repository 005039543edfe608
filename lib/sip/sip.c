/* SPDX-License-Identifier: Apache-2.0 */
/* sip.c - the stack as a whole: start and end, where a message belongs, what is counted */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/sip/sip_priv.h"

/* --- counters */
#define COUNT(nm, lbl, hlp) { .name = "conclave_sip_" nm, .labels = lbl, .help = hlp }
#define GAUGE(nm, lbl, hlp) { .name = "conclave_sip_" nm, .labels = lbl, .help = hlp, .gauge = true }

struct metric sip_stats[SIP_N_STATS] = {
	[SIP_PARSE_ERRORS] = COUNT("parse_errors_total", NULL, "SIP messages and streams that could not be read"),
	[SIP_RETRANS_IN]   = COUNT("retransmissions_total", "dir=\"in\"", "Messages that came or went again"),
	[SIP_RETRANS_OUT]  = COUNT("retransmissions_total", "dir=\"out\"", "Messages that came or went again"),
	[SIP_STRAY]        = COUNT("stray_total", NULL, "Responses and ACKs that belong to nothing"),
	[SIP_ST_TIMEOUTS]  = COUNT("timeouts_total", "side=\"server\"", "Transactions that ended by time"),
	[SIP_CT_TIMEOUTS]  = COUNT("timeouts_total", "side=\"client\"", "Transactions that ended by time"),
	[SIP_CONN_ERRORS]  = COUNT("connection_errors_total", NULL, "Connections that failed or broke"),
	[SIP_TOO_LARGE]    = COUNT("too_large_total", NULL, "Messages of ours refused for their size"),
	[SIP_ST_ALIVE]     = GAUGE("transactions", "side=\"server\"", "Transactions alive"),
	[SIP_CT_ALIVE]     = GAUGE("transactions", "side=\"client\"", "Transactions alive"),
	[SIP_CONNS]        = GAUGE("connections", NULL, "Connections open or opening"),
};

#define KINDS(X, dir) \
	X(dir, "INVITE") X(dir, "ACK") X(dir, "BYE") X(dir, "CANCEL") X(dir, "OPTIONS") X(dir, "INFO") \
	X(dir, "SUBSCRIBE") X(dir, "NOTIFY") X(dir, "BENOTIFY") X(dir, "SERVICE") X(dir, "REFER") X(dir, "UPDATE") \
	X(dir, "PRACK") X(dir, "MESSAGE") X(dir, "other") \
	X(dir, "1xx") X(dir, "2xx") X(dir, "3xx") X(dir, "4xx") X(dir, "5xx") X(dir, "6xx")
#define ROW(dir, kind) \
	COUNT("messages_total", "dir=\"" dir "\",kind=\"" kind "\"", "SIP messages by direction and kind"),
#define NAME(dir, kind) STR(kind),

static const struct str kinds[] = { KINDS(NAME, "") };
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))
#define N_METHODS (N_KINDS - 6)
static struct metric messages[2][N_KINDS] = { { KINDS(ROW, "out") }, { KINDS(ROW, "in") } };

void sip_count(bool in, struct str method, int scode)
{
	size_t i = 0;

	if (scode)
		i = N_METHODS + (size_t)(scode / 100 - 1);
	else
		while (i < N_METHODS - 1 && !str_eq(kinds[i], method))
			i++;
	metric_inc(&messages[in][i]);
}

/* --- messages in */
static void unreadable(struct sip_conn *c, struct str data, int err)
{
	metric_inc(&sip_stats[SIP_PARSE_ERRORS]);
	log_warn(sip, "%s: message of %zu bytes cannot be read: %s", sip_conn_addr(c), data.l, strerror(-err));
	if (err == -EBADMSG)
		sip_refuse(c, data);
}

void sip_receive(struct sip_conn *c, struct str data)
{
	struct sip *s = c->sip;
	struct sip_msg *m;
	int err = sip_msg_decode(&m, data);

	if (err) {
		unreadable(c, data, err);
		return;
	}
	log_debug(sip, "%s: " STR_FMT " %d " STR_FMT, sip_conn_addr(c), STR_ARG(sip_msg_method(m)), sip_msg_scode(m),
		  STR_ARG(sip_msg_call_id(m)));
	sip_count(true, sip_msg_method(m), sip_msg_scode(m));
	if (sip_msg_is_request(m))
		sip_st_receive(s, c, m);
	else
		sip_ct_receive(s, c, m);
	mem_deref(m);
}

/* The answer needs lines of the request; when there are not even those, there is no answer. */
void sip_refuse(struct sip_conn *c, struct str data)
{
	static const char *const need[] = { "Via", "From", "To", "Call-ID", "CSeq" };
	struct sip_msg *m;
	char tag[17] = "";
	struct buf b;
	bool can;

	if (sip_msg_split(&m, data))
		return;
	can = sip_msg_is_request(m) && !str_eq(sip_msg_method(m), STR("ACK"));
	for (size_t i = 0; can && i < sizeof(need) / sizeof(need[0]); i++)
		can = sip_msg_line(m, need[i], 0).l > 0 && !sip_msg_line(m, need[i], i ? 1 : 64).p;
	str_random_hex(tag, 16);
	buf_init(&b, 0);
	if (can && !sip_encode_reply(&b, m, &(struct sip_reply){ .code = 400 }, tag, sip_conn_addr(c), c->sip->name)) {
		sip_count(false, STR_NULL, 400);
		sip_conn_send(c, buf_view(&b));
	}
	buf_fini(&b);
	mem_deref(m);
}

static void on_accept(struct stream *st, void *arg)
{
	if (sip_conn_accept(arg, st)) {
		log_warn(sip, "%s: no memory for a connection", stream_peer_addr(st));
		stream_close(st);
		mem_deref(st);
	}
}

/* --- start and end */
static void destructor(void *arg)
{
	struct sip *s = arg;
	struct sip_conn *c;

	mem_deref(s->listener);
	if (s->wheel) {
		sip_ct_flush(s);
		sip_ack_flush(s);
		sip_st_flush(s);
		while ((c = LIST_FIRST(&s->conns)))
			sip_conn_close(c, 0);
	}
	mem_deref(s->wheel);
	mem_deref(s->client_tls);
	mem_deref(s->name);
}

int sip_alloc(struct sip **sp, const struct sip_prm *prm)
{
	struct sip *s = mem_zalloc(sizeof(*s), destructor);
	struct listener_prm lp = {
		.loop = prm->loop, .tls = prm->server_tls, .bind = prm->bind, .port = prm->port,
		.acceptcb = on_accept, .arg = s,
	};
	int err = -ENOMEM;

	metric_register(sip_stats, SIP_N_STATS);
	metric_register(&messages[0][0], 2 * N_KINDS);
	if (!s)
		return err;
	LIST_INIT(&s->conns);
	s->loop       = prm->loop;
	s->client_tls = mem_ref(prm->client_tls);
	s->requestcb  = prm->requestcb;
	s->arg        = prm->arg;
	s->name       = str_dup(str_c(prm->name ? prm->name : "conclave"));
	if (!s->name)
		goto out;
	err = wheel_alloc(&s->wheel, prm->loop);
	if (err)
		goto out;
	err = listener_alloc(&s->listener, &lp);
	if (err)
		goto out;
	s->port = listener_port(s->listener);
	*sp = s;
out:
	if (err)
		mem_deref(s);
	return err;
}

uint16_t sip_port(const struct sip *s)
{
	return s->port;
}

void sip_shutdown(struct sip *s)
{
	s->draining = true;
}

unsigned sip_transactions(const struct sip *s)
{
	return s->n_st + s->n_ct;
}
