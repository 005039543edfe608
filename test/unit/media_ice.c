/* SPDX-License-Identifier: Apache-2.0 */
/* media_ice.c - a leg with ICE over real sockets: nothing leaves before a check came, and only to where it came from */
#include "test/unit/media_peer.h"

static void with_ice(struct peer *p)
{
	p->set.ice = (struct ice_prm){ .form = ICE_RFC5245 };
	ice_credentials(&p->set.ice);
}

static void check(struct peer *p, int fd, const char *pwd)
{
	const uint8_t id[16] = { 0x21, 0x12, 0xa4, 0x42, 1, 2, 3 };
	char user[ICE_TEXT + 8];
	uint8_t buf[STUN_MAX];
	struct stun_key key;
	struct stun_out o;
	size_t n;

	stun_key_init(&key, pwd, strlen(pwd));
	stun_begin(&o, buf, sizeof(buf), STUN_RFC5389, STUN_REQUEST, id);
	snprintf(user, sizeof(user), "%s:peer", p->set.ice.user);
	stun_attr(&o, STUN_USERNAME, user, strlen(user));
	stun_attr(&o, STUN_ICE_CONTROLLING, "12345678", 8);
	n = stun_end(&o, &key);
	assert_int_equal(sendto(fd, buf, n, 0, (struct sockaddr *)&p->to, sizeof(p->to)), n);
}

/* Datagrams that wait at fd; the first one's first byte in *first */
static unsigned waiting(int fd, int *first)
{
	uint8_t b[1600];
	unsigned n = 0;

	while (recv(fd, b, sizeof(b), MSG_DONTWAIT) > 0)
		if (!n++)
			*first = b[0];
	return n;
}

static void media_goes_only_to_where_an_authentic_check_came_from(void **state)
{
	int first = -1, stranger;
	uint16_t port;

	(void)state;
	engine_start(2, 0, 20);
	with_ice(&peers[0]);
	peer_start(&peers[0], MCODEC_PCMU, 700, true);
	peer_start(&peers[1], MCODEC_PCMU, 400, true);
	stranger = peer_socket(&port);
	run(400);
	assert_int_equal(peers[0].nrecv + peers[0].rtcp_recv, 0);
	assert_int_equal(peers[0].ev[MLEG_MEDIA][0], 0);         /* what it sends does not count either */
	check(&peers[0], stranger, "a password that is not ours");
	run(200);
	assert_int_equal(waiting(stranger, &first), 0);
	assert_int_equal(peers[0].nrecv, 0);
	check(&peers[0], peers[0].fd, peers[0].set.ice.pwd);
	run(1500);
	assert_true(peers[0].nrecv > 50);
	assert_int_equal(peers[0].bad, 1);                       /* the answer to the check: no RTP */
	assert_int_equal(peers[0].ev[MLEG_MEDIA][0], 1);
	assert_true(tone_level(&peers[0], 400, 300) > 2500);
	assert_true(tone_level(&peers[1], 700, 300) > 2500);
	check(&peers[0], stranger, peers[0].set.ice.pwd);        /* a second way: answered, but not chosen */
	run(200);
	assert_int_equal(waiting(stranger, &first), 1);
	assert_int_equal(first, STUN_SUCCESS >> 8);
	close(stranger);
	engine_stop();
}

static void the_same_credentials_keep_the_way_and_new_ones_keep_sending_until_they_have_one(void **state)
{
	unsigned before;

	(void)state;
	engine_start(2, 0, 20);
	with_ice(&peers[0]);
	peer_start(&peers[0], MCODEC_PCMU, 700, true);
	peer_start(&peers[1], MCODEC_PCMU, 400, true);
	run(100);
	check(&peers[0], peers[0].fd, peers[0].set.ice.pwd);
	run(600);
	before = peers[0].nrecv;
	assert_true(before > 10);
	peers[0].set.port++;                                     /* where the SDP says does not matter */
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	run(400);
	assert_true(peers[0].nrecv > before + 10);
	before = peers[0].nrecv;
	ice_credentials(&peers[0].set.ice);
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	run(400);
	assert_true(peers[0].nrecv > before + 10);
	check(&peers[0], peers[0].fd, peers[0].set.ice.pwd);
	run(400);
	assert_true(tone_level(&peers[1], 700, 300) > 2500);
	assert_int_equal(peers[0].bad, 2);
	peers[0].set.ice = (struct ice_prm){ .form = ICE_OFF };  /* back to what the SDP says */
	peers[0].set.port--;
	assert_int_equal(mleg_set(peers[0].leg, &peers[0].set), 0);
	before = peers[0].nrecv;
	run(400);
	assert_true(peers[0].nrecv > before + 10);
	engine_stop();
}

static void without_a_way_in_time_the_leg_says_so_once(void **state)
{
	(void)state;
	engine_start(3, 0, 20);
	engine = mem_deref(engine);
	room = mem_deref(room);
	run(40);
	assert_int_equal(media_alloc(&engine, &(struct media_prm){ .loop = loop, .ip = "127.0.0.1", .port_min = 23000,
					      .port_max = 23040, .workers = 1, .ice_ms = 300 }), 0);
	assert_int_equal(mroom_alloc(&room, engine, "room"), 0);
	with_ice(&peers[0]);
	with_ice(&peers[1]);
	peer_start(&peers[0], MCODEC_PCMU, 700, true);
	peer_start(&peers[1], MCODEC_PCMU, 400, true);
	peer_start(&peers[2], MCODEC_PCMU, 400, true);
	run(50);
	check(&peers[1], peers[1].fd, peers[1].set.ice.pwd);
	run(2600);
	assert_int_equal(peers[0].ev[MLEG_NO_WAY][0], 1);
	assert_int_equal(peers[1].ev[MLEG_NO_WAY][0], 0);
	assert_int_equal(peers[2].ev[MLEG_NO_WAY][0], 0);
	peers[1].set.rtcp_mux = false;                           /* a second component has had no check */
	assert_int_equal(mleg_set(peers[1].leg, &peers[1].set), 0);
	run(1300);
	assert_int_equal(peers[1].ev[MLEG_NO_WAY][0], 1);
	engine_stop();
}

static void checks_to_a_leg_without_ice_only_count(void **state)
{
	int64_t before = metric_get(&media_metrics[M_BAD_STUN]);

	(void)state;
	engine_start(2, 0, 20);
	peer_start(&peers[0], MCODEC_PCMU, 700, true);
	peer_start(&peers[1], MCODEC_PCMU, 0, true);
	run(200);
	check(&peers[0], peers[0].fd, "any");
	run(200);
	assert_int_equal(metric_get(&media_metrics[M_BAD_STUN]), before + 1);
	assert_int_equal(peers[0].bad, 0);
	engine_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_goes_only_to_where_an_authentic_check_came_from),
		cmocka_unit_test(the_same_credentials_keep_the_way_and_new_ones_keep_sending_until_they_have_one),
		cmocka_unit_test(without_a_way_in_time_the_leg_says_so_once),
		cmocka_unit_test(checks_to_a_leg_without_ice_only_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
