/* SPDX-License-Identifier: Apache-2.0 */
/* sip_pair.h - for tests: two struct sip on one loop, focus and mcu, that speak mutual TLS over loopback; and a bare
 * TLS stream for what a well-behaved stack would never send */
#ifndef TEST_UNIT_SIP_PAIR_H
#define TEST_UNIT_SIP_PAIR_H
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/sip/sip.h"
#include "test/unit/certs.h"

struct peer {                           /* one side, and what happened to it */
	struct sip      *sip;
	struct sip_st   *st;            /* of the last request, held */
	struct sip_msg  *req;
	unsigned         n_req, n_cancel, n_ack, n_resp, n_prov;
	int              ack_err, err, scode;
	struct sip_msg  *resp;
	void           (*on_request)(struct peer *p, struct sip_st *st, const struct sip_msg *m);
};

static struct certs     certs;
static struct ev_loop  *loop;
static struct tls_ctx  *ctx_focus, *ctx_mcu;
static struct peer      a, b;           /* a calls, b is called */
static char             b_uri[128], b_dest[64];

static void on_request(struct sip_st *st, const struct sip_msg *m, void *arg)
{
	struct peer *p = arg;

	p->n_req++;
	mem_deref(p->req);
	p->req = mem_ref((void *)(uintptr_t)m);
	mem_deref(p->st);
	p->st = mem_ref(st);
	if (p->on_request)
		p->on_request(p, st, m);
}

static inline void on_response(int err, const struct sip_msg *m, void *arg)
{
	struct peer *p = arg;

	if (m && sip_msg_scode(m) < 200) {
		p->n_prov++;
		return;
	}
	p->n_resp++;
	p->err   = err;
	p->scode = m ? sip_msg_scode(m) : 0;
	mem_deref(p->resp);
	p->resp = mem_ref((void *)(uintptr_t)m);
}

static inline void on_cancelled(struct sip_st *st, void *arg)
{
	struct peer *p = arg;

	p->n_cancel++;
	assert_int_equal(sip_reply(st, &(struct sip_reply){ .code = 487 }), 0);
}

static inline void on_acked(struct sip_st *st, const struct sip_msg *ack, int err, void *arg)
{
	struct peer *p = arg;

	(void)st, (void)ack;
	p->n_ack++;
	p->ack_err = err;
}

/* --- running the loop until something is so */
struct wait { const unsigned *n; unsigned want; uint64_t end; struct tmr tmr; bool ok; };

static void on_poll(void *arg)
{
	struct wait *w = arg;

	w->ok = w->n && *w->n >= w->want;
	if (w->ok || ev_now_ms(loop) >= w->end)
		ev_loop_stop(loop);
	else
		tmr_start(&w->tmr, 2);
}

static inline bool wait_for(const unsigned *n, unsigned want, unsigned ms)
{
	struct wait w = { n, want, 0, { NULL }, false };

	assert_int_equal(tmr_init(&w.tmr, loop, on_poll, &w), 0);
	w.end = ev_now_ms(loop) + ms;
	tmr_start(&w.tmr, 0);
	ev_loop_run(loop);
	tmr_fini(&w.tmr);
	return w.ok;
}
#define WAIT(n, want)  assert_true(wait_for(&(n), want, 5000))
#define PASS(ms)       wait_for(NULL, 0, ms)

/* --- one side on and off */
static inline void peer_start(struct peer *p, const char *name, struct tls_ctx *ctx)
{
	struct sip_prm prm = {
		.loop = loop, .server_tls = ctx, .client_tls = ctx, .bind = "127.0.0.1", .name = name,
		.requestcb = on_request, .arg = p,
	};

	memset(p, 0, sizeof(*p));
	assert_int_equal(sip_alloc(&p->sip, &prm), 0);
}

static inline void peer_stop(struct peer *p)
{
	p->st   = mem_deref(p->st);
	p->req  = mem_deref(p->req);
	p->resp = mem_deref(p->resp);
	p->sip  = mem_deref(p->sip);
}

static inline struct tls_ctx *make_ctx(const char *name, const char *peers)
{
	char cert[64], key[64], err[256] = "";
	struct tls_ctx *ctx = NULL;
	struct tls_prm prm = { .peer_names = peers, .mutual = true };

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	prm.cert_file = certs_path(&certs, cert);
	prm.key_file  = certs_path(&certs, key);
	prm.ca_file   = certs_path(&certs, "ca.pem");
	if (tls_ctx_alloc(&ctx, &prm, err, sizeof(err)))
		fail_msg("%s", err);
	return ctx;
}

static size_t live_before;

static int pair_setup(void **state)
{
	(void)state;
	live_before = mem_live();
	assert_int_equal(ev_loop_alloc(&loop), 0);
	ctx_focus = make_ctx("focus", "mcu.test");
	ctx_mcu   = make_ctx("mcu", "focus.test");
	peer_start(&a, "focus.test", ctx_focus);
	peer_start(&b, "mcu.test", ctx_mcu);
	snprintf(b_dest, sizeof(b_dest), "127.0.0.1:%u", sip_port(b.sip));
	snprintf(b_uri, sizeof(b_uri), "sip:room@127.0.0.1:%u;transport=tls", sip_port(b.sip));
	return 0;
}

static int pair_teardown(void **state)
{
	(void)state;
	peer_stop(&a);
	peer_stop(&b);
	ctx_focus = mem_deref(ctx_focus);
	ctx_mcu   = mem_deref(ctx_mcu);
	loop = mem_deref(loop);
	assert_int_equal(mem_live(), live_before);
	return 0;
}

static int certs_setup(void **state)
{
	(void)state;
	certs_init(&certs);
	log_set("all", "error");
	return 0;
}

static int certs_teardown(void **state)
{
	(void)state;
	certs_fini(&certs);
	return 0;
}

static inline struct sip_req req_to_b(const char *method, const char *call_id, uint32_t cseq)
{
	return (struct sip_req){
		.method = method, .ruri = b_uri, .from = "<sip:alice@example.net>;tag=fa", .to = "<sip:room@example.net>",
		.call_id = call_id, .cseq = cseq, .hdrs = "Contact: <sip:alice@example.net;gr=1>\r\n",
	};
}

/* --- a bare stream */
struct raw { struct stream *s; struct buf got; unsigned opened, closed, n_bytes; };

static void on_raw_data(struct stream *s, struct str data, void *arg)
{
	struct raw *r = arg;

	(void)s;
	buf_str(&r->got, data);
	r->n_bytes += (unsigned)data.l;
}

static void on_raw_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	struct raw *r = arg;

	(void)s, (void)err;
	if (ev == STREAM_OPEN)
		r->opened++;
	else
		r->closed++;
}

static inline void raw_open(struct raw *r)
{
	struct stream_prm prm = { .loop = loop, .tls = ctx_focus, .datacb = on_raw_data, .eventcb = on_raw_event, .arg = r };

	memset(r, 0, sizeof(*r));
	assert_int_equal(stream_connect(&r->s, &prm, "127.0.0.1", sip_port(b.sip)), 0);
	WAIT(r->opened, 1);
}

static inline void raw_close(struct raw *r)
{
	r->s = mem_deref(r->s);
	buf_fini(&r->got);
}

static inline bool raw_has(const struct raw *r, const char *text)
{
	return r->got.p && strstr(r->got.p, text);
}

#endif
