/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_chatconf.h - for tests of the model: a conference without media, as a chat's is */
#ifndef TEST_UNIT_MCU_CHATCONF_H
#define TEST_UNIT_MCU_CHATCONF_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/mem.h"
#include "mcu/conf.h"

static struct ev_loop *loop;
static struct conf_set *set;
static struct conf *conf;

static inline int chatconf_setup(void **state)
{
	struct chat_prm chat = { .max_bytes = 100, .queue = 1 };
	struct conf_set_prm prm = { .kind = service_kind_find(STR("chat")), .max_confs = 10, .max_legs = 1000, .chat = &chat };
	struct conf_prm c = { .org = STR("ann"), .domain = STR("x"), .id = STR("ABCDEFGH"), .focus_uri = "f", .mcu_uri = "m",
			      .subject = "", .notify_url = "https://127.0.0.1/", .epoch = 1 };

	(void)state;
	assert_int_equal(ev_loop_alloc(&loop), 0);
	prm.loop = loop;
	assert_int_equal(conf_set_alloc(&set, &prm), 0);
	assert_int_equal(conf_add(&conf, set, &c), 0);
	return 0;
}

static inline int chatconf_teardown(void **state)
{
	(void)state;
	mem_deref(set);
	mem_deref(loop);
	assert_int_equal(mem_live(), 0);
	return 0;
}

static inline struct leg *chatconf_dial(const char *entity, const char *role, const char *endpoint)
{
	struct expect_prm p = { .entity = entity, .display = "", .role = role, .endpoint = endpoint, .joining = "dialed-out",
				.may_send = true, .may_recv = true };
	struct leg *l;

	assert_int_equal(conf_dial(&l, conf, &p), 0);
	return l;
}

#endif
