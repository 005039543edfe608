/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_info.c - users, endpoints, media and entity views of the conference document */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/c3p/info.h"

static const struct c3p_endpoint av = {
	.entity = "{A1}", .session_type = "audio-video", .uri = "tel:+15550100", .state = "full", .status = "connected",
	.joining_method = "dialed-in", .joining_when = "2030-01-01T00:00:00Z", .disconnection_method = "departed",
	.call_id = "c1", .from_tag = "f1", .to_tag = "t1", .leg = "v1 <x>", .talking = true, .nmedia = 2,
	.media = {
		{ .id = "1", .type = "audio", .label = "main-audio", .status = "sendrecv", .display_text = "Mic", .src_id = "7",
		  .state = "connected", .ingress = "block", .egress = "unblock" },
		{ .id = "2", .type = "video" },
	},
};
static const struct c3p_user bob = {
	.entity = "sip:bob@example.net", .display_text = "Bob & \"Co\"", .role = "presenter", .state = "full",
	.nendpoints = 1, .endpoints = &av,
};

static void a_user_is_written_in_the_order_of_the_schema(void **state)
{
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	xmlw_init(&w, &b);
	c3p_user_encode(&w, true, &bob);
	assert_int_equal(b.err, 0);
	assert_string_equal(b.p,
		"<user entity=\"sip:bob@example.net\" state=\"full\"><display-text>Bob &amp; \"Co\"</display-text>"
		"<roles><entry>presenter</entry></roles>"
		"<endpoint entity=\"{A1}\" state=\"full\" msci:session-type=\"audio-video\" msci:endpoint-uri=\"tel:+15550100\""
		" oc:leg=\"v1 &lt;x&gt;\" oc:talking=\"true\">"
		"<status>connected</status><joining-method>dialed-in</joining-method>"
		"<joining-info><when>2030-01-01T00:00:00Z</when></joining-info><disconnection-method>departed</disconnection-method>"
		"<media id=\"1\"><display-text>Mic</display-text><type>audio</type><label>main-audio</label><src-id>7</src-id>"
		"<status>sendrecv</status><msci:media-state>connected</msci:media-state>"
		"<msci:media-ingress-filter>block</msci:media-ingress-filter>"
		"<msci:media-egress-filter>unblock</msci:media-egress-filter></media>"
		"<media id=\"2\"><type>video</type></media>"
		"<call-info><sip><call-id>c1</call-id><from-tag>f1</from-tag><to-tag>t1</to-tag></sip></call-info>"
		"</endpoint></user>");
	buf_fini(&b);
}

static void a_user_comes_back_as_it_was_written(void **state)
{
	const struct c3p_env env = { .request_id = "1" };
	struct c3p_endpoint e;
	struct c3p_req r;
	struct c3p_user u;
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	c3p_begin_request(&w, &b, &env);
	xmlw_start(&w, "addUser");
	c3p_user_encode(&w, false, &bob);
	xmlw_end(&w);
	assert_int_equal(c3p_end(&w), 0);
	assert_int_equal(c3p_req_decode(&r, buf_view(&b)), 0);
	assert_int_equal(c3p_user_decode(&u, xml_child(r.cmd, C3P_NS_CI, "user")), 0);
	assert_string_equal(u.entity, bob.entity);
	assert_string_equal(u.display_text, bob.display_text);
	assert_string_equal(u.role, "presenter");
	assert_string_equal(u.state, "full");
	assert_int_equal(u.nendpoints, 1);
	assert_int_equal(c3p_endpoint_decode(&e, xml_child(u.node, C3P_NS_CI, "endpoint")), 0);
	assert_string_equal(e.entity, "{A1}");
	assert_string_equal(e.session_type, "audio-video");
	assert_string_equal(e.uri, "tel:+15550100");
	assert_string_equal(e.state, "full");
	assert_string_equal(e.status, "connected");
	assert_string_equal(e.joining_method, "dialed-in");
	assert_string_equal(e.joining_when, av.joining_when);
	assert_string_equal(e.disconnection_method, "departed");
	assert_string_equal(e.call_id, "c1");
	assert_string_equal(e.from_tag, "f1");
	assert_string_equal(e.to_tag, "t1");
	assert_string_equal(e.leg, "v1 <x>");
	assert_true(e.talking);
	assert_int_equal(e.nmedia, 2);
	assert_string_equal(e.media[0].label, "main-audio");
	assert_string_equal(e.media[0].src_id, "7");
	assert_string_equal(e.media[0].display_text, "Mic");
	assert_string_equal(e.media[0].state, "connected");
	assert_string_equal(e.media[0].ingress, "block");
	assert_string_equal(e.media[0].egress, "unblock");
	assert_null(e.media[1].status);
	assert_null(e.media[1].ingress);
	c3p_req_fini(&r);
	buf_fini(&b);
}

