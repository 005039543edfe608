/* SPDX-License-Identifier: Apache-2.0 */
/* Session timers as an answering side (RFC 4028). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "mcu/se.h"

static const struct se_prm prm = { 1800, 90 };

static int ask(struct se *se, bool supports, const char *expires, const char *min_se)
{
	return se_answer(se, &prm, supports, str_c(expires), str_c(min_se));
}

static void a_peer_without_timers_gets_none(void **st)
{
	struct se se;

	(void)st;
	assert_int_equal(ask(&se, false, NULL, NULL), 0);
	assert_int_equal(se.interval_s, 0);
}

static void a_peer_that_supports_timers_refreshes(void **st)
{
	struct se se;

	(void)st;
	assert_int_equal(ask(&se, true, NULL, "3600"), 0);
	assert_int_equal(se.interval_s, 3600);
	assert_true(se.peer_refreshes);
	assert_int_equal(ask(&se, true, "600", NULL), 0);
	assert_int_equal(se.interval_s, 600);
	assert_true(se.peer_refreshes);
	assert_int_equal(se_wait_ms(&se), 568000);
	assert_int_equal(ask(&se, true, "90 ; refresher=uac", NULL), 0);
	assert_int_equal(se_wait_ms(&se), 60000);
}

static void we_refresh_when_asked_or_when_only_we_can(void **st)
{
	struct se se;

	(void)st;
	assert_int_equal(ask(&se, true, "1800;Refresher=UAS", NULL), 0);
	assert_false(se.peer_refreshes);
	assert_int_equal(se_wait_ms(&se), 900000);
	assert_int_equal(ask(&se, false, "1800;refresher=uac", NULL), 0);
	assert_false(se.peer_refreshes);
	assert_int_equal(ask(&se, false, "30", NULL), 0);
	assert_int_equal(se.interval_s, 90);
}

static void too_short_and_nonsense_are_refused(void **st)
{
	struct se se;

	(void)st;
	assert_int_equal(ask(&se, true, "89", NULL), -ERANGE);
	assert_int_equal(ask(&se, true, "soon", NULL), -EBADMSG);
	assert_int_equal(ask(&se, true, "", NULL), -EBADMSG);
	assert_int_equal(ask(&se, true, "1800", "-1"), -EBADMSG);
	assert_int_equal(ask(&se, true, "99999999999999999999999", NULL), -EBADMSG);
	assert_int_equal(ask(&se, true, "999999999", NULL), 0);
	assert_int_equal(se.interval_s, 86400 * 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_without_timers_gets_none),
		cmocka_unit_test(a_peer_that_supports_timers_refreshes),
		cmocka_unit_test(we_refresh_when_asked_or_when_only_we_can),
		cmocka_unit_test(too_short_and_nonsense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
