/* SPDX-License-Identifier: Apache-2.0 */
/* factory.c - health of this MCU to every configured factory, see factory.h
 *
 * One timer: due every 10 s, or one second after the last push when something changed. Each factory gets its own POST
 * and its own count of misses; nothing here stops because a factory does not answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/c3p/msg.h"
#include "lib/http/http.h"
#include "lib/sip/sip.h"
#include "mcu/app.h"
#include "mcu/factory.h"

#define INTERVAL_MS 10000u
#define CHANGE_MS   1000u
#define ANSWER_MS   5000u
#define MISSES      3u

static struct metric m_pushes = METRIC_COUNTER("conclave_mcu_health_pushes_total", "Health reports sent to factories");
static struct metric m_misses = METRIC_COUNTER("conclave_mcu_health_misses_total", "Health reports without an answer");
static struct metric m_load = METRIC_GAUGE("conclave_mcu_load_percent", "Load as told to the factories");

struct target {
	struct factory    *f;
	char              *url;
	struct http_call  *call;
	unsigned           misses;
	SLIST_ENTRY(target) le;
};

struct factory {
	struct app     *app;
	struct service *svc;                 /* whose health it tells */
	struct tmr      tmr;
	char           *url, *contact;       /* where we are reached */
	uint64_t        seq, sent_ms, cpu_us, cpu_at_ms;
	unsigned        cpu_percent;
	SLIST_HEAD(, target) targets;
};

static void target_destructor(void *arg)
{
	struct target *t = arg;

	mem_deref(t->call);
	mem_deref(t->url);
}

static void destructor(void *arg)
{
	struct factory *f = arg;
	struct target *t;

	tmr_fini(&f->tmr);
	while ((t = SLIST_FIRST(&f->targets))) {
		SLIST_REMOVE_HEAD(&f->targets, le);
		mem_deref(t);
	}
	mem_deref(f->url);
	mem_deref(f->contact);
}

