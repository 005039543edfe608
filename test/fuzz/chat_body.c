/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes what chat reads from a client: accept list, content type and multipart body, the description, typing.
 *
 * First line: the accept list; second: the content type; the rest: the body.
 */
#include <stdlib.h>
#include "lib/base/mem.h"
#include "mcu/chat/body.h"
#include "mcu/chat/imdoc.h"
#include "mcu/chat/imsdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct str s)
{
	volatile char sum = 0;

	for (size_t i = 0; i < s.l; i++)
		sum = (char)(sum + s.p[i]);
	(void)sum;
}

static void choose(const struct body *b, const struct mime_accept *a, bool whole)
{
	struct mime_part p;
	struct buf out;

	if (body_choose(&p, b, a, whole))
		return;
	touch(p.ctype);
	touch(p.body);
	buf_init(&out, 0);
	body_prefix(&out, &p, STR("A & B"));
	if (!out.err && out.l < p.body.l)
		abort();
	buf_fini(&out);
}

static void describe(struct str text)
{
	struct imsdp_prm prm = { "127.0.0.1", "mcu", 1, 1, 5060 };
	struct imsdp *s = mem_zalloc(sizeof(*s), NULL);
	struct imsdp again;
	struct buf b;

	if (s && !imsdp_decode(s, text)) {
		buf_init(&b, 0);
		if (imsdp_encode(&b, s, &prm) || imsdp_decode(&again, buf_view(&b)) || again.active != s->active)
			abort();
		buf_fini(&b);
	}
	mem_deref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);            /* exactly as long, so that reading on is seen */
	struct str rest = { copy, size }, list, ctype;
	struct mime_accept a;
	struct body b;
	bool typing;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	list  = str_cut(&rest, '\n');
	ctype = str_trim(str_cut(&rest, '\n'));
	mime_accept_decode(&a, list);
	body_init(&b, ctype, rest);
	choose(&b, &a, true);
	choose(&b, &a, false);
	touch(mime_param(ctype, STR("charset")));
	imdoc_typing_decode(&typing, rest);
	describe(rest);
	free(copy);
	return 0;
}
