/* SPDX-License-Identifier: Apache-2.0 */
/* farewell.c - see farewell.h
 *
 * farewell() -> row -> commit -> BYE -> final answer, or none in the time of a transaction -> the row goes. At the start
 * farewell_on_row() says what is left once more; a client that had got it answers 481, which is as good.
 */
#include <errno.h>
#include "focusd/farewell.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"

#define CSEQ_ABOVE 1000u                 /* in a row: above what requests under way can have used meanwhile */

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
	const struct store_val v[] = {
		SV_STR(d->call_id), SV_STR(d->local_tag), SV_STR(d->remote_tag), SV_STR(d->local_uri), SV_STR(d->remote_uri),
		SV_STR(d->remote_target), SV_STR(d->route), SV_INT(d->local_cseq + CSEQ_ABOVE), SV_INT(d->remote_cseq),
	};
	struct owed *o = owe(a, d, a->confs.next_id);

	if (!o)
		return;
	a->confs.next_id++;
	store_put(a->store, STORE_BYE, o->id, v, sizeof(v) / sizeof(v[0]));
}

int farewell_on_row(int64_t id, const struct store_val *v, unsigned n, void *app)
{
	struct app *a = app;
	struct sip_dlg *d;

	(void)n;
	if (id >= a->confs.next_id)
		a->confs.next_id = id + 1;
	if (a->reads)                            /* read again by the same process: it is on its way */
		return 0;
	d = v[0].s && v[1].s ? persist_dlg(v) : NULL;
	if (d && owe(a, d, id)) {
		metric_register(&repeated, 1);
		metric_inc(&repeated);
	} else {
		store_del(a->store, STORE_BYE, id);
	}
	mem_deref(d);
	return 0;
}
