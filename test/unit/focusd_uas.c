/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_uas.c - who may do what from the edge, and what odd or hostile requests lead to; over real SIP and HTTPS */
#include "focusd/dialout.h"
#include "focusd/pin.h"
#include "focusd/uas.h"
#include "test/unit/focusd_world.h"

#define ALICE "alice@" DOMAIN
#define BOB   "bob@" DOMAIN
#define SDP   "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"

static int invite_media(struct dlg *d, const char *access, const char *pai)
{
	return ask(d, &(struct ask){ .method = "INVITE", .access = access, .pai = pai, .ctype = "application/sdp", .body = SDP });
}

/* --- who is who */
static void a_trunk_cannot_join_the_focus_as_whoever_it_names(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS), e = dlg_new(BOB, FOCUS);

	(void)state;
	schedule(POLICY_ANONYMOUS);
	join(ALICE, "{a}");
	assert_int_equal(try_join(&d, "{evil}", "trunk;name=t1", ALICE), 403);
	assert_int_equal(try_join(&e, "{evil}", "anonymous", NULL), 403);
	assert_int_equal(the_conf()->nusers, 1);
	assert_int_equal(user_find(the_conf(), "sip:" ALICE)->neps, 1);
}

static void a_trunk_that_names_a_user_sees_no_roster(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS);

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	assert_int_equal(ask(&d, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .access = "trunk;name=t1",
						.hdrs = "Event: conference\r\n" }), 403);
	assert_int_equal(the_conf()->nsubs, 0);
}

static void an_anonymous_caller_is_of_no_domain(void **state)
{
	static const struct { const char *user; int code; } rows[] = {
		{ ALICE, 403 }, { "1@anonymous.invalid.example.net", 403 }, { "0815@Anonymous.Invalid", 200 },
	};

	(void)state;
	schedule(POLICY_ANONYMOUS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dlg d = dlg_new(rows[i].user, FOCUS);
		char body[1024];

		snprintf(body, sizeof(body), "%s", add_user_body(i == 2 ? "0815@anonymous.invalid" : rows[i].user, "{x}"));
		assert_int_equal(ask(&d, &(struct ask){ .method = "INVITE", .access = "anonymous", .ctype = C3P_CTYPE, .body = body }),
				 rows[i].code);
		if (rows[i].code == 200)
			ack(&d);
	}
	assert_null(user_find(the_conf(), "sip:" ALICE));
	assert_int_equal(user_find(the_conf(), "sip:0815@anonymous.invalid")->auth, AUTH_NONE);
	join(ALICE, "{a}");
}

static void another_domain_cannot_assert_an_identity_of_ours(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS), fred = dlg_new("fred@other.org", FOCUS);

	(void)state;
	schedule(POLICY_ANONYMOUS);
	assert_int_equal(try_join(&d, "{evil}", "federated", "alice@EXAMPLE.net"), 403);
	assert_int_equal(try_join(&fred, "{f}", "federated", "fred@other.org"), 200);
	ack(&fred);
	assert_int_equal(user_find(the_conf(), "sip:fred@other.org")->auth, AUTH_FEDERATED);
}

static void only_its_owner_may_use_a_dialog(void **state)
{
	struct dlg d;

	(void)state;
	schedule(POLICY_OPEN);
	d = join(ALICE, "{a}");
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE", .pai = BOB }), 403);
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE", .pai = ALICE, .access = "trunk" }), 403);
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE" , .access = "anonymous" }), 403);
	assert_int_equal(the_conf()->nusers, 1);
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE", .pai = ALICE }), 200);
	assert_int_equal(the_conf()->nusers, 0);
	assert_int_equal(ask(&d, &(struct ask){ .method = "BYE", .pai = ALICE }), 481);
}

static void a_request_without_an_identity_is_refused(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS);

	(void)state;
	schedule(POLICY_OPEN);
	assert_int_equal(try_join(&d, "{a}", NULL, NULL), 403);
	assert_int_equal(try_join(&d, "{a}", "nonsense", ALICE), 403);
	assert_int_equal(the_conf()->nusers, 0);
}

