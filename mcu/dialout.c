/* SPDX-License-Identifier: Apache-2.0 */
/* dialout.c - final responses to the focus, see dialout.h */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/http/http.h"
#include "mcu/app.h"
#include "mcu/dialout.h"

#define RETRY_MS  1000u
#define ANSWER_MS 5000u
#define KEEP_MS   60000u
#define MAX_TRIES 180u

static struct metric m_success = METRIC_LABEL("conclave_mcu_dialouts_total", "result=\"success\"",
						"Calls that started here");
static struct metric m_failure = METRIC_LABEL("conclave_mcu_dialouts_total", "result=\"failure\"",
						"Calls that started here");
static struct metric m_lost = METRIC_COUNTER("conclave_mcu_dialouts_lost_total", "Outcomes that no focus took");

enum state { CALLING, TELLING, TOLD };

struct dialout {
	struct app       *app;               /* NULL: not in its list */
	struct conf      *conf;              /* reference: its notify URL may change */
	char             *request_id, *from, *to, *epoch;      /* as in the request */
	const char       *reason;            /* static; NULL: success */
	enum state        state;
	struct tmr        tmr;
	struct http_call *post;
	unsigned          tries;
	LIST_ENTRY(dialout) le;
};

static void destructor(void *arg)
{
	struct dialout *d = arg;

	tmr_fini(&d->tmr);
	mem_deref(d->post);
	mem_deref(d->conf);
	mem_deref(d->request_id);
	mem_deref(d->from);
	mem_deref(d->to);
	mem_deref(d->epoch);
}

void dialout_forget(struct dialout *d)
{
	if (!d->app)
		return;
	LIST_REMOVE(d, le);
	d->app = NULL;
	mem_deref(d);
}

static int write_response(struct buf *b, const struct dialout *d)
{
	struct c3p_env env = { .request_id = d->request_id, .from = d->to, .to = d->from, .epoch = d->epoch };

	return c3p_simple_response(b, &env, d->reason ? C3P_FAILURE : C3P_SUCCESS, "addUser", d->reason, NULL);
}

static void told(struct dialout *d)
{
	struct app *a = d->app;

	d->state = TOLD;
	d->conf  = mem_deref(d->conf);
	tmr_start(&d->tmr, KEEP_MS);
	app_settled(a);
}

/* 4xx: the focus does not know the request any more, so nothing waits for this. */
static void on_answer(int err, int status, struct str body, void *arg)
{
	struct dialout *d = arg;

	(void)body;
	d->post = mem_deref(d->post);
	if (!err && status >= 200 && status < 500) {
		if (status > 299)
			metric_inc(&m_lost);
		told(d);
		return;
	}
	if (++d->tries < MAX_TRIES) {
		tmr_start(&d->tmr, RETRY_MS);
		return;
	}
	metric_inc(&m_lost);
	log_warn(c3p, "outcome of dial-out %s: no focus took it", d->request_id);
	told(d);
}

static void post(struct dialout *d)
{
	struct buf b;
	int err;

	buf_init(&b, 16384);
	err = write_response(&b, d);
	if (!err)
		err = http_post(d->app->focus, &d->post, d->conf->notify_url, C3P_HTTP_CTYPE, buf_view(&b), ANSWER_MS, on_answer, d);
	buf_fini(&b);
	if (err)
		tmr_start(&d->tmr, RETRY_MS);
}

static void on_tmr(void *arg)
{
	struct dialout *d = arg;

	if (d->state == TELLING)
		post(d);
	else
		dialout_forget(d);
}

int dialout_alloc(struct dialout **dp, struct app *a, struct conf *c, const struct c3p_req *rq)
{
	struct dialout *d = mem_zalloc(sizeof(*d), destructor);
	int err;

	if (!d)
		return -ENOMEM;
	d->conf       = mem_ref(c);
	d->request_id = str_dup(str_c(rq->request_id));
	d->from       = str_dup(str_c(rq->from));
	d->to         = str_dup(str_c(rq->to));
	d->epoch      = rq->epoch ? str_dup(str_c(rq->epoch)) : NULL;
	err = d->request_id && d->from && d->to && (d->epoch || !rq->epoch) ? tmr_init(&d->tmr, a->loop, on_tmr, d) : -ENOMEM;
	if (err) {
		mem_deref(d);
		return err;
	}
	d->app = a;
	LIST_INSERT_HEAD(&a->dialouts, d, le);
	metric_register(&m_success, 1);
	metric_register(&m_failure, 1);
	metric_register(&m_lost, 1);
	*dp = mem_ref(d);
	return 0;
}

void dialout_done(struct dialout *d, const char *reason)
{
	if (d->state != CALLING || !d->app)
		return;
	metric_inc(reason ? &m_failure : &m_success);
	d->state  = TELLING;
	d->reason = reason;
	post(d);
}

struct dialout *dialout_find(struct app *a, const struct c3p_req *rq)
{
	struct dialout *d;

	LIST_FOREACH(d, &a->dialouts, le)
		if (cstr_eq(d->request_id, rq->request_id) && cstr_eq(d->from, rq->from) && cstr_eq(d->to, rq->to) &&
		    cstr_eq(d->epoch, rq->epoch))
			return d;
	return NULL;
}

bool dialout_over(const struct dialout *d, const char **reason)
{
	*reason = d->reason;
	return d->state != CALLING;
}

const char *dialout_reason(int code)
{
	static const struct { int code; const char *reason; } rows[] = {
		{ 486, "userBusy" },       { 600, "userBusy" },
		{ 603, "userDeclined" },   { 607, "userDeclined" },
		{ 408, "userNotAnswered" }, { 480, "userNotAnswered" }, { 487, "userNotAnswered" },
		{ 404, "userUnknown" },    { 410, "userUnknown" },    { 416, "userUnknown" }, { 484, "userUnknown" },
		{ 485, "userUnknown" },    { 604, "userUnknown" },
		{ 401, "userDenied" },     { 403, "userDenied" },     { 407, "userDenied" },
		{ 406, "mediaNotSupported" }, { 415, "mediaNotSupported" }, { 488, "mediaNotSupported" },
		{ 606, "mediaNotSupported" },
		{ 503, "serverBusy" },
		{ 504, "timeout" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return rows[i].reason;
	return "otherFailure";
}

bool dialouts_idle(const struct app *a)
{
	const struct dialout *d;

	LIST_FOREACH(d, &a->dialouts, le)
		if (d->state != TOLD)
			return false;
	return true;
}

void dialouts_stop(struct app *a)
{
	struct dialout *d;

	while ((d = LIST_FIRST(&a->dialouts)))
		dialout_forget(d);
}
