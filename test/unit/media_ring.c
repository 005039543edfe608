/* SPDX-License-Identifier: Apache-2.0 */
/* media_ring.c - many sockets in one system call, and the engine with and without it */
#include "test/unit/media_peer.h"
#include <pthread.h>

#define NSOCK 60u                       /* more than an outbox holds packets: each stands alone */

#define ASK   INBOX

static int socks[NSOCK], other;
static struct sockaddr_in at[NSOCK], from_at;

static void open_all(void)
{
	socklen_t len = sizeof(from_at);
	uint16_t port;

	for (unsigned i = 0; i < NSOCK; i++) {
		socks[i] = peer_socket(&port);
		at[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					      .sin_port = htons(port) };
	}
	other = peer_socket(&port);
	assert_int_equal(getsockname(other, (struct sockaddr *)&from_at, &len), 0);
}

static void close_all(void)
{
	for (unsigned i = 0; i < NSOCK; i++)
		close(socks[i]);
	close(other);
}

static void one_run_asks_all_sockets(void **state)
{
	struct inbox *in = calloc(1, sizeof(*in));
	struct ring r;

	(void)state;
	ring_init(&r);
	if (!ring_on(&r)) {
		print_message("no io_uring here\n");
		free(in);
		return;
	}
	open_all();
	for (unsigned round = 0; round < 100; round++) {         /* past the end of the queues and on */
		for (unsigned i = 0; i < ASK; i++)               /* the last one has nothing, the one before a long one */
			if (i < ASK - 1)
				assert_true(sendto(other, "hello, world", i == ASK - 2 ? 12 : i % 12, 0,
						   (struct sockaddr *)&at[i], sizeof(at[i])) >= 0);
		inbox_ready(in, INBOX);
		for (unsigned i = 0; i < ASK; i++)
			ring_recv(&r, socks[i], &in->m[i].msg_hdr);
		assert_true(ring_run(&r));
		for (unsigned i = 0; i < ASK - 1; i++) {
			assert_int_equal(r.res[i], i == ASK - 2 ? 12 : (int)i % 12);
			assert_int_equal(in->from[i].in.sin_port, from_at.sin_port);
		}
		assert_int_equal(r.res[ASK - 1], -EAGAIN);
	}
	ring_recv(&r, -1, &in->m[0].msg_hdr);
	assert_true(ring_run(&r));
	assert_int_equal(r.res[0], -EBADF);
	close_all();
	ring_fini(&r);
	ring_fini(&r);
	free(in);
}

static void what_is_sent_arrives_with_and_without_a_ring(void **state)
{
	struct outbox *o = calloc(1, sizeof(*o));
	struct ring r;
	char b[16];

	(void)state;
	open_all();
	for (unsigned round = 0; round < 3; round++) {           /* none, a ring, a ring that the kernel closes */
		if (round)
			ring_init(&r);
		o->ring = round ? &r : NULL;
		if (round == 2 && ring_on(&r)) {
			close(r.fd);
			r.fd = dup(0);                           /* no ring: every call fails */
		}
		for (unsigned i = 0; i < 200; i++) {
			uint8_t *p = outbox_next(o);
			union usa to = { .in = at[i % 2] };

			p[0] = (uint8_t)i;
			outbox_add(o, socks[2 + i % (NSOCK - 2)], &to, 1);
		}
		outbox_flush(o);
		assert_int_equal(o->sent, 200);
		assert_int_equal(o->errors, 0);
		for (unsigned i = 0; i < 200; i++)
			assert_int_equal(recv(socks[i % 2], b, sizeof(b), 0), 1);
		assert_true(recv(socks[0], b, sizeof(b), 0) < 0 && recv(socks[1], b, sizeof(b), 0) < 0);
		o->sent = 0;
		if (round == 1)
			ring_fini(&r);
		if (round == 2)
			assert_false(ring_on(&r));
	}
	close_all();
	free(o);
}

static void on_stats(const struct mleg_stats *st, void *arg)
{
	*(struct mleg_stats *)arg = *st;
}

static void a_burst_is_read_at_once_and_no_packet_stays_behind(void **state)
{
	struct timespec nap = { .tv_nsec = 110000000 };
	uint16_t first[2];

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		no_uring = k;
		engine_start(2, 0, 40);
		for (unsigned i = 0; i < 2; i++) {
			peer_start(&peers[i], MCODEC_PCMU, 400 + 300 * i, false);
			first[i] = peers[i].seq;
		}
		run(1000);
		nanosleep(&nap, NULL);                           /* five ticks without a packet, then six at once */
		pace_next = usec() - 100000;
		run(120);
		for (unsigned i = 0; i < 2; i++) {
			struct mleg_stats st = { 0 };

			peers[0].off = peers[1].off = true;
			run(60);
			assert_int_equal(mleg_stats(peers[i].leg, on_stats, &st), 0);
			run(60);
			assert_int_equal(st.rx_packets, (uint16_t)(peers[i].seq - first[i]));
		}
		peers[0].off = peers[1].off = false;
		run(1500);
		assert_true(tone_level(&peers[0], 700, 300) > 3000);
		assert_true(tone_level(&peers[1], 400, 300) > 3000);
		engine_stop();
	}
	no_uring = false;
}

static void the_engine_does_the_same_without_io_uring(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		no_uring = k;
		engine_start(40, 0, 100);
		for (unsigned i = 0; i < 40; i++) {
			peers[i].nosound_decode = i > 4;
			peers[i].shared = i % 4 == 3;
			peer_start(&peers[i], i % 5 ? MCODEC_PCMU : MCODEC_G722, i < 3 ? 400 + 300 * i : 0, i % 4 == 3);
		}
		run(1500);
		for (unsigned i = 0; i < 5; i++)
			for (unsigned t = 0; t < 3; t++)
				assert_true((tone_level(&peers[i], 400 + 300 * t, 300) > 3000) == (i != t));
		for (unsigned i = 0; i < 40; i++) {
			assert_int_equal(peers[i].ev[MLEG_MEDIA][0], 1);
			if (steady())
				assert_int_equal(peers[i].gaps, 0);
		}
		engine_stop();
	}
	no_uring = false;
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_run_asks_all_sockets),
		cmocka_unit_test(what_is_sent_arrives_with_and_without_a_ring),
		cmocka_unit_test(a_burst_is_read_at_once_and_no_packet_stays_behind),
		cmocka_unit_test(the_engine_does_the_same_without_io_uring),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
