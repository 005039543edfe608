/* SPDX-License-Identifier: Apache-2.0 */
/* announce.c - tells every edge that this node is here and which MCUs are up (docs/interfaces.md, announcement) */
#include <errno.h>
#include <stdio.h>
#include "focusd/factory.h"
#include "focusd/notify.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define EVERY_MS 10000u
#define RETRY_MS 1000u
#define MAX_EDGES 16u

static struct edge { struct app *app; char *addr; bool up, busy, again; struct sip_ct *ct; } edges[MAX_EDGES];
static unsigned nedges, cseq;

static void send_to(struct edge *e);

static void on_answer(int err, const struct sip_msg *m, void *arg)
{
	struct edge *e = arg;
	bool up = !err && m && sip_msg_scode(m) >= 200 && sip_msg_scode(m) < 300;

	if (m && sip_msg_scode(m) < 200)
		return;
	e->busy = false;
	e->ct   = mem_deref(e->ct);
	if (up && !e->up) {
		log_info(sip, "edge %s: announced", e->addr);
		notify_edge_up(e->app);
	}
	if (!up && e->up)
		log_warn(sip, "edge %s: does not take announcements (%s)", e->addr, m ? "refused" : strerror(-err));
	e->up = up;
	if (!up)
		tmr_start(&e->app->announce, RETRY_MS);
	else if (e->again)
		send_to(e);
}

static void send_to(struct edge *e)
{
	struct app *a = e->app;
	char ruri[96], from[128], to[96], call_id[33], tag[9];
	struct buf b;
	struct sip_req r = { .method = "OPTIONS", .ruri = ruri, .from = from, .to = to, .call_id = call_id, .dest = e->addr,
			     .timeout_ms = 3000 };

	if (e->busy) {
		e->again = true;
		return;
	}
	e->again = false;
	if (str_random_hex(call_id, 32) || str_random_hex(tag, 8))
		return;
	snprintf(ruri, sizeof(ruri), "sip:edge@%s;transport=tls", e->addr);
	snprintf(from, sizeof(from), "<sip:%s@%s>;tag=%s", a->cfg.node, a->cfg.domain, tag);
	snprintf(to, sizeof(to), "<sip:edge@%s>", e->addr);
	r.cseq = ++cseq;
	buf_init(&b, 32768);
	buf_printf(&b, "Conclave-Node: %s;addr=%s\r\n", a->cfg.node, a->contact_host);
	for (const struct mcu *m = a->factory->mcus; m; m = m->hh.next)
		buf_printf(&b, "Conclave-Mcu: %s;addr=%s\r\n", m->id, m->contact);
	r.hdrs = b.p;
	if (!b.err && sip_request(a->sip, &e->ct, &r, on_answer, e) == 0)
		e->busy = true;
	else
		tmr_start(&a->announce, RETRY_MS);
	buf_fini(&b);
}

static void on_announce(void *arg)
{
	struct app *a = arg;

	tmr_start(&a->announce, EVERY_MS);
	for (unsigned i = 0; i < nedges; i++)
		send_to(&edges[i]);
}

void announce_now(struct app *a)
{
	if (nedges)
		tmr_start(&a->announce, 0);
}

void announce_start(struct app *a)
{
	struct str rest = str_c(a->cfg.edges);

	while (!str_empty(rest) && nedges < MAX_EDGES) {
		struct str addr = str_trim(str_cut(&rest, ','));
		char *s = str_empty(addr) ? NULL : str_dup(addr);

		if (s)
			edges[nedges++] = (struct edge){ .app = a, .addr = s };
	}
	if (tmr_init(&a->announce, a->loop, on_announce, a) == 0)
		announce_now(a);
}

void announce_stop(void)
{
	for (unsigned i = 0; i < nedges; i++) {
		mem_deref(edges[i].ct);
		mem_deref(edges[i].addr);
	}
	nedges = 0;
}
