/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.c - see recorder.h */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/str.h"
#include "mcu/media/recorder.h"
#include "mcu/media/tap.h"

#define LOOK_MS      100                 /* between two looks at the ring */
#define FLUSH_FRAMES 25u                 /* half a second */
#define NICE         5                   /* voices first */
#define SAME_SECOND  100u                /* files of one conference that begin in it */

struct recorder {
	pthread_t         thread;
	bool              runs;
	struct mbox      *mbox;
	struct tap       *tap;
	struct soundfile *file;
	char             *path;
	recorder_end_cb  *cb;
	void             *arg;
	uint64_t          min_free, max_frames;
	/* the thread's */
	bool              began, synced;
	uint64_t          next_tick, frames, flushed;
	const char       *reason;
	int               err;
	_Atomic unsigned  seconds;
};

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_media_recordings_total", "Recordings begun"),
	METRIC_COUNTER("conclave_media_recordings_failed_total", "Recordings that the disk ended, or did not let begin"),
	METRIC_COUNTER("conclave_media_recording_dropped_frames_total", "Ticks missing in recordings: the disk was too slow"),
	METRIC_GAUGE("conclave_media_recording", "Recordings that run"),
};
enum { M_BEGUN, M_FAILED, M_DROPPED, M_RUNNING };

/* --- the thread */

static void give_up(struct recorder *r, const char *reason, int err)
{
	if (r->reason)
		return;
	r->reason = reason;
	r->err    = err;
	atomic_store_explicit(&r->tap->unwanted, true, memory_order_relaxed);
}

static void check(struct recorder *r, int err)
{
	if (err)
		give_up(r, err == -ENOSPC || err == -EDQUOT ? "the disk is full" : err == -EFBIG ? "the file is as long as it can be" :
			err == -ENOENT ? "the file was deleted" : "the file cannot be written", err);
}

/* A frame, and before it silence for those that are missing. */
static void take(struct recorder *r, uint64_t tick, const int16_t *pcm)
{
	if (!r->began)
		r->next_tick = tick;
	r->began = true;
	for (; !r->reason && r->next_tick <= tick; r->next_tick++) {
		check(r, soundfile_add(r->file, r->next_tick == tick ? pcm : NULL));
		if (!r->reason && ++r->frames == r->max_frames)
			give_up(r, "it is as long as is allowed", 0);
	}
}

static bool disk_full(const char *path, uint64_t min_free)
{
	struct statvfs v;

	return !statvfs(path, &v) && (uint64_t)v.f_bavail * v.f_frsize < min_free;
}

static void flush(struct recorder *r)
{
	if (r->frames - r->flushed < FLUSH_FRAMES || r->reason)
		return;
	r->flushed = r->frames;
	check(r, soundfile_flush(r->file));
	atomic_store_explicit(&r->seconds, (unsigned)(r->frames / 50), memory_order_relaxed);
	r->synced = !r->synced;
	if (!r->synced || r->reason)
		return;
	check(r, soundfile_sync(r->file));
	if (disk_full(r->path, r->min_free))
		give_up(r, "the disk is nearly full", -ENOSPC);
}

/* false: the worker has closed the tap, and nothing is left in it */
static bool look(struct recorder *r)
{
	bool closed = tap_closed(r->tap);                /* before the ring: what is put before closing is seen */
	const int16_t *pcm;
	uint64_t tick;

	while ((pcm = tap_peek(r->tap, &tick))) {
		take(r, tick, pcm);
		tap_next(r->tap);
		flush(r);
	}
	return !closed;
}

