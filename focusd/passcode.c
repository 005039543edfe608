/* SPDX-License-Identifier: Apache-2.0 */
/* passcode.c - see passcode.h
 *
 * Nonces are "time.hash" under a secret of this process, good for NONCE_S; a caller with an old one is challenged again.
 * Guessing: after MAX_WRONG wrong codes a conference takes none for PAUSE_MS; guessers come from anywhere, so it is
 * counted per conference. Who is inside notices nothing: for the names in the roster the code is still looked at.
 */
#include <errno.h>
#include <stdio.h>
#include "focusd/passcode.h"
#include "focusd/pin.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/tls/digest.h"
#include "lib/tls/seal.h"

#define NONCE_S   120
#define MAX_WRONG 10u
#define PAUSE_MS  30000u

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_focus_passcode_ok_total", "Pass codes that were right"),
	METRIC_COUNTER("conclave_focus_passcode_wrong_total", "Pass codes that were wrong"),
	METRIC_COUNTER("conclave_focus_passcode_paused_total", "Pass codes not looked at after too many wrong ones"),
};

static const char *secret(void)
{
	static char s[33];

	if (!*s && str_random_hex(s, 32))
		*s = '\0';
	return s;
}

static int make_nonce(char out[64], const struct conf *c, int64_t when)
{
	char h[33];
	int err = *secret() ? digest_md5(h, "%s:%s:%lld", secret(), c->key, (long long)when) : -ENOMEM;

	if (!err)
		snprintf(out, 64, "%lld.%s", (long long)when, h);
	return err;
}

static bool nonce_fresh(const struct conf *c, struct str nonce)
{
	struct str rest = nonce;
	char want[64];
	uint64_t when;

	return str_u64(str_cut(&rest, '.'), &when) == 0 && app_wall_s() - (int64_t)when <= NONCE_S &&
	       make_nonce(want, c, (int64_t)when) == 0 && str_eq(nonce, str_c(want));
}

static void challenge(struct uas_req *rq, bool stale)
{
	char nonce[64], *hdrs = NULL;

	if (make_nonce(nonce, rq->conf, app_wall_s()) == 0)
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

static void guessed_wrong(struct conf *c, uint64_t now)
{
	metric_inc(&metrics[1]);
	log_warn(conf, "%s: wrong pass code", c->key);
	if (++c->pin_wrong >= MAX_WRONG) {
		c->pin_wrong    = 0;
		c->pin_pause_ms = now + PAUSE_MS;
	}
}

int passcode_try(struct app *a, struct conf *c, struct str typed)
{
	uint64_t now = ev_now_ms(a->loop);

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (!c->pin)
		return str_empty(typed) ? 0 : -EACCES;
	if (now < c->pin_pause_ms) {
		metric_inc(&metrics[2]);
		return -EBUSY;
	}
	if (str_empty(typed) || !pin_ok(a, c, typed)) {
		guessed_wrong(c, now);
		return -EACCES;
	}
	metric_inc(&metrics[0]);
	c->pin_wrong = 0;
	return 0;
}

static bool shown(struct uas_req *rq, bool inside)
{
	uint64_t now = ev_now_ms(rq->app->loop);
	struct conf *c = rq->conf;
	struct digest d;

	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (now < c->pin_pause_ms && !inside) {
		metric_inc(&metrics[2]);
		answer(rq->app, rq->st, &(struct answer){ .code = 403, .hdrs = "Retry-After: 30\r\n", .diag = DIAG_FORBIDDEN,
							   .text = "too many wrong pass codes, try again later" });
		return false;
	}
	if (digest_decode(&d, sip_msg_hdr(rq->m, "Authorization", 0))) {
		challenge(rq, false);
		return false;
	}
	if (!nonce_fresh(c, d.nonce)) {
		challenge(rq, true);
		return false;
	}
	if (right(rq, &d)) {
		metric_inc(&metrics[0]);
		c->pin_wrong = 0;
		return true;
	}
	guessed_wrong(c, now);
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
