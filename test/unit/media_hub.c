/* SPDX-License-Identifier: Apache-2.0 */
/* media_hub.c - legs that share a port pair: who is who, strangers, moved phones, many legs */
#include "test/unit/media_peer.h"

static void on_stats(const struct mleg_stats *st, void *arg)
{
	*(struct mleg_stats *)arg = *st;
}

static struct mleg_stats stats_of(struct peer *p)
{
	struct mleg_stats st = { 0 };

	assert_int_equal(mleg_stats(p->leg, on_stats, &st), 0);
	run(80);
	return st;
}

/* Peers with tones 400, 700, 1000 ...; all share */
static void shared_start(unsigned n, enum mcodec codec, enum srtp_suite_id suite)
{
	engine_start(n, 0, 40);
	for (unsigned i = 0; i < n; i++) {
		peers[i].shared = true;
		peers[i].set.suite = suite;
		peer_start(&peers[i], codec, 400 + 300 * i, true);
	}
}

static void move(struct peer *p)
{
	uint16_t port;

	close(p->fd);
	p->fd = peer_socket(&port);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static void assert_hears(const struct peer *p, double hz)
{
	assert_true(tone_level(p, hz, 300) > 3000);
}

static void legs_of_one_pair_hear_each_other(void **state)
{
	static const enum srtp_suite_id suites[] = { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AEAD_AES_256_GCM };

	(void)state;
	for (unsigned s = 0; s < 2; s++) {
		shared_start(3, s ? MCODEC_OPUS : MCODEC_PCMU, suites[s]);
		run(1500);
		for (unsigned i = 0; i < 3; i++) {
			assert_true(mleg_shared(peers[i].leg));
			assert_int_equal(mleg_port(peers[i].leg), mleg_port(peers[0].leg));
			for (unsigned k = 0; k < 3; k++)
				if (k == i)
					assert_true(tone_level(&peers[i], 400 + 300 * k, 300) < 200);
				else
					assert_hears(&peers[i], 400 + 300 * k);
			assert_int_equal(peers[i].bad, 0);
			assert_int_equal(peers[i].ev[MLEG_MEDIA][0], 1);
			assert_int_equal(stats_of(&peers[i]).auth_failures, 0);
		}
		engine_stop();
	}
}

static void two_legs_behind_one_address_are_told_apart_by_their_keys(void **state)
{
	struct mleg_stats a, b;

	(void)state;
	engine_start(3, 0, 40);
	for (unsigned i = 0; i < 3; i++) {
		peers[i].shared = true;
		peers[i].sdp_port = i == 1 ? port_of(peers[0].fd) : 0;
		peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, true);
	}
	close(peers[1].fd);
	peers[1].fd = dup(peers[0].fd);
	peers[0].nosound_decode = peers[1].nosound_decode = true;    /* what comes back is for either */
	run(1500);
	assert_hears(&peers[2], 400);
	assert_hears(&peers[2], 700);
	a = stats_of(&peers[0]);
	b = stats_of(&peers[1]);
	assert_true(a.rx_packets > 50 && b.rx_packets > 50);
	assert_int_equal(a.auth_failures + b.auth_failures, 0);
	assert_string_equal(a.peer, b.peer);
	engine_stop();
}

static void an_old_call_of_the_same_address_is_not_in_the_way(void **state)
{
	(void)state;
	shared_start(3, MCODEC_PCMU, SRTP_AES_CM_128_HMAC_SHA1_80);
	run(800);
	peers[0].off = true;                             /* its BYE was lost: the leg stays */
	peers[1].leg = mem_deref(peers[1].leg);
	peers[1].sdp_port = port_of(peers[0].fd);
	close(peers[1].fd);
	mem_deref(peers[1].tx);
	mem_deref(peers[1].rx);
	mem_deref(peers[1].enc);
	peers[1].enc = NULL;
	peer_start(&peers[1], MCODEC_PCMU, 700, true);
	close(peers[1].fd);
	peers[1].fd = dup(peers[0].fd);
	close(peers[0].fd);
	peers[0].fd = 0;
	peers[1].nosound_decode = true;
	run(1500);
	assert_hears(&peers[2], 700);
	assert_int_equal(stats_of(&peers[1]).auth_failures, 0);
	engine_stop();
}

