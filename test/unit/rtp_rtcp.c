/* SPDX-License-Identifier: Apache-2.0 */
/* rtp_rtcp.c - RTCP both ways, and the reports of a source */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/rtp/rtcp.h"

struct seen {
	unsigned nsr, nrep, nbye, nfb;
	struct rtcp_sr sr;
	uint32_t from, media, bye;
	struct rtcp_report rep;
	uint8_t pt, fmt, fci[64];
	size_t nfci;
};

static void on_sr(const struct rtcp_sr *sr, void *arg)
{
	struct seen *s = arg;

	s->nsr++;
	s->sr = *sr;
}

static void on_report(uint32_t from, const struct rtcp_report *r, void *arg)
{
	struct seen *s = arg;

	s->nrep++;
	s->from = from;
	s->rep = *r;
}

static void on_bye(uint32_t ssrc, void *arg)
{
	struct seen *s = arg;

	s->nbye++;
	s->bye = ssrc;
}

static void on_feedback(uint8_t pt, uint8_t fmt, uint32_t from, uint32_t media, const uint8_t *fci, size_t n, void *arg)
{
	struct seen *s = arg;

	s->nfb++;
	s->pt    = pt;
	s->fmt   = fmt;
	s->from  = from;
	s->media = media;
	s->nfci  = n;
	memcpy(s->fci, fci, n < sizeof(s->fci) ? n : sizeof(s->fci));
}

static const struct rtcp_handler handler = { on_sr, on_report, on_bye, on_feedback };

static int decode(struct seen *s, const uint8_t *p, size_t n)
{
	memset(s, 0, sizeof(*s));
	return rtcp_decode(p, n, &handler, s);
}

static const struct rtcp_sr some_sr = { .ssrc = 1, .ntp = 0x0102030405060708, .rtp_ts = 9, .packets = 10,
					.octets = 11 };
static const struct rtcp_report some_reports[2] = {
	{ .ssrc = 2, .fraction = 128, .lost = -5, .ext_seq = 70000, .jitter = 33, .lsr = 44, .dlsr = 55 },
	{ .ssrc = 3, .fraction = 255, .lost = 0x7fffff, .ext_seq = 1, .jitter = 2, .lsr = 3, .dlsr = 4 },
};

static void a_sender_report_reads_back(void **st)
{
	uint8_t p[256];
	struct seen s;
	size_t n = rtcp_encode(p, sizeof(p), 1, &some_sr, some_reports, 2, "mcu@example.net");

	(void)st;
	assert_int_equal(n, 28 + 48 + 4 + 4 + 20);
	assert_int_equal(p[0], 0x82);
	assert_int_equal(p[1], 200);
	assert_int_equal(decode(&s, p, n), 2);
	assert_int_equal(s.nsr, 1);
	assert_memory_equal(&s.sr, &some_sr, sizeof(some_sr));
	assert_int_equal(s.nrep, 2);
	assert_int_equal(s.from, 1);
	assert_int_equal(s.rep.ssrc, 3);
	assert_int_equal(s.rep.lost, 0x7fffff);
	n = rtcp_encode(p, sizeof(p), 1, NULL, some_reports, 1, NULL);
	assert_int_equal(n, 32);
	assert_int_equal(decode(&s, p, n), 1);
	assert_int_equal(s.rep.lost, -5);
	assert_int_equal(s.rep.fraction, 128);
	assert_int_equal(s.rep.ext_seq, 70000);
	assert_int_equal(s.rep.jitter, 33);
	assert_int_equal(s.rep.lsr, 44);
	assert_int_equal(s.rep.dlsr, 55);
}

static void the_cname_chunk_is_terminated_and_padded(void **st)
{
	char name[257];
	uint8_t p[512];

	(void)st;
	for (size_t l = 0; l <= 256; l++) {
		size_t n, words;

		memset(name, 'x', l);
		name[l] = 0;
		n = rtcp_encode(p, sizeof(p), 7, NULL, NULL, 0, name);
		if (l > 255) {
			assert_int_equal(n, 0);
			break;
		}
		words = (size_t)p[10] << 8 | p[11];
		assert_int_equal(n, 8 + 4 + 4 * words);
		assert_int_equal(p[8], 0x81);
		assert_int_equal(p[9], 202);
		assert_int_equal(p[17], l);
		assert_int_equal(p[18 + l], 0);
		assert_int_equal(p[n - 1], 0);
		assert_true(n - 18 - l >= 1 && n - 18 - l <= 4);
	}
}

