/* SPDX-License-Identifier: Apache-2.0 */
/* audio_wav.c - WAV files of every kind that is known, broken ones, and clips made of them */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/audio/clip.h"
#include "mcu/audio/codec.h"
#include "mcu/audio/level.h"
#include "mcu/audio/wav.h"

static uint8_t file[400000];

static size_t put(size_t at, const void *p, size_t n)
{
	memcpy(file + at, p, n);
	return at + n;
}

static size_t put_le(size_t at, uint32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		file[at++] = (uint8_t)(v >> (8 * i));
	return at;
}

/* A header for `data` bytes of that format; returns where the data goes. */
static size_t header(unsigned coding, unsigned channels, uint32_t rate, unsigned bits, size_t data)
{
	size_t at = put(0, "RIFF", 4);

	at = put_le(at, (uint32_t)(36 + data), 4);
	at = put(at, "WAVEfmt ", 8);
	at = put_le(at, 16, 4);
	at = put_le(at, coding, 2);
	at = put_le(at, channels, 2);
	at = put_le(at, rate, 4);
	at = put_le(at, rate * channels * bits / 8, 4);
	at = put_le(at, channels * bits / 8, 2);
	at = put_le(at, bits, 2);
	at = put(at, "data", 4);
	return put_le(at, (uint32_t)data, 4);
}

static struct str sine_file(uint32_t rate, unsigned ms, unsigned hz, unsigned channels, unsigned bits)
{
	size_t n = (size_t)rate * ms / 1000, at = header(1, channels, rate, bits, n * channels * bits / 8);

	for (size_t i = 0; i < n; i++) {
		int v = (int)lrint(8000 * sin(2 * M_PI * hz * (double)i / rate));

		for (unsigned c = 0; c < channels; c++) {
			if (bits == 8)
				at = put_le(at, (uint32_t)(v / 256 + 128), 1);
			else
				at = put_le(at, (uint32_t)v << (bits - 16), bits / 8);
		}
	}
	return (struct str){ (char *)file, at };
}

static void samples_of_every_width_and_of_two_channels_are_read(void **st)
{
	static const unsigned bits[] = { 8, 16, 24, 32 };

	(void)st;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned channels = 1; channels <= 2; channels++) {
			struct wav w;

			assert_int_equal(wav_decode(&w, sine_file(22050, 100, 440, channels, bits[i])), 0);
			assert_int_equal(w.rate, 22050);
			assert_int_equal(w.n, 2205);
			assert_in_range(w.pcm[12] + 256, 7900, 8300);        /* a quarter of 50 samples: the top */
			wav_fini(&w);
		}
}

static void a_law_and_u_law_are_read(void **st)
{
	static const struct { unsigned coding; const struct codec *c; } kinds[] = { { 6, &codec_pcma }, { 7, &codec_pcmu } };

	(void)st;
	for (unsigned k = 0; k < 2; k++) {
		struct codec_enc *e = NULL;
		int16_t pcm[160];
		struct wav w;
		size_t at = header(kinds[k].coding, 1, 8000, 8, 160);

		for (int i = 0; i < 160; i++)
			pcm[i] = (int16_t)(i * 100 - 8000);
		assert_int_equal(kinds[k].c->enc_alloc(&e, 0), 0);
		assert_int_equal(kinds[k].c->encode(e, pcm, 160, file + at, 160), 160);
		assert_int_equal(wav_decode(&w, (struct str){ (char *)file, at + 160 }), 0);
		assert_int_equal(w.n, 160);
		assert_in_range(abs(w.pcm[10] - pcm[10]), 0, 300);
		wav_fini(&w);
		mem_deref(e);
	}
}

static void unknown_chunks_are_skipped_and_a_data_chunk_that_promises_too_much_gives_what_is_there(void **st)
{
	struct str s = sine_file(8000, 100, 440, 1, 16);
	struct wav w;

	(void)st;
	memmove(file + 12 + 11, file + 12, s.l - 12);                     /* an odd chunk and its padding, before fmt */
	memcpy(file + 12, "LIST\3\0\0\0ab", 10);
	memmove(file + 24, file + 23, s.l - 12);
	s.l += 12;
	put_le(12 + 12 + 24 + 4, 0xfffffff0u, 4);
	assert_int_equal(wav_decode(&w, s), 0);
	assert_int_equal(w.n, 800);
	wav_fini(&w);
}