static void a_spoofed_source_changes_nothing(void **state)
{
	struct mleg_stats before, after;
	struct sockaddr_in to;
	uint8_t b[200];
	uint16_t port;
	int fd;

	(void)state;
	shared_start(2, MCODEC_PCMU, SRTP_AES_CM_128_HMAC_SHA1_80);
	run(1000);
	before = stats_of(&peers[0]);
	to = peers[0].to;
	fd = peer_socket(&port);
	memset(b, 0x5a, sizeof(b));
	b[0] = 0x80;
	b[1] = 0;
	memcpy(b + 8, &(uint32_t){ htonl(peers[0].ssrc) }, 4);
	for (unsigned i = 0; i < 60; i++) {
		b[2] = (uint8_t)(peers[0].seq >> 8);
		b[3] = (uint8_t)peers[0].seq;
		(void)!sendto(fd, b, sizeof(b), 0, (struct sockaddr *)&to, sizeof(to));             /* of its host */
		(void)!sendto(peers[0].fd, b, sizeof(b), 0, (struct sockaddr *)&to, sizeof(to));    /* of its address */
		b[1] = 200;
		(void)!sendto(fd, b, sizeof(b), 0, (struct sockaddr *)&to, sizeof(to));             /* a report */
		b[1] = 0;
		(void)!sendto(fd, b, i % 16, 0, (struct sockaddr *)&to, sizeof(to));
		run(20);
	}
	after = stats_of(&peers[0]);
	assert_string_equal(before.peer, after.peer);
	assert_true(after.auth_failures >= 55 && after.auth_failures <= 65);     /* the strangers' are nobody's */
	assert_int_equal(after.bad, before.bad);
	assert_int_equal(peers[0].ev[MLEG_BAD_KEY][0], 0);
	assert_hears(&peers[1], 400);
	assert_hears(&peers[0], 700);
	close(fd);
	engine_stop();
}

static void a_phone_that_moves_its_port_is_found_again(void **state)
{
	char peer[64];

	(void)state;
	shared_start(3, MCODEC_PCMU, SRTP_AES_CM_128_HMAC_SHA1_80);
	run(1000);
	move(&peers[0]);
	move(&peers[1]);
	run(1000);                                       /* nobody takes over the address of one who was just heard */
	snprintf(peer, sizeof(peer), "127.0.0.1:%u", port_of(peers[0].fd));
	assert_string_not_equal(stats_of(&peers[0]).peer, peer);
	run(2000);
	assert_string_equal(stats_of(&peers[0]).peer, peer);
	assert_hears(&peers[2], 400);
	assert_hears(&peers[2], 700);
	assert_hears(&peers[0], 700);
	assert_hears(&peers[1], 400);
	move(&peers[0]);                                 /* and once more */
	run(3500);
	assert_hears(&peers[0], 700);
	engine_stop();
}

static void media_from_another_port_than_the_sdp_tells_is_found(void **state)
{
	(void)state;
	engine_start(3, 0, 40);
	for (unsigned i = 0; i < 3; i++) {
		peers[i].shared = true;
		peers[i].sdp_port = (uint16_t)(i < 2 ? 9 + i : 0);
		peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, true);
	}
	run(1200);
	assert_hears(&peers[0], 700);
	assert_hears(&peers[1], 400);
	assert_hears(&peers[2], 400);
	engine_stop();
}

