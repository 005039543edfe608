/* SPDX-License-Identifier: Apache-2.0 */
/* media_engine.c - the whole engine over real sockets: who hears whom, mute, keys, events, continuity */
#include "test/unit/media_peer.h"

#define HEARS(p, hz)  assert_true(tone_level(p, hz, 400) > 2500)
#define NOT(p, hz)    assert_true(tone_level(p, hz, 400) < 300)

static void three_codecs_hear_exactly_the_others(void **state)
{
	static const double hz[3] = { 400, 700, 1100 };

	(void)state;
	engine_start(4, 0, 40);
	peer_start(&peers[0], MCODEC_PCMU, hz[0], false);
	peer_start(&peers[1], MCODEC_G722, hz[1], true);
	peer_start(&peers[2], MCODEC_OPUS, hz[2], true);
	peer_start(&peers[3], MCODEC_PCMA, 0, false);
	run(2000);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 3; k++) {
			double v = tone_level(&peers[i], hz[k], 400);

			print_message("peer %u hears %4.0f Hz at %.0f\n", i, hz[k], v);
			if (i == k)
				assert_true(v < 300);
			else
				assert_true(v > 2500);
		}
		assert_int_equal(peers[i].bad, 0);
		assert_int_equal(peers[i].gaps, 0);
		assert_int_equal(peers[i].ssrcs, 1);
		assert_int_equal(peers[i].markers, 1);
		assert_true(peers[i].nrecv > 90);
		assert_int_equal(peers[i].ev[MLEG_MEDIA][0], 1);
		assert_int_equal(peers[i].ev[MLEG_TALK][0], i < 3);
	}
	engine_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_codecs_hear_exactly_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
