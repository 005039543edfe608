/* SPDX-License-Identifier: Apache-2.0 */
/* audio_soundfile.c - files that are read while they are written: by libogg and libopus, by our own reader of WAV */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <ogg/ogg.h>
#include <opus.h>
#include "lib/base/mem.h"
#include "mcu/audio/soundfile.h"
#include "test/unit/disk.h"

#define HZ 1000.0

static char path[64];

static struct soundfile *make(enum soundfile_kind kind)
{
	struct soundfile *f;
	int fd;

	snprintf(path, sizeof(path), "/tmp/soundfile-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(soundfile_alloc(&f, fd, kind, 32000, "a title"), 0);
	return f;
}

static void frame(int16_t *pcm, unsigned i)
{
	for (unsigned k = 0; k < SOUNDFILE_FRAME; k++)
		pcm[k] = (int16_t)(8000 * sin(2 * M_PI * HZ * (i * SOUNDFILE_FRAME + k) / SOUNDFILE_HZ));
}

static int add(struct soundfile *f, unsigned from, unsigned n)
{
	int16_t pcm[SOUNDFILE_FRAME];
	int err = 0;

	for (unsigned i = from; i < from + n && !err; i++) {
		frame(pcm, i);
		err = soundfile_add(f, pcm);
	}
	return err;
}

static uint8_t *contents(size_t *n)
{
	static uint8_t buf[4 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, buf, sizeof(buf));

	close(fd);
	assert_true(got >= 0);
	*n = (size_t)got;
	return buf;
}

/* --- Ogg */
struct ogg_read { unsigned pages, packets; int64_t granule, samples; bool bos, eos, tone; int skip; size_t bytes; };

static void decode(struct ogg_read *o, OpusDecoder *d, ogg_packet *k)
{
	int16_t pcm[5760];
	int n;

	if (o->packets++ == 0) {
		assert_memory_equal(k->packet, "OpusHead", 8);
		assert_int_equal(k->bytes, 19);
		o->skip = k->packet[10] | k->packet[11] << 8;
	} else if (o->packets == 2) {
		assert_memory_equal(k->packet, "OpusTags", 8);
		assert_non_null(memmem(k->packet, (size_t)k->bytes, "TITLE=a title", 13));
	} else {
		n = opus_decode(d, k->packet, (opus_int32)k->bytes, pcm, 5760, 0);
		assert_int_equal(n, SOUNDFILE_FRAME);
		o->samples += n;
		for (int i = 0; i < n; i++)
			o->tone |= pcm[i] > 7000;
	}
}

/* Damaged and torn pages are no pages for libogg: `pages` are those with a right checksum. */
static struct ogg_read read_ogg(const uint8_t *p, size_t n)
{
	OpusDecoder *d = opus_decoder_create((opus_int32)SOUNDFILE_HZ, 1, NULL);
	struct ogg_read o = { 0 };
	ogg_sync_state s;
	ogg_stream_state os;
	ogg_packet k;
	ogg_page page;

	ogg_sync_init(&s);
	memcpy(ogg_sync_buffer(&s, (long)n), p, n);
	ogg_sync_wrote(&s, (long)n);
	while (ogg_sync_pageout(&s, &page) == 1) {
		if (o.pages++ == 0) {
			o.bos = ogg_page_bos(&page);
			ogg_stream_init(&os, ogg_page_serialno(&page));
		}
		assert_int_equal(ogg_stream_pagein(&os, &page), 0);
		o.granule = ogg_page_granulepos(&page);
		o.eos = ogg_page_eos(&page);
		o.bytes += (size_t)(page.header_len + page.body_len);
		while (ogg_stream_packetout(&os, &k) == 1)
			decode(&o, d, &k);
	}
	if (o.pages)
		ogg_stream_clear(&os);
	ogg_sync_clear(&s);
	opus_decoder_destroy(d);
	return o;
}

/* The file as it is now, which never ends within a page. */
static struct ogg_read written(void)
{
	size_t n;
	const uint8_t *p = contents(&n);
	struct ogg_read o = read_ogg(p, n);

