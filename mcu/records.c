/* SPDX-License-Identifier: Apache-2.0 */
/* records.c - see records.h
 *
 * Two buffers: lines gather in `queue` while a worker writes `out`; so the loop never waits for a disk. While `busy`, the
 * file and `out` are the worker's, everything else is the loop's.
 *
 * A line is in the file as a whole or not at all: what a full disk took half of is cut off again, and so is the half line
 * that a killed process may have left at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "mcu/records.h"

#define QUEUE_MAX (1024u * 1024)
#define TAIL_MAX  8192                   /* longer than any record */

static struct metric m_written = METRIC_COUNTER("conclave_mcu_records_written_total", "Call records written");
static struct metric m_lost = METRIC_COUNTER("conclave_mcu_records_lost_total",
					     "Call records that could not be written: disk full, wrong path, no memory");

struct records {
	struct ev_loop *loop;
	char           *path;                /* "": none */
	struct buf      queue;
	int             pending;
	bool            stale, stopped;      /* the file is to be opened again */
	bool            busy;
	/* the worker's while busy */
	int             fd;
	struct buf      out;
	char           *out_path;            /* reference */
	bool            out_stale;
};

/* --- the worker's */
static int64_t lines(const char *p, size_t n)
{
	int64_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += p[i] == '\n';
	return k;
}

static void lose(int64_t n, const char *path, const char *what, int err)
{
	metric_add(&m_lost, n);
	log_warn(app, "call records: %s: %s: %s; %lld lost", path, what, strerror(err), (long long)n);
}

/* The half line of a process that was killed while it wrote. What is not ours is not cut. */
static void mend(int fd, const char *path)
{
	char tail[TAIL_MAX];
	struct stat s;
	ssize_t n, at;
	int err;

	if (fstat(fd, &s) || !S_ISREG(s.st_mode) || !s.st_size)
		return;
	n = pread(fd, tail, sizeof(tail), s.st_size > TAIL_MAX ? s.st_size - TAIL_MAX : 0);
	if (n <= 0 || tail[n - 1] == '\n')
		return;
	for (at = n; at > 0 && tail[at - 1] != '\n'; at--)
		;
	if ((at || s.st_size <= TAIL_MAX) && tail[at] == '{')
		err = ftruncate(fd, s.st_size - (n - at));
	else
		err = write(fd, "\n", 1) == 1 ? 0 : -1;
	log_warn(app, "call records: %s ended in half a line%s", path, err ? ", which stays" : "");
}

static int open_file(struct records *r)
{
	if (r->fd >= 0 && r->out_stale)
		close(r->fd);
	if (r->fd < 0 || r->out_stale) {
		r->fd = open(r->out_path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
		if (r->fd < 0)
			return errno;
		mend(r->fd, r->out_path);
	}
	return 0;
}

/* Returns how many bytes are in the file: whole lines. */
static size_t append(int fd, const char *p, size_t n)
{
	size_t done = 0;
	struct stat s;
	bool plain = !fstat(fd, &s) && S_ISREG(s.st_mode);

	while (done < n) {
		ssize_t k = write(fd, p + done, n - done);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		done += (size_t)k;
	}
	if (done < n) {
		int err = errno;
		size_t whole = done;

		while (whole > 0 && p[whole - 1] != '\n')
			whole--;
		if (plain && whole < done && ftruncate(fd, s.st_size + (off_t)whole))
			log_warn(app, "call records: half a line stays: %s", strerror(errno));
		errno = err;
		done = whole;
	}
	return done;
}

static void on_work(void *arg)
{
	struct records *r = arg;
	int err = open_file(r);
	size_t n;

	if (err) {
		lose(lines(r->out.p, r->out.l), r->out_path, "not opened", err);
		return;
	}
	if (!r->out.l)
		return;
	n = append(r->fd, r->out.p, r->out.l);
	metric_add(&m_written, lines(r->out.p, n));
	if (n < r->out.l)
		lose(lines(r->out.p + n, r->out.l - n), r->out_path, "not written", errno);
}

/* --- the loop's */
static void kick(struct records *r);

static void on_done(void *arg)
{
	struct records *r = arg;

	r->busy = false;
	buf_reset(&r->out);
	r->out_path = mem_deref(r->out_path);
	kick(r);
	mem_deref(r);
}

static void kick(struct records *r)
{
	struct buf b = r->out;

	if (r->busy || !*r->path || (!r->queue.l && !r->stale))
		return;
	r->out   = r->queue;
	r->queue = b;
	r->out_path  = mem_ref(r->path);
	r->out_stale = r->stale;
	r->stale = false;
	r->busy  = true;
	mem_ref(r);
	if (!r->stopped && !ev_work(r->loop, on_work, on_done, r))
		return;
	on_work(r);
	on_done(r);
}

void records_write(struct records *r, struct str line)
{
	if (!r || !*r->path)
		return;
	if (r->queue.l + line.l <= QUEUE_MAX)
		buf_str(&r->queue, line);
	else
		lose(1, r->path, "too many wait", EAGAIN);
	if (r->queue.err) {
		lose(1 + lines(r->queue.p, r->queue.l), r->path, "not kept", ENOMEM);
		buf_reset(&r->queue);
	}
	kick(r);
}

void records_missed(struct records *r)
{
	if (r && *r->path)
		lose(1, r->path, "not made", ENOMEM);
}

void records_expect(struct records *r, int n)
{
	if (r)
		r->pending += n;
}

bool records_idle(const struct records *r)
{
	return !r || (!r->pending && !r->busy && (!r->queue.l || !*r->path));
}

int records_reopen(struct records *r, const char *path)
{
	if (path && cstr_set(&r->path, path))
		return -ENOMEM;
	r->stale = true;
	kick(r);
	return 0;
}

static void destructor(void *arg)
{
	struct records *r = arg;

	if (r->fd >= 0)
		close(r->fd);
	buf_fini(&r->queue);
	buf_fini(&r->out);
	mem_deref(r->out_path);
	mem_deref(r->path);
}

void records_stop(struct records *r)
{
	if (!r)
		return;
	r->stopped = true;
	kick(r);
	mem_deref(r);
}

int records_alloc(struct records **rp, struct ev_loop *l, const char *path)
{
	struct records *r = mem_zalloc(sizeof(*r), destructor);

	if (!r)
		return -ENOMEM;
	metric_register(&m_written, 1);
	metric_register(&m_lost, 1);
	r->loop = l;
	r->fd   = -1;
	buf_init(&r->queue, 0);
	buf_init(&r->out, 0);
	if (records_reopen(r, path)) {
		mem_deref(r);
		return -ENOMEM;
	}
	*rp = r;
	return 0;
}

char *records_path(const char *path)
{
	struct str dirs = str_c(getenv("LOGS_DIRECTORY")), dir = str_cut(&dirs, ':');

	if (*path == '/' || !*path)
		return str_dup(str_c(path));
	return str_empty(dir) ? str_dup(STR("")) : str_printf(STR_FMT "/%s", STR_ARG(dir), path);
}
