/* SPDX-License-Identifier: Apache-2.0 */
/* rtp_rtp.c - RTP headers, levels, telephone events and source statistics */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/rtp/rtp.h"

/* Padding of 4, two CSRCs, the level extension of RFC 6464 under id 1, marker, PT 111, 3 bytes of payload */
static const uint8_t full[] = {
	0xb2, 0xef, 0x12, 0x34, 0, 0, 0x03, 0xc0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0, 0, 2,
	0xbe, 0xde, 0, 1, 0x10, 0x9e, 0, 0, 'a', 'b', 'c', 0, 0, 0, 4,
};

static void a_full_header_is_read(void **st)
{
	struct rtp_hdr h;
	bool voice = false;

	(void)st;
	assert_int_equal(rtp_hdr_decode(&h, full, sizeof(full)), 0);
	assert_true(h.marker);
	assert_int_equal(h.pt, 111);
	assert_int_equal(h.seq, 0x1234);
	assert_int_equal(h.ts, 960);
	assert_int_equal(h.ssrc, 0xdeadbeef);
	assert_int_equal(h.ncsrc, 2);
	assert_int_equal(h.csrc[1], 2);
	assert_int_equal(h.ext_profile, 0xbede);
	assert_int_equal(h.ext_len, 4);
	assert_int_equal(h.hdr_len, 28);
	assert_int_equal(h.payload_len, 3);
	assert_int_equal(rtp_audio_level(&h, 1, &voice), 30);
	assert_true(voice);
}

static void a_truncated_header_is_refused(void **st)
{
	struct rtp_hdr h;

	(void)st;
	for (size_t n = 0; n < 28; n++) {
		uint8_t *p = malloc(n + 1);

		memcpy(p, full, n);
		assert_int_equal(rtp_hdr_decode(&h, p, n), -EBADMSG);
		free(p);
	}
}

static void bad_versions_and_paddings_are_refused(void **st)
{
	static const uint8_t pads[] = { 0, 8, 255 };             /* 7 bytes follow the header */
	uint8_t p[sizeof(full)];
	struct rtp_hdr h;

	(void)st;
	memcpy(p, full, sizeof(p));
	for (size_t i = 0; i < sizeof(pads); i++) {
		p[sizeof(p) - 1] = pads[i];
		assert_int_equal(rtp_hdr_decode(&h, p, sizeof(p)), -EBADMSG);
	}
	p[sizeof(p) - 1] = 7;                                    /* nothing but padding is legal */
	assert_int_equal(rtp_hdr_decode(&h, p, sizeof(p)), 0);
	assert_int_equal(h.payload_len, 0);
	assert_int_equal(rtp_hdr_decode(&h, p, 28), -EBADMSG);   /* padding announced, none there */
	for (unsigned v = 0; v < 4; v++) {
		p[0] = (uint8_t)(v << 6 | (full[0] & 0x3f));
		assert_int_equal(rtp_hdr_decode(&h, p, sizeof(p)), v == 2 ? 0 : -EBADMSG);
	}
}

static void what_is_written_reads_back(void **st)
{
	struct rtp_hdr h = { .marker = true, .pt = 9, .ncsrc = 15, .seq = 65535, .ts = 0x80000001,
			     .ssrc = 0xffffffff }, g;
	uint8_t p[72];

	(void)st;
	for (unsigned i = 0; i < 15; i++)
		h.csrc[i] = 0x1000 + i;
	for (size_t room = 0; room < 72; room++)
		assert_int_equal(rtp_hdr_encode(p, room, &h), 0);
	assert_int_equal(rtp_hdr_encode(p, sizeof(p), &h), 72);
	assert_int_equal(rtp_hdr_decode(&g, p, sizeof(p)), 0);
	assert_true(g.marker);
	assert_int_equal(g.pt, 9);
	assert_int_equal(g.seq, h.seq);
	assert_int_equal(g.ts, h.ts);
	assert_int_equal(g.ssrc, h.ssrc);
	assert_memory_equal(g.csrc, h.csrc, sizeof(h.csrc));
	assert_int_equal(g.hdr_len, 72);
	h.ncsrc = 16;
	assert_int_equal(rtp_hdr_encode(p, sizeof(p), &h), 0);
}

static int level(uint16_t profile, const uint8_t *ext, size_t n, unsigned id)
{
	struct rtp_hdr h = { .ext = ext, .ext_len = n, .ext_profile = profile };

	return rtp_audio_level(&h, id, NULL);
}

static void levels_are_found_in_both_forms_of_extension(void **st)
{
	static const uint8_t one[] = { 0x32, 1, 2, 3, 0, 0x20, 0x1e, 0 }, two[] = { 7, 2, 1, 2, 0, 3, 1, 0x7f };
	static const uint8_t stop[] = { 0xf0, 0, 0x20, 0x1e }, over[] = { 0x2f, 1, 2, 3 }, none[] = { 5, 0, 0, 5 };

	(void)st;
	assert_int_equal(level(0xbede, one, sizeof(one), 2), 0x1e);
	assert_int_equal(level(0xbede, one, sizeof(one), 3), 1);
	assert_int_equal(level(0xbede, one, sizeof(one), 4), -ENOENT);
	assert_int_equal(level(0xbede, one, sizeof(one), 0), -ENOENT);
	assert_int_equal(level(0x1000, two, sizeof(two), 3), 0x7f);
	assert_int_equal(level(0x100f, two, sizeof(two), 7), 1);
	assert_int_equal(level(0x1010, two, sizeof(two), 3), -ENOENT);
	assert_int_equal(level(0xbede, stop, sizeof(stop), 2), -ENOENT);
	assert_int_equal(level(0xbede, over, sizeof(over), 2), -ENOENT);
	assert_int_equal(level(0x1000, none, sizeof(none), 5), -ENOENT);
	assert_int_equal(level(0xbede, NULL, 0, 1), -ENOENT);
}

