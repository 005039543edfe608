/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_persist.c - a restart, a failed commit and a shutdown in the middle of everything, with a real database */
#include <sqlite3.h>
#include "test/unit/disk.h"
#include "test/unit/focusd_world.h"

#define ALICE "alice@" DOMAIN
#define BOB   "bob@" DOMAIN
#define SDP   "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"

/* --- the model as text */
static const char *or(const char *s) { return s ? s : "-"; }

static void dump_dlg(struct buf *b, const struct sip_dlg *d)
{
	if (d)
		buf_printf(b, " dlg %s %s %s %s %s %s %s %u", d->call_id, d->local_tag, d->remote_tag, d->local_uri, d->remote_uri,
			   d->remote_target, or(d->route), d->remote_cseq);
}

static void dump_endpoint(struct buf *b, const struct endpoint *e)
{
	buf_printf(b, "  ep %d %s %d %d %s %s %s %s %s %u %d", (int)e->dirt.id, e->entity, e->session, e->status, or(e->joined),
		   or(e->instance), or(e->call_id), or(e->ticket), or(e->leg), e->session_s, e->needs_focus);
	for (unsigned i = 0; i < e->nmedia; i++)
		buf_printf(b, " media %s %s %s %s %d %d", or(e->media[i].id), or(e->media[i].type), or(e->media[i].label),
			   or(e->media[i].status), e->media[i].in_blocked, e->media[i].out_blocked);
	dump_dlg(b, e->dlg);
	buf_puts(b, "\n");
}

static char *dump(void)
{
	const struct conf *c = the_conf();
	const struct endpoint *e;
	const struct sub *s;
	struct buf b;
	char *text;

	buf_init(&b, 0);
	buf_printf(&b, "conf %d %s %s %s %s %d %d %d %s %d %s %s %u %d %u %d %d %d %lld\n", (int)c->dirt.id, c->key, c->name, c->subject,
		   or(c->display), c->policy, c->policy_now, (int)c->expiry_s, or(c->pin), c->trunk_ok, c->invited, c->types, c->record_version,
		   c->active, c->epoch, c->locked, c->had_auth, c->mcu[SESSION_AV].state, (long long)c->end_at_ms);
	buf_printf(&b, "mcu %s %s %u\n", or(c->mcu[SESSION_AV].node), or(c->mcu[SESSION_AV].instance), c->mcu[SESSION_AV].version);
	for (const struct user *u = c->users; u; u = u->hh.next) {
		buf_printf(&b, " user %d %s %s %s %d %d\n", (int)u->dirt.id, u->entity, or(u->caller), u->display, u->role, u->auth);
		TAILQ_FOREACH(e, &u->eps, le)
			dump_endpoint(&b, e);
	}
	TAILQ_FOREACH(s, &c->subs, le) {
		buf_printf(&b, " sub %d %s %s %u", (int)s->dirt.id, s->user_entity, or(s->event_id), s->flags & ~(unsigned)SUB_OWN_VERSION);
		dump_dlg(&b, s->dlg);
		buf_puts(&b, "\n");
	}
	text = str_dup(buf_view(&b));
	buf_fini(&b);
	return text;
}

static struct endpoint *add_leg(const char *entity, enum conf_auth auth, const char *ep)
{
	struct endpoint *e;
	struct user *u;

	assert_int_equal(user_add(&u, &app.confs, the_conf(), entity, auth == AUTH_NONE ? "sip:+49@trunk" : entity, "N\xc3\xa4me",
				  ROLE_PRESENTER, auth), 0);
	assert_int_equal(endpoint_add(&e, &app.confs, u, ep, SESSION_AV), 0);
	assert_int_equal(endpoint_set_media(e, 0, "1", "audio", "main-audio", "sendrecv", true, false), 0);
	assert_int_equal(endpoint_set_media(e, 1, "2", NULL, NULL, NULL, false, true), 0);
	cstr_set(&e->leg, "state|of\nthe MCU");
	cstr_set(&e->call_id, "call-1");
	e->needs_focus = auth != AUTH_NONE;
	endpoint_set_status(&app.confs, e, EP_CONNECTED);
	return e;
}

static void restart(void)
{
	app_off();
	app_on();
}

