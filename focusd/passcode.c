/* SPDX-License-Identifier: Apache-2.0 */
/* passcode.c - see passcode.h
 *
 * Nonces (nonce.h) are good for NONCE_S; a caller with an old one is challenged again.
 * After MAX_WRONG wrong codes a conference takes none for a while; guessers come from anywhere, so it is counted per
 * conference. Who is inside notices nothing: for the names in the roster the code is still looked at.
 */
#include <errno.h>
#include "focusd/guess.h"
#include "focusd/nonce.h"
#include "focusd/passcode.h"
#include "focusd/pin.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/tls/digest.h"
#include "lib/tls/seal.h"

#define NONCE_S   120
#define MAX_WRONG 10u
#define WITHIN_MS 600000u
#define PAUSE_MS  30000u

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_passcode_ok_total", "Pass codes that were right"),
	METRIC_COUNTER("conclave_focus_passcode_wrong_total", "Pass codes that were wrong"),
	METRIC_COUNTER("conclave_focus_passcode_paused_total", "Pass codes not looked at after too many wrong ones"),
};

int passcode_start(struct app *a)
{
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	return guesses_alloc(&a->wrong_pins, PAUSE_MS, WITHIN_MS);
}

static void challenge(struct uas_req *rq, bool stale)
{
	char nonce[NONCE_SIZE], *hdrs = NULL;

	if (nonce_make(nonce, rq->conf->key) == 0)
		hdrs = str_printf("WWW-Authenticate: Digest realm=\"%s@%s\", nonce=\"%s\", opaque=\"%s\", algorithm=MD5-sess, qop=\"auth\"%s\r\n",
				  rq->conf->organizer, rq->conf->domain, nonce, rq->conf->conf_id, stale ? ", stale=true" : "");
	answer(rq->app, rq->st, &(struct answer){ .code = hdrs ? 401 : 503, .hdrs = hdrs, .diag = DIAG_FORBIDDEN,
						   .text = "this conference needs a pass code" });
	mem_deref(hdrs);
}

static bool right(struct uas_req *rq, const struct digest *d)
{
	char *plain = NULL;
	bool ok;

	if (pin_open(rq->app, rq->conf, &plain))
		return false;
	ok = digest_check(d, plain, false, sip_msg_method(rq->m));
	seal_wipe(plain);
	mem_deref(plain);
	return ok;
}

static void was_wrong(struct app *a, const struct conf *c)
{
	metric_inc(&metrics[1]);
	log_warn(conf, "%s: wrong pass code", c->key);
	guess_wrong(a->wrong_pins, c->key, MAX_WRONG, ev_now_ms(a->loop));
}

static void was_right(struct app *a, const struct conf *c)
{
	metric_inc(&metrics[0]);
	guess_right(a->wrong_pins, c->key, ev_now_ms(a->loop));
}

int passcode_try(struct app *a, struct conf *c, struct str typed)
{
	if (!c->pin)
		return str_empty(typed) ? 0 : -EACCES;
	if (guess_paused(a->wrong_pins, c->key, ev_now_ms(a->loop))) {
		metric_inc(&metrics[2]);
		return -EBUSY;
	}
	if (str_empty(typed) || !pin_ok(a, c, typed)) {
		was_wrong(a, c);
		return -EACCES;
	}
	was_right(a, c);
	return 0;
}

static bool shown(struct uas_req *rq, bool inside)
{
	struct conf *c = rq->conf;
	struct digest d;

	if (!inside && guess_paused(rq->app->wrong_pins, c->key, ev_now_ms(rq->app->loop))) {
		metric_inc(&metrics[2]);
		answer(rq->app, rq->st, &(struct answer){ .code = 403, .hdrs = "Retry-After: 30\r\n", .diag = DIAG_FORBIDDEN,
							   .text = "too many wrong pass codes, try again later" });
		return false;
	}
	if (digest_decode(&d, sip_msg_hdr(rq->m, "Authorization", 0))) {
		challenge(rq, false);
		return false;
	}
	if (!nonce_fresh(d.nonce, c->key, NONCE_S)) {
		challenge(rq, true);
		return false;
	}
	if (right(rq, &d)) {
		was_right(rq->app, c);
		return true;
	}
	was_wrong(rq->app, c);
	challenge(rq, false);
	return false;
}

bool passcode_shown(struct uas_req *rq)
{
	return shown(rq, false);
}

bool passcode_again(struct uas_req *rq)
{
	return rq->caller.access != ACCESS_ANONYMOUS || !rq->conf->pin || shown(rq, true);
}
