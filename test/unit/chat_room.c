/* SPDX-License-Identifier: Apache-2.0 */
/* The chat model: fan-out, order, queues, reports, typing. Each member here records what it is sent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/chat/chat.h"

#define MAX 128
struct peer {
	struct chat_member *m;
	char     got[MAX][80], sender[80], report[4000];
	uint64_t ids[MAX];
	unsigned ngot, nreports, ntyping;
	int      err;                        /* of send() */
};

static int on_send(struct chat_member *to, const struct chat_out *out, void *arg)
{
	struct peer *p = arg;

	(void)to;
	if (p->err)
		return p->err;
	assert_true(p->ngot < MAX);
	snprintf(p->got[p->ngot], sizeof(p->got[0]), STR_FMT, STR_ARG(out->body));
	p->ids[p->ngot++] = out->id;
	snprintf(p->sender, sizeof(p->sender), "%s", out->sender ? out->sender : "");
	return 0;
}

static void on_report(struct chat_member *author, struct str imdn, void *arg)
{
	struct peer *p = arg;

	(void)author;
	p->nreports++;
	snprintf(p->report, sizeof(p->report), STR_FMT, STR_ARG(imdn));
}

static void on_typing(struct chat_member *to, const char *sender, bool typing, void *arg)
{
	struct peer *p = arg;

	(void)to;
	(void)typing;
	assert_string_equal(sender, "<sip:ann@x>");
	p->ntyping++;
}

static const struct chat_ops ops = { on_send, on_report, on_typing };
static struct chat_room *room;
static struct peer ann, bob, cy;

static void enter(struct peer *p, const char *entity, const char *display, bool ms_sender)
{
	struct mime_accept a;

	memset(p, 0, sizeof(*p));
	mime_accept_decode(&a, STR("text/plain multipart/alternative"));
	assert_int_equal(chat_member_alloc(&p->m, room, entity, display, p), 0);
	chat_member_caps(p->m, &a, ms_sender);
	chat_member_ready(p->m);
}