/* A conference with all that a row can hold */
static void fill(void)
{
	struct dlg sub;

	schedule(POLICY_ANONYMOUS);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, "user;udp", "Event: conference;id=x1\r\n");
	wait_for(&sub, 1);
	conf_set_locked(&app.confs, the_conf(), true);
	cstr_set(&the_conf()->invited, "presenter sip:carol@x\n");
	add_leg("sip:phone-1@" DOMAIN, AUTH_NONE, "{leg}");
	add_leg("sip:" BOB, AUTH_ENTERPRISE, "{leg2}");
	join(BOB, "{b}");
	conf_set_mcu(&app.confs, the_conf(), SESSION_AV, CONF_MCU_READY, "mcu-1", "i1");
	the_conf()->mcu[SESSION_AV].version = 17;
	pass(100);
}

static void everything_comes_back_after_a_restart(void **state)
{
	char *before, *after;

	(void)state;
	fill();
	before = dump();
	restart();
	after = dump();
	assert_string_equal(after, before);
	assert_int_equal(app.confs.nusers, 3);
	assert_int_equal(app.confs.nactive, 1);
	assert_null(endpoint_find(the_conf(), "{leg}")->media[1].type);
	mem_deref(before);
	mem_deref(after);
}

/* Each step back takes away what one version brought. */
static void what_an_older_focusd_wrote_comes_back_too(void **state)
{
	static const char *const back[] = {
		"ALTER TABLE conf DROP COLUMN recording",
		"ALTER TABLE conf DROP COLUMN number",
		"DROP TABLE bye",
		"ALTER TABLE conf DROP COLUMN filters",
		"ALTER TABLE conf DROP COLUMN policy_now; ALTER TABLE conf DROP COLUMN access;"
		"ALTER TABLE endpoint DROP COLUMN role; ALTER TABLE endpoint DROP COLUMN dialed_out",
		"DROP TABLE mcu",
	};
	char *before, *after;
	sqlite3 *db;

	(void)state;
	fill();
	before = dump();
	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
		app_off();
		assert_int_equal(sqlite3_open(store_path, &db), SQLITE_OK);
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(sqlite3_exec(db, back[k], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		app_on();
		after = dump();
		assert_string_equal(after, before);
		assert_int_equal(strlen(the_conf()->number), 7);
		mem_deref(after);
	}
	mem_deref(before);
}

static void dialogs_and_subscriptions_go_on_after_a_restart(void **state)
{
	struct dlg alice, sub;
	unsigned version, cseq;

	(void)state;
	schedule(POLICY_OPEN);
	alice = join(ALICE, "{a}");
	sub   = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	join(BOB, "{b}");
	wait_for(&sub, 2);
	version = last_for(&sub)->version;
	cseq    = last_for(&sub)->cseq;
	restart();
	wait_for(&sub, 3);
	assert_true(last_for(&sub)->full);
	assert_true(last_for(&sub)->version > version);
	assert_true(last_for(&sub)->cseq > cseq);
	assert_non_null(strstr(last_for(&sub)->body, "sip:" BOB));
	assert_int_equal(ask(&alice, &(struct ask){ .method = "OPTIONS", .pai = ALICE }), 200);
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\n" }), 200);
	assert_int_equal(ask(&alice, &(struct ask){ .method = "BYE", .pai = ALICE }), 200);
	assert_null(user_find(the_conf(), "sip:" ALICE));
}

static void what_is_removed_stays_removed(void **state)
{
	struct dlg d;

	(void)state;
	schedule(POLICY_OPEN);
	d = join(ALICE, "{a}");
	pass(30);
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE", .pai = ALICE }), 200);
	restart();
	assert_int_equal(the_conf()->nusers, 0);
	life_remove(&app, the_conf());
	pass(30);
	assert_null(the_conf());
	restart();
	assert_null(the_conf());
}

static void a_leg_whose_focus_dialog_is_gone_ends_after_a_restart_too(void **state)
{
	(void)state;
	schedule(POLICY_OPEN);
	conf_activate(&app.confs, the_conf(), app_wall_s());
	add_leg("sip:" BOB, AUTH_ENTERPRISE, "{leg}");
	pass(30);
	restart();
	assert_true(endpoint_find(the_conf(), "{leg}")->drop_at_ms > 0);
}

/* --- a commit that fails */
static void a_join_that_cannot_be_written_is_503_and_never_was(void **state)
{
	struct dlg bob = dlg_new(BOB, FOCUS), sub;
	unsigned version;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	pass(100);
	version = last_for(&sub)->version;
	clear_got();
	disk_full(1);
	assert_int_equal(try_join(&bob, "{b}", NULL, BOB), 503);
	pass(50);
	disk_free();
	assert_null(user_find(the_conf(), "sip:" BOB));
	assert_non_null(user_find(the_conf(), "sip:" ALICE));
	assert_int_equal(count_for(&sub), 0);    /* nobody was told what did not happen */
	pass(600);
	bob = join(BOB, "{b}");
	wait_for(&sub, 1);
	pass(1500);
	assert_true(nth_for(&sub, 0)->full);     /* what was not committed may have had this version */
	assert_true(nth_for(&sub, 0)->version >= version);
	for (unsigned i = 1; i < count_for(&sub); i++)
		assert_true(nth_for(&sub, i)->full || nth_for(&sub, i)->version == nth_for(&sub, i - 1)->version + 1);
	assert_non_null(strstr(last_for(&sub)->body, "sip:" BOB));
}

static void calls_under_way_survive_a_failed_commit(void **state)
{
	struct asking k = { &last, false };
	struct sip_ct *ct = NULL;
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN), bob = dlg_new("carol@" DOMAIN, FOCUS);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	mcu_hangs = "addConference";
	clear_last();
	send_request(&d, &(struct ask){ .method = "INVITE", .pai = BOB, .ctype = "application/sdp", .body = SDP }, &ct, &k);
	pass(100);
	assert_int_equal(mcu_nkept, 1);
	disk_full(1);
	user_add(&(struct user *){ NULL }, &app.confs, the_conf(), "sip:x@y", NULL, "X", ROLE_ATTENDEE, AUTH_NONE);
	pass(100);
	disk_free();
	assert_null(user_find(the_conf(), "sip:x@y"));
	assert_int_equal(app.reads, 1);
	mcu_hangs = NULL;
	http_reply(mcu_kept[0], 200, C3P_CTYPE, STR("<response xmlns=\"" C3P_NS "\" requestId=\"1\" from=\"a\" to=\"b\" code=\"success\">"
						    "<addConference/></response>"));
	assert_true(wait_until(asked, &k, 3000));
	assert_int_equal(last.code, 503);        /* what was begun before is not gone on with */
	mem_deref(ct);
	assert_int_equal(the_conf()->mcu[SESSION_AV].state, CONF_MCU_NONE);
	pass(600);
	d = dlg_new(BOB, "sip:lobby@" DOMAIN);
	assert_int_equal(ask(&d, &(struct ask){ .method = "INVITE", .pai = BOB, .ctype = "application/sdp", .body = SDP }), 302);
	assert_int_equal(try_join(&bob, "{b}", NULL, "carol@" DOMAIN), 200);
	ack(&bob);
}

