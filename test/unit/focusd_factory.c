/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_factory.c - conferencing servers: health reports (hostile ones too), placement, limits, new instances; and what the
 * edge says of a caller */
#include "focusd/caller.h"
#include "lib/c3p/msg.h"
#include "test/unit/focusd_world.h"

#define ALICE "alice@" DOMAIN

/* --- health reports as documents */
static int ping(const char *attrs)
{
	char text[2048];
	struct c3p_req r;
	const char *why = "";
	int err;

	snprintf(text, sizeof(text), "<request xmlns=\"" C3P_NS "\" xmlns:oc=\"" C3P_NS_OC "\" requestId=\"1\" from=\"a\" to=\"b\"><ping>"
		 "<oc:health %s/></ping></request>", attrs);
	assert_int_equal(c3p_req_decode(&r, str_c(text)), 0);
	err = factory_ping(&app, xml_child(r.cmd, NULL, "health"), &why);
	c3p_req_fini(&r);
	assert_true(!err || *why);
	return err;
}

static const char *health(const char *id, const char *instance, unsigned seq, const char *more)
{
	static char b[1024];

	snprintf(b, sizeof(b), "id=\"%s\" type=\"audio-video\" instance=\"%s\" seq=\"%u\" state=\"active\" url=\"https://127.0.0.1:1/x\" "
		 "contact=\"127.0.0.1:5063\" %s", id, instance, seq, more);
	return b;
}

#define LOAD(users, max, load) "users=\"" #users "\" maxUsers=\"" #max "\" load=\"" #load "\" conferences=\"1\" maxConferences=\"5\""

static const char *pick(const char *exclude)
{
	bool known = false;
	struct mcu *m = factory_pick(&app, "audio-video", exclude, &known);

	if (m)
		m->conferences--;
	return m ? m->id : known ? "none fits" : "none";
}

static void hostile_health_reports_are_refused_or_cut(void **state)
{
	static const char *const bad[] = {
		"", "id=\"mcu-1\"",
		"id=\"mcu-1\" type=\"audio-video\" instance=\"i\" url=\"http://127.0.0.1/\" contact=\"127.0.0.1:1\"",
		"id=\"mcu 1\" type=\"audio-video\" instance=\"i\" url=\"https://127.0.0.1/\" contact=\"127.0.0.1:1\"",
		"id=\"mcu-1\" type=\"audio-video\" instance=\"i&#10;X: y\" url=\"https://127.0.0.1/\" contact=\"127.0.0.1:1\"",
		"id=\"mcu-1\" type=\"audio-video\" instance=\"i\" url=\"https://127.0.0.1/\" contact=\"127.0.0.1:1&#13;&#10;Evil: 1\"",
		"id=\"mcu-1\" type=\"audio-video\" instance=\"i\" url=\"https://127.0.0.1/\" contact=\"\"",
		"id=\"mcu-1\" instance=\"i\" url=\"https://127.0.0.1/\" contact=\"127.0.0.1:1\"",
		"id=\"0123456789012345678901234567890123456789012345678901234567890123\" type=\"t\" instance=\"i\" url=\"https://x/\" contact=\"1:1\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ping(bad[i]), -EBADMSG);
	assert_int_equal(factory_ping(&app, NULL, &(const char *){ NULL }), -EBADMSG);
	assert_null(app.factory->mcus);
	assert_int_equal(ping(health("mcu-1", "i", 1, "users=\"999999999\" maxUsers=\"999999999999999999999\" load=\"-1\" seq2=\"x\"")), 0);
	assert_int_equal(factory_find(&app, "mcu-1")->users, 1000000);
	assert_int_equal(factory_find(&app, "mcu-1")->max_users, 1000);
	assert_string_equal(pick(NULL), "none fits");
}

static void the_table_of_servers_is_bounded(void **state)
{
	char id[16];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "mcu-%u", i);
		assert_int_equal(ping(health(id, "i", 1, LOAD(0, 10, 0))), i < 256 ? 0 : -E2BIG);
	}
	assert_int_equal(HASH_COUNT(app.factory->mcus), 256);
}

static void the_less_loaded_of_two_is_taken_and_full_ones_never(void **state)
{
	unsigned light = 0;

	(void)state;
	assert_string_equal(pick(NULL), "none");
	ping(health("light", "i", 1, LOAD(1, 10, 5)));
	ping(health("heavy", "i", 1, LOAD(8, 10, 5)));
	ping(health("full", "i", 1, LOAD(10, 10, 5)));
	ping(health("drained", "i", 1, LOAD(0, 10, 0)));
	factory_find(&app, "drained")->state = MCU_DRAINING;
	for (unsigned i = 0; i < 400; i++) {
		const char *id = pick(NULL);

		assert_true(!strcmp(id, "light") || !strcmp(id, "heavy"));
		light += !strcmp(id, "light");
	}
	assert_in_range(light, 240, 360);        /* 3 of 4: both picks heavy is the other one */
	assert_string_equal(pick("light,"), "heavy");
	assert_string_equal(pick("light,heavy,"), "none fits");
}

static void announced_users_count_until_the_next_report(void **state)
{
	(void)state;
	ping(health("mcu-1", "i", 1, LOAD(5, 6, 0)));
	factory_find(&app, "mcu-1")->announced = 1;
	assert_string_equal(pick(NULL), "none fits");
	ping(health("mcu-1", "i", 2, LOAD(5, 7, 0)));
	assert_string_equal(pick(NULL), "mcu-1");
}

static void an_overtaken_report_changes_nothing(void **state)
{
	(void)state;
	ping(health("mcu-1", "i", 5, LOAD(3, 10, 0)));
	assert_int_equal(ping(health("mcu-1", "i", 4, LOAD(9, 10, 0))), 0);
	assert_int_equal(factory_find(&app, "mcu-1")->users, 3);
}

