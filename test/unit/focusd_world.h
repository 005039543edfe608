/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_world.h - for tests: a whole focusd on a loop, with a database of its own; an edge that is a SIP stack, an MCU that
 * is an HTTPS server. They talk over loopback as the real ones do. */
#ifndef TEST_UNIT_FOCUSD_WORLD_H
#define TEST_UNIT_FOCUSD_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "focusd/app.h"
#include "focusd/factory.h"
#include "focusd/life.h"
#include "focusd/notify.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "lib/c3p/msg.h"
#include "lib/http/http.h"
#include "lib/sip/sip.h"
#include "test/unit/certs.h"

#define DOMAIN "example.net"
#define CONF_ID "ABCD1234"
#define FOCUS  "sip:alice@" DOMAIN ";gruu;opaque=app:conf:focus:id:" CONF_ID
#define AV     "sip:alice@" DOMAIN ";gruu;opaque=app:conf:audio-video:id:" CONF_ID

/* --- what the edge got */
struct got { char *method, *call_id, *state, *body; unsigned version, cseq; bool full; };
#define MAX_GOT 4096
struct dlg { char call_id[48], from_tag[16], to_tag[80]; unsigned cseq; const char *user, *ruri; };
struct resp { int code; char *body, *hdrs; char to_tag[80]; };

static struct app       app;
static struct ev_loop  *loop;
static struct sip      *edge;
static struct tls_ctx  *edge_tls;
static struct http_srv *mcu;
static struct http_cli *mcu_cli;
static struct certs     certs;
static struct got       got[MAX_GOT];
static unsigned         ngot;
static char             store_path[128], record_route[128], focus_addr[64];
static int              notify_code = 200;       /* 0: NOTIFYs are not answered */
static const char      *mcu_refuses;             /* command that is refused, */
static const char      *mcu_reason = "serverBusy";       /* and why */
static const char      *mcu_hangs;               /* command that is not answered */
static struct http_req *mcu_kept[16];
static unsigned         mcu_nkept;
static char             mcu_log[4096];           /* commands the MCU got, in order */
static size_t           live_before;
static bool             no_memory;               /* allocations fail: what comes is not looked at */


/* --- running the loop */
struct wait { bool (*until)(void *arg); void *arg; uint64_t end; struct tmr tmr; bool ok; };

static void on_poll(void *arg)
{
	struct wait *w = arg;

	w->ok = w->until && w->until(w->arg);
	if (w->ok || ev_now_ms(loop) >= w->end)
		ev_loop_stop(loop);
	else
		tmr_start(&w->tmr, 1);
}

static inline bool wait_until(bool (*until)(void *arg), void *arg, unsigned ms)
{
	struct wait w = { until, arg, 0, { NULL }, false };

	assert_int_equal(tmr_init(&w.tmr, loop, on_poll, &w), 0);
	w.end = ev_now_ms(loop) + ms;
	tmr_start(&w.tmr, 0);
	ev_loop_run(loop);
	tmr_fini(&w.tmr);
	return w.ok;
}

static inline void pass(unsigned ms) { wait_until(NULL, NULL, ms); }

/* --- the edge */
static char *hdr_dup(const struct sip_msg *m, const char *name) { return str_dup(sip_msg_hdr(m, name, 0)); }

static void record(const struct sip_msg *m)
{
	struct got *g = &got[ngot];
	const char *v;

	assert_true(ngot < MAX_GOT);
	*g = (struct got){ .method = str_dup(sip_msg_method(m)), .call_id = str_dup(sip_msg_call_id(m)),
			   .state = hdr_dup(m, "Subscription-State"), .body = str_dup(sip_msg_body(m)), .cseq = sip_msg_cseq(m) };
	v = strstr(g->body, "<conference-info");
	v = v ? strstr(v, " version=\"") : NULL;
	g->version = v ? (unsigned)atoi(v + 10) : 0;
	g->full    = strstr(g->body, " state=\"full\" version=") != NULL;
	ngot++;
}

static void on_edge_request(struct sip_st *st, const struct sip_msg *m, void *arg)
{
	(void)arg;
	if (str_eq(sip_msg_method(m), STR("OPTIONS"))) {
		sip_reply(st, &(struct sip_reply){ .code = 200 });
		return;
	}
	if (!no_memory)
		record(m);
	if (!str_eq(sip_msg_method(m), STR("NOTIFY")))
		sip_reply(st, &(struct sip_reply){ .code = 200 });
	else if (notify_code)
		sip_reply(st, &(struct sip_reply){ .code = notify_code });
	else
		mem_deref(mem_ref(st));          /* the stack answers 500 */
}

struct asking { struct resp *r; bool done; };

