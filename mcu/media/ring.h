/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - many sockets, one system call: io_uring where the kernel has it and allows it
 *
 *   ring_recv() or ring_send() for each socket -> ring_run() -> what became of each, in its own result
 *
 * Nothing waits: what cannot be done at once ends with -EAGAIN. One thread. A ring that could not be made is off, and
 * the caller takes the way of one system call a socket.
 */
#ifndef MEDIA_RING_H
#define MEDIA_RING_H
#include <stdbool.h>
#include <sys/socket.h>

#define RING_MAX 64u                       /* operations of one run */

struct io_uring_sqe;
struct io_uring_cqe;
struct ring {
	int       fd;                      /* -1: off */
	unsigned  n;                       /* operations that are ready */
	int       res[RING_MAX];           /* after ring_run(): bytes or -errno, in the order they were asked */
	unsigned *sq_tail, *sq_array, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void     *map[3];
	size_t    len[3];
};
void ring_init(struct ring *r);            /* on the thread that will use it */
void ring_fini(struct ring *r);
static inline bool ring_on(const struct ring *r) { return r->fd >= 0; }
void ring_recv(struct ring *r, int fd, struct msghdr *m);         /* at most RING_MAX before ring_run() */
void ring_send(struct ring *r, int fd, const struct msghdr *m);
/* All of them; false: the kernel refused (the ring is off from now on), results that did not come are -EIO */
bool ring_run(struct ring *r);

#endif
