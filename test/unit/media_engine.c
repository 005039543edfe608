/* SPDX-License-Identifier: Apache-2.0 */
/* media_engine.c - the whole engine over real sockets: who hears whom, mute, keys, events, continuity */
#include "test/unit/media_peer.h"

#define HEARS(p, hz)  assert_true(tone_level(p, hz, 400) > 2500)
#define NOT(p, hz)    assert_true(tone_level(p, hz, 400) < 300)

static void on_stats(const struct mleg_stats *st, void *arg)
{
	*(struct mleg_stats *)arg = *st;
}

static void wleg_stats_of(struct peer *p, struct mleg_stats *st)
{
	assert_int_equal(mleg_stats(p->leg, on_stats, st), 0);
	run(60);
}

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
		assert_true(peers[i].markers == 1 || !steady());
		assert_true(peers[i].nrecv > 90);
		assert_int_equal(peers[i].ev[MLEG_MEDIA][0], 1);
		assert_int_equal(peers[i].ev[MLEG_TALK][0], i < 3);
	}
	engine_stop();
}

static void mute_acts_within_two_ticks_and_without_a_click(void **state)
{
	size_t from;
	int last = 0;

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 700, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(1500);
	HEARS(&peers[1], 700);
	from = peers[1].nheard;
	mleg_mute(peers[0].leg, true, false);
	run(300);
	for (size_t i = from; i < peers[1].nheard; i++)
		if (abs(peers[1].heard[i]) > 200)
			last = (int)(i - from);
	print_message("sound for %d ms after mute\n", last / 8);
	assert_true(last / 8 <= 60 || !steady());                     /* two ticks, and a packet that was under way */
	for (size_t i = from; i < peers[1].nheard; i++)
		assert_true(abs(peers[1].heard[i] - peers[1].heard[i - 1]) < 4200);
	assert_int_equal(peers[0].ev[MLEG_TALK][1], 0);
	mleg_mute(peers[0].leg, false, false);
	run(600);
	HEARS(&peers[1], 700);
	mleg_mute(peers[1].leg, false, true);            /* the listener's ear */
	run(600);
	assert_true(rms(&peers[1], 300) < 10);
	assert_true(peers[1].gaps + peers[1].ts_jumps == 0 || !steady());
	mleg_tone(peers[1].leg, 1000, 500);              /* a private tone is heard all the same */
	run(350);
	assert_true(tone_level(&peers[1], 1000, 200) > 1500);
	mleg_mute(peers[1].leg, false, false);
	run(900);
	HEARS(&peers[1], 700);
	assert_true(peers[1].gaps + peers[1].ts_jumps == 0 || !steady());
	engine_stop();
}

static void a_key_is_reported_once_whatever_is_repeated_or_lost(void **state)
{
	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 0, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(200);
	for (unsigned i = 1; i < 8; i++)                 /* 5: all packets */
		peer_dtmf(&peers[0], 5, i >= 5, (uint16_t)(160 * i));
	run(100);
	assert_string_equal(peers[0].keys, "5");
	for (unsigned i = 0; i < 3; i++)                 /* #: only the end came */
		peer_dtmf(&peers[0], 11, true, 800);
	run(100);
	peer_dtmf(&peers[0], 10, false, 160);            /* *: one packet, then nothing */
	run(1500);
	peer_dtmf(&peers[0], 1, false, 160);             /* 1: two packets, then the next key */
	peer_dtmf(&peers[0], 1, false, 320);
	run(100);
	peer_dtmf(&peers[0], 2, true, 320);
	run(100);
	assert_string_equal(peers[0].keys, "5#*12");
	assert_int_equal(peers[0].ev[MLEG_DTMF][0], 5);
	engine_stop();
}

static void ten_percent_loss_is_concealed_without_clicks(void **state)
{
	struct mleg_stats st = { 0 };
	size_t n = 8000;
	int worst = 0;

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	peers[0].lose_every = 10;
	run(2500);
	for (size_t i = peers[1].nheard - n; i < peers[1].nheard; i++)
		if (abs(peers[1].heard[i] - peers[1].heard[i - 1]) > worst)
			worst = abs(peers[1].heard[i] - peers[1].heard[i - 1]);
	wleg_stats_of(&peers[0], &st);
	print_message("largest step %d (the tone's own is 1885), level %.0f, lost %u, concealed %u\n", worst,
		      tone_level(&peers[1], 400, 1000), (unsigned)st.lost, (unsigned)st.concealed);
	assert_true(worst < 1885 * 2 || !steady());
	assert_true(tone_level(&peers[1], 400, 1000) > 4500);
	assert_true((st.lost >= 9 && st.lost <= 14) || !steady());
	assert_true(st.concealed >= st.lost);
	engine_stop();
}