/* --- limits */
static void endpoints_and_subscriptions_of_one_user_are_bounded(void **state)
{
	struct dlg d, s;
	char ep[16];
	int code = 200;

	(void)state;
	schedule(POLICY_OPEN);
	for (int i = 0; i < USER_MAX_EPS; i++) {
		d = dlg_new(ALICE, FOCUS);
		snprintf(ep, sizeof(ep), "{%d}", i);
		/* each from another device: the instance of those before is not this one's */
		for (struct endpoint *e = the_conf()->eps; e; e = e->hh.next)
			cstr_set(&e->instance, e->entity);
		assert_int_equal(try_join(&d, ep, NULL, ALICE), 200);
		ack(&d);
	}
	for (struct endpoint *e = the_conf()->eps; e; e = e->hh.next)
		cstr_set(&e->instance, e->entity);
	d = dlg_new(ALICE, FOCUS);
	assert_int_equal(try_join(&d, "{more}", NULL, ALICE), 480);
	for (int i = 0; i < USER_MAX_SUBS; i++)
		subscribe(ALICE, NULL, NULL);
	s = dlg_new(ALICE, FOCUS);
	code = ask(&s, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\n" });
	assert_int_equal(code, 480);
	assert_int_equal(the_conf()->nsubs, USER_MAX_SUBS);
}

static void the_same_endpoint_joins_again_in_place_of_itself(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS);

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	assert_int_equal(try_join(&d, "{a}", NULL, ALICE), 200);     /* replaces the first one */
	ack(&d);
	assert_int_equal(user_find(the_conf(), "sip:" ALICE)->neps, 1);
}

/* --- odd headers */
static void an_event_id_that_is_no_token_is_refused(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS);

	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	assert_int_equal(ask(&d, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference;id=\"a b;c\"\r\n" }), 400);
	assert_int_equal(ask(&d, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: presence\r\n" }), 489);
	assert_int_equal(the_conf()->nsubs, 0);
}

static void an_unknown_requirement_is_named_even_when_it_is_long(void **state)
{
	struct dlg d = dlg_new(ALICE, FOCUS);
	char hdrs[600], want[64];

	(void)state;
	schedule(POLICY_OPEN);
	snprintf(hdrs, sizeof(hdrs), "Event: conference\r\nRequire: %0400d\r\n", 7);
	assert_int_equal(ask(&d, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = hdrs }), 420);
	snprintf(want, sizeof(want), "Unsupported: %030d", 0);
	assert_non_null(strstr(last.hdrs, want));
}

/* --- session timers */
static int negotiate(const char *hdrs, uint32_t *s, char *out)
{
	char text[1024];
	struct sip_msg *m;
	int code;

	snprintf(text, sizeof(text), "INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
		 "To: <sip:x@y>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n%sContent-Length: 0\r\n\r\n", hdrs);
	assert_int_equal(sip_msg_decode(&m, str_c(text)), 0);
	code = session_negotiate(m, 1800, s, out, 96);
	mem_deref(m);
	return code;
}

static void a_session_timer_is_agreed_on_as_rfc_4028_says(void **state)
{
	static const struct { const char *hdrs; int code; uint32_t s; } rows[] = {
		{ "", 0, 0 },
		{ "Session-Expires: 600\r\n", 0, 0 },
		{ "Supported: timer\r\n", 0, 1800 },
		{ "Supported: timer\r\nSession-Expires: 600\r\n", 0, 600 },
		{ "Supported: 100rel, timer\r\nx: 600;refresher=uac\r\n", 0, 600 },
		{ "Supported: timer\r\nSession-Expires: 89\r\n", 422, 0 },
		{ "Supported: timer\r\nSession-Expires: 90\r\n", 0, 90 },
		{ "Supported: timer\r\nSession-Expires: 999999999999999999999\r\n", 0, 1800 },
		{ "Supported: timer\r\nSession-Expires: soon\r\n", 0, 1800 },
		{ "Supported: timer\r\nMin-SE: 3600\r\n", 0, 3600 },
		{ "Supported: timer\r\nMin-SE: 99999999\r\n", 0, 1800 },
		{ "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", 0, 0 },
	};
	char hdrs[96], want[96];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t s = 7;

		assert_int_equal(negotiate(rows[i].hdrs, &s, hdrs), rows[i].code);
		assert_int_equal(s, rows[i].s);
		want[0] = '\0';
		if (rows[i].s)
			snprintf(want, sizeof(want), "Require: timer\r\nSession-Expires: %u;refresher=uac\r\n", rows[i].s);
		else if (rows[i].code)
			snprintf(want, sizeof(want), "Min-SE: 90\r\n");
		assert_string_equal(hdrs, want);
	}
}

