/* SPDX-License-Identifier: Apache-2.0 */
/* audio_codec.c - every codec: round trip, limits, loss; G.711 against spandsp's formulas */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <opus/opus.h>
#include <spandsp.h>
#include "lib/base/mem.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/level.h"

static const struct codec *const all[] = { &codec_pcmu, &codec_pcma, &codec_g722, &codec_opus };
#define NALL (sizeof(all) / sizeof(all[0]))
#define ROOM 5760u

static void sine(int16_t *pcm, size_t n, size_t from, uint32_t rate, double hz, double amp)
{
	for (size_t i = 0; i < n; i++)
		pcm[i] = (int16_t)lrint(amp * sin(2 * M_PI * hz * (double)(from + i) / rate));
}

/* Power of one frequency as a share of all: 1.0 is a clean tone */
static double purity(const int16_t *pcm, size_t n, uint32_t rate, double hz)
{
	double re = 0, im = 0, all_power = 1;

	for (size_t i = 0; i < n; i++) {
		re += pcm[i] * cos(2 * M_PI * hz * (double)i / rate);
		im += pcm[i] * sin(2 * M_PI * hz * (double)i / rate);
		all_power += (double)pcm[i] * pcm[i];
	}
	return 2 * (re * re + im * im) / (double)n / all_power;
}

static void a_tone_survives_every_codec(void **st)
{
	(void)st;
	for (size_t k = 0; k < NALL; k++) {
		const struct codec *c = all[k];
		size_t n = c->rate / 50;
		struct codec_enc *e = NULL;
		struct codec_dec *d = NULL;
		int16_t in[960], out[960 * 10];
		uint8_t p[1500];

		assert_int_equal(c->enc_alloc(&e, 0), 0);
		assert_int_equal(c->dec_alloc(&d), 0);
		for (unsigned f = 0; f < 20; f++) {
			int len;

			sine(in, n, f * n, c->rate, 400, 8000);
			len = c->encode(e, in, n, p, sizeof(p));
			assert_true(len > 0);
			assert_int_equal(c->samples(p, (size_t)len), n);
			assert_int_equal(c->decode(d, p, (size_t)len, 0, out + f % 10 * n, n), n);
		}
		assert_true(purity(out, 10 * n, c->rate, 400) > 0.98);
		assert_in_range(level_dbov(out, 10 * n) + 100, 83, 87);       /* -15.3 dBov */
		mem_deref(e);
		mem_deref(d);
	}
	assert_int_equal(mem_live(), 0);
}

static void clocks_and_names_are_those_of_sdp(void **st)
{
	(void)st;
	assert_string_equal(codec_g722.name, "G722");
	assert_int_equal(codec_g722.rtp_clock, 8000);            /* RFC 3551 4.5.2 */
	assert_int_equal(codec_g722.rate, 16000);
	assert_int_equal(codec_opus.rtp_clock, 48000);
	assert_int_equal(codec_g722.samples((const uint8_t *)"x", 1), 2);
}

static void g711_agrees_with_spandsp_on_every_value(void **st)
{
	struct codec_enc *ue = NULL, *ae = NULL;
	struct codec_dec *ud = NULL, *ad = NULL;

	(void)st;
	assert_int_equal(codec_pcmu.enc_alloc(&ue, 0), 0);
	assert_int_equal(codec_pcma.enc_alloc(&ae, 0), 0);
	assert_int_equal(codec_pcmu.dec_alloc(&ud), 0);
	assert_int_equal(codec_pcma.dec_alloc(&ad), 0);
	for (unsigned i = 0; i < 256; i++) {
		uint8_t code = (uint8_t)i, back;
		int16_t v;

		codec_pcmu.decode(ud, &code, 1, 0, &v, 1);
		assert_int_equal(v, ulaw_to_linear(code));
		codec_pcmu.encode(ue, &v, 1, &back, 1);
		assert_int_equal(back, code == 0x7f ? 0xff : code);      /* there are two zeros */
		codec_pcma.decode(ad, &code, 1, 0, &v, 1);
		assert_int_equal(v, alaw_to_linear(code));
		codec_pcma.encode(ae, &v, 1, &back, 1);
		assert_int_equal(back, code);
	}
	for (int x = -32768; x < 32768; x++) {
		int16_t v = (int16_t)x, dec;
		uint8_t code;

		codec_pcmu.encode(ue, &v, 1, &code, 1);
		codec_pcmu.decode(ud, &code, 1, 0, &dec, 1);
		assert_true(abs(dec - x) <= 4 + abs(x) / 31 || abs(x) > 32124);
		codec_pcma.encode(ae, &v, 1, &code, 1);
		codec_pcma.decode(ad, &code, 1, 0, &dec, 1);
		assert_true(abs(dec - x) <= 16 + abs(x) / 31 || abs(x) > 32256);
	}
	mem_deref(ue);
	mem_deref(ae);
	mem_deref(ud);
	mem_deref(ad);
}

