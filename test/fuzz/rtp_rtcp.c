/* SPDX-License-Identifier: Apache-2.0 */
/* Any datagram as RTCP; each report that is found is written again. */
#include <stdlib.h>
#include "lib/rtp/rtcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void on_sr(const struct rtcp_sr *sr, void *arg)
{
	uint8_t out[64];

	(void)arg;
	if (rtcp_encode(out, sizeof(out), sr->ssrc, sr, NULL, 0, "c") != 40)
		abort();
}

static void on_report(uint32_t from, const struct rtcp_report *r, void *arg)
{
	uint8_t out[64];

	(void)arg;
	rtcp_rtt_us(r, 0x123456789abcdef0);
	if (rtcp_encode(out, sizeof(out), from, NULL, r, 1, NULL) != 32)
		abort();
}

static void on_bye(uint32_t ssrc, void *arg)
{
	*(uint32_t *)arg ^= ssrc;
}

static void on_feedback(uint8_t pt, uint8_t fmt, uint32_t from, uint32_t media, const uint8_t *fci, size_t n, void *arg)
{
	(void)pt;
	for (size_t i = 0; i < n; i++)
		*(uint32_t *)arg += fci[i] ^ fmt ^ from ^ media;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct rtcp_handler h = { on_sr, on_report, on_bye, on_feedback };
	uint32_t sum = 0;

	rtcp_decode(p, n, &h, &sum);
	return 0;
}