static void on_edge_response(int err, const struct sip_msg *m, void *arg)
{
	struct asking *k = arg;

	if (m && sip_msg_scode(m) < 200)
		return;
	k->r->code = m ? sip_msg_scode(m) : err;
	if (m && !no_memory) {
		k->r->body = str_dup(sip_msg_body(m));
		k->r->hdrs = str_dup((struct str){ sip_msg_raw(m).p, sip_msg_raw(m).l - sip_msg_body(m).l });
		snprintf(k->r->to_tag, sizeof(k->r->to_tag), STR_FMT, STR_ARG(sip_msg_to_tag(m)));
	}
	k->done = true;
}

static bool asked(void *arg) { return ((struct asking *)arg)->done; }

static struct resp last;

static inline void clear_last(void)
{
	mem_deref(last.body);
	mem_deref(last.hdrs);
	memset(&last, 0, sizeof(last));
}

struct ask { const char *method, *access, *pai, *hdrs, *ctype, *body; };

/* One request of the edge's, in or out of a dialog; ct: to wait for later. */
static inline void send_request(struct dlg *d, const struct ask *a, struct sip_ct **ct, struct asking *k)
{
	char from[160], to[256], hdrs[2048];
	struct sip_req r = { .method = a->method, .ruri = d->ruri, .from = from, .to = to, .call_id = d->call_id, .cseq = ++d->cseq,
			     .hdrs = hdrs, .ctype = a->ctype, .body = str_c(a->body ? a->body : ""), .dest = focus_addr };

	snprintf(from, sizeof(from), "<sip:%s>;tag=%s", d->user, d->from_tag);
	snprintf(to, sizeof(to), "<%s>%s%s", d->ruri, *d->to_tag ? ";tag=" : "", d->to_tag);
	snprintf(hdrs, sizeof(hdrs), "%s%s%s%sConclave-Access: %s\r\nContact: <sip:%s;gr=1>\r\n%s",
		 record_route, a->pai ? "P-Asserted-Identity: <sip:" : "", a->pai ? a->pai : "", a->pai ? ">\r\n" : "",
		 a->access ? a->access : "user", d->user, a->hdrs ? a->hdrs : "");
	assert_int_equal(sip_request(edge, ct, &r, on_edge_response, k), 0);
}

static inline int ask(struct dlg *d, const struct ask *a)
{
	struct asking k = { &last, false };
	struct sip_ct *ct = NULL;

	clear_last();
	send_request(d, a, &ct, &k);
	assert_true(wait_until(asked, &k, 5000));
	mem_deref(ct);
	if (last.code < 300 && !*d->to_tag)
		snprintf(d->to_tag, sizeof(d->to_tag), "%s", last.to_tag);
	return last.code;
}

static inline struct dlg dlg_new(const char *user, const char *ruri)
{
	struct dlg d = { .user = user, .ruri = ruri };

	assert_int_equal(str_random_hex(d.call_id, 32), 0);
	assert_int_equal(str_random_hex(d.from_tag, 8), 0);
	return d;
}

static inline void ack(const struct dlg *d)
{
	char from[160], to[256];
	struct sip_req r = { .method = "ACK", .ruri = d->ruri, .from = from, .to = to, .call_id = d->call_id, .cseq = d->cseq,
			     .dest = focus_addr };

	snprintf(from, sizeof(from), "<sip:%s>;tag=%s", d->user, d->from_tag);
	snprintf(to, sizeof(to), "<%s>;tag=%s", d->ruri, d->to_tag);
	assert_int_equal(sip_ack(edge, &r), 0);
}

static inline const char *add_user_body(const char *user, const char *endpoint)
{
	static char b[1024];

	snprintf(b, sizeof(b), "<request xmlns=\"" C3P_NS "\" C3PVersion=\"1\" requestId=\"1\" from=\"sip:%s\" to=\"" FOCUS "\">"
		 "<addUser><conferenceKeys confEntity=\"" FOCUS "\"/><ci:user xmlns:ci=\"" C3P_NS_CI "\" entity=\"sip:%s\"><ci:roles>"
		 "<ci:entry>attendee</ci:entry></ci:roles><ci:endpoint entity=\"%s\"/></ci:user></addUser></request>", user, user, endpoint);
	return b;
}

static inline int try_join(struct dlg *d, const char *endpoint, const char *access, const char *pai)
{
	char hdr[128];

	snprintf(hdr, sizeof(hdr), "Supported: ms-sender\r\n");
	return ask(d, &(struct ask){ .method = "INVITE", .access = access, .pai = pai, .ctype = C3P_CTYPE,
				     .body = add_user_body(d->user, endpoint), .hdrs = hdr });
}

static inline struct dlg join(const char *user, const char *endpoint)
{
	struct dlg d = dlg_new(user, FOCUS);

	assert_int_equal(try_join(&d, endpoint, NULL, user), 200);
	ack(&d);
	return d;
}

