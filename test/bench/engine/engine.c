/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - the media engine of mcu in a process of its own, without SIP: rooms and legs as the plan says
 *
 * The plan comes on standard input (test/bench/floor/plan.h); everything else is mcu/media/media.h as the mcu uses it.
 * A thread waits for the end of standard input, because the loop belongs to the engine.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "mcu/media/media_priv.h"
#include "test/bench/floor/plan.h"

static const enum mcodec codecs[PLAN_CODECS] = { MCODEC_PCMU, MCODEC_G722, MCODEC_OPUS };
static struct plan plan;
static struct ev_loop *loop;
static struct media *media;
static struct mroom **rooms;
static struct mleg **legs;
static struct mbox *mbox;

static int add_leg(unsigned i, uint16_t *port)
{
	struct mleg_set s = { .codec = codecs[plan.codec], .ptime_ms = 20, .send = true,
			      .recv = true, .rtcp_mux = true, .addr = "127.0.0.1", .suite = SRTP_AES_CM_128_HMAC_SHA1_80,
			      .key_len = PLAN_KEY_LEN, .srtp = plan.srtp != 0, .cn_pt = 13 };
	struct mroom *r = rooms[i / (plan.nlegs / plan.rooms)];
	struct plan_leg pl;
	char id[16];
	int err;

	err = plan_read(0, &pl, sizeof(pl));
	if (err)
		return err;
	s.pt_send = s.pt_recv = plan_pt[plan.codec];
	s.level_ext = plan.level ? PLAN_LEVEL_EXT : 0;
	s.port = pl.port;
	memcpy(s.key_in, pl.key_in, PLAN_KEY_LEN);
	memcpy(s.key_out, pl.key_out, PLAN_KEY_LEN);
	snprintf(id, sizeof(id), "leg-%u", i);
	err = mleg_alloc_shared(&legs[i], r, id, NULL, NULL);   /* as the mcu does */
	if (!err)
		err = mleg_set(legs[i], &s);
	if (!err)
		*port = mleg_port(legs[i]);
	return err;
}

static int add_all(void)
{
	uint16_t *ports = calloc(plan.nlegs, sizeof(*ports));
	int err = ports ? 0 : -ENOMEM;

	for (unsigned i = 0; i < plan.rooms && !err; i++) {
		char id[16];

		snprintf(id, sizeof(id), "room-%u", i);
		err = mroom_alloc(&rooms[i], media, id);
	}
	for (unsigned i = 0; i < plan.nlegs && !err; i++)
		err = add_leg(i, &ports[i]);
	if (!err)
		err = plan_write(1, ports, plan.nlegs * sizeof(*ports));
	free(ports);
	return err;
}

static int start(void)
{
	struct media_prm prm = { .ip = "127.0.0.1" };
	int err = plan_read(0, &plan, sizeof(plan));

	if (err)
		return err;
	if (plan.magic != PLAN_MAGIC || !plan.rooms || !plan.nlegs || plan.nlegs % plan.rooms || plan.nlegs > 30000)
		return -EINVAL;
	prm.port_min = (uint16_t)plan.port_min;
	prm.port_max = (uint16_t)plan.port_max;
	prm.workers = plan.workers;
	prm.span = plan.span;
	rooms = mem_zalloc(plan.rooms * sizeof(*rooms), NULL);
	legs = mem_zalloc(plan.nlegs * sizeof(*legs), NULL);
	if (!rooms || !legs)
		return -ENOMEM;
	err = ev_loop_alloc(&loop);
	if (err)
		return err;
	prm.loop = loop;
	return media_alloc(&media, &prm);
}

static void *await_end(void *arg)
{
	char b;

	while (read(0, &b, 1) > 0)
		;
	mbox_post(arg, &plan);
	return NULL;
}

static void on_end(void *msg, void *arg)
{
	(void)msg;
	ev_loop_stop(arg);
}

static void tell(void)
{
	struct plan_stats st = {
		.rx = (uint64_t)metric_get(&media_metrics[M_RX]), .tx = (uint64_t)metric_get(&media_metrics[M_TX]),
		.bad = (uint64_t)(metric_get(&media_metrics[M_BAD]) + metric_get(&media_metrics[M_AUTH])),
		.encodes = (uint64_t)metric_get(&media_metrics[M_ENCODES]),
		.decodes = (uint64_t)metric_get(&media_metrics[M_DECODES]),
		.late_ticks = (uint64_t)metric_get(&media_metrics[M_LATE_TICK]),
		.skipped_ticks = (uint64_t)metric_get(&media_metrics[M_SKIPPED]),
		.tick_max_us = (uint64_t)metric_get(&media_metrics[M_SLOT_MAX]),
	};

	plan_write(1, &st, sizeof(st));
}

int main(void)
{
	pthread_t waiter;
	int err;

	opts_raise_nofile();
	err = start();
	if (!err)
		err = add_all();
	if (!err)
		err = mbox_alloc(&mbox, loop, on_end, loop);
	if (!err)
		err = -pthread_create(&waiter, NULL, await_end, mbox);
	if (!err)
		err = ev_loop_run(loop);
	if (err) {
		fprintf(stderr, "engine: %s\n", strerror(-err));
		return 1;
	}
	pthread_join(waiter, NULL);
	tell();
	for (unsigned i = 0; i < plan.nlegs; i++)
		mem_deref(legs[i]);
	for (unsigned i = 0; i < plan.rooms; i++)
		mem_deref(rooms[i]);
	mem_deref(media);
	mem_deref(mbox);
	mem_deref(loop);
	mem_deref(rooms);
	mem_deref(legs);
	return 0;
}
