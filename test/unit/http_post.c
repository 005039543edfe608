/* SPDX-License-Identifier: Apache-2.0 */
/* http_post.c - unit tests of lib/http: server and client over loopback, mutual TLS; awkward peers are plain streams */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/http.h"
#include "lib/tls/tls.h"
#include "test/unit/certs.h"

static struct certs     certs;
static struct ev_loop  *loop;
static struct http_srv *srv;
static struct http_cli *cli;
static struct tmr       limit, later;
static bool             timed_out;
static char             base[64], url[128];

/* What the server saw and the client got. */
static struct http_req *kept;
static unsigned         served, answers, want;
static int              last_err, last_status;
static struct buf       got, raw;
static char             peer[64];

static void on_limit(void *arg)
{
	(void)arg;
	timed_out = true;
	ev_loop_stop(loop);
}

static void on_later(void *arg)
{
	(void)arg;
	http_reply(kept, 200, "text/plain", STR("late"));
	kept = mem_deref(kept);
}

static void on_req(struct http_req *rq, void *arg)
{
	struct str path = http_req_path(rq);

	(void)arg;
	served++;
	snprintf(peer, sizeof(peer), "%s", http_req_peer(rq));
	if (str_eq(path, STR("/echo")))
		assert_int_equal(http_reply(rq, 200, "text/plain", http_req_body(rq)), 0);
	else if (str_eq(path, STR("/late")) || str_eq(path, STR("/never")))
		kept = mem_ref(rq);
	else if (str_eq(path, STR("/empty")))
		assert_int_equal(http_reply(rq, 204, NULL, STR_NULL), 0);
	else if (str_eq(path, STR("/forgotten")))
		return;
	else if (str_eq(path, STR("/end")))
		srv = mem_deref(srv);
	else
		assert_int_equal(http_reply(rq, 404, NULL, STR_NULL), 0);
	if (str_eq(path, STR("/late")))
		tmr_start(&later, 50);
}

static void on_resp(int err, int status, struct str body, void *arg)
{
	(void)arg;
	last_err    = err;
	last_status = status;
	buf_reset(&got);
	buf_str(&got, body);
	if (++answers == want)
		ev_loop_stop(loop);
}

static int setup(void **state)
{
	(void)state;
	served = answers = 0;
	want = 1;
	last_err = last_status = -1;
	kept = NULL;
	buf_init(&got, 0);
	buf_init(&raw, 0);
	if (ev_loop_alloc(&loop) || tmr_init(&limit, loop, on_limit, NULL) || tmr_init(&later, loop, on_later, NULL))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kept = mem_deref(kept);
	cli  = mem_deref(cli);
	srv  = mem_deref(srv);
	tmr_fini(&limit);
	tmr_fini(&later);
	loop = mem_deref(loop);
	buf_fini(&got);
	buf_fini(&raw);
	return mem_live() == 0 ? 0 : -1;
}

static struct http_tls tls_of(const char *name, const char *peers)
{
	char pem[32], key[32];

