/* SPDX-License-Identifier: Apache-2.0 */
/* media_recorder.c - the ring between a worker and a recorder, and rooms of the engine in files */
#include "test/unit/media_peer.h"
#include <dirent.h>
#include <sys/stat.h>
#include "mcu/media/recorder.h"
#include "mcu/media/tap.h"

static char dir[64];
static char ended[64];
static unsigned nended;
static bool drop, stop_loop;

static void on_end(struct recorder *r, const char *reason, void *arg)
{
	(void)arg;
	nended++;
	snprintf(ended, sizeof(ended), "%s", reason);
	if (stop_loop)
		ev_loop_stop(loop);
	if (drop)
		mem_deref(r);
}

static struct recorder_prm prm_of(enum soundfile_kind kind)
{
	nended = 0;
	drop = false;
	return (struct recorder_prm){ .loop = loop, .dir = dir, .id = "../a room", .kind = kind, .bitrate = 32000, .cb = on_end };
}

static void new_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/recorder-XXXXXX");
	assert_non_null(mkdtemp(dir));
	strcat(dir, "/made");
}

static unsigned nfiles(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d)); )
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	char p[400];

	for (struct dirent *e; d && (e = readdir(d)); ) {
		snprintf(p, sizeof(p), "%s/%s", dir, e->d_name);
		unlink(p);
	}
	if (d)
		closedir(d);
	rmdir(dir);
	*strrchr(dir, '/') = '\0';
	rmdir(dir);
}

static int16_t pcm[48000 * 8];

/* Samples of a WAV file that may still grow. */
static size_t samples(const char *path)
{
	static uint8_t b[sizeof(pcm) + 44];
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(b, 1, sizeof(b), f) : 0;

	if (f)
		fclose(f);
	assert_true(n >= 44);
	n = (size_t)(b[40] | b[41] << 8 | b[42] << 16 | b[43] << 24) / 2;
	memcpy(pcm, b + 44, n * 2);
	return n;
}

static double loudness(const int16_t *p, size_t n, double hz)
{
	double s = 0, c = 0;

	for (size_t i = 0; i < n; i++) {
		s += p[i] * sin(2 * M_PI * hz * (double)i / 48000);
		c += p[i] * cos(2 * M_PI * hz * (double)i / 48000);
	}
	return 2 * sqrt(s * s + c * c) / (double)n;
}

/* --- the ring */
static void what_finds_the_ring_full_is_dropped_counted_and_seen_in_the_ticks(void **state)
{
	int16_t f[TAP_FRAME] = { 0 };
	struct tap *t;
	uint64_t tick;
	const int16_t *p;

	(void)state;
	assert_int_equal(tap_alloc(&t), 0);
	assert_null(tap_peek(t, &tick));
	for (unsigned i = 0; i < TAP_FRAMES + 7; i++) {
		f[0] = (int16_t)i;
		tap_put(t, 1000 + i, f);
	}
	assert_int_equal(atomic_load(&t->dropped), 7);
	for (unsigned i = 0; i < TAP_FRAMES; i++) {
		p = tap_peek(t, &tick);
		assert_non_null(p);
		assert_int_equal(tick, 1000 + i);
		assert_int_equal(p[0], (int16_t)i);
		tap_next(t);
	}
	assert_null(tap_peek(t, &tick));
	tap_put(t, 5000, f);
	assert_non_null(tap_peek(t, &tick));
	assert_int_equal(tick, 5000);
	mem_deref(t);
}

static void *put_all(void *arg)
{
	int16_t f[TAP_FRAME];

	for (uint64_t i = 0; i < 50000; i++) {
		for (unsigned k = 0; k < TAP_FRAME; k++)
			f[k] = (int16_t)i;
		tap_put(arg, i, f);
	}
	atomic_store_explicit(&((struct tap *)arg)->closed, true, memory_order_release);
	return NULL;
}

static void frames_of_another_thread_come_whole_and_in_order(void **state)
{
	struct tap *t;
	pthread_t th;
	uint64_t tick, last = 0, n = 0;
	bool closed;
	const int16_t *p;

	(void)state;
	assert_int_equal(tap_alloc(&t), 0);
	pthread_create(&th, NULL, put_all, t);
	do {
		closed = tap_closed(t);
		while ((p = tap_peek(t, &tick))) {
			assert_true(!n || tick > last);
			assert_int_equal(p[0], (int16_t)tick);
			assert_int_equal(p[TAP_FRAME - 1], (int16_t)tick);
			last = tick;
			n++;
			tap_next(t);
		}
	} while (!closed);
	pthread_join(th, NULL);
	assert_int_equal(n + atomic_load(&t->dropped), 50000);
	mem_deref(t);
}

/* --- a gap */
static void missing_ticks_are_silence_in_the_file(void **state)
{
	struct recorder_prm prm;
	struct recorder *r;
	struct tap *t;
	int16_t f[TAP_FRAME];

	(void)state;
	new_dir();
	assert_int_equal(ev_loop_alloc(&loop), 0);
	prm = prm_of(SOUNDFILE_WAV);
	assert_int_equal(recorder_start(&r, &t, &prm), 0);
	for (unsigned i = 0; i < TAP_FRAME; i++)
		f[i] = 1000;
	for (uint64_t i = 500; i < 520; i++)
		tap_put(t, i, f);
	for (uint64_t i = 530; i < 540; i++)                /* ten are missing */
		tap_put(t, i, f);
	atomic_store_explicit(&t->closed, true, memory_order_release);
	stop_loop = true;
	assert_int_equal(ev_loop_run(loop), 0);
	stop_loop = false;
	assert_int_equal(nended, 1);
	assert_string_equal(ended, "");
	assert_int_equal(samples(recorder_path(r)), 40 * TAP_FRAME);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(pcm[i * TAP_FRAME + 5], i >= 20 && i < 30 ? 0 : 1000);
	mem_deref(r);
	loop = mem_deref(loop);
	remove_dir();
}

