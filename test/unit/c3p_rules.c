/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_rules.c - media filters of roles: as a command says them, as a document shows them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/c3p/rules.h"

static struct xml_doc *doc;

static const struct xml_node *parse(const char *text)
{
	mem_deref(doc);
	doc = NULL;
	assert_int_equal(xml_parse(&doc, str_c(text)), 0);
	return xml_root(doc);
}

static int teardown(void **state)
{
	(void)state;
	doc = mem_deref(doc);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static void a_command_is_one_rule_with_its_exceptions(void **state)
{
	struct c3p_rule r;

	(void)state;
	assert_null(c3p_rule_decode(&r, parse("<m><role>attendee</role><media><type>audio</type></media><ingressFilter>block</ingressFilter>"
					      "<mayModifyOwnFilters>false</mayModifyOwnFilters><exceptUser>sip:a@x</exceptUser>"
					      "<exceptUser>sip:b@x</exceptUser></m>")));
	assert_string_equal(r.role, "attendee");
	assert_int_equal(r.ingress, C3P_YES);
	assert_int_equal(r.egress, C3P_UNSAID);
	assert_int_equal(r.may_own, C3P_NO);
	assert_int_equal(r.nexcept, 2);
	assert_string_equal(r.except[1], "sip:b@x");
	assert_null(c3p_rule_decode(&r, parse("<m><egressFilter>unblock</egressFilter></m>")));
	assert_string_equal(r.role, "default");
	assert_int_equal(r.egress, C3P_NO);
}

static void what_makes_no_sense_has_its_reason(void **state)
{
	static const struct { const char *xml, *reason; } rows[] = {
		{ "<m/>", "requestMalformed" },
		{ "<m><ingressFilter>half</ingressFilter></m>", "requestMalformed" },
		{ "<m><mayModifyOwnFilters>maybe</mayModifyOwnFilters></m>", "requestMalformed" },
		{ "<m><role>king</role><ingressFilter>block</ingressFilter></m>", "invalidRole" },
		{ "<m><media><type>video</type></media><ingressFilter>block</ingressFilter></m>", "mediaNotSupported" },
		{ "<m><ingressFilter>block</ingressFilter><exceptUser/></m>", "invalidUserEntity" },
		{ "<m><ingressFilter>block</ingressFilter><exceptUser>a b</exceptUser></m>", "invalidUserEntity" },
	};
	struct c3p_rule r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(c3p_rule_decode(&r, parse(rows[i].xml)), rows[i].reason);
}

static void more_exceptions_than_are_kept_are_refused(void **state)
{
	char text[C3P_MAX_EXCEPT * 40 + 200] = "<m><ingressFilter>block</ingressFilter>";
	struct c3p_rule r;

	(void)state;
	for (unsigned i = 0; i <= C3P_MAX_EXCEPT; i++)
		strcat(text, "<exceptUser>sip:a@x</exceptUser>");
	strcat(text, "</m>");
	assert_string_equal(c3p_rule_decode(&r, parse(text)), "requestTooLarge");
	assert_int_equal(r.nexcept, C3P_MAX_EXCEPT);
}

static const char rules[] =
	"<msci:mediaFiltersRules ci:state=\"full\"><msci:initialFilters><msci:role>attendee</msci:role><msci:ingressFilter>block"
	"</msci:ingressFilter><oc:exceptUser>sip:a&amp;b@x</oc:exceptUser></msci:initialFilters><msci:mayModifyOwnFilters><msci:role>attendee"
	"</msci:role><msci:value>false</msci:value></msci:mayModifyOwnFilters><msci:mayModifyOwnFilters><msci:role>default</msci:role>"
	"<msci:value>true</msci:value><oc:exceptUser>sip:c@x</oc:exceptUser></msci:mayModifyOwnFilters></msci:mediaFiltersRules>";

static void rules_come_back_as_they_were_written(void **state)
{
	struct c3p_rule r[C3P_NRULES];
	struct xmlw w;
	struct buf b;
	unsigned n;
	bool full;

	(void)state;
	buf_init(&b, 0);
	buf_puts(&b, "<x xmlns:ci=\"i\" xmlns:msci=\"m\" xmlns:oc=\"o\">");
	buf_puts(&b, rules);
	buf_puts(&b, "</x>");
	assert_null(c3p_rules_decode(r, &n, &full, xml_first(parse(b.p))));
	assert_int_equal(n, 2);
	assert_true(full);
	assert_int_equal(r[0].ingress, C3P_YES);
	assert_int_equal(r[0].may_own, C3P_NO);
	assert_string_equal(r[0].except[0], "sip:a&b@x");
	assert_int_equal(r[1].may_own, C3P_YES);
	buf_reset(&b);
	xmlw_init(&w, &b);
	c3p_rules_encode(&w, r, n, true, SIZE_MAX);
	assert_string_equal(b.p, rules);
	buf_reset(&b);
	xmlw_init(&w, &b);
	c3p_rules_encode(&w, r, n, false, 3);
	assert_null(strstr(b.p, "exceptUser"));
	buf_reset(&b);
	xmlw_init(&w, &b);
	c3p_rules_encode(&w, NULL, 0, false, SIZE_MAX);
	assert_int_equal(b.l, 0);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_command_is_one_rule_with_its_exceptions, teardown),
		cmocka_unit_test_teardown(what_makes_no_sense_has_its_reason, teardown),
		cmocka_unit_test_teardown(more_exceptions_than_are_kept_are_refused, teardown),
		cmocka_unit_test_teardown(rules_come_back_as_they_were_written, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
