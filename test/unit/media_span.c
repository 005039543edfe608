/* SPDX-License-Identifier: Apache-2.0 */
/* media_span.c - a room on several workers: everybody hears the others wherever they are, and everything once */
#include <pthread.h>
#include <signal.h>
#include "mcu/audio/clip.h"
#include "mcu/media/handles.h"
#include "test/unit/media_peer.h"

#define HEARS(p, hz)  assert_true(tone_level(p, hz, 400) > 2000)
#define NOT(p, hz)    assert_true(tone_level(p, hz, 400) < 300)

static int64_t late;

/* No tick of a talker was missing for want of processor time, either. */
static bool exact(void) { return steady() && metric_get(&media_metrics[M_SHARD_LATE]) == late; }

/* CSRCs in the last packet that it got */
#define MIXED(p, n) assert_true((p)->ncsrc == (n) || !exact())

static void span_begin(unsigned workers, unsigned legs, unsigned n)
{
	nworkers = workers;
	span_legs = legs;
	engine_start(n, 0, (uint16_t)(2 * n + 20));
	late = metric_get(&media_metrics[M_SHARD_LATE]);
}

static void span_end(void)
{
	engine_stop();
	assert_int_equal(metric_get(&media_metrics[M_ROOMS]), 0);
	assert_int_equal(metric_get(&media_metrics[M_SHARDS]), 0);
	assert_int_equal(metric_get(&media_metrics[M_LEGS]), 0);
	nworkers = 1;
	span_legs = 0;
}

static struct clip *tone_clip(unsigned hz, unsigned ms)
{
	struct clip *c = NULL;

	assert_int_equal(clip_tone(&c, hz, ms), 0);
	return c;
}

static void talkers_are_heard_on_all_workers_and_by_themselves_on_none(void **state)
{
	static const enum mcodec codecs[6] = { MCODEC_PCMU, MCODEC_OPUS, MCODEC_OPUS, MCODEC_G722, MCODEC_G722, MCODEC_PCMA };
	static const double hz[6] = { 500, 0, 800, 0, 1100, 0 };

	(void)state;
	span_begin(3, 2, 6);
	for (unsigned i = 0; i < 6; i++)
		peer_start(&peers[i], codecs[i], hz[i], i & 1);
	assert_int_equal(room->nshards, 3);
	for (unsigned i = 0; i < 6; i++)
		assert_ptr_equal(peers[i].leg->at, room->shard[i / 2]);
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_not_equal(room->shard[i]->w, room->shard[(i + 1) % 3]->w);
	run(2000);
	assert_int_equal(metric_get(&media_metrics[M_ROOMS]), 1);
	assert_int_equal(metric_get(&media_metrics[M_SHARDS]), 2);
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 6; k += 2)
			if (i == k)
				NOT(&peers[i], hz[k]);
			else
				HEARS(&peers[i], hz[k]);
		MIXED(&peers[i], hz[i] > 0 ? 2u : 3u);
		assert_int_equal(peers[i].ssrcs, 1);
		assert_true(peers[i].gaps + peers[i].ts_jumps == 0 || !steady());
		assert_true(peers[i].ev[MLEG_TALK][0] == (hz[i] > 0) || stalled);
	}
	assert_true(metric_get(&media_metrics[M_SHARD_LATE]) - late < 100);      /* of 600 */
	span_end();
}

/* How much later a listener on the other worker hears the talker than one on the same, us */
static int64_t later(unsigned talker)
{
	struct peer *near = &peers[talker + 1], *far = &peers[3 - talker];

	near->first_heard_us = far->first_heard_us = 0;
	peers[talker].silent = false;
	run(500);
	assert_true(near->first_heard_us && far->first_heard_us);
	peers[talker].silent = true;
	run(1300);
	assert_true(rms(near, 200) < 50 && rms(far, 200) < 50);
	return (int64_t)far->first_heard_us - (int64_t)near->first_heard_us;
}