/* --- the engine */
static void a_room_is_in_the_file_also_while_nobody_listens_at_48_khz(void **state)
{
	struct recorder_prm prm;
	struct recorder *r;
	struct tap *t;
	struct stat st;
	size_t n;

	(void)state;
	new_dir();
	engine_start(2, 0, 20);
	prm = prm_of(SOUNDFILE_WAV);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(1000);
	assert_int_equal(recorder_start(&r, &t, &prm), 0);
	assert_int_equal(mroom_tap(room, t), 0);
	run(2000);
	n = samples(recorder_path(r));                      /* while it is written */
	assert_in_range((int)n, 48000, 48000 * 2 + 4800);
	assert_true(loudness(pcm + 24000, 19200, 500) > 2500);
	assert_true(loudness(pcm + 24000, 19200, 800) < 100);
	assert_int_equal(nended, 0);
	recorder_stop(r);
	run(400);
	assert_int_equal(nended, 1);
	assert_string_equal(ended, "");
	assert_true(samples(recorder_path(r)) > n);
	assert_int_equal(stat(recorder_path(r), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_non_null(strstr(recorder_path(r), "/made/_._a_room_20"));
	assert_int_equal(recorder_seconds(r), samples(recorder_path(r)) / 48000);
	mem_deref(r);
	engine_stop();
	remove_dir();
}

static void it_ends_with_the_room_and_at_its_limit(void **state)
{
	struct recorder_prm prm;
	struct recorder *r;
	struct tap *t;

	(void)state;
	new_dir();
	engine_start(1, 0, 20);
	peer_start(&peers[0], MCODEC_OPUS, 500, true);
	prm = prm_of(SOUNDFILE_OPUS);
	prm.max_s = 1;
	drop = true;
	assert_int_equal(recorder_start(&r, &t, &prm), 0);
	assert_int_equal(mroom_tap(room, t), 0);
	run(1600);
	assert_int_equal(nended, 1);
	assert_string_equal(ended, "it is as long as is allowed");
	prm = prm_of(SOUNDFILE_OPUS);
	drop = true;
	assert_int_equal(recorder_start(&r, &t, &prm), 0);
	assert_int_equal(mroom_tap(room, t), 0);
	run(300);
	peer_stop(&peers[0]);
	free(peers);
	peers = NULL;
	npeers = 0;
	room = mem_deref(room);
	run(300);
	assert_int_equal(nended, 1);
	assert_string_equal(ended, "");
	engine_stop();
	assert_int_equal(nfiles(), 2);
	remove_dir();
}

static void a_second_recorder_of_a_room_ends_the_first(void **state)
{
	struct recorder *r[2];
	struct recorder_prm prm;
	struct tap *t;

	(void)state;
	new_dir();
	engine_start(1, 0, 20);
	peer_start(&peers[0], MCODEC_G722, 500, false);
	prm = prm_of(SOUNDFILE_OPUS);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(recorder_start(&r[i], &t, &prm), 0);
		assert_int_equal(mroom_tap(room, t), 0);
		run(300);
	}
	assert_int_equal(nended, 1);
	assert_string_not_equal(recorder_path(r[0]), recorder_path(r[1]));  /* also within one second */
	recorder_stop(r[1]);
	run(300);
	assert_int_equal(nended, 2);
	mem_deref(r[0]);
	mem_deref(r[1]);
	engine_stop();
	remove_dir();
}

/* --- what fails */
static void without_room_on_the_disk_or_a_directory_nothing_is_recorded(void **state)
{
	struct recorder_prm prm;
	struct recorder *r;
	struct tap *t;
	size_t live;

	(void)state;
	new_dir();
	live = mem_live();
	assert_int_equal(ev_loop_alloc(&loop), 0);
	prm = prm_of(SOUNDFILE_OPUS);
	prm.min_free = UINT64_MAX;
	assert_int_equal(recorder_start(&r, &t, &prm), -ENOSPC);
	prm.min_free = 0;
	prm.dir = "/dev/null/none";
	assert_int_equal(recorder_start(&r, &t, &prm), -ENOTDIR);
	prm.dir = dir;
	for (unsigned i = 1; i <= 5; i++) {
		mem_fail_after(i);
		assert_int_equal(recorder_start(&r, &t, &prm), -ENOMEM);
	}
	mem_fail_after(0);
	assert_int_equal(nfiles(), 0);
	loop = mem_deref(loop);                             /* mailboxes go with it */
	assert_int_equal(mem_live(), live);
	remove_dir();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_finds_the_ring_full_is_dropped_counted_and_seen_in_the_ticks),
		cmocka_unit_test(frames_of_another_thread_come_whole_and_in_order),
		cmocka_unit_test(missing_ticks_are_silence_in_the_file),
		cmocka_unit_test(a_room_is_in_the_file_also_while_nobody_listens_at_48_khz),
		cmocka_unit_test(it_ends_with_the_room_and_at_its_limit),
		cmocka_unit_test(a_second_recorder_of_a_room_ends_the_first),
		cmocka_unit_test(without_room_on_the_disk_or_a_directory_nothing_is_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
