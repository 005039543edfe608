/* SPDX-License-Identifier: Apache-2.0 */
/* sip_link - connections that fail, time-outs, sizes, garbage; and what ten thousand transactions cost */
#include <time.h>
#include "test/unit/sip_pair.h"

#define VIA_ETC(cid, n, method) \
	"Via: SIP/2.0/TLS 10.9.8.7:5061;branch=z9hG4bK" cid ";rport\r\n" \
	"From: <sip:x@example.net>;tag=1\r\nTo: <sip:y@example.net>\r\n" \
	"Call-ID: " cid "\r\nCSeq: " n " " method "\r\n"
#define OPTIONS(cid, more) \
	"OPTIONS sip:y@example.net SIP/2.0\r\n" VIA_ETC(cid, "1", "OPTIONS") more "Content-Length: 0\r\n\r\n"

static void on_ok(struct peer *p, struct sip_st *st, const struct sip_msg *m)
{
	(void)p, (void)m;
	sip_reply(st, &(struct sip_reply){ .code = 200 });
}

static int64_t counter(const char *row)
{
	struct buf text;
	const char *at;
	long long v = 0;

	buf_init(&text, 0);
	metric_render(&text);
	at = strstr(text.p, row);
	assert_non_null(at);
	sscanf(at + strlen(row), "%lld", &v);
	buf_fini(&text);
	return v;
}

static void raw_send(struct raw *r, const char *text)
{
	assert_int_equal(stream_send(r->s, str_c(text)), 0);
}

static void an_unanswered_request_times_out(void **state)
{
	struct sip_req r = req_to_b("OPTIONS", "t-1", 1);

	(void)state;
	r.timeout_ms = 150;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	assert_int_equal(a.n_resp, 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.err, -ETIMEDOUT);
	assert_int_equal(sip_transactions(a.sip), 0);
	sip_reply(b.st, &(struct sip_reply){ .code = 200 });            /* too late: counted, not told */
	PASS(50);
	assert_int_equal(a.n_resp, 1);
}

static void a_refused_connection_is_told_at_once(void **state)
{
	struct sip_req r = req_to_b("OPTIONS", "t-2", 1);

	(void)state;
	r.dest = "127.0.0.1:1";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	assert_true(wait_for(&a.n_resp, 1, 1000));
	assert_int_equal(a.err, -ECONNREFUSED);
	r.dest = "edge.example.net:5061";                               /* numeric addresses only */
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
	r.dest = "127.0.0.1:99999";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
}

static void a_lost_connection_ends_what_waits_on_it(void **state)
{
	struct sip_req r = req_to_b("OPTIONS", "t-3", 1);
	struct sip_ct *ct;

	(void)state;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 2);
	peer_stop(&b);
	assert_true(wait_for(&a.n_resp, 2, 1000));
	assert_int_equal(a.err, -ECONNRESET);
	mem_deref(ct);
	peer_start(&b, "mcu.test", ctx_mcu);
}

static void a_peer_of_another_name_gets_no_request(void **state)
{
	struct tls_ctx *wrong = make_ctx("wrong", "mcu.test");
	struct sip_req r = req_to_b("OPTIONS", "t-4", 1);
	struct peer c;

	(void)state;
	peer_start(&c, "wrong.test", wrong);
	assert_int_equal(sip_request(c.sip, NULL, &r, on_response, &c), 0);
	WAIT(c.n_resp, 1);
	assert_true(c.err < 0);
	assert_int_equal(b.n_req, 0);
	peer_stop(&c);
	mem_deref(wrong);
}

static void a_silenced_transaction_does_not_call_back(void **state)
{
	struct sip_req r = req_to_b("OPTIONS", "t-5", 1);
	struct sip_ct *ct;

	(void)state;
	b.on_request = on_ok;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	mem_deref(ct);
	WAIT(b.n_req, 1);
	PASS(50);
	assert_int_equal(a.n_resp, 0);
	assert_int_equal(sip_transactions(a.sip), 0);
}