	snprintf(pem, sizeof(pem), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	return (struct http_tls){ .cert_file = certs_path(&certs, pem), .key_file = certs_path(&certs, key), .ca_file = certs_path(&certs, "ca.pem"),
				   .peer_names = peers };
}

static void start_srv(const char *name, const char *peers)
{
	struct http_tls t;
	struct http_srv_prm p = { .loop = loop, .bind = "127.0.0.1", .max_body = 100000, .reqcb = on_req };

	if (name) {
		t = tls_of(name, peers);
		p.tls = &t;
	}
	assert_int_equal(http_srv_alloc(&srv, &p), 0);
	snprintf(base, sizeof(base), "%s://127.0.0.1:%u", name ? "https" : "http", http_srv_port(srv));
}

static void start_cli(const char *name, const char *peers, unsigned max_conns)
{
	struct http_tls t;
	struct http_cli_prm p = { .loop = loop, .max_conns = max_conns };

	if (name) {
		t = tls_of(name, peers);
		p.tls = &t;
	}
	assert_int_equal(http_cli_alloc(&cli, &p), 0);
}

static void start(void)
{
	start_srv("focus", "mcu.test");
	start_cli("mcu", "focus.test", 0);
}

static void post(const char *path, struct str body, uint64_t ms)
{
	snprintf(url, sizeof(url), "%s%s", base, path);
	assert_int_equal(http_post(cli, NULL, url, "text/plain", body, ms, on_resp, NULL), 0);
}

static void run_ms(uint64_t ms)
{
	timed_out = false;
	tmr_start(&limit, ms);
	ev_loop_run(loop);
	tmr_stop(&limit);
}

static void run(void)
{
	run_ms(5000);
	assert_false(timed_out);
}

static void a_post_is_answered_and_the_server_knows_the_peer(void **state)
{
	(void)state;
	start();
	post("/echo", STR("hello"), 2000);
	run();
	assert_int_equal(last_err, 0);
	assert_int_equal(last_status, 200);
	assert_memory_equal(got.p, "hello", 6);
	assert_string_equal(peer, "mcu.test");
}

static void statuses_come_back_as_the_handler_set_them(void **state)
{
	(void)state;
	start();
	post("/nowhere", STR("x"), 2000);
	run();
	assert_int_equal(last_status, 404);
	answers = 0;
	post("/empty", STR("x"), 2000);
	run();
	assert_int_equal(last_status, 204);
	assert_int_equal(got.l, 0);
	answers = 0;
	post("/forgotten", STR("x"), 2000);
	run();
	assert_int_equal(last_status, 500);
}

static void a_body_over_the_limit_is_answered_413_and_never_reaches_the_handler(void **state)
{
	char *big = calloc(1, 3000000);

	(void)state;
	start();
	post("/echo", (struct str){ big, 100000 }, 2000);
	run();
	assert_int_equal(last_status, 200);
	assert_int_equal(got.l, 100000);
	answers = served = 0;
	post("/echo", (struct str){ big, 3000000 }, 2000);
	run();
	assert_int_equal(last_err, 0);
	assert_int_equal(last_status, 413);
	assert_int_equal(served, 0);
	free(big);
}

static void an_answer_may_come_later_from_a_kept_request(void **state)
{
	(void)state;
	start();
	post("/late", STR("x"), 2000);
	run();
	assert_int_equal(last_status, 200);
	assert_memory_equal(got.p, "late", 5);
}

static void a_client_gives_up_and_the_late_answer_is_harmless(void **state)
{
	(void)state;
	start();
	post("/never", STR("x"), 60);
	run();
	assert_int_equal(last_err, -ETIMEDOUT);
	run_ms(30);
	assert_non_null(kept);
	assert_int_equal(http_reply(kept, 200, NULL, STR("too late")), 0);
	assert_int_equal(http_reply(kept, 200, NULL, STR("again")), -EALREADY);
	kept = mem_deref(kept);
	answers = 0;
	post("/echo", STR("next"), 2000);                 /* another connection, the host is not lost */
	run();
	assert_int_equal(last_status, 200);
}

static void the_server_may_end_with_a_request_open(void **state)
{
	(void)state;
	start();
	post("/never", STR("x"), 2000);
	run_ms(100);
	srv = mem_deref(srv);
	run();
	assert_int_equal(last_err, -ECONNRESET);
	http_reply(kept, 200, NULL, STR_NULL);
}

static void the_server_may_end_in_its_own_handler(void **state)
{
	(void)state;
	start();
	post("/end", STR("x"), 2000);
	run();
	assert_int_equal(last_err, -ECONNRESET);
	assert_null(srv);
}

static void a_silenced_call_stays_silent(void **state)
{
	struct http_call *call = NULL;

	(void)state;
	start();
	snprintf(url, sizeof(url), "%s/echo", base);
	assert_int_equal(http_post(cli, &call, url, NULL, STR("x"), 1000, on_resp, NULL), 0);
	mem_deref(call);
	run_ms(100);
	assert_int_equal(answers, 0);
	assert_int_equal(served, 1);
}

static void on_resp_drop_all(int err, int status, struct str body, void *arg)
{
	cli = mem_deref(cli);
	on_resp(err, status, body, arg);
}

static void the_client_may_be_dropped_in_its_callback_and_with_calls_waiting(void **state)
{
	(void)state;
	start();
	snprintf(url, sizeof(url), "%s/echo", base);
	for (int i = 0; i < 10; i++)
		assert_int_equal(http_post(cli, NULL, url, NULL, STR("x"), 1000, on_resp_drop_all, NULL), 0);
	run();
	assert_int_equal(answers, 1);
	run_ms(20);
	assert_int_equal(answers, 1);
}

static void nobody_listening_is_connection_refused(void **state)
{
	(void)state;
	start();
	srv = mem_deref(srv);
	want = 20;
	for (unsigned i = 0; i < want; i++)
		post("/echo", STR("x"), 2000);
	run();
	assert_int_equal(last_err, -ECONNREFUSED);
	assert_int_equal(answers, 20);
}

static void wrong_urls_are_refused(void **state)
{
	static const char *const urls[] = { "", "ftp://127.0.0.1/", "http://127.0.0.1/", "https://localhost/", "https://127.0.0.1:0/",
					    "https://127.0.0.1:65536/", "https://127.0.0.1/a b", "https://127.0.0.1/\r\nX: y",
					    "https://[::1/", "https://[::1]x/", "https://127.0.0.1:/", "https:///" };

	(void)state;
	start();
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		assert_int_equal(http_post(cli, NULL, urls[i], NULL, STR_NULL, 1000, on_resp, NULL), -EINVAL);
	assert_int_equal(http_post(cli, NULL, "https://127.0.0.1/", "a\r\nb", STR_NULL, 1000, on_resp, NULL), -EINVAL);
}

/* --- certificates */
static void certificates_fail(const char *s, const char *s_peers, const char *c, const char *c_peers)
{
	start_srv(s, s_peers);
	start_cli(c, c_peers, 0);
	post("/echo", STR("x"), 2000);
	run();
	assert_true(last_err < 0 && last_err != -ETIMEDOUT);
	assert_int_equal(served, 0);
}

static void a_client_of_another_name_is_not_served(void **state)
{
	(void)state;
	certificates_fail("focus", "mcu.test", "wrong", "focus.test");
}

static void a_client_of_a_foreign_ca_is_not_served(void **state)
{
	(void)state;
	certificates_fail("focus", "focus.test", "foreign", "focus.test");
}

static void a_server_of_another_name_gets_no_request(void **state)
{
	(void)state;
	certificates_fail("wrong", "mcu.test", "mcu", "focus.test");
	assert_int_equal(last_err, -EACCES);
}

static void a_server_needs_names_to_check(void **state)
{
	struct http_tls t = tls_of("focus", NULL);
	struct http_srv_prm p = { .loop = loop, .bind = "127.0.0.1", .tls = &t, .reqcb = on_req };

	(void)state;
	assert_int_equal(http_srv_alloc(&srv, &p), -EINVAL);
}

/* --- raw clients against our server, raw servers against our client */
static const char *canned;                    /* what a raw server answers to each request */
static unsigned    accepted, requests;
static bool        close_after;

static void on_raw_data(struct stream *s, struct str data, void *arg)
{
	(void)arg;
	if (canned) {
		requests++;
		stream_send(s, str_c(canned));
		if (close_after) {
			stream_close(s);
			mem_deref(s);
		}
		return;
	}
	buf_str(&raw, data);
}

static void on_raw_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	struct stream **sp = arg;