static void one_ssrc_and_one_sequence_through_all_changes(void **state)
{
	static const unsigned ptime[5] = { 20, 60, 10, 20, 40 };
	static const enum mcodec codec[5] = { MCODEC_PCMU, MCODEC_PCMA, MCODEC_G722, MCODEC_OPUS, MCODEC_OPUS };

	(void)state;
	engine_start(5, 0, 40);
	for (unsigned i = 0; i < 5; i++) {
		peers[i].ptime = ptime[i];
		peer_start(&peers[i], codec[i], 300 + 200 * i, i % 2);
	}
	for (unsigned turn = 0; turn < 5; turn++) {      /* each in turn talks alone */
		for (unsigned i = 0; i < 5; i++)
			peers[i].silent = i != turn;
		run(1300);
		for (unsigned i = 0; i < 5; i++)
			if (i == turn)
				NOT(&peers[i], 300 + 200 * turn);
			else
				HEARS(&peers[i], 300 + 200 * turn);
	}
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(peers[i].ssrcs, 1);
		assert_int_equal(peers[i].out_ssrc, mleg_ssrc(peers[i].leg));
		assert_int_equal(peers[i].gaps, 0);
		assert_true(peers[i].ts_jumps == 0 || !steady());
		assert_true(peers[i].markers == 1 || !steady());
		assert_int_equal(peers[i].bad, 0);
	}
	engine_stop();
}

static void a_set_with_the_same_keys_keeps_its_contexts(void **state)
{
	struct mleg_stats st = { 0 };
	struct peer *p;

	(void)state;
	engine_start(2, 0, 20);
	p = &peers[0];
	peer_start(p, MCODEC_PCMU, 400, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	p->seq = 65500;                                  /* the roll-over counter moves on */
	run(1500);
	assert_int_equal(mleg_set(p->leg, &p->set), 0);
	run(500);
	wleg_stats_of(p, &st);
	assert_int_equal(st.auth_failures + st.replays, 0);
	assert_int_equal(p->bad, 0);
	assert_true(p->gaps + p->ts_jumps == 0 || !steady());
	HEARS(&peers[1], 400);
	p->tx = mem_deref(p->tx);                        /* new keys: at once, both ways */
	p->rx = mem_deref(p->rx);
	peer_keys(p);
	assert_int_equal(mleg_set(p->leg, &p->set), 0);
	run(800);
	HEARS(&peers[1], 400);
	assert_true(p->bad <= 2);                        /* what was under way */
	assert_int_equal(p->ssrcs, 1);
	engine_stop();
}

static void hold_stops_the_packets_and_time_goes_on(void **state)
{
	uint32_t ts;
	unsigned n;

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(600);
	peers[1].set.send = false;
	assert_int_equal(mleg_set(peers[1].leg, &peers[1].set), 0);
	run(60);
	n = peers[1].nrecv;
	ts = peers[1].last_ts;
	run(500);
	assert_int_equal(peers[1].nrecv, n);
	peers[1].set.send = true;
	assert_int_equal(mleg_set(peers[1].leg, &peers[1].set), 0);
	run(500);
	assert_int_equal(peers[1].gaps, 0);
	assert_true(peers[1].ts_jumps == 1 || !steady());
	assert_true(peers[1].markers == 2 || !steady());
	assert_in_range(peers[1].last_ts - ts, 8 * 900, 8 * 1200);
	peers[0].set.recv = false;
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	run(600);
	NOT(&peers[1], 400);
	engine_stop();
}

static void ports_go_back_to_the_pool(void **state)
{
	struct mleg *l[3] = { NULL };

	(void)state;
	engine_start(0, 0, 6);                           /* three pairs */
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(mleg_alloc(&l[i], room, "x", NULL, NULL), 0);
		struct mleg *more = NULL;

		assert_int_equal(mleg_alloc(&more, room, "y", NULL, NULL), -EADDRINUSE);
		assert_null(more);
		for (unsigned i = 0; i < 3; i++)
			l[i] = mem_deref(l[i]);
		run(60);
	}
	engine_stop();
}