static int setup(void **state)
{
	struct chat_prm prm = { .max_bytes = 100, .queue = 64, .rate = 10, .burst = 100 };

	(void)state;
	assert_int_equal(chat_room_alloc(&room, &prm, &ops), 0);
	enter(&ann, "sip:ann@x", "Ann", true);
	enter(&bob, "sip:bob@x", "", true);
	enter(&cy, "sip:cy@x", "Cy", false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ann.m = mem_deref(ann.m);
	bob.m = mem_deref(bob.m);
	cy.m  = mem_deref(cy.m);
	room  = mem_deref(room);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static uint64_t say(struct peer *p, const char *text, uint64_t now)
{
	uint64_t id;

	assert_int_equal(chat_post(p->m, STR("text/plain"), str_c(text), now, &id), 0);
	chat_pump(room);
	return id;
}

static void everybody_but_the_author_gets_a_message_with_its_author_and_id(void **state)
{
	uint64_t id = say(&ann, "Hi", 1000);

	(void)state;
	assert_int_equal(ann.ngot, 0);
	assert_int_equal(bob.ngot, 1);
	assert_string_equal(bob.got[0], "Hi");
	assert_string_equal(bob.sender, "<sip:ann@x>");
	assert_int_equal(bob.ids[0], id);
	assert_string_equal(cy.got[0], "Ann: Hi");
	assert_string_equal(cy.sender, "");
	chat_sent(bob.m, 200);
	chat_sent(cy.m, 200);
	assert_int_equal(chat_room_open(room), 0);
	assert_int_equal(ann.nreports, 0);
}

static void one_copy_is_out_per_recipient_and_order_is_kept(void **state)
{
	(void)state;
	for (char t[2] = "a"; t[0] < 'f'; t[0]++)
		say(&ann, t, 1000);
	assert_int_equal(bob.ngot, 1);
	for (int i = 0; i < 5; i++)
		chat_sent(bob.m, 200);
	assert_int_equal(bob.ngot, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(bob.got[i][0], 'a' + i);
	assert_int_equal(cy.ngot, 1);
}

static void a_recipient_that_did_not_get_it_is_told_to_the_author_and_nobody_else(void **state)
{
	uint64_t id = say(&ann, "Hi", 1000);
	char want[80];

	(void)state;
	chat_sent(bob.m, 408);
	assert_int_equal(ann.nreports, 0);
	chat_sent(cy.m, 200);
	assert_int_equal(ann.nreports, 1);
	snprintf(want, sizeof(want), "<message-id>%llu</message-id>", (unsigned long long)id);
	assert_non_null(strstr(ann.report, want));
	assert_non_null(strstr(ann.report, "&lt;sip:bob@x&gt;\"><status>408</status>"));
	assert_null(strstr(ann.report, "cy@x"));
	assert_int_equal(bob.nreports + cy.nreports, 0);
}

static void a_report_comes_at_the_deadline_for_answers_that_are_still_due(void **state)
{
	(void)state;
	say(&ann, "a", 1000);
	say(&ann, "b", 2000);
	chat_sent(cy.m, 200);
	chat_room_tick(room, 1000 + CHAT_DEADLINE_MS - 1);
	assert_int_equal(ann.nreports, 0);
	chat_room_tick(room, 1000 + CHAT_DEADLINE_MS);
	assert_int_equal(ann.nreports, 1);
	assert_non_null(strstr(ann.report, "bob@x&gt;\"><status>408</status>"));
	chat_room_tick(room, 2000 + CHAT_DEADLINE_MS);
	assert_int_equal(ann.nreports, 2);
	chat_sent(bob.m, 200);                       /* the late answer to "a"; "b" was given up */
	assert_int_equal(bob.ngot, 1);
	assert_int_equal(chat_room_open(room), 0);
}

static void a_full_queue_is_503_in_the_report(void **state)
{
	(void)state;
	for (int i = 0; i < 65; i++)
		say(&ann, "x", 1000);
	for (int i = 0; i < 64; i++)
		chat_sent(cy.m, 200);
	for (int i = 0; i < 64; i++)
		chat_sent(bob.m, 200);
	assert_int_equal(bob.ngot, 64);
	assert_int_equal(ann.nreports, 1);
	assert_non_null(strstr(ann.report, "<status>503</status>"));
}

static void a_type_that_a_recipient_does_not_take_is_415_in_the_report(void **state)
{
	uint64_t id;

	(void)state;
	assert_int_equal(chat_post(ann.m, STR("image/gif"), STR("GIF89a"), 1000, &id), 0);
	chat_pump(room);
	assert_int_equal(bob.ngot + cy.ngot, 0);
	assert_int_equal(ann.nreports, 1);
	assert_non_null(strstr(ann.report, "<status>415</status>"));
}

static void bad_messages_are_refused(void **state)
{
	char big[102];
	uint64_t id;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(chat_post(ann.m, STR("text/plain"), STR(""), 0, &id), -ENODATA);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), (struct str){ big, 101 }, 0, &id), -EMSGSIZE);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), (struct str){ big, 100 }, 0, &id), 0);
	assert_int_equal(chat_post(ann.m, STR("text/x-msmsgsinvite; charset=UTF-8"), STR("x"), 0, &id), -ENOTSUP);
	assert_int_equal(chat_post(ann.m, STR_NULL, STR("x"), 0, &id), -ENOTSUP);
}

static void an_author_who_sends_too_fast_is_slowed_down_alone(void **state)
{
	uint64_t id;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(chat_post(ann.m, STR("text/plain"), STR("x"), 5000, &id), 0);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), STR("x"), 5000, &id), -EAGAIN);
	assert_int_equal(chat_post(bob.m, STR("text/plain"), STR("x"), 5000, &id), 0);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), STR("x"), 5099, &id), -EAGAIN);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), STR("x"), 5100, &id), 0);
	assert_int_equal(chat_post(ann.m, STR("text/plain"), STR("x"), 5100, &id), -EAGAIN);
}

static void who_comes_later_gets_nothing_old_and_who_leaves_is_told_as_not_reached(void **state)
{
	struct peer late;

	(void)state;
	say(&ann, "old", 1000);
	enter(&late, "sip:dee@x", "Dee", true);
	chat_pump(room);
	assert_int_equal(late.ngot, 0);
	bob.m = mem_deref(bob.m);
	chat_sent(cy.m, 200);
	assert_int_equal(ann.nreports, 1);
	assert_non_null(strstr(ann.report, "bob@x&gt;\"><status>480</status>"));
	say(&ann, "new", 1000);
	assert_string_equal(late.got[0], "new");
	mem_deref(late.m);
}

static void copies_of_an_ejected_author_that_wait_are_dropped_without_a_report(void **state)
{
	(void)state;
	say(&ann, "a", 1000);
	say(&ann, "b", 1000);
	say(&cy, "c", 1000);
	chat_member_eject(ann.m);
	chat_sent(bob.m, 200);
	assert_int_equal(bob.ngot, 2);
	assert_string_equal(bob.got[1], "c");
	chat_sent(bob.m, 408);
	ann.m = mem_deref(ann.m);
	assert_int_equal(cy.nreports, 1);
	assert_int_equal(ann.nreports, 0);
}

