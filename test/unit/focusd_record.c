/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_record.c - conference records read and written, and roster documents, without a loop */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "focusd/notify.h"
#include "focusd/record.h"
#include "lib/base/mem.h"

static struct app    app;
static struct c3p_req req;

static int setup(void **state)
{
	(void)state;
	app = (struct app){ .cfg = { .mcu_types = "audio-video, chat", .default_expiry_s = 3600, .anonymous_allowed = true } };
	confs_init(&app.confs);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	confs_fini(&app.confs);
	return 0;
}

/* conference-info with these children of its description, and what follows it */
static const char *decode(struct record *r, const char *description, const char *more)
{
	static char text[400000];

	snprintf(text, sizeof(text), "<request xmlns=\"" C3P_NS "\" xmlns:ci=\"" C3P_NS_CI "\" xmlns:msci=\"" C3P_NS_MSCI "\" "
		 "requestId=\"1\"><addConference><ci:conference-info entity=\"\" version=\"7\"><ci:conference-description>%s"
		 "</ci:conference-description>%s</ci:conference-info></addConference></request>", description, more);
	assert_int_equal(c3p_req_decode(&req, str_c(text)), 0);
	return record_decode(r, &app, xml_child(req.cmd, NULL, "conference-info"));
}

static void done(struct record *r)
{
	record_fini(r);
	c3p_req_fini(&req);
}

#define ID "<msci:conference-id>ABCD1234</msci:conference-id>"

static void a_record_is_read_with_its_defaults(void **state)
{
	struct record r;

	(void)state;
	assert_null(decode(&r, ID "<ci:subject>Budget</ci:subject>", ""));
	assert_string_equal(r.subject, "Budget");
	assert_string_equal(r.conf_id, "ABCD1234");
	assert_int_equal(r.policy, POLICY_OPEN);
	assert_in_range(r.expiry_s, app_wall_s() + 3590, app_wall_s() + 3610);
	assert_true(r.has_version && r.version == 7);
	assert_int_equal(r.invited.l, 0);
	done(&r);
}

static void people_and_types_become_lines_and_a_list(void **state)
{
	struct record r;

	(void)state;
	assert_null(decode(&r, ID, "<ci:users><ci:user entity=\"SIP:Bob@Example.NET;x=1\"><ci:roles><ci:entry>presenter</ci:entry></ci:roles>"
			   "</ci:user><ci:user entity=\"sip:carol@x\"/></ci:users><msci:conference-view><msci:entity-view entity=\"chat\"/>"
			   "<msci:entity-view entity=\"audio-video\"/><msci:entity-view entity=\"chat\"/></msci:conference-view>"));
	assert_string_equal(r.invited.p, "presenter sip:Bob@example.net\nattendee sip:carol@x\n");
	assert_string_equal(r.types.p, "chat,audio-video");
	done(&r);
}

static void what_is_wrong_with_a_record_is_named(void **state)
{
	static char longer[700];
	static const struct { const char *d, *more, *why; } rows[] = {
		{ "", "", "invalidConferenceId" },
		{ "<msci:conference-id>ABC</msci:conference-id>", "", "invalidConferenceId" },
		{ "<msci:conference-id>ABCD-1234</msci:conference-id>", "", "invalidConferenceId" },
		{ ID "<msci:admission-policy>everybody</msci:admission-policy>", "", "invalidAdmissionPolicy" },
		{ ID "<msci:expiry-time>soon</msci:expiry-time>", "", "invalidExpiryTime" },
		{ ID "<msci:expiry-time>1999-01-01T00:00:00Z</msci:expiry-time>", "", "invalidExpiryTime" },
		{ ID "<msci:expiry-time>2999-01-01T00:00:00Z</msci:expiry-time>", "", "invalidExpiryTime" },
		{ ID, "<ci:users><ci:user entity=\"bob\"/></ci:users>", "invalidUserEntity" },
		{ ID, "<ci:users><ci:user/></ci:users>", "invalidUserEntity" },
		{ ID, "<ci:users><ci:user entity=\"sip:a@b&#10;presenter sip:eve@x\"/></ci:users>", "invalidUserEntity" },
		{ ID, "<ci:users><ci:user entity=\"sip:a@b\"><ci:roles><ci:entry>king</ci:entry></ci:roles></ci:user></ci:users>", "invalidRole" },
		{ ID, "<msci:conference-view><msci:entity-view entity=\"telepathy\"/></msci:conference-view>", "unknownMcuType" },
		{ ID, "<msci:conference-view><msci:entity-view entity=\"meeting\"/></msci:conference-view>", "mcuTypeNotAvailable" },
		{ longer, "", "requestTooLarge" },
	};
	struct record r;
	int n = sprintf(longer, ID "<ci:subject>");

	(void)state;
	memset(longer + n, 'x', 520);
	strcpy(longer + n + 520, "</ci:subject>");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = decode(&r, rows[i].d, rows[i].more);

		assert_non_null(why);
		assert_string_equal(why, rows[i].why);
		done(&r);
	}
	app.cfg.anonymous_allowed = false;
	assert_string_equal(decode(&r, ID "<msci:admission-policy>anonymous</msci:admission-policy>", ""), "anonymousUsersNotAllowed");
	done(&r);
	assert_string_equal(record_decode(&r, &app, NULL), "requestMalformed");
	record_fini(&r);
}

