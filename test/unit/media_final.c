/* SPDX-License-Identifier: Apache-2.0 */
/* media_final.c - the last figures of a leg: they come once, whatever becomes of leg, room and engine */
#include "test/unit/media_peer.h"

struct last { unsigned n; struct mleg_stats st; };

static void on_last(const struct mleg_stats *st, void *arg)
{
	struct last *l = arg;

	l->n++;
	l->st = *st;
}

static void on_stats(const struct mleg_stats *st, void *arg)
{
	struct last *l = arg;

	l->n++;
	if (st)
		l->st = *st;
}

static void two_peers(unsigned lose_every, unsigned ms)
{
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[1], MCODEC_OPUS, 0, true);
	peers[0].lose_every = lose_every;
	run(ms);
}

static void they_come_after_the_leg_is_gone(void **state)
{
	struct last last = { 0 };

	(void)state;
	two_peers(0, 1500);
	mleg_final(peers[0].leg, on_last, &last);
	run(40);
	assert_int_equal(last.n, 0);
	peers[0].leg = mem_deref(peers[0].leg);
	run(60);
	assert_int_equal(last.n, 1);
	assert_true(last.st.started && last.st.codec == MCODEC_PCMU);
	assert_in_range(last.st.rx_packets, 60, 90);
	assert_true((last.st.mos_in > 4.2 && last.st.loss_in < 1 && last.st.talk_ms > 800) || !steady());
	assert_in_range(last.st.first_media_ms, 0, 200);
	assert_true(last.st.mos_out == 0 && last.st.rtt_us == 0);        /* it sends no reports */
	engine_stop();
	assert_int_equal(last.n, 1);
}

static void they_come_from_between_two_rooms(void **state)
{
	struct mroom *next = NULL;
	struct last last = { 0 }, asked = { 0 };

	(void)state;
	nworkers = 2;
	two_peers(0, 600);
	assert_int_equal(mroom_alloc(&next, engine, "next"), 0);
	assert_int_equal(mleg_move(peers[0].leg, next), 0);
	mleg_final(peers[0].leg, on_last, &last);
	assert_int_equal(mleg_stats(peers[0].leg, on_stats, &asked), 0); /* waits for its landing, which never comes */
	peers[0].leg = mem_deref(peers[0].leg);
	assert_int_equal(asked.n, 1);
	run(60);
	assert_int_equal(last.n, 1);
	assert_in_range(last.st.rx_packets, 15, 45);
	next = mem_deref(next);
	engine_stop();
	nworkers = 1;
}

static void they_come_when_the_engine_ends(void **state)
{
	struct last last = { 0 };

	(void)state;
	two_peers(0, 100);
	mleg_final(peers[0].leg, on_last, &last);
	mleg_final(peers[1].leg, on_last, &last);
	for (unsigned i = 0; i < 2; i++)
		peer_stop(&peers[i]);
	room   = mem_deref(room);
	engine = mem_deref(engine);
	assert_int_equal(last.n, 2);
	tmr_fini(&pace);
	loop = mem_deref(loop);
	free(peers);
	assert_int_equal(mem_live(), 0);
}

static void what_was_lost_is_not_forgotten_in_another_room_or_codec(void **state)
{
	struct mroom *next = NULL;
	struct last before = { 0 }, moved = { 0 }, last = { 0 };

	(void)state;
	two_peers(10, 1500);
	assert_int_equal(mroom_alloc(&next, engine, "next"), 0);
	assert_int_equal(mleg_stats(peers[0].leg, on_stats, &before), 0);
	run(20);
	assert_true(before.n == 1 && before.st.lost >= 4);
	assert_int_equal(mleg_move(peers[0].leg, next), 0);
	run(100);
	assert_int_equal(mleg_stats(peers[0].leg, on_stats, &moved), 0);
	run(20);
	assert_true(moved.n == 1 && moved.st.lost >= before.st.lost);
	peers[0].off = true;
	peers[0].set.codec = MCODEC_PCMA;
	peers[0].set.pt_send = peers[0].set.pt_recv = 8;
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	mleg_final(peers[0].leg, on_last, &last);
	peers[0].leg = mem_deref(peers[0].leg);
	run(60);
	assert_true(last.n == 1 && last.st.lost >= moved.st.lost && last.st.codec == MCODEC_PCMA);
	assert_true(last.st.mos_in > 1 && last.st.mos_in < 4.2);
	next = mem_deref(next);
	engine_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_come_after_the_leg_is_gone),
		cmocka_unit_test(they_come_from_between_two_rooms),
		cmocka_unit_test(they_come_when_the_engine_ends),
		cmocka_unit_test(what_was_lost_is_not_forgotten_in_another_room_or_codec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