static void what_is_said_comes_to_another_worker_at_most_a_tick_later(void **state)
{
	(void)state;
	span_begin(2, 2, 4);
	for (unsigned i = 0; i < 4; i++)
		peer_start(&peers[i], MCODEC_PCMU, i % 2 ? 0 : i ? 800 : 500, false);
	peers[0].silent = peers[2].silent = true;
	run(1000);
	for (unsigned talker = 0; talker < 4; talker += 2) {
		int64_t least = INT64_MAX;

		for (unsigned i = 0; i < 3; i++) {       /* this process reads when it is its turn: the best of three */
			int64_t us = later(talker);

			least = us < least ? us : least;
		}
		print_message("from worker to worker: %lld us later\n", (long long)least);
		assert_in_range(least + 5000, 0, exact() ? 27000 : 47000);
	}
	span_end();
}

static unsigned heard_by(const struct peer *p, const double *hz, unsigned n)
{
	unsigned set = 0;

	for (unsigned i = 0; i < n; i++)
		set |= (tone_level(p, hz[i], 400) > 700) << i;
	return set;
}

/* Three are mixed of those six, and the same three everywhere. */
static void too_many_talkers_are_the_same_ones_on_all_workers(void **state)
{
	static const double hz[7] = { 400, 600, 800, 1000, 1200, 1400, 1700 };
	unsigned set, n = 0;

	(void)state;
	span_begin(2, 5, 10);
	for (unsigned i = 0; i < 10; i++)
		peer_start(&peers[i], MCODEC_PCMU, i % 5 < 3 ? hz[i / 5 * 3 + i % 5] : i == 8 ? hz[6] : 0, false);
	for (unsigned i = 0; i < 10; i++)
		peers[i].amp = 2500;
	peers[8].amp = 12000;
	peers[8].silent = true;
	run(2500);
	set = heard_by(&peers[4], hz, 7);
	for (unsigned i = 0; i < 7; i++)
		n += set >> i & 1;
	assert_int_equal(n, 3);
	assert_int_equal(heard_by(&peers[9], hz, 7), set);
	assert_int_equal(heard_by(&peers[3], hz, 7), set);
	MIXED(&peers[4], 3);
	MIXED(&peers[9], 3);
	peers[8].silent = false;                         /* louder by far: takes the place of one, wherever that is */
	run(1500);
	set = heard_by(&peers[4], hz, 7);
	assert_true(set & 1 << 6);
	assert_int_equal(heard_by(&peers[9], hz, 7), set);
	MIXED(&peers[4], 3);
	MIXED(&peers[9], 3);
	span_end();
}

static void talkers_change_and_are_muted_across_workers_and_it_is_told_once(void **state)
{
	(void)state;
	span_begin(2, 2, 4);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_OPUS, 0, true);
	peer_start(&peers[2], MCODEC_G722, 800, false);
	peer_start(&peers[3], MCODEC_PCMA, 0, true);
	peers[2].silent = true;
	run(1500);
	HEARS(&peers[3], 500);
	NOT(&peers[3], 800);
	peers[0].silent = true;
	peers[2].silent = false;
	run(1800);
	HEARS(&peers[1], 800);
	HEARS(&peers[3], 800);
	NOT(&peers[1], 500);
	assert_int_equal(peers[0].ev[MLEG_TALK][0], 2);
	assert_int_equal(peers[2].ev[MLEG_TALK][0], 1);
	mleg_mute(peers[2].leg, true, false);
	run(700);
	assert_true(rms(&peers[1], 300) < 50 && rms(&peers[3], 300) < 50);
	mleg_mute(peers[2].leg, false, false);
	mleg_mute(peers[1].leg, false, true);
	run(1500);
	assert_true(rms(&peers[1], 300) < 50);
	HEARS(&peers[0], 800);
	assert_int_equal(peers[2].ev[MLEG_TALK][0], 3);
	assert_int_equal(peers[1].ev[MLEG_TALK][0] + peers[3].ev[MLEG_TALK][0], 0);
	span_end();
}

