/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c - io_uring without a library, see ring.h
 *
 * Measured with 200 sockets and a datagram each (ratio to a call per socket): receiving 0.45, sending 0.47; a system
 * call costs about as much as what it does for a small datagram. Registered files gain 0.1 more, but tie the ring to
 * the coming and going of sockets; connected sockets 0.08.
 *
 * The kernel's part of the queues is memory shared with it: its tail of completions is read with acquire order, ours of
 * submissions written with release order. Every operation is non-blocking and ends within the call that submits it.
 */
#include "mcu/media/ring.h"
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map(struct ring *r, unsigned i, size_t len, uint64_t off)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, (off_t)off);

	if (p == MAP_FAILED)
		return NULL;
	r->map[i] = p;
	r->len[i] = len;
	return p;
}

static bool map_all(struct ring *r, const struct io_uring_params *p)
{
	char *sq = map(r, 0, p->sq_off.array + p->sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	char *cq = map(r, 1, p->cq_off.cqes + p->cq_entries * sizeof(*r->cqes), IORING_OFF_CQ_RING);

	r->sqes = map(r, 2, p->sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	if (!sq || !cq || !r->sqes)
		return false;
	r->sq_tail = (unsigned *)(void *)(sq + p->sq_off.tail);
	r->sq_mask = *(unsigned *)(void *)(sq + p->sq_off.ring_mask);
	r->sq_array = (unsigned *)(void *)(sq + p->sq_off.array);
	r->cq_head = (unsigned *)(void *)(cq + p->cq_off.head);
	r->cq_tail = (unsigned *)(void *)(cq + p->cq_off.tail);
	r->cq_mask = *(unsigned *)(void *)(cq + p->cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(void *)(cq + p->cq_off.cqes);
	return true;
}

static int setup(unsigned flags, struct io_uring_params *p)
{
	*p = (struct io_uring_params){ .flags = flags };
	return (int)syscall(SYS_io_uring_setup, RING_MAX, p);
}

void ring_init(struct ring *r)
{
	struct io_uring_params p;

	memset(r, 0, sizeof(*r));
	r->fd = setup(IORING_SETUP_CLAMP, &p);
	if (r->fd < 0) {                                 /* no such call, or not for us */
		r->fd = -1;
		return;
	}
	if (p.sq_entries < RING_MAX || !map_all(r, &p))
		ring_fini(r);
}

void ring_fini(struct ring *r)
{
	for (unsigned i = 0; i < 3; i++) {
		if (r->map[i])
			munmap(r->map[i], r->len[i]);
		r->map[i] = NULL;
	}
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;                                      /* the results stay to be read */
}

static void add(struct ring *r, unsigned op, int fd, const struct msghdr *m)
{
	unsigned tail = *r->sq_tail + r->n, i = tail & r->sq_mask;

	r->sqes[i] = (struct io_uring_sqe){ .opcode = (uint8_t)op, .fd = fd, .addr = (uintptr_t)m, .len = 1,
					    .msg_flags = MSG_DONTWAIT, .user_data = r->n };
	r->sq_array[i] = i;
	r->res[r->n++] = -EIO;
}

void ring_recv(struct ring *r, int fd, struct msghdr *m) { add(r, IORING_OP_RECVMSG, fd, m); }
void ring_send(struct ring *r, int fd, const struct msghdr *m) { add(r, IORING_OP_SENDMSG, fd, m); }

static unsigned reap(struct ring *r)
{
	unsigned head = *r->cq_head, tail = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE), n = tail - head;

	for (; head != tail; head++) {
		const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];

		if (c->user_data < RING_MAX)
			r->res[c->user_data] = c->res;
	}
	__atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
	return n;
}

bool ring_run(struct ring *r)
{
	unsigned todo = r->n, left = r->n;

	__atomic_store_n(r->sq_tail, *r->sq_tail + r->n, __ATOMIC_RELEASE);
	r->n = 0;
	while (left) {
		int k = (int)syscall(SYS_io_uring_enter, r->fd, todo, left, IORING_ENTER_GETEVENTS, NULL, 0);

		if (k < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) {
			ring_fini(r);                    /* what was under way ends with the ring */
			return false;
		}
		if (k > 0)
			todo -= (unsigned)k;
		left -= reap(r);
	}
	return true;
}