static void nothing_is_written_past_the_room(void **st)
{
	uint8_t p[256], want[256];
	size_t full = rtcp_encode(want, sizeof(want), 1, &some_sr, some_reports, 2, "c");

	(void)st;
	for (size_t room = 0; room < full; room++) {
		uint8_t *q = malloc(room + 1);

		assert_int_equal(rtcp_encode(q, room, 1, &some_sr, some_reports, 2, "c"), 0);
		free(q);
	}
	assert_int_equal(rtcp_encode(p, full, 1, &some_sr, some_reports, 2, "c"), full);
	assert_memory_equal(p, want, full);
	assert_int_equal(rtcp_encode(p, sizeof(p), 1, NULL, some_reports, 32, NULL), 0);
	assert_int_equal(rtcp_encode_bye(p, 15, 1), 0);
	assert_int_equal(rtcp_encode_feedback(p, 11, 206, 1, 1, 2, NULL, 0), 0);
	assert_int_equal(rtcp_encode_feedback(p, sizeof(p), 205, 1, 1, 2, want, 3), 0);
}

static void bye_stands_behind_an_empty_report(void **st)
{
	uint8_t p[64];
	struct seen s;
	size_t n = rtcp_encode_bye(p, sizeof(p), 0xabcd);

	(void)st;
	assert_int_equal(n, 16);
	assert_int_equal(p[1], 201);
	assert_int_equal(decode(&s, p, n), 2);
	assert_int_equal(s.nbye, 1);
	assert_int_equal(s.bye, 0xabcd);
}

static void feedback_has_the_bytes_of_the_specification(void **st)
{
	static const struct { uint8_t pt, fmt; uint32_t media; uint8_t fci[12]; size_t n; uint8_t wire[24]; } row[] = {
		{ 206, 1, 0x1234, { 0 }, 0, { 0x81, 0xce, 0, 2, 0, 0, 0, 1, 0, 0, 0x12, 0x34 } },
		{ 206, 4, 0, { 0, 0, 0x12, 0x34, 7, 0, 0, 0 }, 8,
		  { 0x84, 0xce, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 7, 0, 0, 0 } },
		{ 205, 1, 0x1234, { 0x03, 0xe8, 0, 5 }, 4,
		  { 0x81, 0xcd, 0, 3, 0, 0, 0, 1, 0, 0, 0x12, 0x34, 0x03, 0xe8, 0, 5 } },
		{ 206, 15, 0, { 0x52, 0x45, 0x4d, 0x42, 1, 0x0b, 0xd0, 0x90, 0, 0, 0x12, 0x34 }, 12,
		  { 0x8f, 0xce, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0x52, 0x45, 0x4d, 0x42, 1, 0x0b, 0xd0, 0x90,
		    0, 0, 0x12, 0x34 } },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t p[64];
		struct seen s;
		size_t n = rtcp_encode_feedback(p, sizeof(p), row[i].pt, row[i].fmt, 1, row[i].media, row[i].fci,
						row[i].n);

		assert_int_equal(n, 12 + row[i].n);
		assert_memory_equal(p, row[i].wire, n);
		assert_int_equal(decode(&s, p, n), 1);
		assert_int_equal(s.nfb, 1);
		assert_int_equal(s.pt, row[i].pt);
		assert_int_equal(s.fmt, row[i].fmt);
		assert_int_equal(s.from, 1);
		assert_int_equal(s.media, row[i].media);
		assert_int_equal(s.nfci, row[i].n);
		assert_memory_equal(s.fci, row[i].fci, row[i].n);
	}
}

static void valid_packets_before_a_malformed_one_are_delivered(void **st)
{
	static const uint8_t bad[][8] = {
		{ 0x80, 201, 0, 9, 0, 0, 0, 1 },                 /* longer than the datagram */
		{ 0x81, 201, 0, 1, 0, 0, 0, 1 },                 /* one report announced, none there */
		{ 0x40, 201, 0, 1, 0, 0, 0, 1 },                 /* version 1 */
		{ 0x80, 100, 0, 1, 0, 0, 0, 1 },                 /* not RTCP */
		{ 0xa0, 201, 0, 1, 0, 0, 0, 0 },                 /* padding of 0 */
		{ 0xa0, 201, 0, 1, 0, 0, 0, 9 },                 /* padding beyond the packet */
		{ 0x82, 203, 0, 1, 0, 0, 0, 1 },                 /* two BYEs in room for one */
		{ 0x81, 206, 0, 1, 0, 0, 0, 1 },                 /* feedback without media source */
	};

	(void)st;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t p[256];
		struct seen s;
		size_t n = rtcp_encode(p, sizeof(p), 1, &some_sr, NULL, 0, "c");

		memcpy(p + n, bad[i], 8);
		assert_int_equal(decode(&s, p, n + 8), 2);
		assert_int_equal(s.nsr, 1);
		assert_int_equal(s.nrep + s.nbye + s.nfb, 0);
		assert_int_equal(decode(&s, bad[i], 8), -EBADMSG);
	}
}