static void a_list_of_people_without_end_is_refused(void **state)
{
	static char users[350000];
	struct record r;
	char *p = users;

	(void)state;
	p += sprintf(p, "<ci:users>");
	for (unsigned i = 0; i < 5000; i++)
		p += sprintf(p, "<ci:user entity=\"sip:%037u@x\"/>", i);
	sprintf(p, "</ci:users>");
	assert_string_equal(decode(&r, ID, users), "maxMeetingSizeExceeded");
	done(&r);
}

/* --- writing */
static struct conf *make_conf(const char *subject)
{
	struct conf *c = NULL;
	const struct conf_prm p = { .organizer = "alice", .domain = "x", .conf_id = "ABCD1234", .subject = subject, .policy = POLICY_CLOSED,
				    .expiry_s = 1935511200, .invited = "presenter sip:bob@x\n", .types = "audio-video" };

	assert_int_equal(conf_add(&c, &app.confs, &p), 0);
	return c;
}

static void a_record_that_was_written_is_read_the_same(void **state)
{
	struct conf *c = make_conf("Q & A <\"1\">");
	struct c3p_resp resp;
	struct record r;
	struct xmlw w;
	struct buf b;

	(void)state;
	c->record_version = 9;
	buf_init(&b, 0);
	c3p_begin_response(&w, &b, &(struct c3p_env){ .request_id = "1" }, C3P_SUCCESS, NULL);
	xmlw_start(&w, "getConference");
	record_encode(&w, c, true);
	xmlw_end(&w);
	assert_int_equal(c3p_end(&w), 0);
	assert_int_equal(c3p_resp_decode(&resp, buf_view(&b)), 0);
	assert_null(record_decode(&r, &app, xml_child(resp.cmd, NULL, "conference-info")));
	assert_string_equal(r.subject, c->subject);
	assert_string_equal(r.invited.p, c->invited);
	assert_string_equal(r.types.p, c->types);
	assert_int_equal(r.policy, POLICY_CLOSED);
	assert_int_equal(r.expiry_s, 1935511200);
	assert_int_equal(r.version, 9);
	record_fini(&r);
	c3p_resp_fini(&resp);
	buf_fini(&b);
}

static struct user *add(struct conf *c, const char *entity, const char *display, const char *ep, enum ep_status st)
{
	struct endpoint *e;
	struct user *u;

	assert_int_equal(user_add(&u, &app.confs, c, entity, entity, display, ROLE_ATTENDEE, AUTH_ENTERPRISE), 0);
	assert_int_equal(endpoint_add(&e, &app.confs, u, ep, SESSION_AV), 0);
	endpoint_set_status(&app.confs, e, st);
	return u;
}

static struct xml_doc *encode(const struct roster_doc *d)
{
	struct xml_doc *doc = NULL;
	struct buf b;

	buf_init(&b, 0);
	roster_encode(&b, d);
	assert_int_equal(b.err, 0);
	assert_int_equal(xml_parse(&doc, buf_view(&b)), 0);
	buf_fini(&b);
	return doc;
}

static unsigned count_users(const struct xml_doc *doc, const char *state)
{
	const struct xml_node *users = xml_child(xml_root(doc), C3P_NS_CI, "users");
	unsigned n = 0;

	for (const struct xml_node *u = xml_child(users, C3P_NS_CI, "user"); u; u = xml_next(u, C3P_NS_CI, "user"))
		n += !state || cstr_eq(xml_attr(u, NULL, "state"), state);
	return n;
}

