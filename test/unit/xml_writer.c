/* SPDX-License-Identifier: Apache-2.0 */
/* xml_writer.c - what the writer writes, escapes, drops and refuses */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "lib/xml/xml.h"

static void leaf_eq(const char *text, const char *want)
{
	struct xml_doc *d = NULL;
	struct xmlw w;
	struct buf b;

	buf_init(&b, 0);
	xmlw_init(&w, &b);
	xmlw_leaf(&w, "t", text);
	assert_int_equal(b.err, 0);
	assert_string_equal(b.p, want);
	assert_int_equal(xml_parse(&d, buf_view(&b)), 0);
	mem_deref(d);
	buf_fini(&b);
}

static void elements_nest_and_empty_ones_close_themselves(void **state)
{
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	xmlw_init(&w, &b);
	xmlw_start(&w, "a");
	xmlw_attr(&w, "k", "1");
	xmlw_attr(&w, "none", NULL);
	xmlw_attrf(&w, "n", "%d<", 7);
	xmlw_start(&w, "p:b");
	xmlw_end(&w);
	xmlw_leaf(&w, "c", "x");
	xmlw_leaf(&w, "c", NULL);
	xmlw_leaf(&w, "c", "");
	xmlw_raw(&w, STR("<d/>"));
	xmlw_raw(&w, STR(""));
	xmlw_end(&w);
	assert_int_equal(b.err, 0);
	assert_string_equal(b.p, "<a k=\"1\" n=\"7&lt;\"><p:b/><c>x</c><c/><d/></a>");
	buf_fini(&b);
}

static void markup_is_escaped(void **state)
{
	struct xmlw w;
	struct buf b;

	(void)state;
	leaf_eq("a<b>&c\"'", "<t>a&lt;b&gt;&amp;c\"'</t>");
	leaf_eq("]]>", "<t>]]&gt;</t>");
	leaf_eq("1\r\n\t2", "<t>1&#13;\n\t2</t>");
	buf_init(&b, 0);
	xmlw_init(&w, &b);
	xmlw_start(&w, "t");
	xmlw_attr(&w, "k", "\"<&>'\r\n\t");
	xmlw_end(&w);
	assert_string_equal(b.p, "<t k=\"&quot;&lt;&amp;&gt;'&#13;&#10;&#9;\"/>");
	buf_fini(&b);
}

static void what_xml_cannot_carry_is_dropped(void **state)
{
	(void)state;
	leaf_eq("a\x01\x08\x0b\x0c\x1f" "b", "<t>ab</t>");
	leaf_eq("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f", "<t>\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f</t>");
	leaf_eq("\xff\xfe" "a\xc3", "<t>a</t>");                     /* no UTF-8 at all, cut short */
	leaf_eq("a\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf" "b", "<t>ab</t>");      /* overlong */
	leaf_eq("a\xed\xa0\x80\xed\xbf\xbf" "b", "<t>ab</t>");         /* surrogates */
	leaf_eq("a\xef\xbf\xbe\xef\xbf\xbf" "b", "<t>ab</t>");         /* U+FFFE, U+FFFF */
	leaf_eq("a\xf4\x90\x80\x80\xf8\x88\x80\x80\x80" "b", "<t>ab</t>");
	leaf_eq("\xef\xbf\xbd\xf4\x8f\xbf\xbd\xed\x9f\xbf\xee\x80\x80",
		"<t>\xef\xbf\xbd\xf4\x8f\xbf\xbd\xed\x9f\xbf\xee\x80\x80</t>");
	leaf_eq("\xc3<", "<t>&lt;</t>");
	leaf_eq("\x01", "<t></t>");                                       /* text that vanished */
}

static void a_long_formatted_attribute_is_written_whole(void **state)
{
	static char big[2001];
	struct xmlw w;
	struct buf b;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	buf_init(&b, 0);
	xmlw_init(&w, &b);
	xmlw_start(&w, "a");
	xmlw_attrf(&w, "k", "%s", big);
	xmlw_end(&w);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.l, strlen("<a k=\"\"/>") + 2000);
	buf_fini(&b);
}

static void misuse_ends_in_the_sticky_error(void **state)
{
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	xmlw_init(&w, &b);
	xmlw_end(&w);
	assert_int_equal(b.err, -EINVAL);
	buf_reset(&b);
	xmlw_init(&w, &b);
	xmlw_start(&w, "a");
	xmlw_text(&w, "x");
	xmlw_attr(&w, "late", "1");
	assert_int_equal(b.err, -EINVAL);
	buf_reset(&b);
	xmlw_init(&w, &b);
	for (unsigned i = 0; i < XML_MAX_DEPTH; i++)
		xmlw_start(&w, "a");
	assert_int_equal(b.err, 0);
	for (unsigned i = 0; i < 10; i++)
		xmlw_start(&w, "a");
	assert_int_equal(b.err, -EINVAL);
	while (w.depth)
		xmlw_end(&w);
	buf_fini(&b);
}

static void a_full_buffer_is_told_once_at_the_end(void **state)
{
	struct xmlw w;
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	xmlw_init(&w, &b);
	xmlw_start(&w, "abcdefgh");
	xmlw_leaf(&w, "c", "x");
	xmlw_end(&w);
	assert_int_equal(b.err, -EMSGSIZE);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_nest_and_empty_ones_close_themselves),
		cmocka_unit_test(markup_is_escaped),
		cmocka_unit_test(what_xml_cannot_carry_is_dropped),
		cmocka_unit_test(a_long_formatted_attribute_is_written_whole),
		cmocka_unit_test(misuse_ends_in_the_sticky_error),
		cmocka_unit_test(a_full_buffer_is_told_once_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
