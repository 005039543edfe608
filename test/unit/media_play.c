/* SPDX-License-Identifier: Apache-2.0 */
/* media_play.c - recordings and music for one leg and for a room, keys in the sound, volume, and legs that change rooms */
#include "mcu/media/handles.h"
#include "test/unit/media_peer.h"

#define HEARS(p, hz)  assert_true(tone_level(p, hz, 400) > 2500)
#define NOT(p, hz)    assert_true(tone_level(p, hz, 400) < 300)

static struct clip *tone_clip(unsigned hz, unsigned ms)
{
	struct clip *c = NULL;

	assert_int_equal(clip_tone(&c, hz, ms), 0);
	return c;
}

static void a_recording_is_heard_by_its_leg_alone_over_the_conference(void **state)
{
	struct clip *c = tone_clip(1000, 800);

	(void)state;
	engine_start(3, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_OPUS, 0, true);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1200);
	HEARS(&peers[1], 500);
	assert_int_equal(mleg_play(peers[1].leg, 0, &c, 1), 0);
	run(700);
	assert_true(tone_level(&peers[1], 1000, 400) > 2500);
	assert_in_range((int)tone_level(&peers[1], 500, 400), 800, 2600);   /* turned down, not off */
	NOT(&peers[2], 1000);
	HEARS(&peers[2], 500);
	run(900);
	NOT(&peers[1], 1000);
	HEARS(&peers[1], 500);
	assert_true(peers[1].gaps + peers[1].ts_jumps == 0 || !steady());
	clip_unref(c);
	engine_stop();
}

static void a_recording_that_is_to_be_heard_alone_is_and_a_muted_leg_hears_it(void **state)
{
	struct clip *c[2] = { tone_clip(1000, 600), tone_clip(1500, 600) };

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_G722, 0, false);
	run(1000);
	assert_int_equal(mleg_play(peers[1].leg, PLAY_ALONE, c, 2), 0);
	run(550);
	HEARS(&peers[1], 1000);
	NOT(&peers[1], 500);
	run(600);
	HEARS(&peers[1], 1500);
	NOT(&peers[1], 1000);
	mleg_mute(peers[1].leg, true, true);
	run(800);
	assert_true(rms(&peers[1], 300) < 30);
	assert_int_equal(mleg_play(peers[1].leg, 0, c, 1), 0);
	run(550);
	HEARS(&peers[1], 1000);
	assert_int_equal(mleg_play(peers[1].leg, PLAY_NOW, c + 1, 1), 0);    /* instead of the rest */
	run(480);
	assert_true(tone_level(&peers[1], 1500, 300) > 2500);
	assert_true(tone_level(&peers[1], 1000, 300) < 300);
	clip_unref(c[0]);
	clip_unref(c[1]);
	engine_stop();
}

static void a_recording_for_the_room_is_heard_by_all_also_by_who_talks(void **state)
{
	struct clip *c = tone_clip(1000, 1000);

	(void)state;
	engine_start(3, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_OPUS, 0, true);
	peer_start(&peers[2], MCODEC_PCMA, 0, true);
	run(1200);
	assert_int_equal(mroom_play(room, 0, &c, 1), 0);
	run(700);
	for (unsigned i = 0; i < 3; i++)
		HEARS(&peers[i], 1000);
	NOT(&peers[0], 500);
	HEARS(&peers[1], 500);
	run(1000);
	for (unsigned i = 0; i < 3; i++)
		NOT(&peers[i], 1000);
	clip_unref(c);
	engine_stop();
}

static void music_goes_on_until_it_is_stopped_and_waits_for_recordings(void **state)
{
	struct clip *music = tone_clip(600, 200), *c = tone_clip(1000, 800);

	(void)state;
	engine_start(1, 0, 20);
	peer_start(&peers[0], MCODEC_OPUS, 0, true);
	run(300);
	assert_int_equal(mleg_music(peers[0].leg, music), 0);
	run(1500);
	HEARS(&peers[0], 600);
	assert_int_equal(mleg_play(peers[0].leg, 0, &c, 1), 0);
	run(700);
	assert_true(tone_level(&peers[0], 1000, 300) > 2500);
	assert_true(tone_level(&peers[0], 600, 300) < 300);
	run(1000);
	HEARS(&peers[0], 600);
	assert_int_equal(mleg_music(peers[0].leg, NULL), 0);
	run(800);
	assert_true(rms(&peers[0], 400) < 50);
	clip_unref(music);
	clip_unref(c);
	engine_stop();
}

