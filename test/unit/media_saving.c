/* SPDX-License-Identifier: Apache-2.0 */
/* media_saving.c - what the engine sends in silence and under loss: comfort noise, Opus DTX, protection by what receivers report;
 * a leg's settings: gain, volume */
#include "test/unit/media_peer.h"
#include "mcu/media/handles.h"

static void a_silent_room_costs_comfort_noise_and_speech_starts_with_a_marker(void **state)
{
	unsigned before, markers;

	(void)state;
	engine_start(3, 0, 20);
	peers[0].set.dtx = peers[1].set.dtx = true;
	peer_start(&peers[0], MCODEC_PCMU, 0, false);
	peer_start(&peers[1], MCODEC_G722, 0, true);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);    /* did not ask for it */
	run(1000);
	before = peers[0].nrecv + peers[0].ncn;
	peers[2].nrecv = 0;
	run(2000);
	assert_true(peers[0].nrecv + peers[0].ncn - before <= 7);
	assert_true(peers[0].ncn >= 4 && peers[1].ncn >= 4);
	assert_true(peers[0].cn_level == 70);
	if (steady())
		assert_true(peers[2].nrecv >= 98);
	markers = peers[0].markers;
	peers[2].silent = false;
	peers[2].hz = 500;
	run(1000);
	assert_true(peers[0].markers > markers);
	assert_true(tone_level(&peers[0], 500, 300) > 2500);
	assert_true(tone_level(&peers[1], 500, 300) > 2500);
	assert_int_equal(peers[0].bad + peers[1].bad, 0);
	engine_stop();
}

static void opus_legs_that_asked_get_fewer_packets_in_silence(void **state)
{
	(void)state;
	engine_start(2, 0, 20);
	peers[0].set.dtx = true;
	peer_start(&peers[0], MCODEC_OPUS, 0, false);
	peer_start(&peers[1], MCODEC_OPUS, 0, false);
	run(1500);
	peers[0].nrecv = peers[1].nrecv = 0;
	run(2000);
	assert_true(peers[0].nrecv <= 20);
	if (steady())
		assert_true(peers[1].nrecv >= 98);
	engine_stop();
}

/* --- protection */
static void report(struct peer *p, uint8_t fraction)
{
	struct rtcp_report r = { .ssrc = p->out_ssrc, .fraction = fraction };
	uint8_t b[200];
	size_t n = rtcp_encode(b, sizeof(b), p->ssrc, NULL, &r, 1, "peer");

	assert_true(n > 0);
	(void)!sendto(p->fd, b, n, 0, (struct sockaddr *)&p->to, sizeof(p->to));
}

/* The worker's; only read, when nothing is expected to change any more */
static unsigned reckoned(void)
{
	unsigned most = 0;

	for (const struct profile *p = room->shard[0]->half->profiles; p; p = p->next)
		if (!p->silent && p->codec == MCODEC_OPUS && p->s.loss != LOSS_UNKNOWN && p->s.loss > most)
			most = p->s.loss;
	return most;
}

static void the_encoder_reckons_with_the_worst_loss_that_a_receiver_reports(void **state)
{
	(void)state;
	engine_start(3, 0, 20);
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_OPUS, 0, false);
	run(500);
	assert_int_equal(reckoned(), 0);                 /* nothing known: the codec's own guess */
	report(&peers[0], 0);
	report(&peers[1], 26);                           /* 10 in 100 */
	run(2500);
	assert_int_equal(reckoned(), 10);
	report(&peers[2], 200);
	run(2500);
	assert_int_equal(reckoned(), 20);                /* more would be for nothing */
	report(&peers[1], 0);
	report(&peers[2], 0);
	run(3600);
	assert_true(reckoned() < 20 && reckoned() >= 14);        /* step by step */
	engine_stop();
}

/* --- levels */
static void a_legs_gain_is_heard_by_the_others_and_its_volume_by_itself(void **state)
{
	double all;

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[1], MCODEC_OPUS, 700, false);
	run(1500);
	all = tone_level(&peers[1], 400, 300);
	assert_true(all > 5000 && all < 7000);
	mleg_gain(peers[0].leg, -12);
	run(700);
	assert_true(fabs(20 * log10(tone_level(&peers[1], 400, 300) / all) + 12) < 1);
	mleg_gain(peers[0].leg, 0);
	mleg_volume(peers[1].leg, -6);
	run(700);
	assert_true(fabs(20 * log10(tone_level(&peers[1], 400, 300) / all) + 6) < 1);
	assert_true(tone_level(&peers[0], 700, 300) > 5000);
	engine_stop();
}

static void a_soft_voice_comes_up_where_the_leg_has_automatic_gain(void **state)
{
	(void)state;
	engine_start(3, 0, 20);
	peers[0].set.agc = true;
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[1], MCODEC_PCMU, 600, false);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	peers[0].amp = peers[1].amp = 900;               /* -34 dBov */
	run(3500);
	assert_true(tone_level(&peers[2], 400, 300) > 2 * 900);
	assert_true(tone_level(&peers[2], 600, 300) < 1.1 * 900);
	engine_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_room_costs_comfort_noise_and_speech_starts_with_a_marker),
		cmocka_unit_test(opus_legs_that_asked_get_fewer_packets_in_silence),
		cmocka_unit_test(the_encoder_reckons_with_the_worst_loss_that_a_receiver_reports),
		cmocka_unit_test(a_legs_gain_is_heard_by_the_others_and_its_volume_by_itself),
		cmocka_unit_test(a_soft_voice_comes_up_where_the_leg_has_automatic_gain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