static void chimes_and_recordings_for_the_room_are_heard_on_all_workers(void **state)
{
	struct clip *join = tone_clip(1300, 300), *leave = tone_clip(1700, 300), *c = tone_clip(1000, 800);

	(void)state;
	span_begin(2, 2, 4);
	mroom_tones(room, true);
	mroom_chimes(room, join, leave);
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_PCMU, 0, false);
	run(1300);
	peer_start(&peers[3], MCODEC_PCMU, 0, false);
	run(370);
	for (unsigned i = 0; i < 4; i++)
		assert_true(tone_level(&peers[i], 1300, 250) > 2500);
	run(700);
	for (unsigned i = 0; i < 4; i++)
		NOT(&peers[i], 1300);
	assert_int_equal(mroom_play(room, 0, &c, 1), 0);
	run(600);
	for (unsigned i = 0; i < 4; i++)
		HEARS(&peers[i], 1000);
	run(700);
	peer_stop(&peers[0]);
	run(370);
	for (unsigned i = 1; i < 4; i++)
		assert_true(tone_level(&peers[i], 1700, 250) > 2500);
	peer_stop(&peers[2]);
	run(800);
	peer_stop(&peers[3]);                            /* with it goes its shard, and all hear that, too */
	assert_int_equal(room->nshards, 1);
	run(370);
	assert_true(tone_level(&peers[1], 1700, 250) > 2500);
	clip_unref(join);
	clip_unref(leave);
	clip_unref(c);
	span_end();
}

static void drain(struct tap *t, struct peer *as)
{
	const int16_t *pcm;
	uint64_t tick;

	for (; (pcm = tap_peek(t, &tick)); tap_next(t)) {
		memcpy(as->heard + as->nheard, pcm, TAP_FRAME * sizeof(*pcm));
		as->nheard += TAP_FRAME;
	}
}

static void a_recorder_hears_all_workers(void **state)
{
	struct peer rec = { .codec = &codec_opus };
	struct tap *t = NULL;

	(void)state;
	span_begin(3, 1, 3);
	assert_int_equal(tap_alloc(&t), 0);
	rec.heard = malloc(HEARD_MAX * sizeof(int16_t));
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_PCMU, 500 + 300 * i, false);
	assert_int_equal(mroom_tap(room, t), 0);
	run(2000);
	atomic_store(&t->unwanted, true);
	run(100);
	assert_true(tap_closed(t));
	drain(t, &rec);
	for (unsigned i = 0; i < 3; i++)
		HEARS(&rec, 500 + 300 * i);
	free(rec.heard);
	mem_deref(t);
	span_end();
}

static void a_shard_goes_with_its_last_leg_in_the_middle_of_a_word_and_may_come_again(void **state)
{
	(void)state;
	span_begin(2, 2, 4);
	for (unsigned i = 0; i < 4; i++)
		peer_start(&peers[i], MCODEC_PCMU, i == 2 ? 800 : i == 0 ? 500 : 0, false);
	run(1500);
	HEARS(&peers[1], 800);
	peer_stop(&peers[3]);
	peer_stop(&peers[2]);
	assert_int_equal(room->nshards, 1);
	run(600);
	assert_int_equal(metric_get(&media_metrics[M_SHARDS]), 0);
	NOT(&peers[1], 800);
	HEARS(&peers[1], 500);
	MIXED(&peers[1], 1);
	peer_start(&peers[2], MCODEC_OPUS, 1100, true);
	assert_int_equal(room->nshards, 2);
	run(1500);
	HEARS(&peers[1], 1100);
	HEARS(&peers[2], 500);
	NOT(&peers[2], 1100);
	assert_int_equal(peers[0].ssrcs, 1);
	assert_true(peers[0].gaps == 0 || !steady());
	span_end();
}

static void on_stall(int sig)
{
	struct timespec ts = { .tv_nsec = 300000000 };

	(void)sig;
	nanosleep(&ts, NULL);
}

static void a_worker_that_stands_still_stops_no_other(void **state)
{
	struct sigaction sa = { .sa_handler = on_stall };
	int64_t left_out = metric_get(&media_metrics[M_SKIPPED]);

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	span_begin(2, 2, 4);
	for (unsigned i = 0; i < 4; i++)
		peer_start(&peers[i], MCODEC_PCMU, i == 2 ? 800 : i == 0 ? 500 : 0, false);
	run(1500);
	peers[1].max_gap_us = 0;
	assert_int_equal(pthread_kill(room->shard[1]->w->thread, SIGUSR1), 0);
	run(290);
	assert_true(tone_level(&peers[1], 800, 100) < 300);      /* its talker is not there */
	assert_true(tone_level(&peers[1], 500, 200) > 2000);
	run(1500);
	assert_true(metric_get(&media_metrics[M_SKIPPED]) - left_out > 5);
	assert_true(peers[1].max_gap_us < 80000 || stalled);
	assert_int_equal(peers[1].gaps, 0);
	HEARS(&peers[1], 800);
	HEARS(&peers[3], 500);
	HEARS(&peers[0], 800);
	NOT(&peers[2], 800);
	span_end();
}