static void what_is_too_large_is_refused_before_it_is_written(void **state)
{
	static char big[260 * 1024];
	struct sip_req r = req_to_b("INFO", "t-6", 1);

	(void)state;
	memset(big, 'x', sizeof(big));
	r.ctype = "text/plain";
	r.body  = (struct str){ big, sizeof(big) };
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EMSGSIZE);
	r.body.l = 240 * 1024;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	assert_int_equal(sip_msg_body(b.req).l, 240 * 1024);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200, .body = { big, sizeof(big) } }), -EMSGSIZE);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200, .ctype = "text/plain",
							      .body = { big, 240 * 1024 } }), 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(sip_msg_body(a.resp).l, 240 * 1024);
}

static void nobody_writes_a_header_by_way_of_another(void **state)
{
	struct sip_req r = req_to_b("INFO", "t-7\r\nX: y", 1);

	(void)state;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
	r = req_to_b("INFO", "t-7", 1);
	r.hdrs = "X: y";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
	r.hdrs = "X: y\r\n\r\nINVITE\r\n";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
	r.hdrs = NULL;
	r.ruri = "sip:a@127.0.0.1 SIP/2.0";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), -EINVAL);
}

static void garbage_closes_the_stream(void **state)
{
	int64_t before = counter("\nconclave_sip_parse_errors_total ");
	struct raw r;

	(void)state;
	raw_open(&r);
	raw_send(&r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	WAIT(r.closed, 1);
	assert_int_equal(b.n_req, 0);
	assert_int_equal(counter("\nconclave_sip_parse_errors_total "), before + 1);
	raw_close(&r);
}

static void a_message_that_cannot_be_read_is_answered_400_and_costs_nobody_else(void **state)
{
	struct raw r;

	(void)state;
	b.on_request = on_ok;
	raw_open(&r);
	raw_send(&r, "INFO sip:y@example.net SIP/2.0\r\n" VIA_ETC("bad", "1", "OPTIONS")
		 "Content-Length: 2\r\n\r\nhi" OPTIONS("good", ""));
	WAIT(b.n_req, 1);
	PASS(20);
	assert_true(raw_has(&r, "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/TLS 10.9.8.7:5061;branch=z9hG4bKbad;rport="));
	assert_true(raw_has(&r, ";received=127.0.0.1\r\n"));
	assert_true(raw_has(&r, "SIP/2.0 200 OK"));
	assert_int_equal(r.closed, 0);
	raw_close(&r);
}

static void one_users_excess_does_not_cost_the_shared_connection(void **state)
{
	static char text[80 * 1024];
	size_t n = (size_t)sprintf(text, "INFO sip:y@example.net SIP/2.0\r\n" VIA_ETC("lines", "1", "INFO"));
	struct raw r;

	(void)state;
	b.on_request = on_ok;
	raw_open(&r);
	for (unsigned i = 0; i < 400; i++)
		n += (size_t)sprintf(text + n, "X: y\r\n");
	sprintf(text + n, "\r\n");
	raw_send(&r, text);
	n = (size_t)sprintf(text, "INFO sip:y@example.net SIP/2.0\r\n" VIA_ETC("long", "1", "INFO") "X: ");
	memset(text + n, 'x', 70000);
	sprintf(text + n + 70000, "\r\n\r\nINFO  sip:twice SIP/2.0\r\n\r\n");
	raw_send(&r, text);
	raw_send(&r, OPTIONS("after", ""));
	WAIT(b.n_req, 1);
	PASS(20);
	assert_true(raw_has(&r, "z9hG4bKlines;rport="));
	assert_true(raw_has(&r, "z9hG4bKlong;rport="));
	assert_int_equal(r.closed, 0);
	raw_close(&r);
}

static void no_memory_costs_one_request_and_leaks_nothing(void **state)
{
	struct sip_req r = req_to_b("INVITE", "mem", 1);
	struct sip_dlg *d;
	unsigned failed = 0;

	(void)state;
	r.route = "Route: <sip:127.0.0.1:1;lr>\r\n";
	r.dest  = b_dest;
	assert_int_equal(sip_request(a.sip, NULL, &r, NULL, NULL), 0);
	WAIT(b.n_req, 1);
	for (unsigned n = 1; n < 12; n++) {
		mem_fail_after(n);
		failed += sip_request(a.sip, NULL, &r, NULL, NULL) != 0;
	}
	assert_true(failed > 5);
	for (unsigned n = 1; n < 12; n++) {
		mem_fail_after(n);
		if (sip_dlg_uas(&d, b.req, "tag") == 0)
			mem_deref(d);
	}
	mem_fail_after(1);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200 }), -ENOMEM);
	mem_fail_after(0);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 486 }), 0);
	for (unsigned n = 1; n < 40; n++) {                             /* and while messages come in */
		r.method = "INFO";
		r.cseq = n + 1;
		assert_int_equal(sip_request(a.sip, NULL, &r, NULL, NULL), 0);
		mem_fail_after(n + 2);
		PASS(10);
		mem_fail_after(0);
	}
}

