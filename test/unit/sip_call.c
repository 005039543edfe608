/* SPDX-License-Identifier: Apache-2.0 */
/* sip_call - two stacks over mutual TLS: calls, cancelling, repetitions, dialogs */
#include "test/unit/sip_pair.h"

static void answer(int code)
{
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){
		.code = code, .hdrs = "Contact: <sip:room@example.net;opaque=app:conf:audio-video:id:1>;isfocus\r\n" }), 0);
}

static void on_ok(struct peer *p, struct sip_st *st, const struct sip_msg *m)
{
	(void)p, (void)m;
	sip_reply(st, &(struct sip_reply){ .code = 200 });
}

static void an_invite_is_answered_acknowledged_and_ended(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-1", 1);
	struct sip_dlg *da, *db;
	struct sip_ct *ct;

	(void)state;
	r.body  = STR("v=0\r\n");
	r.ctype = "application/sdp";
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	assert_string_equal(sip_st_peer(b.st), "focus.test");
	assert_int_equal(sip_msg_body(b.req).l, 5);
	sip_st_set_cb(b.st, on_cancelled, on_acked, &b);
	answer(180);
	answer(200);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200 }), -EALREADY);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 200);
	assert_int_equal(a.n_prov, 1);
	ct = mem_deref(ct);

	assert_int_equal(sip_dlg_uac(&da, a.resp, "sip:alice@example.net"), 0);
	assert_int_equal(sip_dlg_uas(&db, b.req, sip_st_to_tag(b.st)), 0);
	assert_string_equal(da->remote_tag, db->local_tag);
	assert_string_equal(da->remote_target, "sip:room@example.net;opaque=app:conf:audio-video:id:1");
	assert_string_equal(db->remote_target, "sip:alice@example.net;gr=1");
	da->route = mem_deref(da->route);
	da->route = str_printf("Route: <sip:%s;transport=tls;lr>\r\n", b_dest);
	assert_int_equal(sip_dlg_ack(a.sip, da, 1), 0);
	WAIT(b.n_ack, 1);
	assert_int_equal(b.ack_err, 0);

	b.on_request = on_ok;
	assert_int_equal(sip_dlg_request(a.sip, NULL, da, "BYE", NULL, NULL, STR_NULL, on_response, &a), 0);
	WAIT(a.n_resp, 2);
	assert_int_equal(a.scode, 200);
	assert_int_equal(sip_dlg_accept(db, b.req), 0);
	assert_int_equal(sip_dlg_accept(db, b.req), -EPROTO);
	assert_int_equal(da->local_cseq, 2);
	assert_int_equal(b.n_req, 2);
	mem_deref(da);
	mem_deref(db);
}

static void a_late_answer_is_preceded_by_100(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-2", 1);

	(void)state;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(a.n_prov, 1);
	assert_int_equal(a.n_resp, 0);
	answer(486);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 486);
	PASS(20);                                       /* the ACK is absorbed */
	assert_int_equal(b.n_req, 1);
}

static void a_2xx_is_repeated_until_its_ack(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-3", 1), ack;
	char to[96];

	(void)state;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	sip_st_set_cb(b.st, NULL, on_acked, &b);
	answer(200);
	WAIT(a.n_resp, 1);
	PASS(1700);                                     /* again at 500 and 1500 ms; they change nothing for a */
	assert_int_equal(a.n_resp, 1);
	assert_int_equal(b.n_ack, 0);
	snprintf(to, sizeof(to), "<sip:room@example.net>;tag=%s", sip_st_to_tag(b.st));
	ack = r;
	ack.method = "ACK";
	ack.to = to;
	assert_int_equal(sip_ack(a.sip, &ack), 0);
	WAIT(b.n_ack, 1);
	assert_int_equal(sip_ack(a.sip, &ack), 0);      /* once more: nobody hears of it */
	PASS(50);
	assert_int_equal(b.n_ack, 1);
}

static void a_cancelled_invite_ends_with_487(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-4", 1);
	struct sip_ct *ct;

	(void)state;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	assert_int_equal(sip_cancel(ct), 0);            /* waits for the 100 */
	WAIT(b.n_req, 1);
	sip_st_set_cb(b.st, on_cancelled, on_acked, &b);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 487);
	assert_int_equal(b.n_cancel, 1);
	assert_true(sip_st_cancelled(b.st));
	assert_int_equal(sip_cancel(ct), -EINVAL);
	mem_deref(ct);
}

static void a_cancel_without_callback_is_answered_by_the_stack(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-5", 1);
	struct sip_ct *ct;

	(void)state;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	WAIT(a.n_prov, 1);
	assert_int_equal(sip_cancel(ct), 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 487);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200 }), -EALREADY);
	mem_deref(ct);
}

static void a_dropped_invite_is_cancelled_silently(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-6", 1);
	struct sip_ct *ct;

	(void)state;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	WAIT(a.n_prov, 1);
	mem_deref(ct);
	sip_st_set_cb(b.st, on_cancelled, NULL, &b);
	WAIT(b.n_cancel, 1);
	PASS(50);
	assert_int_equal(a.n_resp, 0);
	assert_int_equal(sip_transactions(a.sip), 0);
}