static void strangers_garbage_and_replays_only_count(void **state)
{
	struct mleg_stats st = { 0 };
	uint8_t b[200], first[200];
	uint16_t port;
	size_t n = 172, m;
	int fd = peer_socket(&port);
	struct peer *p;

	(void)state;
	engine_start(2, 0, 20);
	p = &peers[0];
	peer_start(p, MCODEC_PCMU, 400, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(300);
	memset(b, 0xff, sizeof(b));
	b[0] = 0x80; b[1] = 0; b[2] = (uint8_t)(p->seq >> 8); b[3] = (uint8_t)p->seq;
	for (unsigned i = 0; i < 4; i++)
		b[8 + i] = (uint8_t)(p->ssrc >> (24 - 8 * i));
	assert_int_equal(srtp_protect(p->tx, b, &n, sizeof(b)), 0);
	p->seq++;
	p->ts += 160;
	memcpy(first, b, n);
	m = n;
	for (unsigned i = 0; i < 3; i++)                 /* once good, twice a replay */
		sendto(p->fd, first, m, 0, (struct sockaddr *)&p->to, sizeof(p->to));
	for (unsigned i = 0; i < 50; i++) {
		b[3] = (uint8_t)(p->seq + 1 + i);            /* wrong tag, from a stranger */
		b[2] = (uint8_t)((p->seq + 1 + i) >> 8);
		sendto(fd, b, n, 0, (struct sockaddr *)&p->to, sizeof(p->to));
		sendto(fd, b, i % 12, 0, (struct sockaddr *)&p->to, sizeof(p->to));
	}
	for (unsigned i = 0; i < 50; i++)                /* a stranger on a plain leg that has its peer */
		sendto(fd, b, 172, 0, (struct sockaddr *)&peers[1].to, sizeof(peers[1].to));
	run(1000);
	wleg_stats_of(p, &st);
	assert_int_equal(st.replays, 2);
	assert_int_equal(st.auth_failures, 50);
	assert_true(st.bad >= 48);
	HEARS(&peers[1], 400);
	assert_int_equal(p->gaps + peers[1].gaps, 0);
	close(fd);
	engine_stop();
}

static void silence_and_wrong_keys_raise_their_events(void **state)
{
	(void)state;
	engine_start(2, 1000, 20);
	peer_start(&peers[0], MCODEC_PCMU, 0, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	peers[0].set.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
	peers[0].tx = mem_deref(peers[0].tx);
	memset(peers[0].set.key_in, 7, 30);
	assert_int_equal(srtp_ctx_alloc(&peers[0].tx, SRTP_AES_CM_128_HMAC_SHA1_80, peers[0].set.key_in, 30), 0);
	run(500);
	peers[1].off = true;
	run(2500);
	assert_int_equal(peers[1].ev[MLEG_IDLE][0], 1);
	peers[1].off = false;
	run(500);
	peers[1].off = true;
	run(2200);
	assert_int_equal(peers[1].ev[MLEG_IDLE][0], 2);
	run(6500);
	assert_int_equal(peers[0].ev[MLEG_BAD_KEY][0], 1);
	assert_int_equal(peers[0].ev[MLEG_MEDIA][0], 0);
	engine_stop();
}

static void the_address_is_learned_and_a_moved_client_is_followed(void **state)
{
	uint16_t port;
	unsigned n;
	int old;

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, true);
	peers[1].set.port = 9;                           /* what the SDP says is not where it comes from */
	assert_int_equal(mleg_set(peers[1].leg, &peers[1].set), 0);
	run(500);
	assert_true(peers[1].nrecv > 15);
	old = peers[1].fd;
	peers[1].fd = peer_socket(&port);
	n = peers[1].nrecv;
	run(1500);
	assert_true(peers[1].nrecv - n <= 2);            /* the old address is not silent for long enough yet */
	run(1000);
	assert_true(peers[1].nrecv - n > 10);
	close(old);
	engine_stop();
}

static void reports_come_and_the_end_is_told(void **state)
{
	struct mleg_stats st = { 0 };

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 400, true);
	peer_start(&peers[1], MCODEC_OPUS, 0, false);
	run(2600);
	assert_true(peers[0].rtcp_recv >= 1 && peers[1].rtcp_recv >= 1);
	assert_int_equal(peers[0].byes, 0);
	wleg_stats_of(&peers[0], &st);
	assert_true(st.rx_packets > 100 && st.tx_packets > 100);
	assert_in_range(st.level_dbov + 127, 100, 115);  /* 6000 of 32768, RMS: -17.8 dBov */
	assert_true(st.buffer_ms <= 40 || !steady());
	peers[0].leg = mem_deref(peers[0].leg);
	run(100);
	assert_int_equal(peers[0].byes, 1);
	assert_int_equal(peers[0].bad, 0);
	engine_stop();
}