/* --- many requests in one turn */
static void nobody_comes_into_a_conference_that_is_being_deleted(void **state)
{
	static const char del[] = "<request xmlns=\"" C3P_NS "\" C3PVersion=\"1\" requestId=\"1\" from=\"sip:" ALICE "\" "
		"to=\"sip:" ALICE ";gruu;opaque=app:conf:focusfactory\"><deleteConference><conferenceKeys "
		"xmlns:msci=\"" C3P_NS_MSCI "\" msci:conference-id=\"" CONF_ID "\"/></deleteConference></request>";
	struct resp r[3] = { { 0 } };
	struct asking k[3] = { { &r[0], false }, { &r[1], false }, { &r[2], false } };
	struct sip_ct *ct[3] = { NULL };

	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct dlg svc = dlg_new(ALICE, "sip:" ALICE ";gruu;opaque=app:conf:focusfactory"), inv = dlg_new(ALICE, FOCUS),
			   sub = dlg_new(ALICE, FOCUS);

		schedule(POLICY_OPEN);
		if (round % 2)
			join(ALICE, "{a}");
		/* one connection, so one read: all of them come within one turn */
		memcpy(inv.call_id, svc.call_id, 32);
		memcpy(sub.call_id, svc.call_id, 32);
		for (unsigned i = 0; i < 3; i++)
			k[i].done = false;
		send_request(&svc, &(struct ask){ .method = "SERVICE", .pai = ALICE, .ctype = C3P_CTYPE, .body = del }, &ct[0], &k[0]);
		send_request(&inv, &(struct ask){ .method = "INVITE", .pai = ALICE, .ctype = C3P_CTYPE,
						  .body = add_user_body(ALICE, "{b}") }, &ct[1], &k[1]);
		send_request(&sub, &(struct ask){ .method = "SUBSCRIBE", .pai = ALICE, .hdrs = "Event: conference\r\n" }, &ct[2], &k[2]);
		for (unsigned i = 0; i < 3; i++) {
			assert_true(wait_until(asked, &k[i], 3000));
			ct[i] = mem_deref(ct[i]);
		}
		assert_int_equal(r[0].code, 200);
		assert_int_equal(r[1].code, 404);
		assert_int_equal(r[2].code, 404);
		pass(20);
		assert_null(the_conf());
		assert_int_equal(HASH_COUNT(app.subs_by_tag), 0);
		assert_int_equal(app.confs.nusers, 0);
		for (unsigned i = 0; i < 3; i++) {
			mem_deref(r[i].body);
			mem_deref(r[i].hdrs);
			r[i] = (struct resp){ 0 };
		}
	}
}

/* --- the media INVITE and its MCU */
static void a_phone_is_sent_on_with_a_ticket(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	assert_int_equal(invite_media(&d, NULL, BOB), 480);          /* no MCU yet */
	assert_int_equal(mcu_ping("mcu-1", "i1", ""), 200);
	d = dlg_new(BOB, "sip:lobby@" DOMAIN);
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	assert_string_equal(mcu_log, "addConference addUser ");
	assert_non_null(strstr(last.hdrs, "Contact: <" AV ";oc-mcu=mcu-1;oc-ticket="));
	assert_int_equal(the_conf()->mcu[SESSION_AV].state, CONF_MCU_READY);
}