/* The raw peer stands for the edge, which hands on what every branch of a fork answers. */
static void the_second_2xx_of_a_fork_is_acknowledged_and_ended_once(void **state)
{
	char dest[64], contact[128], fork[512];
	struct sip_req r = { .method = "INVITE", .ruri = "sip:c@example.net", .from = "<sip:m@example.net>;tag=fm", .to = "<sip:c@example.net>",
			     .call_id = "fork", .cseq = 7, .hdrs = "Contact: <sip:m@example.net>\r\n", .dest = dest };
	struct sip_dlg *d;
	struct raw raw;

	(void)state;
	snprintf(dest, sizeof(dest), "127.0.0.1:%u", sip_port(a.sip));
	snprintf(contact, sizeof(contact), "Contact: <sip:c@%s;transport=tls>\r\n", dest);
	snprintf(fork, sizeof(fork), "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 10.9.8.7:5061;branch=z9hG4bKfork\r\nFrom: <sip:m@example.net>;tag=fm\r\n"
		 "To: <sip:c@example.net>;tag=second\r\nCall-ID: fork\r\nCSeq: 7 INVITE\r\n%sContent-Length: 0\r\n\r\n", contact);
	assert_int_equal(sip_request(b.sip, NULL, &r, on_response, &b), 0);
	WAIT(a.n_req, 1);
	sip_st_set_cb(a.st, NULL, on_acked, &a);
	assert_int_equal(sip_reply(a.st, &(struct sip_reply){ .code = 200, .to_tag = "first", .hdrs = contact }), 0);
	WAIT(b.n_resp, 1);
	raw_open(&raw);
	raw_send(&raw, fork);                           /* before the first is acknowledged nobody knows that it is a fork */
	PASS(30);
	assert_int_equal(a.n_req, 1);
	assert_int_equal(sip_dlg_uac(&d, b.resp, NULL), 0);
	assert_int_equal(sip_dlg_ack(b.sip, d, 7), 0);
	WAIT(a.n_ack, 1);
	a.on_request = on_ok;
	raw_send(&raw, fork);
	WAIT(a.n_req, 2);
	assert_true(str_eq(sip_msg_method(a.req), STR("BYE")));
	assert_true(str_eq(sip_msg_to_tag(a.req), STR("second")));
	raw_send(&raw, fork);                           /* again: the same ACK, no second BYE */
	PASS(50);
	assert_int_equal(a.n_req, 2);
	assert_int_equal(b.n_resp, 1);
	mem_deref(d);
	raw_close(&raw);
}

static void on_plain_accept(struct stream *s, void *arg)
{
	struct stream **keep = arg;

	*keep = s;
}