/* as a client of this family writes a mute: the filter in a namespace of its own, without a prefix */
static void filters_are_read_in_either_spelling(void **state)
{
	struct xml_doc *d = NULL;
	struct c3p_media m;

	(void)state;
	assert_int_equal(xml_parse(&d, STR("<ci:media xmlns:ci='" C3P_NS_CI "' id='1'>"
		"<ci:type>audio</ci:type><ci:status>recvonly</ci:status>"
		"<media-ingress-filter xmlns='" C3P_NS_MSCI "'> Block </media-ingress-filter>"
		"<media-egress-filter>perhaps</media-egress-filter></ci:media>")), 0);
	assert_int_equal(c3p_media_decode(&m, xml_root(d)), 0);
	assert_string_equal(m.id, "1");
	assert_string_equal(m.type, "audio");
	assert_string_equal(m.status, "recvonly");
	assert_string_equal(m.ingress, "block");
	assert_null(m.egress);
	mem_deref(d);
}

static int decode_endpoint(const char *xml)
{
	struct xml_doc *d = NULL;
	struct c3p_endpoint e;
	int err = xml_parse(&d, str_c(xml));

	assert_int_equal(err, 0);
	err = c3p_endpoint_decode(&e, xml_root(d));
	mem_deref(d);
	return err;
}

static void things_without_a_key_are_refused(void **state)
{
	struct c3p_endpoint e;
	struct c3p_media m;
	struct c3p_user u;

	(void)state;
	assert_int_equal(c3p_user_decode(&u, NULL), -EBADMSG);
	assert_int_equal(c3p_endpoint_decode(&e, NULL), -EBADMSG);
	assert_int_equal(c3p_media_decode(&m, NULL), -EBADMSG);
	assert_int_equal(decode_endpoint("<endpoint/>"), -EBADMSG);
	assert_int_equal(decode_endpoint("<endpoint entity=''/>"), -EBADMSG);
	assert_int_equal(decode_endpoint("<endpoint entity='x'><media/></endpoint>"), -EBADMSG);
	assert_int_equal(decode_endpoint("<endpoint entity='x'><media id='1'/></endpoint>"), 0);
}

static int decode_user_with(unsigned endpoints, unsigned media)
{
	struct xml_doc *d = NULL;
	struct c3p_endpoint e;
	struct c3p_user u;
	struct buf b;
	int err;

	buf_init(&b, 0);
	buf_puts(&b, "<user entity='u'>");
	for (unsigned i = 0; i < endpoints; i++) {
		buf_printf(&b, "<endpoint entity='%u'>", i);
		for (unsigned j = 0; j < media; j++)
			buf_printf(&b, "<media id='%u'/>", j);
		buf_puts(&b, "</endpoint>");
	}
	buf_puts(&b, "</user>");
	assert_int_equal(xml_parse(&d, buf_view(&b)), 0);
	err = c3p_user_decode(&u, xml_root(d));
	if (!err)
		err = c3p_endpoint_decode(&e, xml_child(u.node, NULL, "endpoint"));
	mem_deref(d);
	buf_fini(&b);
	return err;
}