static void rooms_do_not_hear_each_other_and_tones_mark_join_and_leave(void **state)
{
	struct mroom *other = NULL, *first;
	double v;

	(void)state;
	engine_start(4, 0, 40);
	assert_int_equal(mroom_alloc(&other, engine, "other"), 0);
	mroom_tones(room, true);
	peer_start(&peers[0], MCODEC_G722, 0, false);
	run(500);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(200);
	v = tone_level(&peers[0], 880, 160);
	print_message("join tone at %.0f\n", v);
	assert_true(v > 200);
	first = room;
	room = other;
	peer_start(&peers[2], MCODEC_PCMU, 400, false);
	peer_start(&peers[3], MCODEC_PCMU, 0, false);
	room = first;
	run(800);
	HEARS(&peers[3], 400);
	assert_true(rms(&peers[0], 300) < 30);
	assert_true(rms(&peers[1], 300) < 30);
	peers[1].leg = mem_deref(peers[1].leg);
	run(200);
	assert_true(tone_level(&peers[0], 440, 160) > 200);
	other = mem_deref(other);
	engine_stop();
}

static void the_loudest_are_mixed_and_newcomers_need_to_be_louder(void **state)
{
	(void)state;
	engine_start(6, 0, 40);
	for (unsigned i = 0; i < 6; i++) {
		peer_start(&peers[i], MCODEC_PCMU, i < 5 ? 400 + 200 * i : 0, false);
		peers[i].amp = i < 3 ? 4000 : i == 3 ? 5000 : 4000;
		peers[i].off = i >= 3 && i < 5;
	}
	run(800);
	peers[3].off = false;                            /* 2 dB louder: must wait */
	run(800);
	assert_true(tone_level(&peers[5], 1000, 400) < 300);
	for (unsigned i = 0; i < 3; i++)
		assert_true(tone_level(&peers[5], 400 + 200 * i, 400) > 2000);
	peers[3].amp = 12000;                            /* now it pushes one out */
	run(800);
	assert_true(tone_level(&peers[5], 1000, 400) > 5000);
	assert_int_equal((tone_level(&peers[5], 400, 400) > 1500) + (tone_level(&peers[5], 600, 400) > 1500) +
			 (tone_level(&peers[5], 800, 400) > 1500), 2);
	assert_int_equal(peers[5].ncsrc, 3);
	engine_stop();
}

static void bad_settings_are_refused(void **state)
{
	struct mleg_set s;

	(void)state;
	engine_start(1, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 0, false);
	s = peers[0].set;
	snprintf(s.addr, sizeof(s.addr), "no address");
	assert_int_equal(mleg_set(peers[0].leg, &s), -EINVAL);
	snprintf(s.addr, sizeof(s.addr), "::1");
	assert_int_equal(mleg_set(peers[0].leg, &s), -EAFNOSUPPORT);
	s = peers[0].set;
	s.codec = 17;
	assert_int_equal(mleg_set(peers[0].leg, &s), -EINVAL);
	s = peers[0].set;
	s.srtp = true;
	s.key_len = 3;
	assert_true(mleg_set(peers[0].leg, &s) < 0);
	run(100);
	engine_stop();
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sound_is_under_way_for_less_than_fifty_milliseconds(void **state)
{
	struct mleg_stats st = { 0 };
	double ms[5];

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 0, false);
	peer_start(&peers[1], MCODEC_PCMU, 0, false);
	run(4000);
	for (unsigned round = 0; round < 5; round++) {
		uint64_t sent, heard;

		peers[0].hz = 1000;
		peers[0].phase = M_PI / 4;
		peers[0].silent = false;
		while (peers[0].first_loud_us == 0)
			run(3);
		sent = peers[0].first_loud_us;
		run(150);
		heard = peers[1].first_heard_us;
		assert_true(heard > sent);
		ms[round] = (double)(heard - sent) / 1000;
		print_message("from packet to packet: %.1f ms\n", ms[round]);
		wleg_stats_of(&peers[0], &st);
		print_message("in the buffer %u ms, concealed %u\n", st.buffer_ms, (unsigned)st.concealed);
		peers[0].silent = true;
		run(1200);
		peers[0].first_loud_us = peers[1].first_heard_us = 0;
	}
	qsort(ms, 5, sizeof(*ms), by_size);                                    /* what the machine does to one of them is not ours */
	assert_true(ms[2] < 50 || !steady());
	engine_stop();
}

