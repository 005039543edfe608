/* SPDX-License-Identifier: Apache-2.0 */
/* farewell.c - see farewell.h
 *
 * farewell() -> row -> commit -> BYE -> final answer, or none in the time of a transaction -> the row goes. At the start
 * farewell_again() says what is left once more; a client that had got it answers 481, which is as good.
 */
#include <errno.h>
#include "focusd/farewell.h"
#include "focusd/store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

static struct metric repeated = METRIC_COUNTER("conclave_focus_bye_repeated_total", "BYEs that an earlier process still owed");

struct owed {
	LIST_ENTRY(owed) le;
	struct app     *app;
	struct sip_ct  *ct;
	struct sip_dlg *dlg;
	int64_t         id;
};
static LIST_HEAD(, owed) all = LIST_HEAD_INITIALIZER(all);

static void on_destroy(void *arg)
{
	struct owed *o = arg;

	LIST_REMOVE(o, le);
	mem_deref(o->ct);
	mem_deref(o->dlg);
}

void farewell_stop(void)
{
	struct owed *o;

	while ((o = LIST_FIRST(&all)))
		mem_deref(o);
}

static void settled(struct owed *o)
{
	store_del(o->app->store, STORE_BYE, o->id);
	mem_deref(o);
}

static void on_answer(int err, const struct sip_msg *m, void *arg)
{
	struct owed *o = arg;

	if (m && sip_msg_scode(m) < 200)
		return;
	if (err)
		log_debug(sip, "BYE in dialog %s: %s", o->dlg->call_id, strerror(-err));
	settled(o);
}

static void on_committed(int err, void *arg)
{
	struct owed *o = arg;

	if (err) {                               /* nothing of it was written: the dialog is as it was */
		mem_deref(o);
		return;
	}
	trace_add(o->dlg->call_id, "BYE sent to the client");
	if (sip_dlg_request(o->app->sip, &o->ct, o->dlg, "BYE", NULL, NULL, STR_NULL, on_answer, o))
		settled(o);
}

static struct owed *owe(struct app *a, struct sip_dlg *dlg, int64_t id)
{
	struct owed *o = mem_zalloc(sizeof(*o), on_destroy);

	if (!o)
		return NULL;
	LIST_INSERT_HEAD(&all, o, le);
	o->app = a;
	o->dlg = mem_ref(dlg);
	o->id  = id;
	store_defer(a->store, on_committed, o);
	return o;
}

void farewell(struct app *a, struct sip_dlg *d)
{
	struct owed *o = owe(a, d, a->confs.next_id);

	if (!o)
		return;
	a->confs.next_id++;
	persist_bye(a, o->id, d);
}

void farewell_again(struct app *a, int64_t id, struct sip_dlg *d)
{
	if (a->reads)                            /* read again by the same process: it is on its way */
		return;
	if (d && owe(a, d, id)) {
		metric_register(&repeated, 1);
		metric_inc(&repeated);
	} else {
		store_del(a->store, STORE_BYE, id);
	}
}