static void a_peer_that_never_shakes_hands_is_given_up(void **state)
{
	struct sip_req r = req_to_b("OPTIONS", "mute", 1);
	struct stream *held = NULL;
	struct listener *l;
	struct listener_prm prm = { .loop = loop, .bind = "127.0.0.1", .acceptcb = on_plain_accept, .arg = &held };
	char dest[32];

	(void)state;
	assert_int_equal(listener_alloc(&l, &prm), 0);
	snprintf(dest, sizeof(dest), "127.0.0.1:%u", listener_port(l));
	r.dest = dest;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	assert_true(wait_for(&a.n_resp, 1, 4000));
	assert_int_equal(a.err, -ETIMEDOUT);
	mem_deref(held);
	mem_deref(l);
}

static void keep_alives_are_answered_and_pieces_are_joined(void **state)
{
	static const char text[] = OPTIONS("pieces", "");
	struct raw r;

	(void)state;
	b.on_request = on_ok;
	raw_open(&r);
	raw_send(&r, "\r\n\r\n");
	WAIT(r.n_bytes, 2);
	assert_int_equal(r.n_bytes, 2);
	for (size_t i = 0; i < sizeof(text) - 1; i += 50) {
		size_t n = sizeof(text) - 1 - i < 50 ? sizeof(text) - 1 - i : 50;

		assert_int_equal(stream_send(r.s, (struct str){ text + i, n }), 0);
		PASS(3);
	}
	WAIT(b.n_req, 1);
	raw_close(&r);
}

static void a_repeated_request_gets_the_kept_answer(void **state)
{
	struct raw r;
	unsigned n;

	(void)state;
	b.on_request = on_ok;
	raw_open(&r);
	raw_send(&r, OPTIONS("again", ""));
	WAIT(b.n_req, 1);
	WAIT(r.n_bytes, 1);
	n = r.n_bytes;
	raw_send(&r, OPTIONS("again", ""));
	WAIT(r.n_bytes, 2 * n);
	assert_memory_equal(r.got.p, r.got.p + n, n);
	assert_int_equal(b.n_req, 1);
	raw_close(&r);
}

static void hops_requirements_and_strays_have_their_answers(void **state)
{
	struct raw r;

	(void)state;
	raw_open(&r);
	raw_send(&r, OPTIONS("hops", "Max-Forwards: 0\r\n"));
	raw_send(&r, "CANCEL sip:y@example.net SIP/2.0\r\n" VIA_ETC("none", "1", "CANCEL") "\r\n");
	raw_send(&r, "ACK sip:y@example.net SIP/2.0\r\n" VIA_ETC("none", "1", "ACK") "\r\n");
	raw_send(&r, "SIP/2.0 200 OK\r\n" VIA_ETC("none", "1", "INVITE") "\r\n");
	while (!raw_has(&r, "SIP/2.0 481 "))
		PASS(5);
	assert_true(raw_has(&r, "SIP/2.0 483 Too Many Hops"));
	assert_int_equal(b.n_req, 0);
	sip_shutdown(b.sip);
	raw_send(&r, OPTIONS("late", ""));
	while (!raw_has(&r, "SIP/2.0 503 "))
		PASS(5);
	assert_int_equal(b.n_req, 0);
	raw_close(&r);
}

static void on_forget(struct peer *p, struct sip_st *st, const struct sip_msg *m)
{
	(void)m, (void)st;
	p->st = mem_deref(p->st);
}

static void a_request_that_nobody_holds_is_answered_500(void **state)
{
	struct sip_req r = req_to_b("INFO", "t-8", 1);

	(void)state;
	b.on_request = on_forget;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 500);
}

