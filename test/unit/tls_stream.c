/* SPDX-License-Identifier: Apache-2.0 */
/* tls_stream.c - unit tests of lib/tls: streams over loopback, with and without TLS; certificates made at run time */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/tls/tls.h"
#include "test/unit/certs.h"

static struct certs certs;

/* One side of a connection, and what happened to it. */
struct side {
	struct stream *s;
	struct buf     got;
	size_t         want;                /* stops the loop when that much has come */
	int            opened, closed, err;
	bool           echo, drop_on_data, drop_on_open, close_on_data;
};

static struct ev_loop  *loop;
static struct listener *lsn;
static struct tls_ctx  *srv_ctx, *cli_ctx;
static struct side      srv, cli;
static struct tmr       limit;
static bool             timed_out;

static void on_limit(void *arg)
{
	(void)arg;
	timed_out = true;
	ev_loop_stop(loop);
}

static void on_data(struct stream *s, struct str data, void *arg)
{
	struct side *x = arg;

	assert_ptr_equal(s, x->s);
	if (x->drop_on_data) {
		x->s = mem_deref(s);
		return;
	}
	buf_str(&x->got, data);
	if (x->close_on_data) {
		assert_int_equal(stream_send(s, STR("bye")), 0);
		stream_close(s);
		x->s = mem_deref(s);
		return;
	}
	if (x->echo)
		assert_int_equal(stream_send(s, data), 0);
	if (x->want && x->got.l >= x->want)
		ev_loop_stop(loop);
}

static void on_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	struct side *x = arg;

	assert_ptr_equal(s, x->s);
	if (ev == STREAM_OPEN) {
		x->opened++;
		if (x->drop_on_open)
			x->s = mem_deref(s);
		return;
	}
	x->closed++;
	x->err = err;
	x->s = mem_deref(s);
	ev_loop_stop(loop);
}

static void on_accept(struct stream *s, void *arg)
{
	struct side *x = arg;

	if (x->s) {
		mem_deref(s);
		return;
	}
	x->s = s;
	x->opened++;
	if (x->drop_on_open)
		x->s = mem_deref(s);
	else
		stream_set_cb(s, on_data, on_event, x);
}

static int setup(void **state)
{
	(void)state;
	memset(&srv, 0, sizeof(srv));
	memset(&cli, 0, sizeof(cli));
	timed_out = false;
	if (ev_loop_alloc(&loop) || tmr_init(&limit, loop, on_limit, NULL))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_deref(srv.s);
	mem_deref(cli.s);
	lsn = mem_deref(lsn);
	srv_ctx = mem_deref(srv_ctx);
	cli_ctx = mem_deref(cli_ctx);
	tmr_fini(&limit);
	loop = mem_deref(loop);
	buf_fini(&srv.got);
	buf_fini(&cli.got);
	return mem_live() == 0 ? 0 : -1;
}

static struct tls_ctx *ctx(const char *name, const char *peers)
{
	char pem[32], key[32], err[256];
	struct tls_ctx *c = NULL;
	struct tls_prm p = { .ca_file = certs_path(&certs, "ca.pem"), .peer_names = peers, .mutual = true };

	if (name) {
		snprintf(pem, sizeof(pem), "%s.pem", name);
		snprintf(key, sizeof(key), "%s.key", name);
		p.cert_file = certs_path(&certs, pem);
		p.key_file  = certs_path(&certs, key);
	}
	if (tls_ctx_alloc(&c, &p, err, sizeof(err)))
		fail_msg("%s", err);
	return c;
}

static void listen_on(const char *addr, unsigned max)
{
	struct listener_prm p = { .loop = loop, .tls = srv_ctx, .bind = addr, .acceptcb = on_accept, .arg = &srv,
				  .max_streams = max };

	assert_int_equal(listener_alloc(&lsn, &p), 0);
	assert_int_not_equal(listener_port(lsn), 0);
}