static struct endpoint *put_leg(const char *node, const char *instance)
{
	struct endpoint *e;
	struct user *u;

	schedule(POLICY_OPEN);
	conf_activate(&app.confs, the_conf(), app_wall_s());
	conf_set_mcu(&app.confs, the_conf(), SESSION_AV, CONF_MCU_READY, node, instance);
	assert_int_equal(user_add(&u, &app.confs, the_conf(), "sip:x@y", NULL, "X", ROLE_ATTENDEE, AUTH_NONE), 0);
	assert_int_equal(endpoint_add(&e, &app.confs, u, "{leg}", SESSION_AV), 0);
	endpoint_set_status(&app.confs, e, EP_CONNECTED);
	return e;
}

static void a_new_instance_means_that_the_old_ones_legs_are_gone(void **state)
{
	(void)state;
	ping(health("mcu-1", "i1", 9, LOAD(0, 10, 0)));
	put_leg("mcu-1", "i1");
	ping(health("mcu-1", "i2", 1, LOAD(0, 10, 0)));
	assert_string_equal(factory_find(&app, "mcu-1")->instance, "i2");
	assert_null(the_conf()->users);
	assert_int_equal(the_conf()->mcu[SESSION_AV].state, CONF_MCU_NONE);
}

static void one_that_stops_is_gone_at_once(void **state)
{
	(void)state;
	ping(health("mcu-1", "i1", 1, LOAD(0, 10, 0)));
	put_leg("mcu-1", "i1");
	ping("id=\"mcu-1\" type=\"audio-video\" instance=\"i1\" seq=\"2\" state=\"stopping\" url=\"https://127.0.0.1:1/x\" contact=\"127.0.0.1:1\"");
	assert_null(factory_find(&app, "mcu-1"));
	assert_null(the_conf()->users);
}

static void one_that_refuses_connections_is_gone_within_two_probes(void **state)
{
	(void)state;
	put_leg("mcu-1", "i1");
	ping(health("mcu-1", "i1", 1, LOAD(0, 10, 0)));      /* nobody listens there */
	pass(2500);
	assert_null(factory_find(&app, "mcu-1"));
	assert_null(the_conf()->users);
}

/* --- callers */
static int decode(struct caller *c, const char *hdrs)
{
	char text[1024];
	struct sip_msg *m;
	int err;

	snprintf(text, sizeof(text), "INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nTo: <sip:x@y>\r\nCall-ID: 1\r\n"
		 "CSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n", hdrs);
	assert_int_equal(sip_msg_decode(&m, str_c(text)), 0);
	err = caller_decode(c, m);
	mem_deref(m);
	return err;
}

#define FROM "From: \"Ann\" <sip:ann@b>;tag=1;epid=abc\r\n"

static void a_caller_is_who_the_edge_says(void **state)
{
	struct caller c;

	(void)state;
	assert_int_equal(decode(&c, FROM "P-Asserted-Identity: \"Alice\" <sip:alice@EXAMPLE.net;x=1>\r\n"
				    "Conclave-Access: user;media=any;udp\r\nSupported: timer\r\n"), 0);
	assert_string_equal(c.entity, "sip:alice@example.net");
	assert_string_equal(c.display, "Alice");
	assert_string_equal(c.instance, "epid=abc");
	assert_true(c.plain_ok && c.udp && c.timer);
	assert_int_equal(caller_auth(&c), AUTH_ENTERPRISE);
	caller_fini(&c);
	assert_int_equal(decode(&c, FROM "Conclave-Access: trunk;name=t1;media=srtp\r\n"), 0);
	assert_null(c.entity);
	assert_string_equal(c.display, "Ann");
	assert_false(c.plain_ok || c.udp);
	assert_int_equal(caller_auth(&c), AUTH_NONE);
	caller_fini(&c);
	assert_int_equal(decode(&c, FROM "Contact: <sip:p@1.2.3.4:5061>;+sip.instance=\"<urn:uuid:1>\"\r\nConclave-Access: trunk\r\n"), 0);
	assert_non_null(strstr(c.instance, "urn:uuid:1"));
	caller_fini(&c);
}

static void a_caller_of_whom_the_edge_says_nothing_is_nobody(void **state)
{
	static const struct { const char *hdrs; int err; } rows[] = {
		{ FROM, -EACCES }, { FROM "Conclave-Access: root\r\n", -EACCES }, { FROM "Conclave-Access: user\r\n", -EACCES },
		{ FROM "Conclave-Access: federated\r\n", -EACCES }, { FROM "Conclave-Access:\r\n", -EACCES },
		{ FROM "Conclave-Access: user\r\nP-Asserted-Identity: <>\r\n", -EBADMSG },
		{ FROM "Conclave-Access: user\r\nP-Asserted-Identity: <http://x>\r\n", -EBADMSG },
	};
	struct caller c;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(decode(&c, rows[i].hdrs), rows[i].err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hostile_health_reports_are_refused_or_cut), T(the_table_of_servers_is_bounded),
		T(the_less_loaded_of_two_is_taken_and_full_ones_never), T(announced_users_count_until_the_next_report),
		T(an_overtaken_report_changes_nothing), T(a_new_instance_means_that_the_old_ones_legs_are_gone),
		T(one_that_stops_is_gone_at_once), T(one_that_refuses_connections_is_gone_within_two_probes),
		cmocka_unit_test(a_caller_is_who_the_edge_says), cmocka_unit_test(a_caller_of_whom_the_edge_says_nothing_is_nobody),
	};

	return cmocka_run_group_tests(tests, world_certs, world_certs_end);
}