static void a_subscription_that_was_ending_lives_on_when_its_end_was_not_written(void **state)
{
	struct dlg sub;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	pass(50);
	disk_full(1);
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\nExpires: 0\r\n" }), 503);
	disk_free();
	assert_non_null(sub_find(&app, str_c(sub.to_tag)));
	assert_true(TAILQ_EMPTY(&app.dying));
	pass(600);
	assert_int_equal(ask(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\nExpires: 0\r\n" }), 200);
	pass(50);
	assert_null(sub_find(&app, str_c(sub.to_tag)));
}

/* --- shutdown: the teardown counts what is left in memory */
static void a_shutdown_answers_what_waits_and_leaves_nothing(void **state)
{
	struct asking k = { &last, false };
	struct sip_ct *ct = NULL;
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN), sub, a;

	(void)state;
	schedule(POLICY_OPEN);
	a   = join(ALICE, "{a}");
	sub = subscribe(ALICE, NULL, NULL);
	wait_for(&sub, 1);
	mcu_ping("mcu-1", "i1", "");
	mcu_hangs = "addConference";
	clear_last();
	send_request(&d, &(struct ask){ .method = "INVITE", .pai = BOB, .ctype = "application/sdp", .body = SDP }, &ct, &k);
	pass(100);
	for (int i = 0; i < 20; i++) {
		char entity[32];

		snprintf(entity, sizeof(entity), "sip:u%d@x", i);
		user_add(&(struct user *){ NULL }, &app.confs, the_conf(), entity, NULL, "X", ROLE_ATTENDEE, AUTH_NONE);
		pass(0);                         /* a batch on the worker, the next one collects */
	}
	life_focus_gone(&app, endpoint_find(the_conf(), "{a}"), true);
	app_off();
	assert_true(wait_until(asked, &k, 2000));
	assert_int_equal(last.code, 503);
	mem_deref(ct);
	wait_for(&a, 1);
	assert_string_equal(last_for(&a)->method, "BYE");
	app_on();
	assert_non_null(user_find(the_conf(), "sip:u19@x"));
	assert_null(user_find(the_conf(), "sip:" ALICE));
}

static void a_bye_without_an_answer_is_said_again_by_the_next_process_and_no_more(void **state)
{
	struct dlg bob;
	unsigned cseq;

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	bob = join(BOB, "{b}");
	pass(100);
	life_eject(&app, user_find(the_conf(), "sip:" BOB));
	app_off();                               /* written and sent; nobody is left to hear the answer */
	wait_for(&bob, 1);
	assert_string_equal(last_for(&bob)->method, "BYE");
	cseq = last_for(&bob)->cseq;
	app_on();
	wait_for(&bob, 2);
	assert_string_equal(last_for(&bob)->method, "BYE");
	assert_true(last_for(&bob)->cseq > cseq);
	assert_null(user_find(the_conf(), "sip:" BOB));
	pass(100);                               /* the answer */
	restart();
	pass(300);
	assert_int_equal(count_for(&bob), 2);
}

static void requests_that_nobody_answers_end_with_the_daemon(void **state)
{
	struct dlg d;

	(void)state;
	schedule(POLICY_OPEN);
	d = join(ALICE, "{a}");
	app.cfg.probe_s = 0;
	pass(2100);                              /* OPTIONS probes, answered; then the edge goes deaf */
	edge = mem_deref(edge);
	if (endpoint_find(the_conf(), "{a}"))
		endpoint_find(the_conf(), "{a}")->probing = false;
	pass(1200);
	(void)d;
}

/* --- time */
static void times_are_read_strictly_and_written_as_read(void **state)
{
	static const struct { const char *text; int64_t s; } rows[] = {
		{ "1970-01-01T00:00:00Z", 0 }, { "2031-05-02T18:00:00Z", 1935511200 }, { "2031-05-02T18:00:00", 1935511200 },
		{ "2031-05-02T18:00:00.123Z", 1935511200 }, { "2000-02-29T23:59:59Z", 951868799 },
		{ "", -EINVAL }, { "soon", -EINVAL }, { "2031-05-02", -EINVAL }, { "2031-13-02T18:00:00Z", -EINVAL },
		{ "2031-05-02T18:00:00ZZ", -EINVAL }, { "2031-05-02T25:00:00Z", -EINVAL },
		{ "2031-05-02T20:00:00+02:00", 1935511200 }, { "2031-05-02T12:30:00.5-05:30", 1935511200 },
		{ "2031-05-02T20:00:00+2:00", -EINVAL }, { "2031-05-02T20:00:00+02:00Z", -EINVAL }, { "2031-05-02T20:00:00+99:00", -EINVAL },
	};
	char *t = app_utc(1935511200);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(app_utc_parse(rows[i].text), rows[i].s);
	assert_string_equal(t, "2031-05-02T18:00:00Z");
	mem_deref(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(everything_comes_back_after_a_restart), T(what_an_older_focusd_wrote_comes_back_too),
		T(dialogs_and_subscriptions_go_on_after_a_restart), T(what_is_removed_stays_removed),
		T(a_leg_whose_focus_dialog_is_gone_ends_after_a_restart_too), T(a_join_that_cannot_be_written_is_503_and_never_was),
		T(calls_under_way_survive_a_failed_commit), T(a_subscription_that_was_ending_lives_on_when_its_end_was_not_written),
		T(a_shutdown_answers_what_waits_and_leaves_nothing), T(requests_that_nobody_answers_end_with_the_daemon),
		T(a_bye_without_an_answer_is_said_again_by_the_next_process_and_no_more),
		cmocka_unit_test(times_are_read_strictly_and_written_as_read),
	};

	return cmocka_run_group_tests(tests, world_certs, world_certs_end);
}