/* CPU time of the process over wall time, in percent of all cores; looked at no oftener than once a second. */
static unsigned cpu_percent(struct factory *f)
{
	uint64_t now = ev_now_ms(f->app->loop), us;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct rusage ru;

	if (now - f->cpu_at_ms < 1000 || getrusage(RUSAGE_SELF, &ru))
		return f->cpu_percent;
	us = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
	     (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
	if (f->cpu_at_ms)
		f->cpu_percent = (unsigned)((us - f->cpu_us) / (10 * (now - f->cpu_at_ms)) /
					    (uint64_t)(cores > 0 ? cores : 1));
	f->cpu_us    = us;
	f->cpu_at_ms = now;
	return f->cpu_percent;
}

unsigned factory_load(struct factory *f)
{
	const struct conf_set *s = f->svc->confs;
	unsigned cpu = cpu_percent(f), legs = s->nlegs * 100 / s->max_legs, load = cpu > legs ? cpu : legs;

	if (f->app->media && media_load(f->app->media) > load)
		load = media_load(f->app->media);
	load = load > 100 ? 100 : load;
	metric_set(&m_load, load);
	return load;
}

void factory_health(struct factory *f, struct xmlw *w)
{
	const struct conf_set *s = f->svc->confs;

	xmlw_start(w, "oc:health");
	xmlw_attr(w, "id", f->svc->id);
	xmlw_attr(w, "type", f->svc->kind->name);
	xmlw_attr(w, "instance", f->app->instance);
	xmlw_attrf(w, "seq", "%" PRIu64, ++f->seq);
	xmlw_attr(w, "state", f->app->draining ? "draining" : "active");
	xmlw_attr(w, "url", f->url);
	xmlw_attr(w, "contact", f->contact);
	xmlw_attrf(w, "conferences", "%u", s->nconfs);
	xmlw_attrf(w, "users", "%u", s->nlegs);
	xmlw_attrf(w, "maxConferences", "%u", s->max_confs);
	xmlw_attrf(w, "maxUsers", "%u", s->max_legs);
	xmlw_attrf(w, "load", "%u", factory_load(f));
	xmlw_end(w);
}

static void on_answer(int err, int status, struct str body, void *arg)
{
	struct target *t = arg;

	(void)body;
	t->call = mem_deref(t->call);
	if (!err && status == 200) {
		if (t->misses >= MISSES)
			log_info(factory, "factory %s answers again", t->url);
		t->misses = 0;
		return;
	}
	metric_inc(&m_misses);
	if (++t->misses == MISSES)
		log_warn(factory, "factory %s missed %u reports (%s, status %d); going on", t->url, t->misses,
			 err ? strerror(-err) : "answer", status);
}

/* A report that is still under way is given up for the newer one. */
static void push(struct factory *f)
{
	char from[160], id[24];
	struct c3p_env env = { .request_id = id, .from = from, .to = from };
	struct target *t;
	struct xmlw w;
	struct buf b;

	buf_init(&b, 16384);
	snprintf(from, sizeof(from), "sip:%s;opaque=srvr:%s", f->svc->id, f->svc->kind->opaque);
	snprintf(id, sizeof(id), "%" PRIu64, f->seq + 1);
	env.to = "sip:focus;opaque=srvr:mcufactory";
	c3p_begin_request(&w, &b, &env);
	xmlw_start(&w, "ping");
	factory_health(f, &w);
	xmlw_end(&w);
	f->sent_ms = ev_now_ms(f->app->loop);
	if (!c3p_end(&w)) {
		SLIST_FOREACH(t, &f->targets, le) {
			t->call = mem_deref(t->call);
			metric_inc(&m_pushes);
			if (http_post(f->app->focus, &t->call, t->url, C3P_HTTP_CTYPE, buf_view(&b), ANSWER_MS,
				      on_answer, t))
				on_answer(-EIO, 0, STR_NULL, t);
		}
	}
	buf_fini(&b);
	tmr_start(&f->tmr, INTERVAL_MS);
}

static void on_tmr(void *arg)
{
	push(arg);
}

void factory_changed(struct factory *f)
{
	uint64_t ago = ev_now_ms(f->app->loop) - f->sent_ms;

	tmr_start(&f->tmr, ago >= CHANGE_MS ? 0 : CHANGE_MS - ago);
}

void factory_now(struct factory *f)
{
	push(f);
}

bool factory_idle(const struct factory *f)
{
	const struct target *t;

	SLIST_FOREACH(t, &f->targets, le)
		if (t->call)
			return false;
	return true;
}

static int add_target(struct factory *f, struct str url)
{
	struct target *t;

	if (str_empty(url))
		return 0;
	t = mem_zalloc(sizeof(*t), target_destructor);
	if (!t)
		return -ENOMEM;
	t->f   = f;
	t->url = str_dup(url);
	if (!t->url) {
		mem_deref(t);
		return -ENOMEM;
	}
	SLIST_INSERT_HEAD(&f->targets, t, le);
	return 0;
}

static char *contact(const struct app *a)
{
	bool v6 = strchr(a->cfg.sip_bind, ':');

	return str_printf("%s%s%s:%u", v6 ? "[" : "", a->cfg.sip_bind, v6 ? "]" : "", sip_port(a->sip));
}

int factory_alloc(struct factory **fp, struct service *s)
{
	struct app *a = s->app;
	struct factory *f = mem_zalloc(sizeof(*f), destructor);
	struct str rest = str_c(a->cfg.factory_urls);
	int err = -ENOMEM;

	if (!f)
		return err;
	f->app = a;
	f->svc = s;
	SLIST_INIT(&f->targets);
	f->url     = settings_http_url(&a->cfg, http_srv_port(a->http), s->kind->path);
	f->contact = contact(a);
	if (f->url && f->contact)
		err = 0;
	while (!err && !str_empty(rest))
		err = add_target(f, str_trim(str_cut(&rest, ',')));
	if (!err)
		err = tmr_init(&f->tmr, a->loop, on_tmr, f);
	if (err) {
		mem_deref(f);
		return err;
	}
	metric_register(&m_pushes, 1);
	metric_register(&m_misses, 1);
	metric_register(&m_load, 1);
	tmr_start(&f->tmr, 0);
	*fp = f;
	return 0;
}