static struct endpoint *connected_leg(const char *user)
{
	struct endpoint *e;
	struct user *u;

	assert_int_equal(user_add(&u, &app.confs, the_conf(), user, user, "X", ROLE_ATTENDEE, AUTH_ENTERPRISE), 0);
	assert_int_equal(endpoint_add(&e, &app.confs, u, endpoint_find(the_conf(), "{leg}") ? "{leg2}" : "{leg}", SESSION_AV), 0);
	endpoint_set_status(&app.confs, e, EP_CONNECTED);
	return e;
}

static void an_mcu_that_lost_the_conference_loses_its_legs_and_another_try_follows(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	connected_leg("sip:dave@" DOMAIN);
	mcu_refuses  = "addUser";
	mcu_reason   = "conferenceDoesntExist";
	mcu_log[0]   = '\0';
	d = dlg_new("carol@" DOMAIN, "sip:lobby@" DOMAIN);
	assert_int_equal(invite_media(&d, NULL, "carol@" DOMAIN), 503);
	assert_string_equal(mcu_log, "addUser addConference addUser ");
	assert_null(user_find(the_conf(), "sip:dave@" DOMAIN));
	assert_null(user_find(the_conf(), "sip:carol@" DOMAIN));
}

static void an_mcu_that_is_only_busy_keeps_its_legs(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	connected_leg("sip:dave@" DOMAIN);
	mcu_refuses = "addUser";
	d = dlg_new("carol@" DOMAIN, "sip:lobby@" DOMAIN);
	assert_int_equal(invite_media(&d, NULL, "carol@" DOMAIN), 503);
	assert_non_null(user_find(the_conf(), "sip:dave@" DOMAIN));
	assert_int_equal(the_conf()->mcu[SESSION_AV].state, CONF_MCU_READY);
}

static const char *news(const char *from, uint32_t epoch, unsigned version, const char *state, const char *users)
{
	static char b[2048];

	snprintf(b, sizeof(b), "<request xmlns=\"" C3P_NS "\" xmlns:oc=\"" C3P_NS_OC "\" C3PVersion=\"1\" requestId=\"1\" from=\"%s\" "
		 "to=\"" FOCUS "\" oc:epoch=\"%u\"><oc:notify><ci:conference-info xmlns:ci=\"" C3P_NS_CI "\" entity=\"" FOCUS "\" "
		 "version=\"%u\" state=\"%s\"><ci:users>%s</ci:users></ci:conference-info></oc:notify></request>", from, epoch, version,
		 state, users);
	return b;
}

#define NOTIFY_PATH "/LiveServer/Focus/"

static void only_its_own_mcu_tells_a_conference_about_legs(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);
	char leg[256];

	(void)state;
	schedule(POLICY_OPEN);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 1, "partial", "")), 409);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	snprintf(leg, sizeof(leg), "<ci:user entity=\"sip:" BOB "\"><ci:endpoint entity=\"%s\"><ci:status>connected</ci:status>"
		 "</ci:endpoint></ci:user>", the_conf()->eps->entity);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 2, 1, "partial", leg)), 409);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV ";oc-mcu=mcu-9", 1, 1, "partial", leg)), 409);
	assert_int_equal(the_conf()->eps->status, EP_PENDING);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV ";oc-mcu=mcu-1", 1, 1, "partial", leg)), 204);
	assert_int_equal(the_conf()->eps->status, EP_CONNECTED);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 2, "partial", leg)), 204);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 0, "partial", leg)), 400);
	assert_int_equal(mcu_post(NOTIFY_PATH, "nonsense"), 400);
}

static void a_full_report_ends_what_it_does_not_mention(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	connected_leg("sip:dave@" DOMAIN);
	connected_leg("sip:eve@" DOMAIN)->talking = true;
	assert_int_equal(the_conf()->nusers, 3);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 1, "full", "")), 204);
	assert_int_equal(the_conf()->nusers, 1);                     /* who is announced is not there yet */
	assert_non_null(user_find(the_conf(), "sip:" BOB));
}