static void reports_on_a_port_of_their_own_are_found(void **state)
{
	struct rtcp_report rep = { 0 };
	struct rtcp_sr sr = { 0 };
	struct sockaddr_in to;
	uint64_t ntp = rtcp_ntp(0);
	uint8_t b[200];
	unsigned got = 0;

	(void)state;
	engine_start(2, 0, 40);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port;

		peers[i].shared = true;
		peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, true);
		peers[i].rtcp_fd = peer_socket(&port);
		peers[i].set.rtcp_mux = false;
		peers[i].set.rtcp_port = port;
		assert_int_equal(mleg_set(peers[i].leg, &peers[i].set), 0);
	}
	run(800);
	for (unsigned i = 0; i < 2; i++) {
		size_t n;

		sr = (struct rtcp_sr){ .ssrc = peers[i].ssrc, .ntp = ntp };
		rep = (struct rtcp_report){ .ssrc = mleg_ssrc(peers[i].leg), .fraction = (uint8_t)(50 + i) };
		n = rtcp_encode(b, sizeof(b), peers[i].ssrc, &sr, &rep, 1, "x");
		assert_int_equal(srtcp_protect(peers[i].tx, b, &n, sizeof(b)), 0);
		to = peers[i].to;
		to.sin_port = htons((uint16_t)(mleg_port(peers[i].leg) + 1));
		if (i == 1) {                            /* from elsewhere than its SDP told: tried by its source */
			close(peers[i].rtcp_fd);
			peers[i].rtcp_fd = peer_socket(&(uint16_t){ 0 });
		}
		(void)!sendto(peers[i].rtcp_fd, b, n, 0, (struct sockaddr *)&to, sizeof(to));
	}
	run(100);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stats_of(&peers[i]).peer_fraction_lost, 50 + i);
	run(8000);
	for (unsigned i = 0; i < 2; i++) {
		while (recv(peers[i].rtcp_fd, b, sizeof(b), 0) > 0)
			got |= 1u << i;
		close(peers[i].rtcp_fd);
	}
	assert_int_equal(got, 3);
	engine_stop();
}

static void shared_plain(unsigned n)
{
	engine_start(n, 0, 40);
	for (unsigned i = 0; i < n; i++) {
		peers[i].shared = true;
		peers[i].sdp_port = 0;
	}
}

/* Another call from the same socket */
static void start_where(struct peer *p, const struct peer *other, double hz)
{
	p->sdp_port = port_of(other->fd);
	peer_start(p, MCODEC_PCMU, hz, false);
	close(p->fd);
	p->fd = dup(other->fd);
}

static void plain_legs_of_one_pair_hear_each_other(void **state)
{
	(void)state;
	shared_plain(4);
	for (unsigned i = 0; i < 4; i++)                 /* the last one encrypts: it shares the pair with them */
		peer_start(&peers[i], MCODEC_PCMU, i < 3 ? 400 + 300 * i : 0, i == 3);
	run(1500);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(mleg_port(peers[i].leg), mleg_port(peers[0].leg));
		for (unsigned k = 0; k < 3; k++)
			if (k != i)
				assert_hears(&peers[i], 400 + 300 * k);
	}
	assert_true(tone_level(&peers[0], 400, 300) < 300);
	engine_stop();
}

static void a_plain_stranger_of_the_same_host_is_not_heard(void **state)
{
	(void)state;
	shared_plain(3);
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_PCMU, i < 2 ? 400 + 300 * i : 0, false);
	run(1000);
	assert_hears(&peers[2], 400);
	peers[0].off = true;
	move(&peers[1]);                                 /* another port, another source: nobody that we know */
	peers[1].ssrc ^= 0x5a5a5a5a;
	peers[1].hz = 1900;
	run(1500);
	assert_true(tone_level(&peers[2], 1900, 300) < 300);
	engine_stop();
}

static void a_plain_leg_with_another_port_than_the_sdp_tells_is_found_when_it_waits_alone(void **state)
{
	(void)state;
	shared_plain(3);
	peers[0].sdp_port = 9;
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, false);
	run(1500);
	assert_hears(&peers[1], 400);
	assert_hears(&peers[0], 700);
	engine_stop();
}

static void of_two_plain_legs_that_wait_nobody_guesses(void **state)
{
	(void)state;
	shared_plain(3);
	peers[0].sdp_port = 9;
	peers[1].sdp_port = 10;
	for (unsigned i = 0; i < 3; i++)
		peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, false);
	run(1500);
	assert_true(tone_level(&peers[2], 400, 300) < 300);
	assert_true(tone_level(&peers[2], 700, 300) < 300);
	engine_stop();
}

static void the_new_call_of_a_plain_address_has_its_packets(void **state)
{
	(void)state;
	shared_plain(3);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1000);
	assert_hears(&peers[2], 400);
	peers[0].off = true;                             /* its BYE was lost; the phone calls again from the same port */
	start_where(&peers[1], &peers[0], 1000);
	run(1500);
	assert_hears(&peers[2], 1000);
	engine_stop();
}