static inline struct dlg subscribe(const char *user, const char *access, const char *hdrs)
{
	struct dlg d = dlg_new(user, FOCUS);
	char all[256];

	snprintf(all, sizeof(all), "%s%s", hdrs && strstr(hdrs, "Event:") ? "" : "Event: conference\r\n", hdrs ? hdrs : "");
	assert_int_equal(ask(&d, &(struct ask){ .method = "SUBSCRIBE", .pai = user, .access = access, .hdrs = all }), 200);
	return d;
}

/* --- what came for a dialog */
static inline unsigned count_for(const struct dlg *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ngot; i++)
		n += cstr_eq(got[i].call_id, d->call_id);
	return n;
}

static inline const struct got *nth_for(const struct dlg *d, unsigned n)
{
	for (unsigned i = 0; i < ngot; i++)
		if (cstr_eq(got[i].call_id, d->call_id) && n-- == 0)
			return &got[i];
	fail_msg("nothing came");
	return NULL;
}

static inline const struct got *last_for(const struct dlg *d) { return nth_for(d, count_for(d) - 1); }

struct waiting { const struct dlg *d; unsigned n; };
static bool has_come(void *arg) { const struct waiting *w = arg; return count_for(w->d) >= w->n; }

static inline void wait_for(const struct dlg *d, unsigned n)
{
	struct waiting w = { d, n };

	if (!wait_until(has_come, &w, 5000))
		fail_msg("%u of %u came", count_for(d), n);
}

static inline void clear_got(void)
{
	for (unsigned i = 0; i < ngot; i++) {
		mem_deref(got[i].method);
		mem_deref(got[i].call_id);
		mem_deref(got[i].state);
		mem_deref(got[i].body);
	}
	ngot = 0;
}

/* --- the MCU */
static void on_mcu_http(struct http_req *rq, void *arg)
{
	struct c3p_req r;
	struct buf b;

	(void)arg;
	if (no_memory && c3p_req_decode(&r, http_req_body(rq)))
		return;
	if (!no_memory)
		assert_int_equal(c3p_req_decode(&r, http_req_body(rq)), 0);
	if (!cstr_eq(r.command, "ping"))
		snprintf(mcu_log + strlen(mcu_log), sizeof(mcu_log) - strlen(mcu_log), "%s ", r.command);
	if (mcu_hangs && cstr_eq(mcu_hangs, r.command) && mcu_nkept < 16) {
		mcu_kept[mcu_nkept++] = mem_ref(rq);
		goto out;
	}
	buf_init(&b, 0);
	c3p_simple_response(&b, &(struct c3p_env){ .request_id = r.request_id, .from = r.to, .to = r.from },
			    cstr_eq(mcu_refuses, r.command) ? C3P_FAILURE : C3P_SUCCESS, r.command,
			    cstr_eq(mcu_refuses, r.command) ? mcu_reason : NULL, NULL);
	http_reply(rq, 200, C3P_CTYPE, buf_view(&b));
	buf_fini(&b);
out:
	c3p_req_fini(&r);
}

struct posting { int status; bool done; };

static void on_posted(int err, int status, struct str body, void *arg)
{
	struct posting *p = arg;

	(void)body;
	p->status = err ? err : status;
	p->done   = true;
}

static bool posted(void *arg) { return ((struct posting *)arg)->done; }

/* The MCU tells the focus something; the HTTP status. */
static inline int mcu_post(const char *path, const char *body)
{
	struct posting p = { 0, false };
	char url[128];

	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", http_srv_port(app.http), path);
	assert_int_equal(http_post(mcu_cli, NULL, url, C3P_CTYPE, str_c(body), 5000, on_posted, &p), 0);
	assert_true(wait_until(posted, &p, 6000));
	return p.status;
}

static inline int mcu_ping(const char *id, const char *instance, const char *extra)
{
	static unsigned seq;
	char b[1024];

	snprintf(b, sizeof(b), "<request xmlns=\"" C3P_NS "\" xmlns:oc=\"" C3P_NS_OC "\" C3PVersion=\"1\" requestId=\"1\" from=\"a\" to=\"b\">"
		 "<ping><oc:health id=\"%s\" type=\"audio-video\" instance=\"%s\" seq=\"%u\" state=\"active\" "
		 "url=\"https://127.0.0.1:%u/LiveServer/AVMCU/\" contact=\"127.0.0.1:15063\" conferences=\"0\" users=\"0\" "
		 "maxConferences=\"10\" maxUsers=\"20\" load=\"0\" %s/></ping></request>", id, instance, ++seq, http_srv_port(mcu), extra);
	return mcu_post("/LiveServer/MCUFactory/", b);
}