static void a_full_report_finds_legs_by_name_however_many(void **state)
{
	static char users[1024];
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	connected_leg("sip:dave@" DOMAIN);
	snprintf(users, sizeof(users), "<ci:user entity=\"sip:x@y\"><ci:endpoint entity=\"{leg}\"/><ci:endpoint/></ci:user>"
		 "<ci:user><ci:endpoint entity=\"{none}\"/></ci:user>");
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 1, "full", users)), 204);
	assert_non_null(user_find(the_conf(), "sip:dave@" DOMAIN));
}

/* --- calls that the conference makes */
static unsigned over, over_err;

static void on_dialed(int err, const char *reason, void *arg)
{
	(void)reason, (void)arg;
	over++;
	over_err = err ? 1 : 0;
}

static int dial(const char *entity)
{
	struct dialout_prm p = { .conf = the_conf(), .session = SESSION_AV, .entity = entity, .target = entity, .endpoint = "{out}" };

	over = 0;
	return dialout_start(&app, &p, on_dialed, NULL);
}

static void a_report_of_who_is_connected_leaves_calls_under_way(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	mcu_hangs = "addUser";
	assert_int_equal(dial("sip:eve@other.org"), 0);
	pass(100);
	assert_int_equal(endpoint_find(the_conf(), "{out}")->status, EP_DIALING_OUT);
	assert_int_equal(mcu_post(NOTIFY_PATH, news(AV, 1, 1, "full", "")), 204);
	assert_non_null(endpoint_find(the_conf(), "{out}"));
	assert_int_equal(over, 0);
	life_end(&app, the_conf());
	pass(50);
}

static void a_call_that_is_refused_leaves_no_user(void **state)
{
	struct dlg d = dlg_new(BOB, "sip:lobby@" DOMAIN);

	(void)state;
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	assert_int_equal(invite_media(&d, NULL, BOB), 302);
	mcu_refuses = "addUser";
	mcu_reason  = "userBusy";
	assert_int_equal(dial("sip:eve@other.org"), 0);
	pass(100);
	assert_int_equal(over, 1);
	assert_int_equal(over_err, 1);
	assert_null(user_find(the_conf(), "sip:eve@other.org"));
}

static void nobody_is_called_into_a_full_conference(void **state)
{
	(void)state;
	schedule(POLICY_OPEN);
	join(ALICE, "{a}");
	app.cfg.max_users = 1;
	assert_int_equal(dial("sip:eve@other.org"), -E2BIG);
	assert_int_equal(the_conf()->nusers, 1);
	assert_int_equal(over, 0);
}

static void an_organizer_who_was_called_in_by_others_is_one_when_he_joins(void **state)
{
	struct user *u;

	(void)state;
	schedule(POLICY_OPEN);
	conf_activate(&app.confs, the_conf(), app_wall_s());
	assert_int_equal(user_add(&u, &app.confs, the_conf(), "sip:" ALICE, "sip:" ALICE, "A", ROLE_ATTENDEE, AUTH_ENTERPRISE), 0);
	join(ALICE, "{a}");
	assert_int_equal(user_find(the_conf(), "sip:" ALICE)->role, ROLE_ORGANIZER);
}

static void on_stop(void *arg)
{
	(void)arg;
	ev_loop_stop(loop);
}

