/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_infodoc.c - how large the answer to getConference may become: what our own readers take, and nothing is lost */
#include "test/unit/mcu_chatconf.h"
#include "lib/c3p/msg.h"
#include "mcu/infodoc.h"

static void ended(struct leg *l, enum leg_end why, void *call) { (void)l, (void)why, (void)call; }
static void filtered(struct leg *l, void *call) { (void)l, (void)call; }

static void enter(const char *user, unsigned n, size_t kept)
{
	static const struct leg_ops ops = { ended, filtered };
	char endpoint[32], *text = mem_zalloc(kept + 1, NULL);
	struct leg *l;

	snprintf(endpoint, sizeof(endpoint), "{%u}", n);
	memset(text, '"', kept);                         /* the worst: six bytes each when written */
	text[kept] = '\0';
	l = chatconf_dial(user, "attendee", endpoint);
	leg_dialing(l, &ops, &conf);
	leg_keep(l, text);
}

/* The document as the focus reads it; how many endpoints are in it. */
static unsigned read_back(const char **state_of, struct buf *b)
{
	static char state[16];
	struct c3p_env env = { .request_id = "1", .from = "m", .to = "f" };
	const struct xml_node *info, *u, *e;
	struct c3p_resp r;
	struct xmlw w;
	unsigned n = 0;

	buf_init(b, XML_MAX_BYTES);
	c3p_begin_response(&w, b, &env, C3P_SUCCESS, NULL);
	xmlw_start(&w, "getConference");
	infodoc_full(&w, conf);
	xmlw_end(&w);
	assert_int_equal(c3p_end(&w), 0);
	assert_int_equal(c3p_resp_decode(&r, buf_view(b)), 0);
	info = xml_child(r.cmd, NULL, "conference-info");
	snprintf(state, sizeof(state), "%s", xml_attr(info, NULL, "state"));
	*state_of = state;
	for (u = xml_child(xml_child(info, NULL, "users"), NULL, "user"); u; u = xml_next(u, NULL, "user"))
		for (e = xml_child(u, NULL, "endpoint"); e; e = xml_next(e, NULL, "endpoint"))
			n++;
	c3p_resp_fini(&r);
	return n;
}

static unsigned waiting;

static bool count(const struct report_item *it, void *arg)
{
	(void)it, (void)arg;
	waiting++;
	return true;
}

static void a_small_conference_is_told_in_full(void **state)
{
	const char *how;
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		enter(i < 10 ? "sip:bob@x" : "sip:cy@x", i, 2000);
	assert_int_equal(read_back(&how, &b), 20);
	assert_string_equal(how, "full");
	buf_fini(&b);
}

static void one_that_is_too_large_is_told_in_part_and_the_rest_is_owed(void **state)
{
	const char *how;
	struct buf b;
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 40; i++)                /* of one user, too: 40 x 60 KiB of markup */
		enter(i < 38 ? "sip:bob@x" : "sip:cy@x", i, 10000);
	waiting = 0;
	report_take(conf->report, 1000, count, NULL);    /* what they had to tell anyhow */
	report_done(conf->report);
	n = read_back(&how, &b);
	assert_string_equal(how, "partial");
	assert_true(b.l < XML_MAX_BYTES);
	assert_in_range(n, 5, 39);
	waiting = 0;
	report_take(conf->report, 1000, count, NULL);
	assert_int_equal(n + waiting, 40);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_small_conference_is_told_in_full, chatconf_setup, chatconf_teardown),
		cmocka_unit_test_setup_teardown(one_that_is_too_large_is_told_in_part_and_the_rest_is_owed, chatconf_setup, chatconf_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
