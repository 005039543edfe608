/* SPDX-License-Identifier: Apache-2.0 */
/* xml_xml.c - reading: what is taken, what is refused and how soon, what a copy looks like */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/xml/xml.h"

static int parse_err(const char *s)
{
	struct xml_doc *d = NULL;
	int err = xml_parse(&d, str_c(s));

	assert_true(err ? !d : !!d);
	mem_deref(d);
	return err;
}

static struct xml_doc *parse(const char *s)
{
	struct xml_doc *d = NULL;

	assert_int_equal(xml_parse(&d, str_c(s)), 0);
	return d;
}

static char *repeat(const char *head, const char *piece, size_t times, const char *tail)
{
	struct buf b;

	buf_init(&b, 0);
	buf_puts(&b, head);
	for (size_t i = 0; i < times; i++)
		buf_puts(&b, piece);
	buf_puts(&b, tail);
	assert_int_equal(b.err, 0);
	return b.p;                     /* free() */
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int parse_big(char *s, double *ms)
{
	double from = cpu_ms();
	int err = parse_err(s);

	*ms = cpu_ms() - from;
	free(s);
	return err;
}

static void elements_are_found_by_namespace_and_local_name(void **state)
{
	struct xml_doc *d = parse("<a xmlns='u:1' xmlns:p='u:2'>\n <p:b k='1'/>\n <b k='2'/><c/><p:b k='3'/></a>");
	const struct xml_node *r = xml_root(d), *n;

	(void)state;
	assert_true(xml_is(r, "u:1", "a"));
	assert_false(xml_is(r, "u:2", "a"));
	assert_true(xml_is(r, NULL, "a"));
	assert_string_equal(xml_name(xml_first(r)), "b");
	n = xml_child(r, "u:2", "b");
	assert_string_equal(xml_attr(n, NULL, "k"), "1");
	n = xml_next(n, "u:2", "b");
	assert_string_equal(xml_attr(n, NULL, "k"), "3");
	assert_null(xml_next(n, "u:2", "b"));
	assert_string_equal(xml_attr(xml_child(r, "u:1", "b"), "", "k"), "2");
	assert_null(xml_child(r, "u:3", "b"));
	mem_deref(d);
}

static void nothing_is_asked_of_a_missing_node(void **state)
{
	(void)state;
	assert_null(xml_root(NULL));
	assert_null(xml_child(NULL, NULL, "a"));
	assert_null(xml_next(NULL, NULL, "a"));
	assert_null(xml_first(NULL));
	assert_null(xml_text(NULL));
	assert_null(xml_attr(NULL, NULL, "a"));
	assert_false(xml_is(NULL, NULL, "a"));
}

static void attributes_are_told_apart_by_namespace(void **state)
{
	struct xml_doc *d = parse("<a xmlns='u:1' xmlns:p='u:2' state='plain' p:state='ext' p:only='x'/>");
	const struct xml_node *r = xml_root(d);

	(void)state;
	assert_string_equal(xml_attr(r, "", "state"), "plain");
	assert_string_equal(xml_attr(r, "u:2", "state"), "ext");
	assert_string_equal(xml_attr(r, NULL, "only"), "x");
	assert_null(xml_attr(r, "", "only"));
	assert_null(xml_attr(r, NULL, "xmlns"));
	assert_null(xml_attr(r, NULL, "p"));
	mem_deref(d);
}

static void text_is_trimmed_and_references_are_resolved(void **state)
{
	struct xml_doc *d = parse("<a><b> \r\n x &lt;&amp;&#x41;&quot; y\t</b><c/><d>  </d><e><![CDATA[ <z> ]]></e>"
				  "<f>one<!-- -->two</f><g> \n<h/>after</g><i k=' &amp;&#9;&gt; '/></a>");
	const struct xml_node *r = xml_root(d);

	(void)state;
	assert_string_equal(xml_text(xml_child(r, NULL, "b")), "x <&A\" y");
	assert_string_equal(xml_text(xml_child(r, NULL, "c")), "");
	assert_string_equal(xml_text(xml_child(r, NULL, "d")), "");
	assert_string_equal(xml_text(xml_child(r, NULL, "e")), "<z>");
	assert_string_equal(xml_text(xml_child(r, NULL, "f")), "onetwo");
	assert_string_equal(xml_text(xml_child(r, NULL, "g")), "after");
	assert_string_equal(xml_attr(xml_child(r, NULL, "i"), NULL, "k"), " &\t> ");
	mem_deref(d);
}

static void markup_inside_quotes_does_not_end_a_tag(void **state)
{
	struct xml_doc *d = parse("<a k='>' l = \"/>'&lt;/a>\" m='x/'\n>\n<b c=\"'\"  /><d\n/></a >");
	const struct xml_node *r = xml_root(d);

	(void)state;
	assert_string_equal(xml_attr(r, "", "k"), ">");
	assert_string_equal(xml_attr(xml_child(r, "", "b"), "", "c"), "'");
	assert_non_null(xml_child(r, "", "d"));
	mem_deref(d);
}

static void a_byte_order_mark_and_space_around_are_taken(void **state)
{
	(void)state;
	assert_int_equal(parse_err("\xef\xbb\xbf<?xml version=\"1.0\"?>\r\n<a/>\r\n"), 0);
	assert_int_equal(parse_err("\r\n <?xml version='1.0'?><a/>"), 0);
	assert_int_equal(parse_err("<?xml version='1.0' encoding='utf-16'?><a>\xc3\xa4</a>"), 0);
}

static void a_body_that_is_not_well_formed_is_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "x", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<a k=1/>", "<a k='1' k='2'/>", "<a>&nbsp;</a>",
		"<a><b></a></b>", "<a>&#0;</a>", "<a>\x01</a>", "<a>\xff</a>", "<a>\xc3</a>", "<p:a/>", "<a p:k='1'/>",
		"<a k='<'/>", "<a><!-- </a>", "<a><![CDATA[ </a>", "<a>&lt</a>", "<?xml version='1.0'?>", "<!-- x -->",
		"<a>]]></a>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_err(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
}

