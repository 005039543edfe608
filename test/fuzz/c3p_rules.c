/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_rules.c - media filters of roles: what is read from a document is written and read again as the same */
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/c3p/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct c3p_rule *r, unsigned n, bool full)
{
	static struct c3p_rule back[C3P_NRULES];
	struct xml_doc *doc;
	struct xmlw w;
	struct buf b;
	bool was_full;
	unsigned m;

	buf_init(&b, 0);
	buf_puts(&b, "<x xmlns:ci=\"i\" xmlns:msci=\"m\" xmlns:oc=\"o\">");
	xmlw_init(&w, &b);
	c3p_rules_encode(&w, r, n, full, SIZE_MAX);
	buf_puts(&b, "</x>");
	if (!b.err && xml_parse(&doc, buf_view(&b)) == 0) {
		if (xml_first(xml_root(doc)) && (c3p_rules_decode(back, &m, &was_full, xml_first(xml_root(doc))) || was_full != full || m > n))
			abort();
		mem_deref(doc);
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct c3p_rule r[C3P_NRULES];
	struct xml_doc *doc;
	bool full;
	unsigned n;

	if (xml_parse(&doc, (struct str){ (const char *)data, size }))
		return 0;
	if (!c3p_rule_decode(&r[0], xml_root(doc)))
		again(r, 1, false);
	if (!c3p_rules_decode(r, &n, &full, xml_root(doc)))
		again(r, n, full);
	mem_deref(doc);
	return 0;
}