/* Its first packets were faster than its leg: one that waited was taken for theirs. */
static void who_has_an_address_by_its_sdp_takes_it_back_from_who_learned_it(void **state)
{
	struct mleg_stats a, b;

	(void)state;
	shared_plain(3);
	peers[0].sdp_port = 9;
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1500);
	assert_hears(&peers[2], 400);
	peers[0].off = true;
	start_where(&peers[1], &peers[0], 1000);
	peers[1].ssrc = peers[0].ssrc;
	peers[1].seq = peers[0].seq;
	peers[1].ts = peers[0].ts;
	run(1500);
	assert_hears(&peers[2], 1000);
	a = stats_of(&peers[0]);
	b = stats_of(&peers[1]);
	assert_string_equal(a.peer, "127.0.0.1:9");
	assert_true(b.rx_packets > 60);
	engine_stop();
}

static void what_a_gateway_sends_after_its_call_is_nobodys(void **state)
{
	(void)state;
	shared_plain(3);
	peer_start(&peers[0], MCODEC_PCMU, 400, false);
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1000);
	assert_hears(&peers[2], 400);
	peers[0].leg = mem_deref(peers[0].leg);          /* but it goes on */
	peer_start(&peers[1], MCODEC_PCMU, 1000, false);
	peers[1].off = true;
	run(1500);
	assert_true(tone_level(&peers[2], 400, 300) < 300);
	peers[1].off = false;
	run(1000);
	assert_hears(&peers[2], 1000);
	assert_true(tone_level(&peers[2], 400, 300) < 300);
	engine_stop();
}

static void the_address_of_the_sdp_is_taken_before_one_that_was_learned(void **state)
{
	uint16_t port;
	int own, fd;

	(void)state;
	shared_plain(3);
	own = peer_socket(&port);
	peers[0].sdp_port = port;
	peer_start(&peers[0], MCODEC_PCMU, 400, false);  /* from another one: somebody's, who was taken for it */
	peer_start(&peers[2], MCODEC_PCMU, 0, false);
	run(1500);
	assert_hears(&peers[2], 400);
	fd = peers[0].fd;
	peers[0].fd = own;
	peers[0].ssrc ^= 0x5a5a5a5a;
	peers[0].hz = 1000;
	run(1000);
	assert_hears(&peers[2], 1000);
	close(fd);
	engine_stop();
}

static void a_leg_without_key_shares_and_one_with_ice_does_not(void **state)
{
	struct mleg_set set;
	uint16_t before;

	(void)state;
	shared_start(2, MCODEC_PCMU, SRTP_AES_CM_128_HMAC_SHA1_80);
	run(600);
	set = peers[0].set;
	set.ice.form = ICE_RFC5245;
	assert_int_equal(mleg_set(peers[0].leg, &set), -EINVAL);
	run(300);
	assert_hears(&peers[0], 700);                    /* refused: all goes on as it was */
	set = peers[0].set;
	set.srtp = false;
	before = mleg_port(peers[0].leg);
	assert_int_equal(mleg_set(peers[0].leg, &set), 0);
	peers[0].tx = mem_deref(peers[0].tx);
	peers[0].rx = mem_deref(peers[0].rx);
	run(1500);
	assert_int_equal(mleg_port(peers[0].leg), before);
	assert_hears(&peers[0], 700);
	assert_hears(&peers[1], 400);
	assert_int_equal(mleg_unshare(peers[0].leg), 0);
	assert_false(mleg_shared(peers[0].leg));
	assert_int_not_equal(mleg_port(peers[0].leg), before);
	peers[0].to.sin_port = htons(mleg_port(peers[0].leg));
	run(1500);
	assert_hears(&peers[0], 700);
	assert_hears(&peers[1], 400);
	assert_int_equal(peers[0].gaps, 0);              /* one sequence through the changes */
	engine_stop();
}

