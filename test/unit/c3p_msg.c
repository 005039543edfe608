/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_msg.c - the C3P envelope, both ways */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/c3p/msg.h"

#define FOCUS "sip:alice@example.net;gruu;opaque=app:conf:focus:id:7Q2M4ZK1"
#define AV    "sip:alice@example.net;gruu;opaque=app:conf:audio-video:id:7Q2M4ZK1"

static const char mute[] =
	"<?xml version=\"1.0\"?>\r\n"
	"<request xmlns=\"" C3P_NS "\" xmlns:mscp=\"" C3P_NS_MSCP "\" C3PVersion=\"1\" to=\"" FOCUS "\""
	" from=\"sip:bob@example.net\" requestId=\"41\">"
	"<modifyEndpointMedia mscp:mcuUri=\"" AV "\"><mediaKeys confEntity=\"" FOCUS "\" userEntity=\"sip:bob@example.net\""
	" endpointEntity=\"{A1}\" mediaId=\"1\"/>"
	"<ci:media xmlns:ci=\"" C3P_NS_CI "\" id=\"1\"/></modifyEndpointMedia></request>";

static int req_err(const char *s)
{
	struct c3p_req r;
	int err = c3p_req_decode(&r, str_c(s));

	if (!err)
		c3p_req_fini(&r);
	return err;
}

static int resp_err(const char *s)
{
	struct c3p_resp r;
	int err = c3p_resp_decode(&r, str_c(s));

	if (!err)
		c3p_resp_fini(&r);
	return err;
}

static void a_command_of_a_client_is_read(void **state)
{
	struct c3p_req r;

	(void)state;
	assert_int_equal(c3p_req_decode(&r, STR(mute)), 0);
	assert_string_equal(r.request_id, "41");
	assert_string_equal(r.from, "sip:bob@example.net");
	assert_string_equal(r.to, FOCUS);
	assert_string_equal(r.command, "modifyEndpointMedia");
	assert_string_equal(r.mcu_uri, AV);
	assert_null(r.epoch);
	assert_null(r.requested_by);
	assert_string_equal(r.keys.conf_entity, FOCUS);
	assert_string_equal(r.keys.user_entity, "sip:bob@example.net");
	assert_string_equal(r.keys.endpoint_entity, "{A1}");
	assert_string_equal(r.keys.media_id, "1");
	assert_string_equal(r.keys.conf_id, "");
	assert_non_null(xml_child(r.cmd, C3P_NS_CI, "media"));
	c3p_req_fini(&r);
}

static void prefixes_and_order_do_not_matter(void **state)
{
	struct c3p_req r;

	(void)state;
	assert_int_equal(c3p_req_decode(&r, STR("<x:request xmlns:x='" C3P_NS "' xmlns:y='" C3P_NS_OC "' requestId='3.17'"
		" y:epoch='3'"
		" y:requestedBy='sip:b@x' y:requestedRole='attendee' unknown='1'>\n <x:getConference>\n <x:conferenceKeys"
		" xmlns:m='" C3P_NS_MSCI "' m:conference-id='ABC'/></x:getConference>\n</x:request>")), 0);
	assert_string_equal(r.command, "getConference");
	assert_string_equal(r.from, "");
	assert_string_equal(r.to, "");
	assert_string_equal(r.epoch, "3");
	assert_string_equal(r.requested_by, "sip:b@x");
	assert_string_equal(r.requested_role, "attendee");
	assert_string_equal(r.keys.conf_id, "ABC");
	assert_string_equal(r.keys.conf_entity, "");
	assert_null(r.mcu_uri);
	c3p_req_fini(&r);
}

static void our_own_notify_is_a_command(void **state)
{
	struct c3p_req r;

	(void)state;
	assert_int_equal(c3p_req_decode(&r, STR("<request xmlns='" C3P_NS "' xmlns:oc='" C3P_NS_OC "' requestId='1'>"
		"<oc:notify/></request>")), 0);
	assert_string_equal(r.command, "notify");
	assert_true(xml_is(r.cmd, C3P_NS_OC, "notify"));
	c3p_req_fini(&r);
}