/* A new file outlives a power cut when its name is on the disk, too. */
static void sync_name(const struct recorder *r)
{
	char dir[PATH_MAX];
	int fd;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(r->path, '/') - r->path), r->path);
	fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		log_warn(media, "recording %s: its name may not outlive a power cut: %s", r->path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void *thread(void *arg)
{
	static const struct timespec wait = { .tv_nsec = LOOK_MS * 1000000l };
	struct recorder *r = arg;

	pthread_setname_np(pthread_self(), "recorder");
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	sync_name(r);
	while (look(r))
		nanosleep(&wait, NULL);
	if (!r->err) {
		check(r, soundfile_finish(r->file));
		check(r, soundfile_sync(r->file));
	}
	atomic_store_explicit(&r->seconds, (unsigned)(r->frames / 50), memory_order_relaxed);
	if (mbox_post(r->mbox, r))
		log_error(media, "recording %s: no memory to tell that it has ended", r->path);
	return NULL;
}

/* --- its end, on the loop */

static void join(struct recorder *r)
{
	uint32_t dropped = atomic_load_explicit(&r->tap->dropped, memory_order_relaxed);

	if (!r->runs)
		return;
	pthread_join(r->thread, NULL);
	r->runs = false;
	metric_add(&metrics[M_RUNNING], -1);
	metric_add(&metrics[M_DROPPED], dropped);
	metric_add(&metrics[M_FAILED], r->err != 0);
	if (dropped)
		log_warn(media, "recording %s: the disk was too slow, %u ms are missing", r->path, dropped * 20);
	if (r->reason)
		log_warn(media, "recording %s ended after %u s: %s%s%s", r->path, recorder_seconds(r), r->reason,
			 r->err ? ": " : "", r->err ? strerror(-r->err) : "");
	else
		log_info(media, "recording %s ended after %u s", r->path, recorder_seconds(r));
}

static void on_mbox(void *msg, void *arg)
{
	struct recorder *r = arg;

	(void)msg;
	join(r);
	r->cb(r, r->reason ? r->reason : "", r->arg);    /* last: r may be gone */
}

static void destructor(void *arg)
{
	struct recorder *r = arg;

	if (r->tap)
		join(r);
	mem_deref(r->mbox);
	mem_deref(r->file);
	mem_deref(r->tap);
	mem_deref(r->path);
}

/* --- its beginning */

/* What a conference is called may hold anything; a file's name holds letters, digits and a few signs. */
static void clean(char *out, size_t outsz, const char *id)
{
	size_t n = 0;

	for (; *id && n + 1 < outsz && n < 100; id++, n++)
		out[n] = isalnum((unsigned char)*id) || strchr("-_+", *id) || (*id == '.' && n) ? *id : '_';
	out[n] = '\0';
}

static int open_new(struct recorder *r, const char *dir, const char *id, const char *ext)
{
	char name[128], at[32], more[16] = "";
	time_t now = time(NULL);
	struct tm tm;
	int fd = -EEXIST;

	clean(name, sizeof(name), id);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (unsigned i = 1; fd == -EEXIST && i < SAME_SECOND; i++) {
		if (i > 1)
			snprintf(more, sizeof(more), "_%u", i);
		mem_deref(r->path);
		r->path = str_printf("%s/%s_%s%s%s", dir, name, at, more, ext);
		if (!r->path)
			return -ENOMEM;
		fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0)
			fd = -errno;
	}
	if (fd >= 0)
		(void)fchmod(fd, 0640);              /* whatever the umask is: the group may read them */
	return fd;
}

static int open_file(struct recorder *r, const struct recorder_prm *prm)
{
	int fd, err;

	if (mkdir(prm->dir, 0750) && errno != EEXIST)
		return -errno;
	if (disk_full(prm->dir, prm->min_free))
		return -ENOSPC;
	fd = open_new(r, prm->dir, prm->id, soundfile_ext(prm->kind));
	if (fd < 0)
		return fd;
	err = soundfile_alloc(&r->file, fd, prm->kind, prm->bitrate, prm->id);
	if (err)
		unlink(r->path);
	return err;
}

int recorder_start(struct recorder **rp, struct tap **tp, const struct recorder_prm *prm)
{
	struct recorder *r = mem_zalloc(sizeof(*r), destructor);
	int err;

	if (!r)
		return -ENOMEM;
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	r->cb         = prm->cb;
	r->arg        = prm->arg;
	r->min_free   = prm->min_free;
	r->max_frames = (uint64_t)prm->max_s * 50;
	err = tap_alloc(&r->tap);
	if (!err)
		err = mbox_alloc(&r->mbox, prm->loop, on_mbox, r);
	if (!err)
		err = open_file(r, prm);
	if (!err) {
		err = -pthread_create(&r->thread, NULL, thread, r);
		if (err)
			unlink(r->path);
	}
	if (err) {
		metric_inc(&metrics[M_FAILED]);
		mem_deref(r);
		return err;
	}
	r->runs = true;
	metric_inc(&metrics[M_BEGUN]);
	metric_add(&metrics[M_RUNNING], 1);
	log_info(media, "recording %s begins", r->path);
	*tp = r->tap;
	*rp = r;
	return 0;
}

void recorder_stop(struct recorder *r)
{
	atomic_store_explicit(&r->tap->unwanted, true, memory_order_relaxed);
}

const char *recorder_path(const struct recorder *r) { return r->path; }

unsigned recorder_seconds(const struct recorder *r)
{
	return atomic_load_explicit(&r->seconds, memory_order_relaxed);
}
