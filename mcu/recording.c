/* SPDX-License-Identifier: Apache-2.0 */
/* recording.c - see recording.h
 *
 * A recording is the app's: it may outlive its conference by the moment that the last page needs. The conference holds a
 * small object whose destructor, when the conference ends, stops it.
 */
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/app.h"
#include "mcu/bridge.h"
#include "mcu/media/recorder.h"
#include "mcu/media/tap.h"
#include "mcu/recording.h"

struct hold { struct recording *r; };        /* conf->recording */

struct recording {
	struct app      *app;
	struct conf     *conf;               /* NULL: has ended, or wants it no more */
	struct hold     *hold;               /* borrowed from conf */
	struct recorder *recorder;
	LIST_ENTRY(recording) le;
};

static void on_hold_destroy(void *arg)
{
	struct hold *h = arg;

	if (!h->r)
		return;
	h->r->conf = NULL;
	h->r->hold = NULL;
	if (h->r->recorder)
		recorder_stop(h->r->recorder);
}

static void on_destroy(void *arg)
{
	struct recording *r = arg;

	mem_deref(r->recorder);
}

/* It could not go on, or begin: the focus hears of it with the next notification. */
static void failed(struct conf *c, const char *reason)
{
	c->unrecorded = reason;
	if (report_mark(c->report, "", "", REPORT_STATE))
		log_warn(conf, "conference %s: no memory to report the end of its recording", c->id);
	conf_changed(c);
}

static void on_end(struct recorder *rec, const char *reason, void *arg)
{
	struct recording *r = arg;
	struct conf *c = r->conf;

	(void)rec;
	if (c) {
		r->hold->r   = NULL;
		c->recording = mem_deref(c->recording);
		bridge_recorded(c, r->app);
		failed(c, *reason ? reason : "the room was closed");
	}
	LIST_REMOVE(r, le);
	mem_deref(r);
}

static int begin(struct recording *r, struct conf *c, struct app *a)
{
	const struct settings *s = &a->cfg;
	struct recorder_prm prm = {
		.loop = a->loop, .dir = s->recording_path, .id = c->id, .bitrate = (unsigned)s->recording_bitrate,
		.kind = cstr_ieq(s->recording_format, "wav") ? SOUNDFILE_WAV : SOUNDFILE_OPUS,
		.max_s = (unsigned)s->recording_limit * 60, .min_free = (uint64_t)s->recording_free << 20,
		.cb = on_end, .arg = r,
	};
	struct tap *tap;
	int err = recorder_start(&r->recorder, &tap, &prm);

	if (err)
		return err;
	LIST_INSERT_HEAD(&a->recordings, r, le);
	r->conf      = c;
	r->hold->r   = r;
	c->recording = r->hold;
	if (mroom_tap(c->room, tap))
		log_warn(media, "conference %s: no memory for its recording", c->id);   /* on_end() follows */
	return 0;
}

static int start(struct conf *c, struct app *a)
{
	struct recording *r;
	int err;

	if (!c->room || c->attendant || !*a->cfg.recording_path)
		return -ENOTSUP;
	r = mem_zalloc(sizeof(*r), on_destroy);
	if (!r)
		return -ENOMEM;
	r->app  = a;
	r->hold = mem_zalloc(sizeof(*r->hold), on_hold_destroy);
	err = r->hold ? begin(r, c, a) : -ENOMEM;
	if (err) {
		log_warn(conf, "conference %s is not recorded: %s: %s", c->id, a->cfg.recording_path, strerror(-err));
		mem_deref(r->hold);
		mem_deref(r);
	}
	return err;
}

int recording_set(struct conf *c, struct app *a, bool on)
{
	int err = 0;

	c->unrecorded = NULL;
	if (on == !!c->recording)
		return 0;
	if (on)
		err = start(c, a);
	else
		c->recording = mem_deref(c->recording);
	if (!err)
		bridge_recorded(c, a);
	return err;
}

void recording_resume(struct conf *c, struct app *a)
{
	int err = recording_set(c, a, true);

	if (err)
		failed(c, err == -ENOTSUP ? "this server records nothing" : err == -ENOSPC ? "the disk is nearly full" :
		       "the file cannot be written");
}

const char *recording_path(const struct conf *c)
{
	const struct hold *h = c->recording;

	return h && h->r ? recorder_path(h->r->recorder) : NULL;
}

void recordings_stop(struct app *a)
{
	struct recording *r;

	while ((r = LIST_FIRST(&a->recordings))) {
		if (r->hold)
			r->hold->r = NULL;
		LIST_REMOVE(r, le);
		recorder_stop(r->recorder);
		mem_deref(r);
	}
}