static void legs_move_into_a_room_on_several_workers_and_out_of_it(void **state)
{
	struct mroom *other = NULL;

	(void)state;
	span_begin(2, 2, 4);
	assert_int_equal(mroom_alloc(&other, engine, "other"), 0);
	for (unsigned i = 0; i < 4; i++)
		peer_start(&peers[i], MCODEC_OPUS, 500 + 300 * i, i & 1);
	peers[1].silent = peers[3].silent = true;
	run(1500);
	HEARS(&peers[0], 1100);
	assert_int_equal(mleg_move(peers[2].leg, other), 0);
	assert_int_equal(room->nshards, 2);
	assert_int_equal(mleg_move(peers[3].leg, other), 0);
	assert_int_equal(room->nshards, 1);
	assert_int_equal(other->nshards, 1);
	peers[3].silent = false;
	run(1500);
	NOT(&peers[0], 1100);
	HEARS(&peers[3], 1100);
	HEARS(&peers[2], 1400);
	assert_int_equal(mleg_move(peers[0].leg, other), 0);     /* the third there */
	assert_int_equal(other->nshards, 2);
	run(1500);
	HEARS(&peers[0], 1100);
	HEARS(&peers[0], 1400);
	HEARS(&peers[2], 500);
	NOT(&peers[0], 500);
	assert_int_equal(mleg_move(peers[2].leg, room), 0);
	peer_stop(&peers[2]);                                    /* on its way */
	assert_int_equal(mleg_move(peers[0].leg, other), 0);     /* to where it is */
	run(1000);
	HEARS(&peers[0], 1400);
	for (unsigned i = 0; i < 4; i += 3)
		assert_int_equal(peers[i].ssrcs + peers[i].bad, 1);
	other = mem_deref(other);
	span_end();
}

static void without_a_bound_or_another_worker_a_room_keeps_to_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		span_begin(i + 1, i ? 0 : 1, 3);
		for (unsigned k = 0; k < 3; k++)
			peer_start(&peers[k], MCODEC_PCMU, 0, false);
		assert_int_equal(room->nshards, 1);
		assert_null(room->span);
		span_end();
	}
	span_begin(2, 1, 5);                             /* all are full: by load */
	for (unsigned k = 0; k < 5; k++)
		peer_start(&peers[k], MCODEC_PCMU, 0, false);
	assert_int_equal(room->nshards, 2);
	assert_in_range(room->shard[0]->nlegs, 2, 3);
	run(100);
	span_end();
}

static void no_memory_for_a_shard_leaves_the_leg_where_there_is_room(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 12; n++) {
		struct mleg *l = NULL;

		span_begin(2, 1, 1);
		peer_start(&peers[0], MCODEC_PCMU, 0, false);
		run(60);                                 /* the worker allocates meanwhile, too: it is through */
		mem_fail_after(n);
		if (!mleg_alloc(&l, room, "second", NULL, NULL))
			assert_in_range(room->nshards, 1, 2);
		mem_fail_after(0);
		mem_deref(l);
		assert_int_equal(room->nshards, 1);
		span_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talkers_are_heard_on_all_workers_and_by_themselves_on_none),
		cmocka_unit_test(what_is_said_comes_to_another_worker_at_most_a_tick_later),
		cmocka_unit_test(too_many_talkers_are_the_same_ones_on_all_workers),
		cmocka_unit_test(talkers_change_and_are_muted_across_workers_and_it_is_told_once),
		cmocka_unit_test(chimes_and_recordings_for_the_room_are_heard_on_all_workers),
		cmocka_unit_test(a_recorder_hears_all_workers),
		cmocka_unit_test(a_shard_goes_with_its_last_leg_in_the_middle_of_a_word_and_may_come_again),
		cmocka_unit_test(a_worker_that_stands_still_stops_no_other),
		cmocka_unit_test(legs_move_into_a_room_on_several_workers_and_out_of_it),
		cmocka_unit_test(without_a_bound_or_another_worker_a_room_keeps_to_one),
		cmocka_unit_test(no_memory_for_a_shard_leaves_the_leg_where_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
