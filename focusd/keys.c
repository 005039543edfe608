/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - see keys.h
 *
 * keys -> the caller's MCU -> its request, which names his leg -> is he a presenter? -> control.h -> the answer, which the
 * MCU tells him. Whether a recording begins the MCU knows: it is asked first.
 */
#include <errno.h>
#include "focusd/attendant.h"
#include "focusd/c3phttp.h"
#include "focusd/control.h"
#include "focusd/keys.h"
#include "focusd/policy.h"
#include "lib/base/mem.h"

/* The leg of a presenter, NULL: he was told why not. */
static const struct endpoint *presenter(struct app *a, struct http_req *hr, const struct c3p_req *r)
{
	const struct endpoint *e = c3phttp_leg(a, r);

	if (e && policy_is_presenter(e->user) && !attendant_is(e->user->conf))
		return e;
	c3phttp_answer(a, hr, r, e ? "unauthorized" : "endpointDoesntExist");
	return NULL;
}

static bool is_true(const struct c3p_req *r, const char *leaf)
{
	return cstr_ieq(xml_text(xml_child(r->cmd, NULL, leaf)), "true");
}

void keys_on_lock(struct app *a, struct http_req *hr, const struct c3p_req *r)
{
	const struct endpoint *e = presenter(a, hr, r);

	if (!e)
		return;
	control_lock(a, e->user->conf, is_true(r, "locked"), e->user->entity);
	c3phttp_answer(a, hr, r, NULL);
}

struct asked { struct app *app; struct http_req *hr; char *request_id, *from, *to; };

static void on_asked_destroy(void *arg)
{
	struct asked *k = arg;

	mem_deref(k->hr);
	mem_deref(k->request_id);
	mem_deref(k->from);
	mem_deref(k->to);
}

/* An MCU that does not answer is no failure: the conference is to be recorded, and is as soon as one hears of it. */
static void on_recorded(int err, const char *reason, const struct c3p_resp *resp, void *arg)
{
	struct asked *k = arg;
	struct c3p_env env = { .request_id = k->request_id, .from = k->to, .to = k->from };

	(void)resp;
	c3phttp_done(k->app, k->hr, &env, "record", err == -EPROTO ? reason : NULL);
	mem_deref(k);
}

void keys_on_record(struct app *a, struct http_req *hr, const struct c3p_req *r)
{
	const struct endpoint *e = presenter(a, hr, r);
	bool on = is_true(r, "recording");
	struct asked *k;

	if (!e)
		return;
	if (e->user->conf->recording == on) {
		c3phttp_answer(a, hr, r, NULL);
		return;
	}
	k = mem_zalloc(sizeof(*k), on_asked_destroy);
	if (!k || cstr_set(&k->request_id, r->request_id) || cstr_set(&k->from, r->from) || cstr_set(&k->to, r->to)) {
		mem_deref(k);
		c3phttp_answer(a, hr, r, "serverBusy");
		return;
	}
	k->app = a;
	k->hr  = mem_ref(hr);
	if (control_record(a, e->user->conf, on, e->user->entity, on_recorded, k))
		on_recorded(0, "", NULL, k);
}