	(void)s, (void)err;
	if (ev == STREAM_CLOSED && sp) {
		*sp = NULL;
		ev_loop_stop(loop);
	}
	if (ev == STREAM_CLOSED)
		mem_deref(s);
}

static void on_raw_accept(struct stream *s, void *arg)
{
	(void)arg;
	accepted++;
	stream_set_cb(s, on_raw_data, on_raw_event, NULL);
}

/* Sends text in pieces of n bytes to a plain server and gathers what comes until that closes. */
static void exchange(const char *text, size_t piece)
{
	struct stream_prm p = { .loop = loop, .datacb = on_raw_data, .eventcb = on_raw_event };
	struct stream *s;
	struct str rest = str_c(text);

	canned = NULL;
	p.arg = &s;
	buf_reset(&raw);
	assert_int_equal(stream_connect(&s, &p, "127.0.0.1", http_srv_port(srv)), 0);
	while (rest.l && s) {
		size_t n = rest.l < piece ? rest.l : piece;

		stream_send(s, (struct str){ rest.p, n });
		rest.p += n;
		rest.l -= n;
		if (piece < 1000)
			run_ms(1);
	}
	if (s)
		run();
}

static void requests_in_every_shape_get_the_right_status(void **state)
{
#define H "Host: x\r\nConnection: close\r\n"
	static const struct { const char *text, *status; } cases[] = {
		{ "GET /echo HTTP/1.1\r\n" H "\r\n", "200" },
		{ "HEAD /echo HTTP/1.1\r\n" H "\r\n", "200" },
		{ "GET /echo HTTP/1.0\r\n\r\n", "200" },
		{ "\r\nGET /nowhere HTTP/1.1\r\n" H "\r\n", "404" },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab", "200" },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n", "200" },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 100001\r\n\r\n", "413" },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n20000\r\n", "413" },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "501" },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "400" },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "400" },
		{ "POST /echo HTTP/1.1\r\n" H "Content-Length: -2\r\n\r\nab", "400" },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "400" },
		{ "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "400" },
		{ "GET /echo HTTP/1.1\r\n\r\n", "400" },
		{ "GET /echo HTTP/1.1\nHost: x\n\n", "400" },
		{ "GET /echo HTTP/1.1\r\nHost : x\r\n\r\n", "400" },
		{ "GET /echo HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400" },
		{ "GET  /echo HTTP/1.1\r\nHost: x\r\n\r\n", "400" },
		{ "GET /echo\r\n\r\n", "400" },
		{ "GET /echo HTTP/2.0\r\nHost: x\r\n\r\n", "505" },
		{ "GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200" },
		{ "\r\n\r\n\r\n", "400" },
	};

	(void)state;
	start_srv(NULL, NULL);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		exchange(cases[i / 2].text, i & 1 ? 7 : 4096);
		if (raw.l < 12 || memcmp(raw.p, "HTTP/1.1 ", 9) || memcmp(raw.p + 9, cases[i / 2].status, 3))
			fail_msg("case %zu: %s -> %s", i / 2, cases[i / 2].text, raw.l ? raw.p : "");
	}
}

