/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - every counter of this process as text at http://.../metrics */
#include "lib/base/metric.h"
#include "lib/http/http.h"
#include "mcu/app.h"
#include "mcu/factory.h"
#include "mcu/uas.h"

static struct metric m_confs = METRIC_GAUGE("conclave_mcu_conferences", "Conferences here");
static struct metric m_legs = METRIC_GAUGE("conclave_mcu_legs", "Legs here, announced ones included");
static struct metric m_calls = METRIC_GAUGE("conclave_mcu_calls", "Calls that were answered and have not ended");
static struct metric m_up = METRIC_GAUGE("conclave_mcu_uptime_seconds", "Since this process started");

static void refresh(struct app *a)
{
	struct service *s;

	metric_set(&m_confs, services_confs(a));
	metric_set(&m_legs, services_legs(a));
	metric_set(&m_calls, uas_calls(a->uas));
	metric_set(&m_up, (int64_t)((ev_now_ms(a->loop) - a->started_ms) / 1000));
	SERVICES_FOREACH(s, a)
		factory_load(s->factory);
}

static void on_request(struct http_req *hr, void *arg)
{
	struct buf b;

	if (!str_eq(http_req_path(hr), STR("/metrics"))) {
		http_reply(hr, 404, "text/plain", STR("only /metrics is here\n"));
		return;
	}
	refresh(arg);
	buf_init(&b, 1024 * 1024);
	metric_render(&b);
	if (b.err)
		http_reply(hr, 503, "text/plain", STR("out of memory\n"));
	else
		http_reply(hr, 200, "text/plain; version=0.0.4", buf_view(&b));
	buf_fini(&b);
}

int metrics_start(struct app *a)
{
	struct http_srv_prm prm = {
		.loop = a->loop, .bind = a->cfg.metrics_bind, .port = (uint16_t)a->cfg.metrics_port,
		.reqcb = on_request, .arg = a,
	};

	metric_register(&m_confs, 1);
	metric_register(&m_legs, 1);
	metric_register(&m_calls, 1);
	metric_register(&m_up, 1);
	return a->cfg.metrics_port ? http_srv_alloc(&a->metrics, &prm) : 0;
}
