/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - oc:notify to the focus, see notify.h
 *
 * changed -> a short wait that collects -> infodoc_notify() -> POST -> 204: the next one; 409: the focus does not know
 * the conference, it ends here; anything else: the same bytes again after a second, for as long as it takes. Legs go
 * on meanwhile and their changes merge in c->report.
 */
#include <errno.h>
#include <inttypes.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/msg.h"
#include "lib/http/http.h"
#include "mcu/app.h"
#include "mcu/infodoc.h"
#include "mcu/notify.h"

#define COLLECT_MS 50u
#define TALK_MS    400u          /* between notifications that tell of talking only */
#define RETRY_MS   1000u
#define ANSWER_MS  5000u

static struct metric m_sent = METRIC_COUNTER("conclave_mcu_notify_total", "Notifications taken by the focus");
static struct metric m_retry = METRIC_COUNTER("conclave_mcu_notify_retries_total", "Notifications sent again");
static struct metric m_gone = METRIC_COUNTER("conclave_mcu_notify_gone_total",
					     "Conferences ended because the focus does not know them");

struct notifier {
	struct conf      *conf;          /* borrowed: it owns us */
	struct app       *app;
	struct tmr        tmr;
	struct http_call *call;
	struct buf        body;          /* what is under way */
	uint64_t          sent_ms;
	unsigned          tries;
	bool              tmr_urgent;    /* the timer runs for an urgent change */
};

static void destructor(void *arg)
{
	struct notifier *n = arg;

	tmr_fini(&n->tmr);
	mem_deref(n->call);
	buf_fini(&n->body);
}

static void schedule(struct notifier *n)
{
	uint64_t now = ev_now_ms(n->app->loop), wait = COLLECT_MS;

	if (n->call || report_busy(n->conf->report) || !report_pending(n->conf->report))
		return;
	if (!report_urgent(n->conf->report)) {
		if (tmr_running(&n->tmr))
			return;
		if (n->sent_ms && now - n->sent_ms < TALK_MS)
			wait = TALK_MS - (now - n->sent_ms);
	} else if (n->tmr_urgent) {
		return;
	}
	n->tmr_urgent = report_urgent(n->conf->report);
	tmr_start(&n->tmr, wait);
}

static void retry(struct notifier *n, int err, int status)
{
	n->tries++;
	metric_inc(&m_retry);
	if (n->tries == 1 || n->tries % 30 == 0)
		log_warn(conf, "conference %s: focus did not take notification %" PRIu64 " (%s, status %d), try %u",
			 n->conf->id, report_version(n->conf->report), err ? strerror(-err) : "answer", status, n->tries);
	tmr_start(&n->tmr, RETRY_MS);
}

static void on_answer(int err, int status, struct str body, void *arg)
{
	struct notifier *n = arg;
	struct conf *c = n->conf;

	(void)body;
	n->call = mem_deref(n->call);
	if (!err && status == 409) {
		metric_inc(&m_gone);
		log_warn(conf, "conference %s: the focus does not know it", c->id);
		conf_end(c, LEG_END_CONF);             /* n is gone */
		return;
	}
	if (err || status < 200 || status > 299) {
		retry(n, err, status);
		return;
	}
	metric_inc(&m_sent);
	n->tries = 0;
	report_done(c->report);
	buf_fini(&n->body);
	buf_init(&n->body, XML_MAX_BYTES);
	schedule(n);
	app_settled(n->app);
}

static void post(struct notifier *n)
{
	int err = http_post(n->app->focus, &n->call, n->conf->notify_url, C3P_HTTP_CTYPE, buf_view(&n->body), ANSWER_MS,
			    on_answer, n);

	n->sent_ms = ev_now_ms(n->app->loop);
	if (err)
		retry(n, err, 0);
}

static void on_tmr(void *arg)
{
	struct notifier *n = arg;
	int err;

	n->tmr_urgent = false;
	if (n->call)
		return;
	if (!report_busy(n->conf->report)) {
		buf_reset(&n->body);
		err = infodoc_notify(&n->body, n->conf);
		if (err) {
			log_warn(conf, "conference %s: notification not written: %s", n->conf->id, strerror(-err));
			tmr_start(&n->tmr, RETRY_MS);
			return;
		}
	}
	if (report_busy(n->conf->report))
		post(n);
}

int notify_attach(struct conf *c, struct app *a)
{
	struct notifier *n = mem_zalloc(sizeof(*n), destructor);
	int err;

	if (!n)
		return -ENOMEM;
	n->conf = c;
	n->app  = a;
	buf_init(&n->body, XML_MAX_BYTES);
	err = tmr_init(&n->tmr, a->loop, on_tmr, n);
	if (err) {
		mem_deref(n);
		return err;
	}
	metric_register(&m_sent, 1);
	metric_register(&m_retry, 1);
	metric_register(&m_gone, 1);
	c->notifier = n;
	return 0;
}

void notify_changed(struct conf *c)
{
	if (c->notifier)
		schedule(c->notifier);
}

bool notify_idle(const struct conf *c)
{
	return !report_busy(c->report) && !report_pending(c->report);
}

void notify_now(struct conf *c)
{
	if (c->notifier)
		on_tmr(c->notifier);
}
