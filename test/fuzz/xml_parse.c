/* SPDX-License-Identifier: Apache-2.0 */
/* xml_parse.c - any bytes into the XML reader; what it takes must survive being copied and read again */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "lib/xml/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct xml_node *n, unsigned depth)
{
	if (!n || depth > XML_MAX_DEPTH)
		abort();
	(void)strlen(xml_name(n));
	(void)strlen(xml_ns(n));
	(void)strlen(xml_text(n));
	(void)xml_attr(n, NULL, "entity");
	if (!xml_is(n, xml_ns(n), xml_name(n)))
		abort();
	for (const struct xml_node *c = xml_first(n); c; c = xml_next(c, NULL, NULL))
		walk(c, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_doc *d = NULL, *e = NULL;
	struct buf a, b;

	if (xml_parse(&d, (struct str){ (const char *)data, size }))
		return 0;
	walk(xml_root(d), 1);
	buf_init(&a, 0);
	buf_init(&b, 0);
	if (xml_copy(xml_root(d), &a))
		abort();
	if (a.l <= XML_MAX_BYTES) {             /* escapes may have made it longer than a body may be */
		if (xml_parse(&e, buf_view(&a)) || xml_copy(xml_root(e), &b) || !str_eq(buf_view(&a), buf_view(&b)))
			abort();
	}
	buf_fini(&a);
	buf_fini(&b);
	mem_deref(d);
	mem_deref(e);
	return 0;
}