/* --- no memory: each allocation fails in turn, in the edge and the MCU of this test too. Whatever comes of it, nobody falls. */
static void every_failing_allocation_is_survived(void **state)
{
	static const char *const methods[] = { "INVITE", "SUBSCRIBE", "media" };
	struct tmr stop;

	(void)state;
	assert_int_equal(tmr_init(&stop, loop, on_stop, NULL), 0);
	schedule(POLICY_OPEN);
	mcu_ping("mcu-1", "i1", "");
	join(ALICE, "{a}");
	subscribe(ALICE, NULL, NULL);
	for (unsigned n = 1; n < 360; n++) {
		struct resp r = { 0 };
		struct asking k = { &r, false };
		struct sip_ct *ct = NULL;
		bool media = n % 3 == 2;
		struct dlg d = dlg_new(media ? BOB : ALICE, media ? "sip:lobby@" DOMAIN : FOCUS);

		send_request(&d, &(struct ask){ .method = media ? "INVITE" : methods[n % 3], .pai = d.user,
						.ctype = media ? "application/sdp" : n % 3 ? NULL : C3P_CTYPE,
						.body = media ? SDP : n % 3 ? NULL : add_user_body(ALICE, "{b}"),
						.hdrs = "Event: conference\r\nSupported: ms-benotify\r\n" }, &ct, &k);
		tmr_start(&stop, 6);
		no_memory = true;
		mem_fail_after(n / 3 + 1);
		ev_loop_run(loop);
		mem_fail_after(0);
		no_memory = false;
		mem_deref(ct);
		mem_deref(r.body);
		mem_deref(r.hdrs);
		if (!the_conf())
			break;
		for (struct sub *s = app.subs_by_tag; s; s = s->hh.next)
			if (user_find(the_conf(), "sip:" ALICE))
				user_find(the_conf(), "sip:" ALICE)->nsubs = 0;
	}
	tmr_fini(&stop);
	pass(700);
	assert_non_null(the_conf());
}

/* --- pass codes */
static void a_pass_code_is_sealed_and_bound_to_its_conference(void **state)
{
	struct conf *c;

	(void)state;
	schedule(POLICY_ANONYMOUS);
	c = the_conf();
	assert_true(pin_ok(&app, c, STR("")));
	assert_int_equal(pin_set(&app, c, "4711"), 0);
	assert_null(strstr(c->pin, "4711"));
	assert_true(pin_ok(&app, c, STR("4711")));
	assert_false(pin_ok(&app, c, STR("4712")));
	assert_false(pin_ok(&app, c, STR("")));
	pass(30);
	app_off();
	app_on();
	assert_true(pin_ok(&app, the_conf(), STR("4711")));
	c = the_conf();
	c->key[0] = 'b';                         /* the row of another conference */
	assert_false(pin_ok(&app, c, STR("4711")));
	c->key[0] = 'a';
	assert_int_equal(pin_set(&app, c, NULL), 0);
	assert_null(c->pin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_trunk_cannot_join_the_focus_as_whoever_it_names), T(a_trunk_that_names_a_user_sees_no_roster),
		T(an_anonymous_caller_is_of_no_domain),
		T(another_domain_cannot_assert_an_identity_of_ours), T(only_its_owner_may_use_a_dialog),
		T(a_request_without_an_identity_is_refused), T(endpoints_and_subscriptions_of_one_user_are_bounded),
		T(the_same_endpoint_joins_again_in_place_of_itself), T(an_event_id_that_is_no_token_is_refused),
		T(an_unknown_requirement_is_named_even_when_it_is_long), T(a_session_timer_is_agreed_on_as_rfc_4028_says),
		T(nobody_comes_into_a_conference_that_is_being_deleted), T(a_phone_is_sent_on_with_a_ticket),
		T(an_mcu_that_lost_the_conference_loses_its_legs_and_another_try_follows), T(an_mcu_that_is_only_busy_keeps_its_legs),
		T(only_its_own_mcu_tells_a_conference_about_legs), T(a_full_report_ends_what_it_does_not_mention),
		T(a_full_report_finds_legs_by_name_however_many), T(a_report_of_who_is_connected_leaves_calls_under_way), T(a_call_that_is_refused_leaves_no_user),
		T(nobody_is_called_into_a_full_conference), T(an_organizer_who_was_called_in_by_others_is_one_when_he_joins),
		T(every_failing_allocation_is_survived), T(a_pass_code_is_sealed_and_bound_to_its_conference),
	};

	return cmocka_run_group_tests(tests, world_certs, world_certs_end);
}