static void more_recordings_than_wait_are_dropped_and_none_costs_memory_afterwards(void **state)
{
	struct clip *c[8];

	(void)state;
	engine_start(1, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 0, false);
	run(200);
	for (unsigned i = 0; i < 8; i++)
		c[i] = tone_clip(1000, 20);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(mleg_play(peers[0].leg, 0, c, 8), 0);       /* 80, of which 24 play: 480 ms */
	run(300);
	assert_true(rms(&peers[0], 100) > 1000);
	run(700);
	assert_true(rms(&peers[0], 300) < 50);
	for (unsigned i = 0; i < 8; i++)
		clip_unref(c[i]);
	engine_stop();
}

static void chimes_may_be_recordings_and_a_crowd_is_heard_as_two(void **state)
{
	struct clip *join = tone_clip(1300, 300), *leave = tone_clip(1700, 300);

	(void)state;
	engine_start(5, 0, 30);
	mroom_tones(room, true);
	mroom_chimes(room, join, leave);
	peer_start(&peers[0], MCODEC_PCMU, 0, false);
	run(1200);
	for (unsigned i = 1; i < 5; i++)
		peer_start(&peers[i], MCODEC_PCMU, 0, false);
	run(450);
	assert_true(tone_level(&peers[0], 1300, 300) > 2500);
	run(800);
	NOT(&peers[0], 1300);
	peer_stop(&peers[4]);
	run(350);
	assert_true(tone_level(&peers[0], 1700, 200) > 2500);
	clip_unref(join);
	clip_unref(leave);
	engine_stop();
}

static void volume_is_the_listeners_own(void **state)
{
	double loud, quiet;

	(void)state;
	engine_start(3, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 500, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1200);
	mleg_volume(peers[1].leg, -12);
	run(800);
	loud  = tone_level(&peers[2], 500, 400);
	quiet = tone_level(&peers[1], 500, 400);
	assert_true(loud > 2500 && quiet * 3.5 < loud && quiet * 4.5 > loud);
	mleg_volume(peers[1].leg, 0);
	run(800);
	assert_true(tone_level(&peers[1], 500, 400) * 1.1 > loud);
	engine_stop();
}

static void press(struct peer *p, double low, double high, unsigned ms)
{
	static int16_t pcm[960];
	uint8_t out[1400];
	size_t n = p->codec->rate / 50;

	p->off = true;
	for (unsigned t = 0; t < ms / 20; t++) {
		int r;

		for (size_t i = 0; i < n; i++) {
			double at = 2 * M_PI * (double)(t * n + i) / p->codec->rate;

			pcm[i] = (int16_t)(5000 * sin(low * at) + 5000 * sin(high * at));
		}
		if (!p->enc)
			assert_int_equal(p->codec->enc_alloc(&p->enc, 0), 0);
		r = p->codec->encode(p->enc, pcm, n, out, sizeof(out));
		assert_true(r > 0);
		peer_packet(p, p->set.pt_recv, false, out, (size_t)r, p->ts, -10);
		p->ts += p->codec->rtp_clock / 50;
		run(20);
	}
	p->off = false;
	run(120);
}

static void keys_in_the_sound_are_known_where_telephone_events_were_not_agreed(void **state)
{
	static const enum mcodec codecs[3] = { MCODEC_PCMA, MCODEC_G722, MCODEC_OPUS };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		engine_start(2, 0, 20);
		peer_start(&peers[0], codecs[i], 0, true);
		peer_start(&peers[1], MCODEC_PCMU, 0, true);
		peers[0].set.dtmf_pt = 0;
		assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
		mleg_mute(peers[0].leg, true, true);                          /* whoever waits at the attendant */
		run(500);
		press(&peers[0], 941, 1209, 120);                             /* * */
		press(&peers[0], 770, 1477, 120);                             /* 6 */
		press(&peers[0], 770, 1477, 120);
		press(&peers[1], 770, 1477, 120);                             /* has events: what it sends is sound */
		run(300);
		assert_string_equal(peers[0].keys, "*66");
		assert_string_equal(peers[1].keys, "");
		engine_stop();
	}
}