static void empty_and_oversized_payloads_are_refused(void **st)
{
	static uint8_t big[4000];
	static int16_t pcm[8000];

	(void)st;
	for (size_t k = 0; k < NALL; k++) {
		const struct codec *c = all[k];
		struct codec_dec *d = NULL;

		assert_int_equal(c->dec_alloc(&d), 0);
		assert_int_equal(c->samples(big, 0), -EBADMSG);
		assert_int_equal(c->decode(d, big, 0, 0, pcm, ROOM), -EBADMSG);
		if (c != &codec_opus) {
			assert_int_equal(c->samples(big, 1600), 1600 * c->rate / 8000);
			assert_int_equal(c->decode(d, big, 1601, 0, pcm, 8000), -EBADMSG);
			assert_int_equal(c->decode(d, big, 1600, 0, pcm, 1600 * c->rate / 8000 - 1), -EMSGSIZE);
		}
		mem_deref(d);
	}
}

static void bad_opus_packets_are_refused(void **st)
{
	static const struct { uint8_t p[5]; size_t n; } bad[] = {
		{ { 0x7b }, 1 },                                 /* code 3 without its count */
		{ { 0x7b, 0 }, 2 },                              /* no frames at all */
		{ { 0x79, 1, 2, 3 }, 4 },                        /* two equal frames in three bytes */
		{ { 0x7a, 200, 1 }, 3 },                         /* a first frame longer than the packet */
		{ { 0x1b, 3, 1, 2, 3 }, 5 },                     /* three frames of 60 ms */
	};
	uint8_t huge[1400] = { 0x78 };                           /* one frame of more than 1275 bytes */
	struct codec_dec *d = NULL;
	int16_t pcm[ROOM];

	(void)st;
	assert_int_equal(codec_opus.dec_alloc(&d), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(codec_opus.decode(d, bad[i].p, bad[i].n, 0, pcm, ROOM), -EBADMSG);
	assert_int_equal(codec_opus.decode(d, huge, sizeof(huge), 0, pcm, ROOM), -EBADMSG);
	assert_true(codec_opus.decode(d, (const uint8_t[]){ 0x78 }, 1, 0, pcm, ROOM) > 0);   /* DTX */
	mem_deref(d);
}

static void stereo_opus_comes_out_as_mono(void **st)
{
	int err;
	OpusEncoder *e = opus_encoder_create(48000, 2, OPUS_APPLICATION_AUDIO, &err);
	struct codec_dec *d = NULL;
	int16_t in[2 * 960], out[960];
	uint8_t p[1500];

	(void)st;
	assert_non_null(e);
	assert_int_equal(codec_opus.dec_alloc(&d), 0);
	for (unsigned f = 0; f < 10; f++) {
		int16_t mono[960];
		int n;

		sine(mono, 960, f * 960, 48000, 400, 8000);
		for (unsigned i = 0; i < 960; i++) {
			in[2 * i] = mono[i];
			in[2 * i + 1] = (int16_t)(mono[i] / 2);
		}
		n = opus_encode(e, in, 960, p, sizeof(p));
		assert_true(n > 1 && p[0] & 4);
		assert_int_equal(codec_opus.decode(d, p, (size_t)n, 0, out, 960), 960);
	}
	assert_true(purity(out, 960, 48000, 400) > 0.95);
	opus_encoder_destroy(e);
	mem_deref(d);
}

static void every_legal_opus_frame_is_decoded(void **st)
{
	static const size_t frames[] = { 120, 240, 480, 960, 1920, 2880, 3840, 5760 };

	(void)st;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct codec_enc *e = NULL;
		struct codec_dec *d = NULL;
		int16_t pcm[ROOM];
		uint8_t p[1500];
		int n;

		assert_int_equal(codec_opus.enc_alloc(&e, 24000), 0);
		assert_int_equal(codec_opus.dec_alloc(&d), 0);
		sine(pcm, frames[i], 0, 48000, 400, 8000);
		n = codec_opus.encode(e, pcm, frames[i], p, sizeof(p));
		assert_true(n > 0);
		assert_int_equal(codec_opus.samples(p, (size_t)n), frames[i]);
		assert_int_equal(codec_opus.decode(d, p, (size_t)n, 0, pcm, frames[i] - 1), -EMSGSIZE);
		assert_int_equal(codec_opus.decode(d, p, (size_t)n, 0, pcm, ROOM), frames[i]);
		assert_int_equal(codec_opus.encode(e, pcm, 961, p, sizeof(p)), -EINVAL);
		assert_int_equal(codec_opus.encode(e, pcm, 5761, p, sizeof(p)), -EINVAL);
		mem_deref(e);
		mem_deref(d);
	}
}