static void endpoints_and_media_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(decode_user_with(C3P_MAX_ENDPOINTS, C3P_MAX_MEDIA), 0);
	assert_int_equal(decode_user_with(C3P_MAX_ENDPOINTS + 1, 1), -EBADMSG);
	assert_int_equal(decode_user_with(1, C3P_MAX_MEDIA + 1), -EBADMSG);
}

static void view_eq(bool dflt, const struct c3p_entity_view *v, const char *want)
{
	struct xmlw w;
	struct buf b;

	buf_init(&b, 0);
	xmlw_init(&w, &b);
	c3p_entity_view_encode(&w, dflt, v);
	assert_int_equal(b.err, 0);
	assert_string_equal(b.p, want);
	buf_fini(&b);
}

static void an_entity_view_tells_its_lock_and_its_media(void **state)
{
	struct c3p_entity_view v = { .entity = "C", .active = true, .media_types = { "chat" } };

	(void)state;
	view_eq(true, &v, "<msci:entity-view ci:state=\"full\" entity=\"C\"><msci:entity-capabilities/><msci:entity-state>"
		"<msci:active>true</msci:active><msci:locked>false</msci:locked>"
		"<msci:media><entry label=\"chat\"><type>chat</type><status>sendrecv</status></entry></msci:media>"
		"</msci:entity-state></msci:entity-view>");
	v = (struct c3p_entity_view){ .entity = "A", .state = "partial", .locked = true, .media_types = { "audio", "video" } };
	view_eq(false, &v, "<msci:entity-view ci:state=\"partial\" entity=\"A\"><msci:entity-state>"
		"<msci:active>false</msci:active><msci:locked>true</msci:locked>"
		"<msci:media><ci:entry label=\"main-audio\"><ci:type>audio</ci:type><ci:status>sendrecv</ci:status></ci:entry>"
		"<ci:entry label=\"main-video\"><ci:type>video</ci:type><ci:status>sendrecv</ci:status></ci:entry></msci:media>"
		"</msci:entity-state></msci:entity-view>");
	v.state = "deleted";
	view_eq(false, &v, "<msci:entity-view ci:state=\"deleted\" entity=\"A\"/>");
	v = (struct c3p_entity_view){ .entity = "M", .media_types = { "meeting", "a", "b", "c" } };
	view_eq(true, &v, "<msci:entity-view ci:state=\"full\" entity=\"M\"><msci:entity-capabilities/><msci:entity-state>"
		"<msci:active>false</msci:active><msci:locked>false</msci:locked><msci:media>"
		"<entry><type>meeting</type><status>sendrecv</status></entry><entry><type>a</type><status>sendrecv</status></entry>"
		"<entry><type>b</type><status>sendrecv</status></entry><entry><type>c</type><status>sendrecv</status></entry>"
		"</msci:media></msci:entity-state></msci:entity-view>");
}

static void media_types_have_their_labels(void **state)
{
	(void)state;
	assert_string_equal(c3p_media_label("audio"), "main-audio");
	assert_string_equal(c3p_media_label("video"), "main-video");
	assert_string_equal(c3p_media_label("chat"), "chat");
	assert_string_equal(c3p_media_label("applicationsharing"), "applicationsharing");
	assert_null(c3p_media_label("meeting"));
	assert_null(c3p_media_label(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_written_in_the_order_of_the_schema),
		cmocka_unit_test(a_user_comes_back_as_it_was_written),
		cmocka_unit_test(filters_are_read_in_either_spelling),
		cmocka_unit_test(things_without_a_key_are_refused),
		cmocka_unit_test(endpoints_and_media_are_bounded),
		cmocka_unit_test(an_entity_view_tells_its_lock_and_its_media),
		cmocka_unit_test(media_types_have_their_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