	assert_int_equal(o.bytes, n);
	return o;
}

static void an_ogg_file_can_be_played_up_to_what_was_flushed(void **state)
{
	struct soundfile *f = make(SOUNDFILE_OPUS);
	struct ogg_read o = written();

	(void)state;
	assert_int_equal(o.pages, 2);                    /* the heads are there from the start, each on its page */
	for (unsigned i = 1; i <= 10; i++) {
		assert_int_equal(add(f, i * 25, 25), 0);
		assert_int_equal(soundfile_flush(f), 0);
		o = written();
		assert_int_equal(o.pages, 2 + i);
		assert_int_equal(o.samples, i * 25 * SOUNDFILE_FRAME);
		assert_int_equal(o.granule, o.samples);
		assert_true(o.bos && !o.eos && o.tone);
	}
	mem_deref(f);
	unlink(path);
}

static void a_finished_ogg_file_is_as_long_as_what_was_recorded(void **state)
{
	struct soundfile *f = make(SOUNDFILE_OPUS);
	struct ogg_read o;

	(void)state;
	assert_int_equal(add(f, 0, 501), 0);
	assert_int_equal(soundfile_add(f, NULL), 0);
	assert_int_equal(soundfile_finish(f), 0);
	mem_deref(f);
	o = written();
	assert_true(o.eos);
	assert_true(o.skip > 0);
	assert_int_equal(o.granule - o.skip, 502 * SOUNDFILE_FRAME);
	assert_true(o.samples >= o.granule);
	unlink(path);
}

static void an_ogg_file_without_sound_is_one_too(void **state)
{
	struct soundfile *f = make(SOUNDFILE_OPUS);
	struct ogg_read o;

	(void)state;
	assert_int_equal(soundfile_flush(f), 0);
	assert_int_equal(soundfile_finish(f), 0);
	mem_deref(f);
	o = written();
	assert_int_equal(o.pages, 3);
	assert_true(o.eos && o.granule == o.skip);
	unlink(path);
}

static void without_a_flush_pages_are_written_before_they_are_full(void **state)
{
	struct soundfile *f = make(SOUNDFILE_OPUS);
	struct ogg_read o;

	(void)state;
	assert_int_equal(add(f, 0, 600), 0);
	o = written();
	assert_int_equal(o.samples, 600 * SOUNDFILE_FRAME);
	mem_deref(f);
	unlink(path);
}

/* --- WAV */
static size_t le32(const uint8_t *p)
{
	return (size_t)(p[0] | p[1] << 8 | p[2] << 16 | p[3] << 24);
}

static void a_wav_file_tells_of_what_is_in_it_at_any_moment(void **state)
{
	struct soundfile *f = make(SOUNDFILE_WAV);
	int16_t want[SOUNDFILE_FRAME];
	size_t n;
	uint8_t *p;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		p = contents(&n);
		assert_int_equal(n, 44 + i * 25 * SOUNDFILE_FRAME * 2);
		assert_int_equal(le32(p + 40), n - 44);
		assert_int_equal(le32(p + 4), n - 8);
		assert_memory_equal(p, "RIFF", 4);
		assert_memory_equal(p + 8, "WAVEfmt ", 8);
		assert_int_equal(add(f, i * 25, 25), 0);
		assert_int_equal(soundfile_flush(f), 0);
	}
	p = contents(&n);
	frame(want, 77);
	assert_memory_equal(p + 44 + 77 * SOUNDFILE_FRAME * 2, want, sizeof(want));
	mem_deref(f);
	unlink(path);
}

/* --- no room */
static void limited(enum soundfile_kind kind, int *err, size_t *n, uint8_t **p)
{
	struct soundfile *f = make(kind);

	disk_full(kind == SOUNDFILE_WAV ? 300000 : 20000);
	*err = 0;
	for (unsigned i = 0; i < 40 && !*err; i++) {
		*err = add(f, i * 25, 25);
		if (!*err)
			*err = soundfile_flush(f);
	}
	disk_free();
	*p = contents(n);
	mem_deref(f);
	unlink(path);
}

static void what_does_not_fit_is_taken_back_and_the_file_stays_whole(void **state)
{
	struct ogg_read o;
	uint8_t *p;
	size_t n;
	int err;

	(void)state;
	limited(SOUNDFILE_OPUS, &err, &n, &p);
	assert_int_equal(err, -EFBIG);
	o = read_ogg(p, n);
	assert_true(o.pages > 4 && n <= 20000);
	assert_int_equal(o.bytes, n);
	limited(SOUNDFILE_WAV, &err, &n, &p);
	assert_int_equal(err, -EFBIG);
	assert_true(n > 44 && n <= 300000);
	assert_int_equal(le32(p + 40), n - 44);
}

/* Not through /dev/full: who runs as root may have replaced it by a file, and then nobody is told. */
static void without_room_it_is_an_error_from_the_start(void **state)
{
	struct soundfile *f;
	int err[2];

	(void)state;
	disk_full(0);
	for (unsigned kind = 0; kind < 2; kind++)
		err[kind] = soundfile_alloc(&f, open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), kind, 32000, "");
	disk_free();
	unlink(path);
	assert_int_equal(err[0], -EFBIG);
	assert_int_equal(err[1], -EFBIG);
}

static void without_memory_there_is_no_file_and_nothing_leaks(void **state)
{
	struct soundfile *f;
	size_t live = mem_live();

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++)
		for (unsigned i = 1; i <= 2; i++) {
			mem_fail_after(i);
			assert_int_equal(soundfile_alloc(&f, open("/dev/null", O_WRONLY), kind, 32000, ""), -ENOMEM);
			mem_fail_after(0);
		}
	assert_int_equal(mem_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ogg_file_can_be_played_up_to_what_was_flushed),
		cmocka_unit_test(a_finished_ogg_file_is_as_long_as_what_was_recorded),
		cmocka_unit_test(an_ogg_file_without_sound_is_one_too),
		cmocka_unit_test(without_a_flush_pages_are_written_before_they_are_full),
		cmocka_unit_test(a_wav_file_tells_of_what_is_in_it_at_any_moment),
		cmocka_unit_test(what_does_not_fit_is_taken_back_and_the_file_stays_whole),
		cmocka_unit_test(without_room_it_is_an_error_from_the_start),
		cmocka_unit_test(without_memory_there_is_no_file_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