static size_t bytes_of_a_second(unsigned bitrate)
{
	struct codec_enc *e = NULL;
	size_t total = 0;

	assert_int_equal(codec_opus.enc_alloc(&e, bitrate), 0);
	for (unsigned f = 0; f < 100; f++) {
		int16_t pcm[960];
		uint8_t p[1500];
		int n;

		for (unsigned i = 0; i < 960; i++)
			pcm[i] = (int16_t)(rand() % 8000 - 4000);
		n = codec_opus.encode(e, pcm, 960, p, sizeof(p));
		assert_true(n > 0);
		if (f >= 50)
			total += (size_t)n;
	}
	mem_deref(e);
	return total;
}

static void the_bitrate_is_a_cap(void **st)
{
	(void)st;
	assert_true(bytes_of_a_second(16000) < 2000 * 11 / 10);
	assert_in_range(bytes_of_a_second(0), 3000, 4000 * 11 / 10);
	assert_true(bytes_of_a_second(1) > 0);                   /* clamped to what the codec can */
	assert_true(bytes_of_a_second(10000000) > 4400);
}

static void a_lost_opus_frame_comes_back_from_the_next_packet(void **st)
{
	struct codec_enc *e = NULL;
	struct codec_dec *d = NULL, *blind = NULL;
	uint8_t p[2][1500];
	int16_t in[960], got[960], guessed[960];
	int n[2] = { 0, 0 };

	(void)st;
	assert_int_equal(codec_opus.enc_alloc(&e, 24000), 0);
	assert_int_equal(codec_opus.enc_loss(e, 20), 0);
	assert_int_equal(codec_opus.enc_loss(e, 100), 0);        /* clamped */
	assert_int_equal(codec_opus.dec_alloc(&d), 0);
	assert_int_equal(codec_opus.dec_alloc(&blind), 0);
	for (unsigned f = 0; f < 42; f++) {                      /* frame 40 is the first loud one, and lost */
		sine(in, 960, f * 960, 48000, 300, f < 40 ? 300 : 12000);
		n[f & 1] = codec_opus.encode(e, in, 960, p[f & 1], sizeof(p[0]));
		assert_true(n[f & 1] > 0);
		if (f < 40) {
			codec_opus.decode(d, p[f & 1], (size_t)n[f & 1], 0, got, 960);
			codec_opus.decode(blind, p[f & 1], (size_t)n[f & 1], 0, got, 960);
		}
	}
	assert_int_equal(codec_opus.decode(d, p[1], (size_t)n[1], 1, got, 960), 960);
	assert_int_equal(codec_opus.decode(blind, NULL, 0, 0, guessed, 960), 960);
	assert_true(level_dbov(got, 960) > level_dbov(guessed, 960) + 10);
	assert_int_equal(codec_opus.decode(d, p[1], (size_t)n[1], 0, got, 960), 960);
	assert_int_equal(codec_opus.decode(d, (const uint8_t[]){ 0x78 }, 1, 1, got, 960), 960);   /* DTX */
	mem_deref(e);
	mem_deref(d);
	mem_deref(blind);
}