static void utf16_is_refused(void **state)
{
	static const char be[] = "\xfe\xff\0<\0a\0/\0>", le[] = "<\0a\0/\0>\0";
	struct xml_doc *d = NULL;

	(void)state;
	assert_int_equal(xml_parse(&d, (struct str){ be, sizeof(be) - 1 }), -EBADMSG);
	assert_int_equal(xml_parse(&d, (struct str){ le, sizeof(le) - 1 }), -EBADMSG);
	assert_int_equal(xml_parse(&d, STR("<a>\0</a>")), -EBADMSG);
}

static void a_doctype_is_refused_wherever_it_stands(void **state)
{
	(void)state;
	assert_int_equal(parse_err("<!DOCTYPE a><a/>"), -EBADMSG);
	assert_int_equal(parse_err("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), -EBADMSG);
	assert_int_equal(parse_err("<?xml version='1.0'?><!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>"), -EBADMSG);
	assert_int_equal(parse_err("<!-- x --><!DOCTYPE a PUBLIC 'p' 'http://127.0.0.1:1/x'><a/>"), -EBADMSG);
	assert_int_equal(parse_err("<a><!ENTITY x 'y'></a>"), -EBADMSG);
	assert_int_equal(parse_err("<a><!-- <!DOCTYPE a> --><![CDATA[<!DOCTYPE a>]]></a>"), 0);
}

static void every_prefix_of_a_document_is_refused(void **state)
{
	static const char doc[] = "<?xml version='1.0'?><a xmlns:p='u:1'><!-- c --><p:b k='v&amp;'>t<![CDATA[x]]></p:b></a>";
	struct xml_doc *d = NULL;

	(void)state;
	for (size_t n = 0; n < sizeof(doc) - 1; n++)
		assert_int_equal(xml_parse(&d, (struct str){ doc, n }), -EBADMSG);
	assert_int_equal(xml_parse(&d, STR(doc)), 0);
	mem_deref(d);
}

static void depth_is_bounded(void **state)
{
	char *s = repeat("", "<a>", XML_MAX_DEPTH, ""), *ok;
	double ms;

	(void)state;
	ok = repeat(s, "</a>", XML_MAX_DEPTH, "");
	free(s);
	assert_int_equal(parse_big(ok, &ms), 0);
	assert_int_equal(parse_big(repeat("", "<a>", XML_MAX_DEPTH + 1, "</a>"), &ms), -EMSGSIZE);
}

static void a_mebibyte_of_nested_elements_is_refused_at_once(void **state)
{
	double ms;

	(void)state;
	assert_int_equal(parse_big(repeat("", "<a>", XML_MAX_BYTES / 3, ""), &ms), -EMSGSIZE);
	assert_true(ms < 100);
}

static void a_mebibyte_of_attributes_is_refused_at_once(void **state)
{
	struct buf b;
	double ms;

	(void)state;
	buf_init(&b, 0);
	buf_puts(&b, "<a");
	for (unsigned i = 0; b.l < XML_MAX_BYTES - 64; i++)
		buf_printf(&b, " a%x=''", i);
	buf_puts(&b, "/>");
	assert_int_equal(parse_big(b.p, &ms), -EMSGSIZE);
	assert_true(ms < 100);
}

static void a_mebibyte_of_elements_is_refused_at_the_bound(void **state)
{
	double ms;

	(void)state;
	assert_int_equal(parse_big(repeat("<a>", "<b/>", XML_MAX_NODES - 1, "</a>"), &ms), 0);
	assert_int_equal(parse_big(repeat("<a>", "<b/>", XML_MAX_NODES, "</a>"), &ms), -EMSGSIZE);
	assert_int_equal(parse_big(repeat("<a>", "<b/>", XML_MAX_BYTES / 4 - 8, "</a>"), &ms), -EMSGSIZE);
	assert_true(ms < 500);
}

static void namespaces_in_scope_are_bounded(void **state)
{
	struct buf b;
	double ms;

	(void)state;
	buf_init(&b, 0);
	for (unsigned i = 0; i < 4; i++) {
		buf_puts(&b, "<a");
		for (unsigned j = 0; j < 100; j++)
			buf_printf(&b, " xmlns:p%u='u:%u'", 100 * i + j, j);
		buf_puts(&b, ">");
	}
	buf_puts(&b, "</a></a></a></a>");
	assert_int_equal(parse_big(b.p, &ms), -EMSGSIZE);
}

static void a_body_beyond_a_mebibyte_is_refused_unread(void **state)
{
	double ms;

	(void)state;
	assert_int_equal(parse_big(repeat("<a>", "x", XML_MAX_BYTES, "</a>"), &ms), -EMSGSIZE);
	assert_int_equal(parse_big(repeat("<a>", "x", XML_MAX_BYTES - 7, "</a>"), &ms), 0);
}

static void copy_eq(const char *doc, const char *child, const char *want)
{
	struct xml_doc *d = parse(doc);
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(xml_copy(child ? xml_child(xml_root(d), NULL, child) : xml_root(d), &b), 0);
	assert_string_equal(b.p, want);
	buf_fini(&b);
	mem_deref(d);
}

static void a_copy_declares_the_namespaces_it_stood_in(void **state)
{
	(void)state;
	copy_eq("<a xmlns='u:1' xmlns:p='u:2' xmlns:q='u:3'><p:b xmlns:q='u:4' q:k='v'><c/> <q:d>&lt;x&gt;</q:d></p:b></a>",
		"b",
		"<p:b xmlns:q=\"u:4\" xmlns=\"u:1\" xmlns:p=\"u:2\" q:k=\"v\"><c/> <q:d>&lt;x&gt;</q:d></p:b>");
	copy_eq("<a xmlns='u:1'><b xmlns=''><c/></b></a>", "b", "<b xmlns=\"\"><c/></b>");
	copy_eq("<a>x<b/>y &amp; z</a>", NULL, "<a>x<b/>y &amp; z</a>");
	copy_eq("<a xml:lang='de' k='&#10;&quot;'/>", NULL, "<a xml:lang=\"de\" k=\"&#10;&quot;\"/>");
}

static void a_copy_parses_to_the_same_copy(void **state)
{
	struct xml_doc *d = parse("<a xmlns='u:1' xmlns:p='u:2'>\r\n<p:b k=' &#13; '>&#13;&amp;</p:b></a>"), *e = NULL;
	struct buf x, y;

	(void)state;
	buf_init(&x, 0);
	buf_init(&y, 0);
	assert_int_equal(xml_copy(xml_root(d), &x), 0);
	assert_int_equal(xml_parse(&e, buf_view(&x)), 0);
	assert_int_equal(xml_copy(xml_root(e), &y), 0);
	assert_string_equal(x.p, y.p);
	buf_fini(&x);
	buf_fini(&y);
	mem_deref(d);
	mem_deref(e);
}

static void each_allocation_may_fail(void **state)
{
	char *s = repeat("<a xmlns:p='u:1'>", "<p:b k='some value'> text </p:b>", 500, "</a>");
	size_t live = mem_live();
	unsigned n = 1;

	(void)state;
	for (;; n++) {
		struct xml_doc *d = NULL;
		int err;

		mem_fail_after(n);
		err = xml_parse(&d, str_c(s));
		mem_fail_after(0);
		mem_deref(d);
		assert_int_equal(mem_live(), live);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
	}
	assert_true(n > 5);
	free(s);
}

static void refusals_are_counted(void **state)
{
	struct buf b;

	(void)state;
	parse_err("<a>");
	buf_init(&b, 0);
	metric_render(&b);
	assert_non_null(strstr(b.p, "conclave_xml_refused_total{reason=\"malformed\"} "));
	assert_null(strstr(b.p, "conclave_xml_refused_total{reason=\"malformed\"} 0\n"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_found_by_namespace_and_local_name),
		cmocka_unit_test(nothing_is_asked_of_a_missing_node),
		cmocka_unit_test(attributes_are_told_apart_by_namespace),
		cmocka_unit_test(text_is_trimmed_and_references_are_resolved),
		cmocka_unit_test(markup_inside_quotes_does_not_end_a_tag),
		cmocka_unit_test(a_byte_order_mark_and_space_around_are_taken),
		cmocka_unit_test(a_body_that_is_not_well_formed_is_refused),
		cmocka_unit_test(utf16_is_refused),
		cmocka_unit_test(a_doctype_is_refused_wherever_it_stands),
		cmocka_unit_test(every_prefix_of_a_document_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_mebibyte_of_nested_elements_is_refused_at_once),
		cmocka_unit_test(a_mebibyte_of_attributes_is_refused_at_once),
		cmocka_unit_test(a_mebibyte_of_elements_is_refused_at_the_bound),
		cmocka_unit_test(namespaces_in_scope_are_bounded),
		cmocka_unit_test(a_body_beyond_a_mebibyte_is_refused_unread),
		cmocka_unit_test(a_copy_declares_the_namespaces_it_stood_in),
		cmocka_unit_test(a_copy_parses_to_the_same_copy),
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(refusals_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