static void a_leg_goes_to_a_room_on_another_worker_and_its_peer_notices_nothing(void **state)
{
	struct mroom *other = NULL;

	(void)state;
	nworkers = 2;
	engine_start(3, 0, 30);
	assert_int_equal(mroom_alloc(&other, engine, "other"), 0);
	peer_start(&peers[0], MCODEC_PCMU, 500, true);
	peer_start(&peers[1], MCODEC_OPUS, 800, true);
	peer_start(&peers[2], MCODEC_G722, 1100, true);
	run(1200);
	HEARS(&peers[0], 800);
	assert_int_equal(mleg_move(peers[1].leg, other), 0);
	assert_int_equal(mleg_move(peers[1].leg, other), -EINVAL);            /* one at a time */
	mleg_tone(peers[1].leg, 1500, 300);                                   /* waits until it has landed */
	assert_int_equal(mleg_move(peers[2].leg, other), 0);
	run(250);
	assert_true(tone_level(&peers[1], 1500, 150) > 1000);
	run(1500);
	NOT(&peers[0], 800);
	NOT(&peers[0], 1100);
	HEARS(&peers[1], 1100);
	HEARS(&peers[2], 800);
	NOT(&peers[1], 500);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(peers[i].ssrcs, 1);
		assert_int_equal(peers[i].gaps, 0);
		assert_int_equal(peers[i].bad, 0);
	}
	assert_true(peers[1].leg->half->jb.fec);                              /* Opus repairs its losses there, too */
	assert_false(peers[2].leg->half->jb.fec);
	assert_int_equal(metric_get(&media_metrics[M_LEGS]), 3);
	other = mem_deref(other);                                             /* its legs keep it */
	assert_int_equal(mleg_move(peers[1].leg, room), 0);                   /* and back */
	run(1500);
	HEARS(&peers[1], 500);
	HEARS(&peers[0], 800);
	engine_stop();
	nworkers = 1;
}

static void a_leg_that_ends_between_two_rooms_leaves_nothing_behind(void **state)
{
	struct mroom *other = NULL;

	(void)state;
	nworkers = 2;
	engine_start(2, 0, 30);
	assert_int_equal(mroom_alloc(&other, engine, "other"), 0);
	peer_start(&peers[0], MCODEC_OPUS, 500, true);
	peer_start(&peers[1], MCODEC_PCMU, 500, true);
	run(300);
	assert_int_equal(mleg_move(peers[0].leg, other), 0);
	mleg_tone(peers[0].leg, 1500, 300);
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	peer_stop(&peers[0]);
	run(200);
	assert_int_equal(metric_get(&media_metrics[M_LEGS]), 1);
	assert_int_equal(mleg_move(peers[1].leg, other), 0);
	other = mem_deref(other);
	engine_stop();                                                        /* at once, and mem_live() is 0 */
	nworkers = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recording_is_heard_by_its_leg_alone_over_the_conference),
		cmocka_unit_test(a_recording_that_is_to_be_heard_alone_is_and_a_muted_leg_hears_it),
		cmocka_unit_test(a_recording_for_the_room_is_heard_by_all_also_by_who_talks),
		cmocka_unit_test(music_goes_on_until_it_is_stopped_and_waits_for_recordings),
		cmocka_unit_test(more_recordings_than_wait_are_dropped_and_none_costs_memory_afterwards),
		cmocka_unit_test(chimes_may_be_recordings_and_a_crowd_is_heard_as_two),
		cmocka_unit_test(volume_is_the_listeners_own),
		cmocka_unit_test(keys_in_the_sound_are_known_where_telephone_events_were_not_agreed),
		cmocka_unit_test(a_leg_goes_to_a_room_on_another_worker_and_its_peer_notices_nothing),
		cmocka_unit_test(a_leg_that_ends_between_two_rooms_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