static void rooms_of_other_slots_have_other_pairs_and_pairs_go_back(void **state)
{
	struct mroom *rooms[4];
	struct mleg *l[8];

	(void)state;
	engine_start(0, 0, 8);                           /* four pairs: one a slot */
	room = mem_deref(room);
	run(40);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(mroom_alloc(&rooms[i], engine, "r"), 0);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(mleg_alloc_shared(&l[i], rooms[i % 4], "l", NULL, NULL), 0);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(mleg_port(l[i]), mleg_port(l[i + 4]));
			for (unsigned k = 0; k < i; k++)
				assert_int_not_equal(mleg_port(l[i]), mleg_port(l[k]));
		}
		assert_int_equal(mleg_unshare(l[0]), -EADDRINUSE);
		assert_true(mleg_shared(l[0]));
		for (unsigned i = 0; i < 8; i++)
			mem_deref(l[i]);
		for (unsigned i = 0; i < 4; i++)
			mem_deref(rooms[i]);
		run(60);
	}
	engine_stop();
}

static void two_hundred_and_fifty_legs_share_two_pairs(void **state)
{
	unsigned hear = 0, first = 0, got = 0, bad = 0;
	struct rlimit rl;
	int64_t drops = metric_get(&media_metrics[M_DROPS]);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	engine_start(250, 0, 8);
	for (unsigned i = 0; i < 250; i++) {
		peers[i].shared = true;
		peers[i].nosound_decode = i > 3 && i < 246;
		peer_start(&peers[i], MCODEC_PCMU, i == 0 ? 400 : 0, true);
		first += mleg_port(peers[i].leg) == mleg_port(peers[0].leg);
	}
	assert_int_equal(first, HUB_LEGS);
	run(2000);
	for (unsigned i = 0; i < 250; i++) {
		bad += peers[i].bad;
		got += peers[i].ev[MLEG_MEDIA][0] == 1;
		if (i && !peers[i].nosound_decode)
			hear += tone_level(&peers[i], 400, 200) > 3000;
	}
	assert_int_equal(got, 250);
	assert_true(bad < 5);                            /* other programs send to ports that had been theirs */
	assert_int_equal(hear, 7);
	if (steady())
		assert_int_equal(metric_get(&media_metrics[M_DROPS]), drops);
	engine_stop();
}

static void legs_come_and_go_while_packets_fly(void **state)
{
	(void)state;
	shared_start(8, MCODEC_PCMU, SRTP_AEAD_AES_128_GCM);
	for (unsigned round = 0; round < 40; round++) {
		struct peer *p = &peers[round * 5 % 8];

		run(30);
		if (round % 3 == 2) {
			assert_int_equal(mleg_unshare(p->leg), 0);
			p->to.sin_port = htons(mleg_port(p->leg));
			continue;
		}
		peer_stop(p);
		p->shared = true;
		p->set.suite = SRTP_AES_CM_128_HMAC_SHA1_80;
		peer_start(p, MCODEC_PCMU, 400, true);
	}
	engine_stop();
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legs_of_one_pair_hear_each_other),
		cmocka_unit_test(two_legs_behind_one_address_are_told_apart_by_their_keys),
		cmocka_unit_test(an_old_call_of_the_same_address_is_not_in_the_way),
		cmocka_unit_test(a_spoofed_source_changes_nothing),
		cmocka_unit_test(a_phone_that_moves_its_port_is_found_again),
		cmocka_unit_test(media_from_another_port_than_the_sdp_tells_is_found),
		cmocka_unit_test(reports_on_a_port_of_their_own_are_found),
		cmocka_unit_test(plain_legs_of_one_pair_hear_each_other),
		cmocka_unit_test(a_plain_stranger_of_the_same_host_is_not_heard),
		cmocka_unit_test(a_plain_leg_with_another_port_than_the_sdp_tells_is_found_when_it_waits_alone),
		cmocka_unit_test(of_two_plain_legs_that_wait_nobody_guesses),
		cmocka_unit_test(the_new_call_of_a_plain_address_has_its_packets),
		cmocka_unit_test(who_has_an_address_by_its_sdp_takes_it_back_from_who_learned_it),
		cmocka_unit_test(what_a_gateway_sends_after_its_call_is_nobodys),
		cmocka_unit_test(the_address_of_the_sdp_is_taken_before_one_that_was_learned),
		cmocka_unit_test(a_leg_without_key_shares_and_one_with_ice_does_not),
		cmocka_unit_test(rooms_of_other_slots_have_other_pairs_and_pairs_go_back),
		cmocka_unit_test(two_hundred_and_fifty_legs_share_two_pairs),
		cmocka_unit_test(legs_come_and_go_while_packets_fly),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
