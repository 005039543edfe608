/* SPDX-License-Identifier: Apache-2.0 */
/* ack.c - the ACK to a 2xx, and its repetition
 *
 * That ACK belongs to no transaction. When it is lost between the edge and a phone on UDP, the phone sends its 2xx
 * again and wants the same ACK again; so each is kept for as long as a 2xx may be repeated.
 */
#include <errno.h>
#include <stdio.h>
#include "lib/sip/sip_priv.h"

struct sip_kept_ack {
	struct sip    *sip;
	char          *key, *host;
	uint16_t       port;
	struct str     call_id;                /* piece of key */
	UT_hash_handle hh;
	struct wtmr    tmr;
	struct buf     text;
};

static void ack_destructor(void *arg)
{
	struct sip_kept_ack *k = arg;

	if (k->sip) {
		wheel_stop(k->sip->wheel, &k->tmr);
		HASH_DEL(k->sip->acks, k);
	}
	mem_deref(k->key);
	mem_deref(k->host);
	buf_fini(&k->text);
}

static void on_ack_old(void *arg)
{
	mem_deref(arg);
}

static char *dlg_key(struct str call_id, struct str from_tag, struct str to_tag, uint32_t cseq)
{
	return str_printf(STR_FMT "\n" STR_FMT "\n" STR_FMT "\n%u", STR_ARG(call_id), STR_ARG(from_tag), STR_ARG(to_tag),
			  cseq);
}

static struct str tag_of(const char *addr)
{
	struct str tag = STR_NULL;
	struct sip_addr a;

	if (!sip_addr_decode(&a, str_c(addr)))
		sip_param(a.params, STR("tag"), &tag);
	return tag;
}

/* Takes over b. Without memory nothing is kept: a lost ACK then costs that call. */
static void keep_ack(struct sip *s, const struct sip_req *r, struct buf *b)
{
	struct sip_kept_ack *k = mem_zalloc(sizeof(*k), ack_destructor), *old;
	struct str host;

	if (!k)
		goto out;
	k->key = dlg_key(str_c(r->call_id), tag_of(r->from), tag_of(r->to), r->cseq);
	if (!k->key || sip_next_hop(r, &host, &k->port))
		goto out;
	k->host = str_dup(host);
	if (!k->host)
		goto out;
	HASH_FIND_STR(s->acks, k->key, old);
	mem_deref(old);
	k->text    = *b;
	k->call_id = (struct str){ k->key, strlen(r->call_id) };
	buf_init(b, 0);
	k->tmr.cb  = on_ack_old;
	k->tmr.arg = k;
	k->sip     = s;
	HASH_ADD_KEYPTR(hh, s->acks, k->key, strlen(k->key), k);
	wheel_start(s->wheel, &k->tmr, SIP_KEEP_MS);
	return;
out:
	mem_deref(k);
}

int sip_ack(struct sip *s, const struct sip_req *r)
{
	struct buf b;
	int err;

	buf_init(&b, 0);
	err = sip_send_once(s, r, &b);
	if (!err)
		keep_ack(s, r, &b);
	buf_fini(&b);
	return err;
}

/* Did another branch of that INVITE answer first? A fork may bring several 2xx, each of them a dialog (13.2.2.4). */
static bool is_forked(const struct sip *s, const struct sip_msg *m)
{
	char *key = dlg_key(sip_msg_call_id(m), sip_msg_from_tag(m), STR_NULL, 0);
	size_t n = key ? strlen(key) - strlen("\n0") : 0;
	const struct sip_kept_ack *k;
	bool found = false;
	char cseq[16];

	snprintf(cseq, sizeof(cseq), "\n%u", sip_msg_cseq(m));
	for (k = key ? s->acks : NULL; k && !found; k = k->hh.next)
		found = strncmp(k->key, key, n) == 0 && cstr_eq(strrchr(k->key, '\n'), cseq);
	mem_deref(key);
	return found;
}

bool sip_ack_again(struct sip *s, const struct sip_msg *m)
{
	char *key = dlg_key(sip_msg_call_id(m), sip_msg_from_tag(m), sip_msg_to_tag(m), sip_msg_cseq(m));
	struct sip_kept_ack *k = NULL;
	struct sip_conn *c;

	if (key)
		HASH_FIND_STR(s->acks, key, k);
	mem_deref(key);
	if (!k) {
		if (is_forked(s, m))
			return false;
		metric_inc(&sip_stats[SIP_STRAY]);
		return true;
	}
	metric_inc(&sip_stats[SIP_RETRANS_OUT]);
	if (!sip_conn_get(&c, s, str_c(k->host), k->port, k->call_id))
		sip_conn_send(c, buf_view(&k->text));
	return true;
}

void sip_ack_flush(struct sip *s)
{
	struct sip_kept_ack *k, *tmp;

	HASH_ITER(hh, s->acks, k, tmp)
		mem_deref(k);
}