static void the_messages_of_an_author_who_left_go_on(void **state)
{
	(void)state;
	say(&ann, "a", 1000);
	say(&ann, "b", 1000);
	ann.m = mem_deref(ann.m);
	chat_sent(bob.m, 200);
	assert_string_equal(bob.got[1], "b");
	chat_sent(bob.m, 408);
	chat_sent(cy.m, 200);
	chat_sent(cy.m, 200);
	assert_int_equal(chat_room_open(room), 0);
}

static void another_endpoint_of_the_author_gets_no_copy(void **state)
{
	struct peer twin;

	(void)state;
	enter(&twin, "sip:ANN@x", "Ann", true);
	say(&ann, "a", 1000);
	assert_int_equal(twin.ngot, 0);
	mem_deref(twin.m);
}

static void a_send_that_fails_is_told_and_the_next_goes_out(void **state)
{
	(void)state;
	bob.err = -EIO;
	say(&ann, "a", 1000);
	bob.err = 0;
	say(&ann, "b", 1000);
	assert_string_equal(bob.got[0], "b");
	chat_sent(cy.m, 200);
	assert_int_equal(ann.nreports, 1);
	assert_non_null(strstr(ann.report, "<status>500</status>"));
}

static void a_message_to_nobody_is_done_at_once(void **state)
{
	(void)state;
	bob.m = mem_deref(bob.m);
	cy.m  = mem_deref(cy.m);
	say(&ann, "a", 1000);
	assert_int_equal(chat_room_open(room), 0);
}

static void typing_goes_to_those_who_know_ms_sender_at_most_every_three_seconds(void **state)
{
	(void)state;
	chat_typing(ann.m, true, 1000);
	chat_typing(ann.m, true, 3999);
	assert_int_equal(bob.ntyping, 1);
	chat_typing(ann.m, false, 4000);
	assert_int_equal(bob.ntyping, 2);
	assert_int_equal(cy.ntyping + ann.ntyping, 0);
}

static void no_memory_costs_a_message_and_leaks_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 12; n++) {
		uint64_t id;
		int err;

		mem_fail_after(n);
		err = chat_post(ann.m, STR("text/plain"), STR("x"), 1000, &id);
		chat_pump(room);
		mem_fail_after(0);
		assert_true(!err || err == -ENOMEM);
		chat_sent(bob.m, 408);
		chat_sent(cy.m, 200);
	}
	chat_room_tick(room, 1000 + CHAT_DEADLINE_MS);
	assert_int_equal(chat_room_open(room), 0);
}

static void what_comes_before_a_member_is_ready_waits_for_it(void **state)
{
	struct mime_accept a;

	(void)state;
	bob.m = mem_deref(bob.m);
	assert_int_equal(chat_member_alloc(&bob.m, room, "sip:bob@x", "", &bob), 0);
	mime_accept_decode(&a, STR("text/plain"));
	chat_member_caps(bob.m, &a, true);
	say(&ann, "before", 1000);
	chat_member_open(bob.m);
	say(&ann, "between", 1000);
	assert_int_equal(bob.ngot, 0);
	chat_member_ready(bob.m);
	assert_int_equal(bob.ngot, 1);
	assert_string_equal(bob.got[0], "between");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(everybody_but_the_author_gets_a_message_with_its_author_and_id),
		T(one_copy_is_out_per_recipient_and_order_is_kept),
		T(a_recipient_that_did_not_get_it_is_told_to_the_author_and_nobody_else),
		T(a_report_comes_at_the_deadline_for_answers_that_are_still_due),
		T(a_full_queue_is_503_in_the_report),
		T(a_type_that_a_recipient_does_not_take_is_415_in_the_report),
		T(bad_messages_are_refused),
		T(an_author_who_sends_too_fast_is_slowed_down_alone),
		T(who_comes_later_gets_nothing_old_and_who_leaves_is_told_as_not_reached),
		T(copies_of_an_ejected_author_that_wait_are_dropped_without_a_report),
		T(the_messages_of_an_author_who_left_go_on),
		T(another_endpoint_of_the_author_gets_no_copy),
		T(a_send_that_fails_is_told_and_the_next_goes_out),
		T(a_message_to_nobody_is_done_at_once),
		T(typing_goes_to_those_who_know_ms_sender_at_most_every_three_seconds),
		T(what_comes_before_a_member_is_ready_waits_for_it),
		T(no_memory_costs_a_message_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