static void a_full_document_holds_everybody_who_is_there_and_is_xml_whatever_they_are_called(void **state)
{
	struct conf *c = make_conf("S");
	const struct xml_node *root;
	struct xml_doc *doc;

	(void)state;
	add(c, "sip:bob@x", "<b>\xff\xfe\x01 \"&' \xed\xa0\x80", "{1}", EP_CONNECTED);
	add(c, "sip:eve@x", "Eve", "{2}", EP_PENDING);
	add(c, "sip:&\"'<>@x", NULL, "{&<\"}", EP_ALERTING);
	doc = encode(&(struct roster_doc){ .conf = c, .version = 4000000000u, .full = true });
	root = xml_root(doc);
	assert_string_equal(xml_attr(root, NULL, "version"), "4000000000");
	assert_string_equal(xml_attr(root, NULL, "state"), "full");
	assert_int_equal(count_users(doc, NULL), 2);
	assert_string_equal(xml_text(xml_child(xml_child(root, NULL, "conference-state"), NULL, "user-count")), "2");
	assert_non_null(xml_child(root, C3P_NS_MSCI, "conference-view"));
	assert_non_null(xml_child(root, NULL, "conference-description"));
	mem_deref(doc);
}

static void a_partial_document_holds_what_changed_only(void **state)
{
	struct conf *c = make_conf("S");
	struct user *bob = add(c, "sip:bob@x", "Bob", "{1}", EP_CONNECTED);
	char *gone[] = { (char *)(uintptr_t)"sip:old@x", (char *)(uintptr_t)"sip:bob@x" };
	struct xml_doc *doc;

	(void)state;
	add(c, "sip:carol@x", "Carol", "{2}", EP_CONNECTED);
	doc = encode(&(struct roster_doc){ .conf = c, .version = 2, .users = &bob, .nusers = 1, .gone = gone, .ngone = 2 });
	assert_string_equal(xml_attr(xml_root(doc), NULL, "state"), "partial");
	assert_int_equal(count_users(doc, "full"), 1);
	assert_int_equal(count_users(doc, "deleted"), 1);    /* bob left and came back */
	assert_null(xml_child(xml_root(doc), NULL, "conference-state"));
	assert_null(xml_child(xml_root(doc), NULL, "conference-description"));
	mem_deref(doc);
	doc = encode(&(struct roster_doc){ .conf = c, .version = 3, .state = true });
	assert_non_null(xml_child(xml_root(doc), NULL, "conference-state"));
	assert_null(xml_child(xml_root(doc), NULL, "users"));
	mem_deref(doc);
}

static void the_size_of_a_user_is_what_he_takes_in_a_document(void **state)
{
	struct conf *c = make_conf("S");
	struct user *bob = add(c, "sip:bob@x", "Bob", "{1}", EP_CONNECTED), *none = bob;
	struct buf with, without;

	(void)state;
	buf_init(&with, 0);
	buf_init(&without, 0);
	roster_encode(&with, &(struct roster_doc){ .conf = c, .full = true, .users = &bob, .nusers = 1 });
	roster_encode(&without, &(struct roster_doc){ .conf = c, .full = true, .users = &none, .nusers = 0 });
	assert_in_range(with.l - without.l, roster_user_size(bob), roster_user_size(bob) + 16);
	buf_fini(&with);
	buf_fini(&without);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void nobody_is_on_the_list_twice_and_a_list_has_its_bound(void **state)
{
	static char users[300000];
	struct record r;
	size_t n = 0;

	(void)state;
	assert_string_equal(decode(&r, ID, "<ci:users><ci:user entity=\"sip:a@x\"/><ci:user entity=\"sip:b@x\"/>"
				   "<ci:user entity=\"SIP:A@X;transport=tls\"/></ci:users>"), "userExists");
	done(&r);
	assert_null(decode(&r, ID, "<ci:users><ci:user entity=\"sip:a@x\"/><ci:user entity=\"sip:a@y\"/></ci:users>"));
	done(&r);
	n = (size_t)sprintf(users, "<ci:users>");
	for (unsigned i = 0; i < 3000; i++)
		n += (size_t)sprintf(users + n, "<ci:user entity=\"sip:user%u@x\"/>", i);
	sprintf(users + n, "</ci:users>");
	assert_string_equal(decode(&r, ID, users), "maxMeetingSizeExceeded");
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_record_is_read_with_its_defaults), T(people_and_types_become_lines_and_a_list), T(what_is_wrong_with_a_record_is_named),
		T(nobody_is_on_the_list_twice_and_a_list_has_its_bound), T(people_and_types_become_lines_and_a_list), T(what_is_wrong_with_a_record_is_named),
		T(a_list_of_people_without_end_is_refused), T(a_record_that_was_written_is_read_the_same),
		T(a_full_document_holds_everybody_who_is_there_and_is_xml_whatever_they_are_called),
		T(a_partial_document_holds_what_changed_only), T(the_size_of_a_user_is_what_he_takes_in_a_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
