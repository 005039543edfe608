/* SPDX-License-Identifier: Apache-2.0 */
/* attend.c - one caller at the attendant, see attend.h
 *
 * NUMBER -> PIN -> ASKING -> moved (the call takes the attendant away with it) | told what is wrong -> NUMBER | GOODBYE.
 * Keys end with #, or when none comes for a while; * begins the entry again. A key stops what is being said. Both are
 * always asked for, and one answer is given to a wrong number and to a wrong pass code: nobody learns which numbers exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/ask.h"
#include "mcu/attend.h"
#include "mcu/prompts.h"
#include "mcu/uas.h"

#define MAX_TRIES   3u
#define MAX_SILENT  3u                   /* times an entry is asked for and nothing comes */
#define MAX_MS      300000u              /* of one caller in all */
#define FIRST_MS    8000u                /* after what was said */
#define NEXT_MS     5000u
#define WAIT_MS     4000u                /* the focus is slow: the caller hears that he is not forgotten */
#define DIGITS_MAX  16u

static struct metric metrics[] = {
	METRIC_COUNTER("conclave_mcu_attendant_calls_total", "Calls that the attendant took"),
	METRIC_COUNTER("conclave_mcu_attendant_refused_total", "Entries that the focus refused"),
	METRIC_COUNTER("conclave_mcu_attendant_given_up_total", "Calls that the attendant ended"),
};
enum { M_CALLS, M_REFUSED, M_GIVEN_UP };

enum state { NUMBER, PIN, ASKING, GOODBYE };

struct attend {
	struct call *call;               /* borrowed: it owns us */
	enum state   state;
	char         digits[2][DIGITS_MAX + 1];      /* NUMBER, PIN */
	unsigned     tries, silent;
	uint64_t     since_ms;
	struct tmr   tmr;
	struct ask  *ask;
};

static void destructor(void *arg)
{
	struct attend *t = arg;

	tmr_fini(&t->tmr);
	mem_deref(t->ask);
	explicit_bzero(t->digits, sizeof(t->digits));
}

static unsigned say(struct attend *t, unsigned how, const enum prompt *ids, unsigned n)
{
	return prompts_say(t->call->uas->app->prompts, t->call->media, how | PLAY_ALONE, ids, n);
}

/* before: PROMPT_N for none */
static unsigned say_now(struct attend *t, enum prompt before, enum prompt id)
{
	const enum prompt ids[2] = { before, id };

	return before != PROMPT_N ? say(t, PLAY_NOW, ids, 2) : say(t, PLAY_NOW, &id, 1);
}

static void ask_for(struct attend *t, enum state s, enum prompt before)
{
	t->state = s;
	explicit_bzero(t->digits[s], sizeof(t->digits[s]));
	tmr_start(&t->tmr, say_now(t, before, s == NUMBER ? PROMPT_ENTER_NUMBER : PROMPT_ENTER_PIN) + FIRST_MS);
}

/* Who only ever begins again would stay for ever. */
static bool too_long(const struct attend *t)
{
	return ev_now_ms(t->call->uas->app->loop) - t->since_ms > MAX_MS;
}

static void goodbye(struct attend *t, enum prompt before)
{
	metric_inc(&metrics[M_GIVEN_UP]);
	trace_add(call_id(t->call), "the attendant gives up");
	t->state = GOODBYE;
	tmr_start(&t->tmr, say_now(t, before, PROMPT_GOODBYE) + 200);
}

static const struct { const char *reason; enum prompt what; bool end; } answers[] = {
	{ "invalidPasscode",         PROMPT_WRONG_PIN, false },
	{ "conferenceLocked",        PROMPT_LOCKED,    false },
	{ "maxMeetingSizeExceeded",  PROMPT_BUSY,      false },
	{ "unauthorized",            PROMPT_NO_ACCESS, false },
	{ "tooManyAttempts",         PROMPT_NO_ACCESS, true },
};

/* Success needs nothing here: the focus has had the call moved before it answers, and that ended the attendant. */
static void on_answer(int err, const char *reason, void *arg)
{
	struct attend *t = arg;
	enum prompt what = PROMPT_BUSY;
	bool end = err && err != -EPROTO;

	t->ask = mem_deref(t->ask);
	trace_add(call_id(t->call), "attendant: %s", !err ? "let in" : err == -EPROTO ? reason : "the focus does not answer");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (cstr_eq(answers[i].reason, reason)) {
			what = answers[i].what;
			end  = answers[i].end;
		}
	metric_inc(&metrics[M_REFUSED]);
	if (end || ++t->tries >= MAX_TRIES)
		goodbye(t, what);
	else
		ask_for(t, NUMBER, what);
}

static void ask(struct attend *t)
{
	const char *const leaves[] = { "oc:number", t->digits[NUMBER], "oc:passcode", t->digits[PIN], NULL };
	int err = ask_focus(&t->ask, t->call->uas->app, t->call->leg, "oc:enter", leaves, on_answer, t);

	explicit_bzero(t->digits[PIN], sizeof(t->digits[PIN]));
	t->state = ASKING;
	if (err)
		goodbye(t, PROMPT_BUSY);
	else
		tmr_start(&t->tmr, WAIT_MS);
}

static void entered(struct attend *t)
{
	if (too_long(t))
		goodbye(t, PROMPT_N);
	else if (t->state == NUMBER && !t->digits[NUMBER][0])
		ask_for(t, NUMBER, PROMPT_N);
	else if (t->state == NUMBER)
		ask_for(t, PIN, PROMPT_N);
	else
		ask(t);
}

static void on_tmr(void *arg)
{
	struct attend *t = arg;
	enum prompt wait = PROMPT_WAIT;

	switch (t->state) {
	case NUMBER:
	case PIN:
		if (t->digits[t->state][0])
			entered(t);
		else if (++t->silent < MAX_SILENT)
			ask_for(t, t->state, PROMPT_N);
		else
			goodbye(t, PROMPT_N);
		break;
	case ASKING:
		tmr_start(&t->tmr, say(t, 0, &wait, 1) + WAIT_MS);
		break;
	case GOODBYE:
		call_end(t->call, LEG_END_ATTENDANT);        /* t is gone, or will be with the call */
		break;
	}
}

void attend_digit(struct attend *t, char key)
{
	char *d;
	size_t n;

	if (t->state != NUMBER && t->state != PIN)
		return;
	d = t->digits[t->state];
	n = strlen(d);
	t->silent = 0;
	if (key == '#') {
		entered(t);
		return;
	}
	if (key == '*') {
		if (too_long(t))
			goodbye(t, PROMPT_N);
		else
			ask_for(t, t->state, PROMPT_N);
		return;
	}
	if (key < '0' || key > '9')
		return;
	if (!n)
		mleg_play(t->call->media, PLAY_NOW | PLAY_ALONE, NULL, 0);    /* silence: he knows what is wanted */
	if (n < DIGITS_MAX)
		d[n] = key;
	tmr_start(&t->tmr, NEXT_MS);
}

int attend_start(struct attend **ap, struct call *c)
{
	struct attend *t = mem_zalloc(sizeof(*t), destructor);
	int err;

	if (!t)
		return -ENOMEM;
	t->call = c;
	t->since_ms = ev_now_ms(c->uas->app->loop);
	err = tmr_init(&t->tmr, c->uas->app->loop, on_tmr, t);
	if (err) {
		mem_deref(t);
		return err;
	}
	metric_register(metrics, sizeof(metrics) / sizeof(metrics[0]));
	metric_inc(&metrics[M_CALLS]);
	*ap = t;
	ask_for(t, NUMBER, PROMPT_N);
	return 0;
}