/* The shared encoder's stream goes over into a private one and back under a steady tone: neither gap nor burst. */
static void changing_to_a_private_encoder_is_not_heard(void **state)
{
	static const enum mcodec codec[3] = { MCODEC_PCMA, MCODEC_G722, MCODEC_OPUS };
	int64_t encodes;

	(void)state;
	engine_start(4, 0, 40);
	peer_start(&peers[3], MCODEC_PCMU, 400, false);
	for (unsigned i = 0; i < 3; i++) {
		peer_start(&peers[i], codec[i], 1100 + 300 * i, false);
		peers[i].silent = true;
	}
	run(1500);
	for (unsigned i = 0; i < 3; i++)
		peers[i].nheard = 0;
	for (unsigned i = 0; i < 3; i++) {               /* each becomes a talker once; two of them hear it, it does not */
		peers[i].silent = false;
		run(200);
		peers[i].silent = true;
		run(1000);
	}
	run(3300);
	encodes = metric_get(&media_metrics[M_ENCODES]);
	run(1000);
	encodes = metric_get(&media_metrics[M_ENCODES]) - encodes;
	print_message("%d encodes in a second at the end\n", (int)encodes);
	for (unsigned i = 0; i < 3; i++) {
		size_t w = peers[i].codec->rate / 100;
		double lo = 1e9, hi = 0;

		for (size_t at = 0; at + w <= peers[i].nheard; at += w) {
			double e = 0;

			for (size_t k = 0; k < w; k++)
				e += (double)peers[i].heard[at + k] * peers[i].heard[at + k];
			e = sqrt(e / (double)w);
			if (e > 7000)
				print_message("  %.0f at %zu ms\n", e, at / w * 10);
			lo = e < lo ? e : lo;
			hi = e > hi ? e : hi;
		}
		print_message("%s: 10 ms level between %.0f and %.0f\n", peers[i].codec->name, lo, hi);
		assert_true(hi < 9000);                  /* one tone: 4243, two: 6000 */
		assert_true(lo > 3000 || !steady());
	}
	engine_stop();
}

static void every_failing_allocation_leaves_nothing_behind(void **state)
{
	unsigned done = 0;

	(void)state;
	for (unsigned n = 1; n < 60 && done < 3; n++) {
		struct media_prm prm = { .ip = "127.0.0.1", .workers = 1, .port_min = 27000, .port_max = 27009 };
		struct mleg_set s = { .send = true, .recv = true, .srtp = true, .key_len = 30, .addr = "127.0.0.1", .port = 9 };
		struct mroom *r = NULL;
		struct mleg *l = NULL;
		struct media *m = NULL;
		bool ok;

		assert_int_equal(ev_loop_alloc(&prm.loop), 0);
		mem_fail_after(n);
		ok = !media_alloc(&m, &prm) && !mroom_alloc(&r, m, "r") && !mleg_alloc(&l, r, "l", NULL, NULL) &&
		     !mleg_set(l, &s);
		usleep(30000);                           /* the worker's allocations count as well */
		mem_fail_after(0);
		done += ok;
		l = mem_deref(l);
		r = mem_deref(r);
		m = mem_deref(m);
		mem_deref(prm.loop);
		assert_int_equal(mem_live(), 0);
	}
	assert_true(done >= 3);
}