static void a_head_that_does_not_end_is_431(void **state)
{
	struct buf b;

	(void)state;
	start_srv(NULL, NULL);
	buf_init(&b, 0);
	buf_puts(&b, "GET /echo HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
	exchange(b.p, 4096);
	assert_memory_equal(raw.p, "HTTP/1.1 431", 12);
	buf_fini(&b);
}

static void a_client_that_asks_is_told_to_continue(void **state)
{
	struct stream_prm p = { .loop = loop, .datacb = on_raw_data, .eventcb = on_raw_event };
	struct stream *s;

	(void)state;
	start_srv(NULL, NULL);
	canned = NULL;
	p.arg = &s;
	assert_int_equal(stream_connect(&s, &p, "127.0.0.1", http_srv_port(srv)), 0);
	stream_send(s, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
	run_ms(50);
	assert_memory_equal(raw.p, "HTTP/1.1 100", 12);
	buf_reset(&raw);
	stream_send(s, STR("ok"));
	run_ms(50);
	assert_memory_equal(raw.p, "HTTP/1.1 200", 12);
	mem_deref(s);
}

static struct listener *raw_server(const char *answer, bool closes)
{
	struct listener_prm p = { .loop = loop, .bind = "127.0.0.1", .acceptcb = on_raw_accept };
	struct listener *l;

	canned = answer;
	close_after = closes;
	accepted = requests = 0;
	assert_int_equal(listener_alloc(&l, &p), 0);
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", listener_port(l));
	return l;
}

static void answers_in_every_shape_are_understood_or_refused(void **state)
{
	static const struct { const char *text; int err, status; } cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, 200 },
		{ "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 0, 200 },
		{ "HTTP/1.1 200 OK\r\n\r\nok", 0, 200 },                                    /* until the end */
		{ "HTTP/1.0 200 OK\r\n\r\nok", 0, 200 },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 0, 200 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", -ECONNRESET, 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nok", -EMSGSIZE, 0 },
		{ "HTTP/1.1 99 OK\r\n\r\n", -EBADMSG, 0 },
		{ "SIP/2.0 200 OK\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/3 200 OK\r\n\r\n", -EPROTONOSUPPORT, 0 },
	};

	(void)state;
	start_cli(NULL, NULL, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listener *l = raw_server(cases[i].text, true);

		answers = 0;
		post("/", STR("x"), 2000);
		run();
		mem_deref(l);
		if (last_err != cases[i].err || last_status != cases[i].status || (!last_err && strcmp(got.p, "ok")))
			fail_msg("case %zu: err %d status %d", i, last_err, last_status);
	}
}

static void a_server_that_closes_after_each_answer_loses_nothing(void **state)
{
	struct listener *l = raw_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", true);

	(void)state;
	start_cli(NULL, NULL, 2);
	want = 50;
	for (unsigned i = 0; i < want; i++)
		post("/", STR("x"), 4000);
	run();
	mem_deref(l);
	assert_int_equal(answers, 50);
	assert_int_equal(last_err, 0);
	assert_int_equal(accepted, 50);
}