static void every_truncation_is_refused_or_shorter(void **st)
{
	struct str s = sine_file(8000, 20, 440, 2, 24);
	struct wav w;

	(void)st;
	for (size_t n = 0; n < s.l; n++) {
		uint8_t *copy = malloc(n + 1);                              /* its own block: overruns are seen */

		memcpy(copy, s.p, n);
		if (wav_decode(&w, (struct str){ (char *)copy, n }) == 0) {
			assert_true(w.n < 160 + 1);
			wav_fini(&w);
		} else {
			assert_true(n < 44 + 6);
		}
		free(copy);
	}
}

static void what_cannot_be_played_is_told_apart_from_what_is_broken(void **st)
{
	struct wav w;
	size_t at;

	(void)st;
	at = header(1, 6, 8000, 16, 96);
	assert_int_equal(wav_decode(&w, (struct str){ (char *)file, at + 96 }), -ENOTSUP);
	at = header(1, 1, 96000, 16, 96);
	assert_int_equal(wav_decode(&w, (struct str){ (char *)file, at + 96 }), -ENOTSUP);
	at = header(85, 1, 8000, 16, 96);                                   /* MP3 */
	assert_int_equal(wav_decode(&w, (struct str){ (char *)file, at + 96 }), -ENOTSUP);
	at = header(1, 1, 8000, 16, 96);
	put_le(32, 7, 2);                                                   /* a block that fits nothing */
	assert_int_equal(wav_decode(&w, (struct str){ (char *)file, at + 96 }), -EBADMSG);
	assert_int_equal(wav_decode(&w, STR("OggS and so on, no RIFF at all")), -EBADMSG);
	assert_int_equal(wav_decode(&w, STR_NULL), -EBADMSG);
}

static void a_clip_has_the_same_length_and_level_at_every_rate(void **st)
{
	static const uint32_t rates[] = { 8000, 11025, 22050, 44100, 48000 };

	(void)st;
	for (unsigned i = 0; i < 5; i++) {
		struct clip *c = NULL;

		assert_int_equal(clip_decode(&c, sine_file(rates[i], 500, 440, 1, 16)), 0);
		assert_in_range(clip_ticks(c), 25, 26);
		for (unsigned k = 0; k < CLIP_RATES; k++)
			assert_in_range(level_dbov(clip_at(c, k, 10), clip_hz[k] / 50) + 127, 127 - 17, 127 - 14);
		clip_unref(clip_ref(c));
		assert_true(level_dbov(clip_at(c, 0, 10), 160) > -20);
		clip_unref(c);
	}
}

static void a_file_that_is_missing_or_no_recording_gives_an_error(void **st)
{
	char path[] = "/tmp/conclave-wav-XXXXXX";
	struct clip *c = NULL;
	int fd = mkstemp(path);

	(void)st;
	assert_int_equal(clip_load(&c, "/nonexistent/x.wav"), -ENOENT);
	assert_int_equal(clip_load(&c, path), -EBADMSG);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	assert_int_equal(clip_load(&c, path), -EBADMSG);
	unlink(path);
	assert_int_equal(clip_tone(&c, 350, 150), 0);
	assert_int_equal(clip_ms(c), 160);
	assert_in_range(level_dbov(clip_at(c, 2, 3), 960) + 127, 127 - 21, 127 - 19);
	clip_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_of_every_width_and_of_two_channels_are_read),
		cmocka_unit_test(a_law_and_u_law_are_read),
		cmocka_unit_test(unknown_chunks_are_skipped_and_a_data_chunk_that_promises_too_much_gives_what_is_there),
		cmocka_unit_test(every_truncation_is_refused_or_shorter),
		cmocka_unit_test(what_cannot_be_played_is_told_apart_from_what_is_broken),
		cmocka_unit_test(a_clip_has_the_same_length_and_level_at_every_rate),
		cmocka_unit_test(a_file_that_is_missing_or_no_recording_gives_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