static void concealment_goes_on_and_then_fades_to_silence(void **st)
{
	(void)st;
	for (size_t k = 0; k < NALL; k++) {
		const struct codec *c = all[k];
		size_t n = c->rate / 50;
		struct codec_enc *e = NULL;
		struct codec_dec *d = NULL;
		int16_t pcm[960];
		uint8_t p[1500];
		int first;

		assert_int_equal(c->enc_alloc(&e, 0), 0);
		assert_int_equal(c->dec_alloc(&d), 0);
		for (unsigned f = 0; f < 10; f++) {
			int len;

			sine(pcm, n, f * n, c->rate, 200, 8000);
			len = c->encode(e, pcm, n, p, sizeof(p));
			c->decode(d, p, (size_t)len, 0, pcm, n);
		}
		assert_int_equal(c->decode(d, NULL, 0, 0, pcm, n), n);
		first = level_dbov(pcm, n);
		assert_in_range(first + 100, 78, 88);
		for (unsigned f = 1; f < 5; f++)
			assert_int_equal(c->decode(d, NULL, 0, 0, pcm, n), n);
		assert_int_equal(c->decode(d, NULL, 0, 0, pcm, n), n);
		assert_int_equal(level_dbov(pcm, n), LEVEL_SILENCE);
		assert_true(c->decode(d, NULL, 0, 0, pcm, 50) <= 50);    /* an odd room is no trap */
		mem_deref(e);
		mem_deref(d);
	}
}

static void room_is_respected_when_encoding(void **st)
{
	int16_t pcm[960] = { 0 };
	uint8_t p[160];

	(void)st;
	for (size_t k = 0; k < 3; k++) {
		struct codec_enc *e = NULL;

		assert_int_equal(all[k]->enc_alloc(&e, 0), 0);
		assert_int_equal(all[k]->encode(e, pcm, all[k]->rate / 50, p, 159), -EMSGSIZE);
		assert_int_equal(all[k]->encode(e, pcm, all[k]->rate / 50, p, 160), 160);
		mem_deref(e);
	}
}

static void each_failing_allocation_is_reported(void **st)
{
	(void)st;
	for (size_t k = 0; k < NALL; k++) {
		struct codec_enc *e = NULL;
		struct codec_dec *d = NULL;

		mem_fail_after(1);
		assert_int_equal(all[k]->enc_alloc(&e, 0), -ENOMEM);
		for (unsigned n = 1; n <= 2; n++) {
			int err;

			mem_fail_after(n);
			err = all[k]->dec_alloc(&d);
			if (err)
				assert_int_equal(err, -ENOMEM);
			else
				d = mem_deref(d);
		}
		mem_fail_after(0);
		assert_null(e);
	}
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tone_survives_every_codec),
		cmocka_unit_test(clocks_and_names_are_those_of_sdp),
		cmocka_unit_test(g711_agrees_with_spandsp_on_every_value),
		cmocka_unit_test(empty_and_oversized_payloads_are_refused),
		cmocka_unit_test(bad_opus_packets_are_refused),
		cmocka_unit_test(stereo_opus_comes_out_as_mono),
		cmocka_unit_test(every_legal_opus_frame_is_decoded),
		cmocka_unit_test(the_bitrate_is_a_cap),
		cmocka_unit_test(a_lost_opus_frame_comes_back_from_the_next_packet),
		cmocka_unit_test(concealment_goes_on_and_then_fades_to_silence),
		cmocka_unit_test(room_is_respected_when_encoding),
		cmocka_unit_test(each_failing_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