static void a_2xx_nobody_waits_for_is_acknowledged_and_ended(void **state)
{
	struct sip_req r = req_to_b("INVITE", "call-7", 1);
	struct sip_ct *ct;
	char contact[192];

	(void)state;
	assert_int_equal(sip_request(a.sip, &ct, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	mem_deref(ct);                                  /* before any answer */
	sip_st_set_cb(b.st, NULL, on_acked, &b);
	snprintf(contact, sizeof(contact), "Contact: <%s>\r\n", b_uri);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200, .hdrs = contact }), 0);
	b.on_request = on_ok;
	WAIT(b.n_ack, 1);
	WAIT(b.n_req, 2);
	assert_true(str_eq(sip_msg_method(b.req), STR("BYE")));
	assert_int_equal(a.n_resp, 0);
}

static void errors_carry_diagnostics(void **state)
{
	struct sip_req r = req_to_b("INFO", "call-8", 1);
	struct str v;

	(void)state;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	assert_int_equal(sip_replyf(b.st, 403, 1019, "not \"in\"\r\nX: y"), 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(a.scode, 403);
	v = sip_msg_hdr(a.resp, "ms-diagnostics", 0);
	assert_true(str_eq(v, STR("1019;reason=\"not \\\"in\\\"  X: y\";source=\"mcu.test\"")));
	assert_null(sip_msg_hdr(a.resp, "X", 0).p);
	assert_true(sip_msg_to_tag(a.resp).l > 0);
}

static void record_routes_become_the_route_sets_of_both_sides(void **state)
{
	struct sip_req r = req_to_b("SUBSCRIBE", "call-9", 5);
	struct sip_dlg *da, *db;

	(void)state;
	r.hdrs = "Contact: <sip:alice@10.0.0.1:5061;alias=x~1~3;ob>\r\nRecord-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>\r\n"
		 "Record-Route: <sip:10.0.0.4;lr>\r\nTimestamp: 54.21\r\n";
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(b.n_req, 1);
	assert_int_equal(sip_reply(b.st, &(struct sip_reply){ .code = 200, .to_tag = "mine",
							      .hdrs = "Contact: <sip:b@c>\r\n" }), 0);
	WAIT(a.n_resp, 1);
	assert_true(str_eq(sip_msg_hdr(a.resp, "Timestamp", 0), STR("54.21")));
	assert_true(str_eq(sip_msg_to_tag(a.resp), STR("mine")));
	assert_int_equal(sip_dlg_uac(&da, a.resp, NULL), 0);
	assert_int_equal(sip_dlg_uas(&db, b.req, "mine"), 0);
	assert_string_equal(db->route, "Route: <sip:10.0.0.2;lr>\r\nRoute: <sip:10.0.0.3;lr>\r\nRoute: <sip:10.0.0.4;lr>\r\n");
	assert_string_equal(da->route, "Route: <sip:10.0.0.4;lr>\r\nRoute: <sip:10.0.0.3;lr>\r\nRoute: <sip:10.0.0.2;lr>\r\n");
	assert_string_equal(db->remote_target, "sip:alice@10.0.0.1:5061;alias=x~1~3;ob");
	assert_string_equal(da->local_uri, "sip:alice@example.net");
	assert_int_equal(db->remote_cseq, 5);
	assert_int_equal(da->local_cseq, 5);
	assert_true(sip_dlg_match(da, a.resp));
	db->remote_tag = mem_deref(db->remote_tag);
	db->remote_tag = str_dup(STR("other"));
	assert_int_equal(sip_dlg_accept(db, b.req), -ENOENT);
	mem_deref(da);
	mem_deref(db);
}

static void requests_of_the_called_side_reach_the_caller(void **state)
{
	struct sip_req r = req_to_b("SUBSCRIBE", "call-10", 1);
	struct sip_dlg *db;
	char contact[192];

	(void)state;
	snprintf(contact, sizeof(contact), "Contact: <sip:alice@127.0.0.1:%u>\r\n", sip_port(a.sip));
	r.hdrs = contact;
	b.on_request = on_ok;
	assert_int_equal(sip_request(a.sip, NULL, &r, on_response, &a), 0);
	WAIT(a.n_resp, 1);
	assert_int_equal(sip_dlg_uas(&db, b.req, sip_st_to_tag(b.st)), 0);
	assert_int_equal(sip_dlg_request(b.sip, NULL, db, "BENOTIFY", "Event: conference\r\n", "text/plain", STR("hi"),
					 on_response, &b), 0);
	WAIT(a.n_req, 1);
	assert_true(str_eq(sip_msg_method(a.req), STR("BENOTIFY")));
	assert_int_equal(sip_transactions(b.sip), 1);   /* the kept answer alone */
	a.on_request = on_ok;
	assert_int_equal(sip_dlg_request(b.sip, NULL, db, "NOTIFY", "Event: conference\r\n", NULL, STR_NULL,
					 on_response, &b), 0);
	WAIT(b.n_resp, 1);
	assert_int_equal(b.scode, 200);
	assert_int_equal(sip_msg_cseq(a.req), 2);
	mem_deref(db);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		T(an_invite_is_answered_acknowledged_and_ended),
		T(a_late_answer_is_preceded_by_100),
		T(a_2xx_is_repeated_until_its_ack),
		T(a_cancelled_invite_ends_with_487),
		T(a_cancel_without_callback_is_answered_by_the_stack),
		T(a_dropped_invite_is_cancelled_silently),
		T(a_2xx_nobody_waits_for_is_acknowledged_and_ended),
		T(errors_carry_diagnostics),
		T(record_routes_become_the_route_sets_of_both_sides),
		T(requests_of_the_called_side_reach_the_caller),
	};

	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