static void digit_one_of_the_specification_reads_and_writes(void **st)
{
	static const uint8_t wire[] = { 0x01, 0x94, 0x06, 0xe0 };
	struct rtp_dtmf d;
	uint8_t out[4];

	(void)st;
	assert_int_equal(rtp_dtmf_decode(&d, wire, 4), 0);
	assert_int_equal(d.event, 1);
	assert_true(d.end);
	assert_int_equal(d.volume, 20);
	assert_int_equal(d.duration, 1760);
	assert_int_equal(rtp_dtmf_encode(out, &d), 4);
	assert_memory_equal(out, wire, 4);
	for (size_t n = 0; n < 4; n++)
		assert_int_equal(rtp_dtmf_decode(&d, wire, n), -EBADMSG);
}

/* --- source statistics */
static void the_first_packet_counts(void **st)
{
	struct rtp_source s;

	(void)st;
	rtp_source_init(&s, 5, 100, 8000);
	assert_false(s.valid);
	assert_true(rtp_source_update(&s, 100, 0, 0));
	assert_true(s.valid);
	assert_int_equal(s.received, 1);
	assert_int_equal(rtp_source_lost(&s), 0);
	assert_int_equal(rtp_source_ext_seq(&s), 100);
}

static void wrapping_counts_cycles_and_gaps_count_as_lost(void **st)
{
	struct rtp_source s;

	(void)st;
	rtp_source_init(&s, 5, 65530, 8000);
	for (unsigned i = 0; i < 20; i++)
		if (i % 5 != 4)
			assert_true(rtp_source_update(&s, (uint16_t)(65530 + i), i * 160, i * 20000));
	assert_int_equal(rtp_source_ext_seq(&s), 65530 + 18);
	assert_int_equal(rtp_source_lost(&s), 3);
	assert_true(rtp_source_update(&s, 65534, 4 * 160, 400000));      /* late: no longer lost */
	assert_int_equal(rtp_source_lost(&s), 2);
	assert_int_equal(rtp_source_ext_seq(&s), 65530 + 18);
}

static void a_jump_is_believed_when_the_next_packet_follows(void **st)
{
	struct rtp_source s;

	(void)st;
	rtp_source_init(&s, 5, 100, 8000);
	assert_true(rtp_source_update(&s, 100, 0, 0));
	assert_false(rtp_source_update(&s, 20000, 160, 20000));
	assert_false(rtp_source_update(&s, 30000, 320, 40000));
	assert_true(rtp_source_update(&s, 101, 480, 60000));
	assert_false(rtp_source_update(&s, 20000, 640, 80000));
	assert_true(rtp_source_update(&s, 20001, 800, 100000));
	assert_int_equal(rtp_source_ext_seq(&s), 20001);
	assert_int_equal(s.received, 1);
	assert_int_equal(rtp_source_lost(&s), 0);
}

static void even_arrivals_have_no_jitter_and_uneven_ones_have(void **st)
{
	uint64_t start = 1800000000ull * 1000000;                /* wall clock: the arithmetic does not overflow */
	struct rtp_source s;

	(void)st;
	rtp_source_init(&s, 5, 0, 48000);
	for (unsigned i = 0; i < 500; i++)
		rtp_source_update(&s, (uint16_t)i, 7 + i * 960, start + i * 20000ull);
	assert_int_equal(s.jitter >> 4, 0);
	for (unsigned i = 500; i < 1500; i++)                    /* every other packet 10 ms late: 480 units */
		rtp_source_update(&s, (uint16_t)i, 7 + i * 960, start + i * 20000ull + (i & 1) * 10000);
	assert_in_range(s.jitter >> 4, 470, 490);
	rtp_source_update(&s, 1500, 0x7fffffff, start + 1500 * 20000ull);   /* a restarted clock is not jitter */
	assert_in_range(s.jitter >> 4, 440, 490);
}

static void rtcp_is_told_from_rtp(void **st)
{
	(void)st;
	assert_true(rtp_is_rtcp((const uint8_t[]){ 0x80, 200 }, 2));
	assert_true(rtp_is_rtcp((const uint8_t[]){ 0x80, 223 }, 2));
	assert_false(rtp_is_rtcp((const uint8_t[]){ 0x80, 224 }, 2));
	assert_false(rtp_is_rtcp((const uint8_t[]){ 0x80, 0x80 | 8 }, 2));
	assert_false(rtp_is_rtcp((const uint8_t[]){ 0x80 }, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_header_is_read),
		cmocka_unit_test(a_truncated_header_is_refused),
		cmocka_unit_test(bad_versions_and_paddings_are_refused),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(levels_are_found_in_both_forms_of_extension),
		cmocka_unit_test(digit_one_of_the_specification_reads_and_writes),
		cmocka_unit_test(the_first_packet_counts),
		cmocka_unit_test(wrapping_counts_cycles_and_gaps_count_as_lost),
		cmocka_unit_test(a_jump_is_believed_when_the_next_packet_follows),
		cmocka_unit_test(even_arrivals_have_no_jitter_and_uneven_ones_have),
		cmocka_unit_test(rtcp_is_told_from_rtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
