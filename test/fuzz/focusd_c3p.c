/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_c3p.c - a hostile C3P document where the focus takes one apart: a record (scheduling), a health report, what an MCU
 * says of its legs. The first byte chooses; the rest is the document. The model must stay whole whatever it says.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "focusd/factory.h"
#include "focusd/life.h"
#include "focusd/mcunews.h"
#include "focusd/notify.h"
#include "focusd/pin.h"
#include "focusd/record.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

static struct app   app;
static struct conf *conf;

static void on_turn(void *arg)
{
	(void)arg;
}

static void on_failed(int err, void *arg)
{
	(void)err, (void)arg;
}

static void unlink_with(const char *path, const char *more)
{
	char *p = str_printf("%s%s", path, more);

	unlink(p);
	mem_deref(p);
}

static void start(void)
{
	static char path[] = "/tmp/focusd-fuzz-XXXXXX";
	const struct conf_prm p = { .organizer = "alice", .domain = "x", .conf_id = "ABCD1234", .types = "audio-video", .invited = "" };
	struct store_prm sp = { .turncb = on_turn, .failcb = on_failed, .path = path };
	char err[256];
	int fd = mkstemp(path);

	log_set("all", "error");
	assert(fd >= 0 && cfg_defaults(focusd_keys, &app.cfg) == 0 && ev_loop_alloc(&app.loop) == 0);
	close(fd);
	cstr_set(&app.cfg.store_path, path);
	assert(pin_start(&app, err, sizeof(err)) == 0);
	unlink_with(path, ".key");
	unlink_with(path, ".passcode.pem");
	sp.loop = app.loop;
	confs_init(&app.confs);
	assert(store_alloc(&app.store, &sp, err, sizeof(err)) == 0 && factory_alloc(&app.factory) == 0 && notify_init(&app) == 0);
	unlink(path);
	unlink_with(path, "-wal");
	store_flush(app.store);                  /* from here on it only counts: nothing is written, what is deferred fails at once */
	app.confs.gonecb = persist_on_gone;
	app.confs.arg    = &app;
	assert(conf_add(&conf, &app.confs, &p) == 0);
	conf_activate(&app.confs, conf, 1);
}

static void people(void)                     /* the same ones each time */
{
	static const char *const entities[] = { "{1}", "{2}", "{3}" };
	struct endpoint *e;
	struct user *u;

	while (conf->users)
		user_remove(&app.confs, conf->users);
	for (unsigned i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "sip:%u@x", i);
		assert(user_add(&u, &app.confs, conf, name, name, name, ROLE_ATTENDEE, AUTH_ENTERPRISE) == 0);
		assert(endpoint_add(&e, &app.confs, u, entities[i], SESSION_AV) == 0);
		if (i)
			endpoint_set_status(&app.confs, e, EP_CONNECTED);
	}
}

static void check(void)                      /* the model and every document of it */
{
	struct roster_doc rd = { .conf = conf, .version = 1, .full = true };
	const struct endpoint *e;
	struct xml_doc *doc;
	struct buf b;
	unsigned n = 0;

	for (const struct user *u = conf->users; u; u = u->hh.next, n++)
		TAILQ_FOREACH(e, &u->eps, le)
			assert(e->user == u && e->nmedia <= EP_MAX_MEDIA && endpoint_find(conf, e->entity) == e);
	assert(n == conf->nusers);
	buf_init(&b, 0);
	roster_encode(&b, &rd);
	assert(!b.err && xml_parse(&doc, buf_view(&b)) == 0);
	mem_deref(doc);
	buf_fini(&b);
}

static void record(const struct c3p_req *r)
{
	struct record rec;
	const char *why = record_decode(&rec, &app, xml_child(r->cmd, NULL, "conference-info"));

	if (!why)
		assert(rec.conf_id && rec.policy < POLICY_N && rec.types.l && !rec.types.err && !rec.invited.err);
	record_fini(&rec);
}

static void ping(const struct c3p_req *r)
{
	const struct mcu *m;
	const char *why = NULL;
	int err = factory_ping(&app, xml_child(r->cmd, NULL, "health"), &why);

	assert(!err || why);
	for (m = app.factory->mcus; m; m = m->hh.next)
		assert(m->id && m->type && m->instance && m->url && m->contact && !strpbrk(m->contact, "\r\n;, "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sub *none;
	struct c3p_req r;

	if (!conf)
		start();
	if (!size || c3p_req_decode(&r, (struct str){ (const char *)data + 1, size - 1 }))
		return 0;
	if (data[0] % 3 == 0) {
		record(&r);
	} else if (data[0] % 3 == 1) {
		ping(&r);
	} else {
		people();
		mcunews_apply(&app, conf, SESSION_AV, xml_child(r.cmd, NULL, "conference-info"));
		check();
	}
	c3p_req_fini(&r);
	assert(app.subs_by_tag == none);
	return 0;
}