static void a_busy_worker_takes_no_more_legs(void **state)
{
	struct media_prm prm = { .ip = "127.0.0.1", .workers = 1, .port_min = 29000, .port_max = 29400, .load_max = 1 };
	struct mleg *l[100], *more = NULL;
	struct media *m;
	struct mroom *r;
	unsigned n = 0;

	(void)state;
	engine_start(0, 0, 40);
	prm.loop = loop;
	assert_int_equal(media_alloc(&m, &prm), 0);
	assert_int_equal(mroom_alloc(&r, m, "r"), 0);
	assert_int_equal(media_load(m), 0);
	assert_false(mroom_busy(r));
	for (; n < 100; n++) {
		struct mleg_set s = { .codec = MCODEC_OPUS, .send = true, .addr = "127.0.0.1", .port = 9, .ptime_ms = 20,
				      .opus_bitrate = 10000 + n };

		assert_int_equal(mleg_alloc(&l[n], r, "l", NULL, NULL), 0);
		assert_int_equal(mleg_set(l[n], &s), 0);         /* an encoder each */
	}
	for (unsigned i = 0; i < 60 && !mroom_busy(r); i++)
		run(100);
	assert_true(mroom_busy(r));
	assert_true(media_load(m) >= 1 && media_load(m) <= 100);
	assert_int_equal(mleg_alloc(&more, r, "more", NULL, NULL), -EBUSY);
	assert_null(more);
	while (n)
		mem_deref(l[--n]);
	mem_deref(r);
	for (unsigned i = 0; i < 300 && media_load(m); i++)      /* a starved machine frees a hundred encoders slowly */
		run(100);
	assert_int_equal(media_load(m), 0);              /* without rooms it rests */
	mem_deref(m);
	engine_stop();
}

/* Packets of silent legs are not kept: the first packet with sound must be. */
static void the_first_sound_after_long_silence_is_heard(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		engine_start(2, 0, 40);
		for (unsigned i = 0; i < 2; i++) {
			peers[i].level_ext = k ? 1 : 0;
			peer_start(&peers[i], k ? MCODEC_OPUS : MCODEC_PCMU, 0, k);
		}
		run(2500);
		peers[0].hz = 700;
		peers[0].silent = false;
		peers[1].first_heard_us = 0;
		run(700);
		assert_true(tone_level(&peers[1], 700, 300) > 3000);
		if (steady())
			assert_in_range(peers[1].first_heard_us - peers[0].first_loud_us, 1, 120000);
		engine_stop();
	}
}

static void the_engine_ends_with_its_legs_while_packets_fly(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		engine_start(6, 0, 40);
		for (unsigned i = 0; i < 6; i++)
			peer_start(&peers[i], (enum mcodec)(i % 4), 300 + 100 * i, i % 2);
		run(100 + 17 * round);
		engine_stop();
	}
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_codecs_hear_exactly_the_others),
		cmocka_unit_test(mute_acts_within_two_ticks_and_without_a_click),
		cmocka_unit_test(a_key_is_reported_once_whatever_is_repeated_or_lost),
		cmocka_unit_test(ten_percent_loss_is_concealed_without_clicks),
		cmocka_unit_test(one_ssrc_and_one_sequence_through_all_changes),
		cmocka_unit_test(a_set_with_the_same_keys_keeps_its_contexts),
		cmocka_unit_test(hold_stops_the_packets_and_time_goes_on),
		cmocka_unit_test(ports_go_back_to_the_pool),
		cmocka_unit_test(strangers_garbage_and_replays_only_count),
		cmocka_unit_test(silence_and_wrong_keys_raise_their_events),
		cmocka_unit_test(the_address_is_learned_and_a_moved_client_is_followed),
		cmocka_unit_test(reports_come_and_the_end_is_told),
		cmocka_unit_test(rooms_do_not_hear_each_other_and_tones_mark_join_and_leave),
		cmocka_unit_test(the_loudest_are_mixed_and_newcomers_need_to_be_louder),
		cmocka_unit_test(bad_settings_are_refused),
		cmocka_unit_test(changing_to_a_private_encoder_is_not_heard),
		cmocka_unit_test(every_failing_allocation_leaves_nothing_behind),
		cmocka_unit_test(a_busy_worker_takes_no_more_legs),
		cmocka_unit_test(the_first_sound_after_long_silence_is_heard),
		cmocka_unit_test(the_engine_ends_with_its_legs_while_packets_fly),
		cmocka_unit_test(sound_is_under_way_for_less_than_fifty_milliseconds),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