/* --- on and off */
static inline void app_on(void)
{
	char err[256] = "";

	memset(&app, 0, sizeof(app));
	assert_int_equal(cfg_defaults(focusd_keys, &app.cfg), 0);
	cstr_set(&app.cfg.domain, DOMAIN);
	cstr_set(&app.cfg.cert, certs_path(&certs, "focus.pem"));
	cstr_set(&app.cfg.key, certs_path(&certs, "focus.key"));
	cstr_set(&app.cfg.ca, certs_path(&certs, "ca.pem"));
	cstr_set(&app.cfg.store_path, store_path);
	cstr_set(&app.cfg.store_sync, "normal");
	app.cfg.sip_port = app.cfg.http_port = 0;
	app.cfg.pace_ms  = 10;
	app.loop = loop;
	if (app_start(&app, err, sizeof(err)))
		fail_msg("%s", err);
	snprintf(focus_addr, sizeof(focus_addr), "127.0.0.1:%u", sip_port(app.sip));
}

static inline void app_off(void)
{
	app_stop(&app);
	cfg_free(focusd_keys, &app.cfg);
}

static inline struct conf *the_conf(void) { return conf_find(&app.confs, STR("alice"), STR(DOMAIN), STR(CONF_ID)); }

static inline void schedule(enum conf_policy policy)
{
	struct conf *c = NULL;
	const struct conf_prm p = { .organizer = "alice", .domain = DOMAIN, .conf_id = CONF_ID, .name = "lobby", .subject = "Test",
				    .policy = policy, .types = "audio-video", .trunk_ok = true };

	assert_int_equal(conf_add(&c, &app.confs, &p), 0);
	pass(20);
}

static int world_setup(void **state)
{
	char err[256] = "";
	struct http_tls ht = { .cert_file = certs_path(&certs, "mcu.pem"), .key_file = certs_path(&certs, "mcu.key"),
			       .ca_file = certs_path(&certs, "ca.pem"), .peer_names = "focus.conclave.internal" };
	struct tls_prm tp = { .cert_file = certs_path(&certs, "edge.pem"), .key_file = certs_path(&certs, "edge.key"),
			      .ca_file = certs_path(&certs, "ca.pem"), .peer_names = "focus.conclave.internal", .mutual = true };
	struct sip_prm sp = { .bind = "127.0.0.1", .name = "edge", .requestcb = on_edge_request };
	struct http_srv_prm hp = { .bind = "127.0.0.1", .tls = &ht, .reqcb = on_mcu_http };
	struct http_cli_prm cp = { .tls = &ht };

	(void)state;
	log_set("all", "error");
	live_before = mem_live();
	mcu_refuses = mcu_hangs = NULL;
	mcu_reason  = "serverBusy";
	mcu_log[0]  = '\0';
	notify_code = 200;
	snprintf(store_path, sizeof(store_path), "%s/focus.sqlite", certs.dir);
	assert_int_equal(ev_loop_alloc(&loop), 0);
	assert_int_equal(tls_ctx_alloc(&edge_tls, &tp, err, sizeof(err)), 0);
	sp.loop = hp.loop = cp.loop = loop;
	sp.server_tls = sp.client_tls = edge_tls;
	assert_int_equal(sip_alloc(&edge, &sp), 0);
	assert_int_equal(http_srv_alloc(&mcu, &hp), 0);
	assert_int_equal(http_cli_alloc(&mcu_cli, &cp), 0);
	snprintf(record_route, sizeof(record_route), "Record-Route: <sip:127.0.0.1:%u;transport=tls;lr>\r\n", sip_port(edge));
	app_on();
	return 0;
}

static int world_teardown(void **state)
{
	char file[160];

	(void)state;
	app_off();
	clear_got();
	clear_last();
	while (mcu_nkept)
		mem_deref(mcu_kept[--mcu_nkept]);
	edge     = mem_deref(edge);
	mcu      = mem_deref(mcu);
	mcu_cli  = mem_deref(mcu_cli);
	edge_tls = mem_deref(edge_tls);
	loop     = mem_deref(loop);
	trace_flush();
	unlink(store_path);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "%s%s", store_path, (const char *[]){ "-wal", "-shm", ".key" }[i]);
		unlink(file);
	}
	assert_int_equal(mem_live(), live_before);
	return 0;
}

static int world_certs(void **state)
{
	struct issuer ca;

	(void)state;
	strcpy(certs.dir, "/tmp/focusd-world-XXXXXX");
	CERTS_MUST(mkdtemp(certs.dir));
	ca = certs_ca(&certs, "ca");
	certs_leaf(&certs, &ca, "focus", "DNS:focus.conclave.internal", -3600, 86400);
	certs_leaf(&certs, &ca, "edge", "DNS:edge.conclave.internal", -3600, 86400);
	certs_leaf(&certs, &ca, "mcu", "DNS:mcu.conclave.internal", -3600, 86400);
	issuer_free(&ca);
	return 0;
}

static int world_certs_end(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", certs.dir);
	return system(cmd) ? -1 : 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