static void every_truncation_is_survived(void **st)
{
	uint8_t p[256];
	size_t n = rtcp_encode(p, sizeof(p), 1, &some_sr, some_reports, 2, "somebody");

	(void)st;
	for (size_t i = 0; i < n; i++) {
		uint8_t *q = malloc(i + 1);
		struct seen s;

		memcpy(q, p, i);
		assert_int_equal(decode(&s, q, i), i < 76 ? -EBADMSG : 1);
		free(q);
	}
}

static void extensions_behind_the_reports_and_unknown_types_are_skipped(void **st)
{
	static const uint8_t p[] = {
		0x80, 201, 0, 4, 0, 0, 0, 1, 0, 1, 0, 12, 0, 0, 0, 2, 0, 0, 0x10, 0,   /* RR and a bandwidth block */
		0x80, 207, 0, 1, 0, 0, 0, 1, 0x80, 204, 0, 2, 0, 0, 0, 1, 'a', 'b', 'c', 'd',
		0x81, 202, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff,                   /* SDES whose item runs over */
		0x81, 203, 0, 3, 0, 0, 0, 5, 3, 'b', 'y', 'e', 0, 0, 0, 0,             /* BYE with a reason */
	};
	struct seen s;

	(void)st;
	assert_int_equal(decode(&s, p, sizeof(p)), 5);
	assert_int_equal(s.nrep, 0);
	assert_int_equal(s.bye, 5);
	assert_int_equal(rtcp_decode(p, sizeof(p), &(struct rtcp_handler){ 0 }, NULL), 5);
}

static void a_report_tells_loss_of_its_interval(void **st)
{
	struct rtp_source s;
	struct rtcp_report r;

	(void)st;
	rtp_source_init(&s, 77, 10, 8000);
	rtp_source_report(&s, &r, 0);
	assert_int_equal(r.fraction, 0);
	for (unsigned i = 0; i < 100; i++)
		if (i % 4)
			rtp_source_update(&s, (uint16_t)(9 + i), i * 160, i * 20000);
	rtp_source_sr(&s, &some_sr, 1000000);
	rtp_source_report(&s, &r, 1500000);
	assert_int_equal(r.ssrc, 77);
	assert_int_equal(r.lost, 24);                            /* of 99: the first packet was one of the lost */
	assert_int_equal(r.fraction, 24 * 256 / 99);
	assert_int_equal(r.ext_seq, 108);
	assert_int_equal(r.lsr, 0x03040506);
	assert_int_equal(r.dlsr, 32768);
	for (unsigned i = 100; i < 200; i++)
		rtp_source_update(&s, (uint16_t)(9 + i), i * 160, i * 20000);
	rtp_source_report(&s, &r, 1500000);
	assert_int_equal(r.fraction, 0);
	assert_int_equal(r.lost, 24);
	rtp_source_update(&s, 50, 0, 0);                         /* far behind: does not count */
	rtp_source_report(&s, &r, 1500000);
	assert_int_equal(r.fraction, 0);
	assert_int_equal(r.lost, 24);
}

static void ntp_time_and_round_trip_follow_the_example_of_rfc3550(void **st)
{
	struct rtcp_report r = { .lsr = 0xb7052000, .dlsr = 0x00054000 };

	(void)st;
	assert_int_equal(rtcp_ntp(0) >> 32, 2208988800u);
	assert_true((rtcp_ntp(1500000) & 0xffffffff) == 0x80000000);
	assert_int_equal(rtcp_rtt_us(&r, 0x0000b710800000ull << 8), 6125000);
	r.lsr = 0;
	assert_int_equal(rtcp_rtt_us(&r, 0x0000b710800000ull << 8), 0);
	r.lsr = 0xb7118000;                                      /* later than now */
	assert_int_equal(rtcp_rtt_us(&r, 0x0000b710800000ull << 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sender_report_reads_back),
		cmocka_unit_test(the_cname_chunk_is_terminated_and_padded),
		cmocka_unit_test(nothing_is_written_past_the_room),
		cmocka_unit_test(bye_stands_behind_an_empty_report),
		cmocka_unit_test(feedback_has_the_bytes_of_the_specification),
		cmocka_unit_test(valid_packets_before_a_malformed_one_are_delivered),
		cmocka_unit_test(every_truncation_is_survived),
		cmocka_unit_test(extensions_behind_the_reports_and_unknown_types_are_skipped),
		cmocka_unit_test(a_report_tells_loss_of_its_interval),
		cmocka_unit_test(ntp_time_and_round_trip_follow_the_example_of_rfc3550),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
