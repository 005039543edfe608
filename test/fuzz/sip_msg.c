/* SPDX-License-Identifier: Apache-2.0 */
/* sip_msg - fuzz: decoding one message, every question to it, dialogs and the answer made of it */
#include "lib/sip/sip_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void questions(const struct sip_msg *m)
{
	static const char *const names[] = { "Via", "Contact", "Record-Route", "Supported", "Subject", "X-Own", "v", "" };
	volatile size_t sum = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct str v;

		for (unsigned n = 0; n < 600 && (v = sip_msg_hdr(m, names[i], n)).p; n++)
			for (size_t k = 0; k < v.l; k++)
				sum += (unsigned char)v.p[k];
		sip_msg_has_token(m, names[i], "100rel");
	}
}

static void answer(const struct sip_msg *m)
{
	struct buf b;
	struct sip_msg *back = NULL;

	buf_init(&b, 0);
	if (!sip_encode_reply(&b, m, &(struct sip_reply){ .code = 200 }, "tag", "192.0.2.1:5061", "fuzz"))
		if (sip_msg_decode(&back, buf_view(&b)) == 0)
			mem_deref(back);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };
	struct sip_dlg *d;
	struct sip_msg *m;

	if (!sip_msg_split(&m, s)) {
		answer(m);
		mem_deref(m);
	}
	if (sip_msg_decode(&m, s))
		return 0;
	questions(m);
	if (sip_msg_is_request(m))
		answer(m);
	if (!(sip_msg_is_request(m) ? sip_dlg_uas(&d, m, "t") : sip_dlg_uac(&d, m, NULL))) {
		sip_dlg_target_refresh(d, m);
		sip_dlg_accept(d, m);
		mem_deref(d);
	}
	mem_deref(m);
	return 0;
}