static void connect_to(const char *addr, size_t max_queue)
{
	struct stream_prm p = { .loop = loop, .tls = cli_ctx, .datacb = on_data, .eventcb = on_event, .arg = &cli,
				.max_queue = max_queue };

	assert_int_equal(stream_connect(&cli.s, &p, addr, listener_port(lsn)), 0);
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

static long long metric(const char *result)
{
	struct buf b;
	char row[96];
	const char *at;
	long long v;

	buf_init(&b, 0);
	metric_render(&b);
	snprintf(row, sizeof(row), "conclave_tls_handshakes_total{result=\"%s\"} ", result);
	at = strstr(b.p, row);
	assert_non_null(at);
	v = atoll(at + strlen(row));
	buf_fini(&b);
	return v;
}

static void start(const char *srv_cert, const char *srv_peers, const char *cli_cert, const char *cli_peers)
{
	srv_ctx = ctx(srv_cert, srv_peers);
	cli_ctx = ctx(cli_cert, cli_peers);
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", 0);
}

/* --- names and certificates */
static void both_sides_learn_the_other_name_and_exchange_data(void **state)
{
	(void)state;
	start("focus", "edge.test, mcu.test", "mcu", "focus-1.focus.test");
	srv.echo = true;
	cli.want = 10;
	assert_int_equal(stream_send(cli.s, STR("hello")), 0);        /* queued while connecting */
	assert_int_equal(stream_send(cli.s, STR("world")), 0);
	run();
	assert_memory_equal(cli.got.p, "helloworld", 10);
	assert_string_equal(stream_peer_name(srv.s), "mcu.test");
	assert_string_equal(stream_peer_name(cli.s), "focus.test");
	assert_memory_equal(stream_peer_addr(srv.s), "127.0.0.1:", 10);
	assert_int_equal(cli.opened, 1);
}

/* The client's view differs with TLS 1.3: it is done before the server has looked at its certificate. */
static void server_refuses(const char *cert, const char *result)
{
	long long n = 0;

	start("focus", "mcu.test,focus.test", cert, "focus.test");
	n = metric(result);
	run();
	assert_int_equal(srv.opened, 0);
	assert_int_equal(cli.closed, 1);
	assert_int_not_equal(cli.err, 0);
	assert_int_equal(metric(result), n + 1);
}

static void a_server_refuses_a_client_of_another_name_even_with_a_wildcard(void **state)
{
	(void)state;
	server_refuses("wrong", "wrong_name");
}

static void a_server_refuses_a_client_of_a_foreign_ca(void **state)
{
	(void)state;
	server_refuses("foreign", "untrusted");
}

static void a_server_refuses_a_client_without_certificate(void **state)
{
	(void)state;
	server_refuses(NULL, "no_certificate");
}

static void a_server_refuses_an_expired_client(void **state)
{
	(void)state;
	server_refuses("expired", "expired");
}

static void client_refuses(const char *cert, const char *result)
{
	long long n;

	start(cert, "mcu.test", "mcu", "focus.test");
	n = metric(result);
	run();
	assert_int_equal(cli.opened, 0);
	assert_int_equal(cli.closed, 1);
	assert_int_equal(cli.err, -EACCES);
	assert_int_equal(srv.opened, 0);
	assert_int_equal(metric(result), n + 1);
}

static void a_client_refuses_a_server_of_another_name(void **state)
{
	(void)state;
	client_refuses("wrong", "wrong_name");
}

static void a_client_refuses_a_server_of_a_foreign_ca(void **state)
{
	(void)state;
	client_refuses("foreign", "untrusted");
}

static void a_client_refuses_an_expired_server(void **state)
{
	(void)state;
	client_refuses("expired", "expired");
}

static void wrong_files_are_told(void **state)
{
	char err[256] = "";
	struct tls_ctx *c = NULL;
	const char *key = certs_path(&certs, "focus.key"), *pem = certs_path(&certs, "focus.pem");
	struct tls_prm none = { .cert_file = "/nonexistent/x.pem", .key_file = key };
	struct tls_prm other = { .cert_file = pem, .key_file = certs_path(&certs, "mcu.key") };
	struct tls_prm names = { .cert_file = pem, .key_file = key, .peer_names = "a,,b" };
	struct tls_prm no_ca = { .cert_file = pem, .key_file = key, .mutual = true };

	(void)state;
	assert_int_equal(tls_ctx_alloc(&c, &none, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "/nonexistent/x.pem"));
	assert_int_equal(tls_ctx_alloc(&c, &other, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "key"));
	assert_int_equal(tls_ctx_alloc(&c, &names, err, sizeof(err)), -EINVAL);
	assert_int_equal(tls_ctx_alloc(&c, &no_ca, err, sizeof(err)), -EINVAL);
	assert_null(c);
}

static void reload_keeps_live_streams_and_a_failed_one_keeps_the_old_files(void **state)
{
	char err[256];

	(void)state;
	start("focus", "mcu.test", "mcu", "focus.test");
	srv.echo = true;
	cli.want = 1;
	stream_send(cli.s, STR("a"));
	run();
	assert_int_equal(tls_ctx_reload(srv_ctx, err, sizeof(err)), 0);
	assert_int_equal(rename(certs_path(&certs, "focus.pem"), certs_path(&certs, "away")), 0);
	assert_int_equal(tls_ctx_reload(srv_ctx, err, sizeof(err)), -EINVAL);
	assert_int_equal(rename(certs_path(&certs, "away"), certs_path(&certs, "focus.pem")), 0);
	cli.want = 2;
	stream_send(cli.s, STR("b"));
	run();
	assert_int_equal(cli.got.l, 2);
}

/* --- data */
enum { MIB = 1 << 20, BIG = 10 * MIB };

static void ten_mebibytes_arrive_intact(bool tls)
{
	char *p = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		p[i] = (char)(i * 2654435761u >> 13);
	if (tls) {
		srv_ctx = ctx("focus", "mcu.test");
		cli_ctx = ctx("mcu", "focus.test");
	}
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", BIG + MIB);
	srv.echo = true;                        /* and so both ways at once */
	cli.want = BIG;
	assert_int_equal(stream_send(cli.s, (struct str){ p, BIG }), 0);
	run_ms(20000);
	assert_false(timed_out);
	assert_int_equal(srv.got.l, BIG);
	assert_int_equal(cli.got.l, BIG);
	assert_memory_equal(srv.got.p, p, BIG);
	assert_memory_equal(cli.got.p, p, BIG);
	free(p);
}

static void ten_mebibytes_arrive_intact_both_ways_over_tls(void **state)
{
	(void)state;
	ten_mebibytes_arrive_intact(true);
}

static void ten_mebibytes_arrive_intact_both_ways_over_plain_tcp(void **state)
{
	(void)state;
	ten_mebibytes_arrive_intact(false);
}

static void a_closed_stream_still_delivers_its_queue(void **state)
{
	char *p = calloc(1, BIG);

	(void)state;
	srv_ctx = ctx("focus", "mcu.test");
	cli_ctx = ctx("mcu", "focus.test");
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", BIG);
	assert_int_equal(stream_send(cli.s, (struct str){ p, BIG }), 0);
	stream_close(cli.s);
	assert_int_equal(stream_send(cli.s, STR("x")), -ENOTCONN);
	cli.s = mem_deref(cli.s);
	run();
	assert_int_equal(srv.got.l, BIG);
	assert_int_equal(srv.closed, 1);
	assert_int_equal(srv.err, 0);
	assert_int_equal(cli.closed, 0);
	free(p);
}

static void closing_inside_the_data_callback_flushes_the_answer(void **state)
{
	(void)state;
	start("focus", "mcu.test", "mcu", "focus.test");
	srv.close_on_data = true;
	stream_send(cli.s, STR("hello"));
	run();
	assert_memory_equal(cli.got.p, "bye", 4);
	assert_int_equal(cli.err, 0);
}

static void a_full_queue_is_an_error_and_ends_the_stream(void **state)
{
	char *p = calloc(1, MIB);

	(void)state;
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", MIB);
	assert_int_equal(stream_send(cli.s, (struct str){ p, MIB }), 0);
	assert_int_equal(stream_send(cli.s, STR("x")), -ENOBUFS);
	assert_int_equal(stream_send(cli.s, STR("x")), -ENOTCONN);
	run();
	assert_int_equal(cli.closed, 1);
	assert_int_equal(cli.err, -ENOBUFS);
	free(p);
}

/* --- ends */
static void streams_may_be_dropped_in_any_callback(void **state)
{
	static const struct { bool srv_open, srv_data, cli_open, cli_data; } cases[] = {
		{ true, false, false, false }, { false, true, false, false }, { false, false, true, false },
		{ false, false, false, true },
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		size_t k = i / 2;

		if (i) {
			assert_int_equal(teardown(state), 0);
			assert_int_equal(setup(state), 0);
		}
		srv.echo = true;
		srv.drop_on_open = cases[k].srv_open;
		srv.drop_on_data = cases[k].srv_data;
		cli.drop_on_open = cases[k].cli_open;
		cli.drop_on_data = cases[k].cli_data;
		if (i & 1) {
			srv_ctx = ctx("focus", "mcu.test");
			cli_ctx = ctx("mcu", "focus.test");
		}
		listen_on("127.0.0.1", 0);
		connect_to("127.0.0.1", 0);
		stream_send(cli.s, STR("hello"));
		run_ms(100);
	}
}

static void a_refused_connection_is_told_once(void **state)
{
	struct stream_prm p = { .loop = loop, .datacb = on_data, .eventcb = on_event, .arg = &cli };
	uint16_t port;

	(void)state;
	listen_on("127.0.0.1", 0);
	port = listener_port(lsn);
	lsn = mem_deref(lsn);
	assert_int_equal(stream_connect(&cli.s, &p, "127.0.0.1", port), 0);
	run();
	assert_int_equal(cli.closed, 1);
	assert_int_equal(cli.err, -ECONNREFUSED);
	assert_int_equal(stream_connect(&cli.s, &p, "localhost", port), -EINVAL);
}

static void ipv6_works_too(void **state)
{
	(void)state;
	srv_ctx = ctx("focus", "mcu.test");
	cli_ctx = ctx("mcu", "focus.test");
	listen_on("::1", 0);
	connect_to("::1", 0);
	srv.echo = true;
	cli.want = 2;
	stream_send(cli.s, STR("v6"));
	run();
	assert_memory_equal(stream_peer_addr(srv.s), "[::1]:", 6);
}

static void what_is_not_tls_fails_the_handshake(void **state)
{
	long long n;

	(void)state;
	srv_ctx = ctx("focus", "mcu.test");
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", 0);
	n = metric("protocol");
	stream_send(cli.s, STR("GET / HTTP/1.1\r\n\r\n"));
	run();
	assert_int_equal(srv.opened, 0);
	assert_int_equal(metric("protocol"), n + 1);
}

static void a_listener_refuses_more_streams_than_its_limit(void **state)
{
	struct side other = { 0 };
	struct stream_prm p = { .loop = loop, .datacb = on_data, .eventcb = on_event, .arg = &other };
	long long n;

	(void)state;
	listen_on("127.0.0.1", 1);
	connect_to("127.0.0.1", 0);
	run_ms(50);
	assert_int_equal(srv.opened, 1);
	srv_ctx = ctx(NULL, NULL);                /* only to have the metrics registered */
	n = metric("limit");
	assert_int_equal(stream_connect(&other.s, &p, "127.0.0.1", listener_port(lsn)), 0);
	run();
	assert_int_equal(other.closed, 1);
	assert_int_equal(metric("limit"), n + 1);
	srv.s = mem_deref(srv.s);                 /* and has room again when one ends */
	run_ms(50);
	assert_int_equal(stream_connect(&other.s, &p, "127.0.0.1", listener_port(lsn)), 0);
	run_ms(50);
	assert_int_equal(srv.opened, 2);
	mem_deref(other.s);
}

static void a_listener_that_ends_takes_its_handshakes_but_not_its_streams(void **state)
{
	(void)state;
	start("focus", "mcu.test", "mcu", "focus.test");
	srv.echo = true;
	cli.want = 1;
	stream_send(cli.s, STR("a"));
	run();
	lsn = mem_deref(lsn);
	cli.want = 2;
	stream_send(cli.s, STR("b"));
	run();
	assert_int_equal(cli.got.l, 2);
}

static void a_listener_without_memory_accepts_a_little_later(void **state)
{
	(void)state;
	listen_on("127.0.0.1", 0);
	connect_to("127.0.0.1", 0);
	mem_fail_after(1);
	run_ms(50);
	mem_fail_after(0);
	assert_int_equal(srv.opened, 0);
	run_ms(150);
	assert_int_equal(srv.opened, 1);
}

static void a_loop_may_end_while_streams_flush_and_linger(void **state)
{
	char *p = calloc(1, MIB);

	(void)state;
	start("focus", "mcu.test", "mcu", "focus.test");
	stream_send(cli.s, (struct str){ p, MIB });
	stream_close(cli.s);
	cli.s = mem_deref(cli.s);
	free(p);                                 /* teardown ends the loop and looks for leaks */
}

static void no_memory_is_an_error_and_leaves_nothing_behind(void **state)
{
	struct stream_prm p = { .loop = loop, .arg = &cli };
	struct listener_prm lp = { .loop = loop, .bind = "127.0.0.1", .acceptcb = on_accept, .arg = &srv };

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		mem_fail_after(i);
		assert_int_equal(stream_connect(&cli.s, &p, "127.0.0.1", 9), -ENOMEM);
	}
	for (unsigned i = 1; i <= 4; i++) {
		mem_fail_after(i);
		assert_int_equal(listener_alloc(&lsn, &lp), -ENOMEM);
	}
	mem_fail_after(0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_sides_learn_the_other_name_and_exchange_data),
		T(a_server_refuses_a_client_of_another_name_even_with_a_wildcard),
		T(a_server_refuses_a_client_of_a_foreign_ca),
		T(a_server_refuses_a_client_without_certificate),
		T(a_server_refuses_an_expired_client),
		T(a_client_refuses_a_server_of_another_name),
		T(a_client_refuses_a_server_of_a_foreign_ca),
		T(a_client_refuses_an_expired_server),
		T(wrong_files_are_told),
		T(reload_keeps_live_streams_and_a_failed_one_keeps_the_old_files),
		T(ten_mebibytes_arrive_intact_both_ways_over_tls),
		T(ten_mebibytes_arrive_intact_both_ways_over_plain_tcp),
		T(a_closed_stream_still_delivers_its_queue),
		T(closing_inside_the_data_callback_flushes_the_answer),
		T(a_full_queue_is_an_error_and_ends_the_stream),
		T(streams_may_be_dropped_in_any_callback),
		T(a_refused_connection_is_told_once),
		T(ipv6_works_too),
		T(what_is_not_tls_fails_the_handshake),
		T(a_listener_refuses_more_streams_than_its_limit),
		T(a_listener_that_ends_takes_its_handshakes_but_not_its_streams),
		T(a_listener_without_memory_accepts_a_little_later),
		T(a_loop_may_end_while_streams_flush_and_linger),
		T(no_memory_is_an_error_and_leaves_nothing_behind),
	};
	int n;

	log_set("all", "error");                 /* refusals are what is tested */
	certs_init(&certs);
	n = cmocka_run_group_tests(tests, NULL, NULL);
	certs_fini(&certs);
	return n;
}