static void a_server_that_closes_without_saying_so_costs_an_error_and_not_the_queue(void **state)
{
	struct listener *l = raw_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true);

	(void)state;
	start_cli(NULL, NULL, 1);
	want = 10;
	for (unsigned i = 0; i < want; i++)
		post("/", STR("x"), 4000);
	run();
	mem_deref(l);
	assert_int_equal(answers, 10);
}

static void connections_are_kept_and_no_more_than_allowed(void **state)
{
	struct listener *l = raw_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);

	(void)state;
	start_cli(NULL, NULL, 3);
	want = 60;
	for (unsigned i = 0; i < want; i++)
		post("/", STR("x"), 4000);
	run();
	assert_int_equal(accepted, 3);
	assert_int_equal(requests, 60);
	cli = mem_deref(cli);
	run_ms(20);
	mem_deref(l);
}

/* --- load */
static void two_hundred_parallel_posts_are_all_answered(void **state)
{
	char *body = calloc(1, 50000);

	(void)state;
	start();
	want = 200;
	for (unsigned i = 0; i < want; i++)
		post(i % 10 ? "/echo" : "/nowhere", (struct str){ body, i * 200 }, 4000);
	run();
	assert_int_equal(answers, 200);
	assert_int_equal(served, 200);
	assert_int_equal(last_err, 0);
	free(body);
}

static void on_resp_next(int err, int status, struct str body, void *arg)
{
	(void)body, (void)arg;
	assert_int_equal(err, 0);
	assert_int_equal(status, 200);
	if (++answers == want)
		ev_loop_stop(loop);
	else
		assert_int_equal(http_post(cli, NULL, url, "text/plain", STR("<request/>"), 4000, on_resp_next, NULL), 0);
}

static void one_after_the_other_is_fast_on_a_kept_connection(void **state)
{
	struct timespec a, b;
	double s;

	(void)state;
	start();
	snprintf(url, sizeof(url), "%s/echo", base);
	want = 2000;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_int_equal(http_post(cli, NULL, url, "text/plain", STR("<request/>"), 4000, on_resp_next, NULL), 0);
	run_ms(20000);
	assert_false(timed_out);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	print_message("             %u POSTs, both ends: %.0f per CPU second\n", want, want / s);
}

static void no_memory_is_an_error_and_leaves_nothing_behind(void **state)
{
	int err = -ENOMEM;

	(void)state;
	start_srv(NULL, NULL);
	start_cli(NULL, NULL, 0);
	snprintf(url, sizeof(url), "%s/echo", base);
	for (unsigned i = 1; i < 40; i++) {
		answers = 0;
		mem_fail_after(i);
		err = http_post(cli, NULL, url, NULL, STR("x"), 300, on_resp, NULL);
		if (!err)
			run_ms(2000);
		mem_fail_after(0);
		assert_true(err == -ENOMEM || (err == 0 && answers == 1));
	}
	assert_int_equal(err, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_post_is_answered_and_the_server_knows_the_peer),
		T(statuses_come_back_as_the_handler_set_them),
		T(a_body_over_the_limit_is_answered_413_and_never_reaches_the_handler),
		T(an_answer_may_come_later_from_a_kept_request),
		T(a_client_gives_up_and_the_late_answer_is_harmless),
		T(the_server_may_end_with_a_request_open),
		T(the_server_may_end_in_its_own_handler),
		T(a_silenced_call_stays_silent),
		T(the_client_may_be_dropped_in_its_callback_and_with_calls_waiting),
		T(nobody_listening_is_connection_refused),
		T(wrong_urls_are_refused),
		T(a_client_of_another_name_is_not_served),
		T(a_client_of_a_foreign_ca_is_not_served),
		T(a_server_of_another_name_gets_no_request),
		T(a_server_needs_names_to_check),
		T(requests_in_every_shape_get_the_right_status),
		T(a_head_that_does_not_end_is_431),
		T(a_client_that_asks_is_told_to_continue),
		T(answers_in_every_shape_are_understood_or_refused),
		T(a_server_that_closes_after_each_answer_loses_nothing),
		T(a_server_that_closes_without_saying_so_costs_an_error_and_not_the_queue),
		T(connections_are_kept_and_no_more_than_allowed),
		T(two_hundred_parallel_posts_are_all_answered),
		T(one_after_the_other_is_fast_on_a_kept_connection),
		T(no_memory_is_an_error_and_leaves_nothing_behind),
	};
	int n;

	log_set("all", "error");
	certs_init(&certs);
	n = cmocka_run_group_tests(tests, NULL, NULL);
	certs_fini(&certs);
	return n;
}
