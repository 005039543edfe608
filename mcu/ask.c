/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - see ask.h; a body may hold a pass code, so it is wiped */
#include <errno.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/http/http.h"
#include "mcu/app.h"
#include "mcu/ask.h"

#define RETRY_MS  1000u
#define ANSWER_MS 8000u                  /* the focus may have to find another server first */
#define MAX_TRIES 30u

static struct metric m_asked = METRIC_COUNTER("conclave_mcu_asks_total", "Requests of callers that were told to the focus");
static struct metric m_lost = METRIC_COUNTER("conclave_mcu_asks_lost_total", "Those that no focus answered");

struct ask {
	struct app       *app;
	struct conf      *conf;              /* reference: its notify URL may change */
	struct buf        body;
	struct tmr        tmr;
	struct http_call *post;
	unsigned          tries;
	ask_cb           *cb;
	void             *arg;
};

static void destructor(void *arg)
{
	struct ask *k = arg;

	tmr_fini(&k->tmr);
	mem_deref(k->post);
	if (k->body.p)
		explicit_bzero(k->body.p, k->body.l);
	buf_fini(&k->body);
	mem_deref(k->conf);
}

static void post(struct ask *k);

static void again(struct ask *k, int err)
{
	if (++k->tries < MAX_TRIES) {
		tmr_start(&k->tmr, RETRY_MS);
		return;
	}
	metric_inc(&m_lost);
	log_warn(c3p, "conference %s: the focus does not answer: %s", k->conf->id, strerror(-err));
	k->cb(err, "", k->arg);
}

static void on_answer(int err, int status, struct str body, void *arg)
{
	struct ask *k = arg;
	struct c3p_resp r;

	k->post = mem_deref(k->post);
	if (err || status != 200) {
		again(k, err ? err : -EAGAIN);
		return;
	}
	if (c3p_resp_decode(&r, body)) {
		again(k, -EBADMSG);
		return;
	}
	k->cb(r.code == C3P_FAILURE ? -EPROTO : 0, r.code == C3P_FAILURE ? r.reason : "", k->arg);
	c3p_resp_fini(&r);
}

static void post(struct ask *k)
{
	int err = http_post(k->app->focus, &k->post, k->conf->notify_url, C3P_HTTP_CTYPE, buf_view(&k->body), ANSWER_MS, on_answer, k);

	if (err)
		again(k, err);
}

static void on_tmr(void *arg)
{
	post(arg);
}

static int write(struct ask *k, const struct leg *l, const char *command, const char *const *leaves)
{
	static unsigned long counter;
	struct c3p_keys keys = { .conf_entity = k->conf->focus_uri, .conf_id = "", .user_entity = l->user->entity,
				 .endpoint_entity = l->endpoint, .media_id = "" };
	char id[48], epoch[24];
	struct c3p_env env = { .request_id = id, .from = k->conf->mcu_uri, .to = k->conf->focus_uri, .epoch = epoch };
	struct xmlw w;

	snprintf(id, sizeof(id), "ask.%lu", ++counter);
	snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)k->conf->epoch);
	c3p_begin_request(&w, &k->body, &env);
	xmlw_start(&w, command);
	c3p_write_keys(&w, "endpointKeys", &keys);
	for (; leaves && leaves[0]; leaves += 2)
		xmlw_leaf(&w, leaves[0], leaves[1]);
	xmlw_end(&w);
	return c3p_end(&w);
}

int ask_focus(struct ask **ap, struct app *a, const struct leg *l, const char *command, const char *const *leaves,
	      ask_cb *cb, void *arg)
{
	struct ask *k = l->user ? mem_zalloc(sizeof(*k), destructor) : NULL;
	int err;

	if (!k)
		return l->user ? -ENOMEM : -ENOENT;
	k->app  = a;
	k->conf = mem_ref(l->user->conf);
	k->cb   = cb;
	k->arg  = arg;
	buf_init(&k->body, 8192);
	err = tmr_init(&k->tmr, a->loop, on_tmr, k);
	if (!err)
		err = write(k, l, command, leaves);
	if (err) {
		mem_deref(k);
		return err;
	}
	metric_register(&m_asked, 1);
	metric_register(&m_lost, 1);
	metric_inc(&m_asked);
	tmr_start(&k->tmr, 0);               /* never out of here: the caller has no handle yet */
	*ap = k;
	return 0;
}
