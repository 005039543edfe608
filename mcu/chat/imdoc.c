/* SPDX-License-Identifier: Apache-2.0 */
/* imdoc.c - delivery reports (MS-CONFIM 2.2.2) and typing (RFC 3994, KeyboardActivity), see imdoc.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "lib/base/mem.h"
#include "mcu/chat/imdoc.h"

#define NS_IMDN "http://schemas.microsoft.com/rtc/2005/08/imdn"

static void recipient(struct xmlw *w, const struct imdoc_result *r)
{
	char code[12];

	snprintf(code, sizeof(code), "%d", r->code);
	xmlw_start(w, "recipient");
	xmlw_attrf(w, "uri", "<%s>", r->uri);
	xmlw_leaf(w, "status", code);
	if (r->diag) {
		xmlw_start(w, "entry");
		xmlw_leaf(w, "key", "ms-diagnostics");
		xmlw_leaf(w, "value", r->diag);
		xmlw_end(w);
	}
	xmlw_end(w);
}

int imdoc_imdn(struct buf *b, uint64_t message_id, const struct imdoc_result *r, unsigned n)
{
	char id[24];
	struct xmlw w;

	snprintf(id, sizeof(id), "%" PRIu64, message_id);
	buf_puts(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n");
	xmlw_init(&w, b);
	xmlw_start(&w, "imdn");
	xmlw_attr(&w, "xmlns", NS_IMDN);
	xmlw_leaf(&w, "message-id", id);
	for (unsigned i = 0; i < n; i++)
		recipient(&w, &r[i]);
	xmlw_end(&w);
	return b->err;
}

int imdoc_typing_decode(bool *typing, struct str body)
{
	const struct xml_node *root;
	struct xml_doc *d;
	const char *v = NULL;

	if (xml_parse(&d, body))
		return -EBADMSG;
	root = xml_root(d);
	if (xml_is(root, NULL, "KeyboardActivity"))
		v = xml_attr(xml_child(root, NULL, "status"), NULL, "status");
	else if (xml_is(root, NULL, "isComposing"))
		v = xml_text(xml_child(root, NULL, "state"));
	if (v)
		*typing = cstr_ieq(v, "type") || cstr_ieq(v, "active");
	mem_deref(d);
	return v ? 0 : -EBADMSG;
}

int imdoc_typing_encode(struct buf *b, bool typing)
{
	buf_printf(b, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<KeyboardActivity><status status=\"%s\"/>"
		   "</KeyboardActivity>", typing ? "type" : "idle");
	return b->err;
}