static void an_answer_finds_its_way_when_the_connection_is_gone(void **state)
{
	static char text[1024];
	struct raw r;

	(void)state;
	raw_open(&r);
	/* as if from a: its Via names a's port, so the late answer goes there and is a stray one */
	snprintf(text, sizeof(text), "INVITE sip:y@example.net SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:%u;branch=z9hG4bKgone\r\n"
		 "From: <sip:x@example.net>;tag=1\r\nTo: <sip:y@example.net>\r\nCall-ID: gone\r\nCSeq: 1 INVITE\r\n\r\n",
		 sip_port(a.sip));
	raw_send(&r, text);
	WAIT(b.n_req, 1);
	raw_close(&r);
	PASS(50);
	{
		int64_t before = counter("\nconclave_sip_stray_total ");

		assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 486 }), 0);
		PASS(200);
		assert_int_equal(counter("\nconclave_sip_stray_total "), before + 1);
	}
}

static struct peer *to_drop;

static void on_drop(struct peer *p, struct sip_st *st, const struct sip_msg *m)
{
	(void)st, (void)m;
	p->sip = mem_deref(p->sip);
}

static void on_drop_response(int err, const struct sip_msg *m, void *arg)
{
	on_response(err, m, arg);
	to_drop->sip = mem_deref(to_drop->sip);
}

static void the_stack_may_be_dropped_from_its_own_callbacks(void **state)
{
	struct sip_req r = req_to_b("INFO", "t-9", 1);

	(void)state;
	to_drop = &a;
	b.on_request = on_drop;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_drop_response, &a), 0);
	assert_int_equal(sip_request(a.sip, NULL, &r, on_drop_response, &a), 0);
	WAIT(a.n_resp, 1);
	PASS(20);
	assert_int_equal(a.n_resp, 1);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200 }), -ESHUTDOWN);
}

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_ok_unheld(struct peer *p, struct sip_st *st, const struct sip_msg *m)
{
	on_ok(p, st, m);
	p->st = mem_deref(p->st);
}

static void ten_thousand_transactions_stay_cheap(void **state)
{
	struct sip_req r = req_to_b("NOTIFY", "", 1);
	double t0;
	char id[32];

	(void)state;
	b.on_request = on_ok_unheld;
	r.body  = STR("<conference-info/>");
	r.ctype = "application/conference-info+xml";
	t0 = cpu_s();
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "call-%u@focus", i);
		r.call_id = id;
		r.cseq = i + 1;
		assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
		if (i == 4999) {
			assert_int_equal(sip_transactions(a.sip), 5000);
			assert_true(wait_for(&a.n_resp, 5000, 20000));
		}
	}
	assert_true(wait_for(&a.n_resp, 10000, 20000));
	assert_int_equal(sip_transactions(b.sip), 10000);
	print_message("10000 transactions, both sides and TLS: %.0f transactions/s\n", 10000 / (cpu_s() - t0));
	t0 = cpu_s();
	PASS(1000);
	print_message("CPU in one second with 10000 kept: %.1f ms\n", (cpu_s() - t0) * 1e3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		T(an_unanswered_request_times_out),
		T(a_refused_connection_is_told_at_once),
		T(a_lost_connection_ends_what_waits_on_it),
		T(a_peer_of_another_name_gets_no_request),
		T(a_silenced_transaction_does_not_call_back),
		T(what_is_too_large_is_refused_before_it_is_written),
		T(nobody_writes_a_header_by_way_of_another),
		T(garbage_closes_the_stream),
		T(a_message_that_cannot_be_read_is_answered_400_and_costs_nobody_else),
		T(one_users_excess_does_not_cost_the_shared_connection),
		T(no_memory_costs_one_request_and_leaks_nothing),
		T(a_peer_that_never_shakes_hands_is_given_up),
		T(keep_alives_are_answered_and_pieces_are_joined),
		T(the_second_2xx_of_a_fork_is_acknowledged_and_ended_once),
		T(a_repeated_request_gets_the_kept_answer),
		T(hops_requirements_and_strays_have_their_answers),
		T(a_request_that_nobody_holds_is_answered_500),
		T(an_answer_finds_its_way_when_the_connection_is_gone),
		T(the_stack_may_be_dropped_from_its_own_callbacks),
		T(ten_thousand_transactions_stay_cheap),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