#define REQ(attrs, body) "<request xmlns='" C3P_NS "' " attrs ">" body "</request>"
static void an_envelope_with_a_fault_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "<request", "<request requestId='1'><ping/></request>",
		"<response xmlns='" C3P_NS "' requestId='1' code='success'><ping/></response>",
		REQ("", "<ping/>"), REQ("requestId=''", "<ping/>"), REQ("requestId='1'", ""),
		REQ("requestId='1'", "text"), REQ("requestId='1'", "<ping/><ping/>"),
		REQ("requestId='1' C3PVersion='2'", "<ping/>"), REQ("requestId='1' C3PVersion=''", "<ping/>"),
		REQ("requestId='1'", "<ping xmlns='urn:other'/>"), REQ("requestId='1'", "<ping xmlns=''/>"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (req_err(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(req_err(REQ("requestId='1'", "<ping/>")), 0);
}

static void a_failure_gives_its_reason(void **state)
{
	struct c3p_resp r;

	(void)state;
	assert_int_equal(c3p_resp_decode(&r, STR("<response xmlns='" C3P_NS "' requestId='7' from='f' to='t' code='failure'>"
		"<addUser reason='unauthorized'/></response>")), 0);
	assert_int_equal(r.code, C3P_FAILURE);
	assert_string_equal(r.reason, "unauthorized");
	assert_string_equal(r.command, "addUser");
	assert_string_equal(r.request_id, "7");
	assert_string_equal(r.from, "f");
	assert_string_equal(r.to, "t");
	c3p_resp_fini(&r);
	assert_int_equal(c3p_resp_decode(&r, STR("<response xmlns='" C3P_NS "' requestId='7' code='failure' reason='timeout'>"
		"<addUser/></response>")), 0);
	assert_string_equal(r.reason, "timeout");
	c3p_resp_fini(&r);
	assert_int_equal(c3p_resp_decode(&r, STR("<response xmlns='" C3P_NS "' requestId='7' code='pending'>"
		"<addUser reason='x'/></response>")), 0);
	assert_int_equal(r.code, C3P_PENDING);
	assert_string_equal(r.reason, "");
	c3p_resp_fini(&r);
}

static void a_response_without_a_known_code_is_refused(void **state)
{
	(void)state;
	assert_int_equal(resp_err("<response xmlns='" C3P_NS "' requestId='7'><addUser/></response>"), -EBADMSG);
	assert_int_equal(resp_err("<response xmlns='" C3P_NS "' requestId='7' code='maybe'><addUser/></response>"), -EBADMSG);
	assert_int_equal(resp_err("<response xmlns='" C3P_NS "' code='success'><addUser/></response>"), -EBADMSG);
	assert_int_equal(resp_err("<response xmlns='" C3P_NS "' requestId='7' code='success'/>"), -EBADMSG);
}

static void what_is_written_is_read_back(void **state)
{
	const struct c3p_env env = { "3.9", "sip:<f>&\"@x", "sip:t@x", "3", "sip:bob@example.net", "presenter", "https://h/" };
	const struct c3p_keys keys = { FOCUS, NULL, "sip:bob@example.net", "{A1}", "1" };
	struct c3p_req r;
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	c3p_begin_request(&w, &b, &env);
	xmlw_start(&w, "modifyEndpointMedia");
	xmlw_attr(&w, "mscp:mcuUri", AV);
	c3p_write_keys(&w, "mediaKeys", &keys);
	xmlw_end(&w);
	assert_int_equal(c3p_end(&w), 0);
	assert_int_equal(c3p_req_decode(&r, buf_view(&b)), 0);
	assert_string_equal(r.request_id, env.request_id);
	assert_string_equal(r.from, env.from);
	assert_string_equal(r.epoch, "3");
	assert_string_equal(r.requested_by, env.requested_by);
	assert_string_equal(r.requested_role, "presenter");
	assert_string_equal(r.mcu_uri, AV);
	assert_string_equal(r.keys.endpoint_entity, "{A1}");
	assert_string_equal(xml_attr(xml_root(r.doc), C3P_NS_OC, "callback"), "https://h/");
	c3p_req_fini(&r);
	buf_fini(&b);
}

static void a_simple_response_has_reason_and_keys(void **state)
{
	const struct c3p_env env = { .request_id = "5", .from = FOCUS, .to = "sip:bob@example.net" };
	const struct c3p_keys keys = { .conf_entity = FOCUS, .user_entity = "sip:carol@example.net" };
	struct c3p_resp r;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_int_equal(c3p_simple_response(&b, &env, C3P_FAILURE, "deleteUser", "userDoesntExist", &keys), 0);
	assert_int_equal(c3p_resp_decode(&r, buf_view(&b)), 0);
	assert_string_equal(r.reason, "userDoesntExist");
	assert_string_equal(xml_attr(xml_root(r.doc), "", "reason"), "userDoesntExist");
	assert_string_equal(xml_attr(xml_child(r.cmd, C3P_NS, "userKeys"), "", "userEntity"), "sip:carol@example.net");
	c3p_resp_fini(&r);

	buf_reset(&b);
	assert_int_equal(c3p_simple_response(&b, &env, C3P_SUCCESS, "ping", NULL, NULL), 0);
	assert_int_equal(c3p_resp_decode(&r, buf_view(&b)), 0);
	assert_int_equal(r.code, C3P_SUCCESS);
	assert_null(xml_first(r.cmd));
	assert_null(xml_attr(xml_root(r.doc), NULL, "reason"));
	c3p_resp_fini(&r);
	buf_fini(&b);
}

static void an_element_left_open_is_an_error(void **state)
{
	const struct c3p_env env = { .request_id = "5" };
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	c3p_begin_request(&w, &b, &env);
	xmlw_start(&w, "ping");
	assert_int_equal(c3p_end(&w), -EINVAL);
	buf_fini(&b);
}

static void each_allocation_may_fail(void **state)
{
	size_t live = mem_live();
	struct c3p_req r;
	int err = -1;

	(void)state;
	for (unsigned n = 1; err; n++) {
		mem_fail_after(n);
		err = c3p_req_decode(&r, STR(mute));
		mem_fail_after(0);
		if (err)
			assert_int_equal(err, -ENOMEM);
		else
			c3p_req_fini(&r);
		assert_int_equal(mem_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_of_a_client_is_read),
		cmocka_unit_test(prefixes_and_order_do_not_matter),
		cmocka_unit_test(our_own_notify_is_a_command),
		cmocka_unit_test(an_envelope_with_a_fault_is_refused),
		cmocka_unit_test(a_failure_gives_its_reason),
		cmocka_unit_test(a_response_without_a_known_code_is_refused),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_simple_response_has_reason_and_keys),
		cmocka_unit_test(an_element_left_open_is_an_error),
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
