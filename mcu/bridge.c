/* SPDX-License-Identifier: Apache-2.0 */
/* bridge.c - see bridge.h */
#include <errno.h>
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/ask.h"
#include "mcu/attend.h"
#include "mcu/bridge.h"
#include "mcu/prompts.h"
#include "mcu/rules.h"
#include "mcu/uas.h"

#define VOLUME_STEP_DB 3
#define VOLUME_MAX_DB  12

static struct metric m_cmds = METRIC_COUNTER("conclave_mcu_key_commands_total", "Commands by keys");

static unsigned say(struct call *c, unsigned how, enum prompt id)
{
	return c->media ? prompts_say(c->uas->app->prompts, c->media, how, &id, 1) : 0;
}

static void say_to_all(struct conf *c, struct app *a, enum prompt id)
{
	struct clip *clip = prompts_clip(a->prompts, id);

	if (c->room && clip && mroom_play(c->room, 0, &clip, 1))
		log_warn(media, "conference %s: no memory for an announcement", c->id);
}

/* --- alone */

/* The legs that are connected, at most two of them: more make no difference. */
static unsigned connected(const struct conf *c, struct leg **first)
{
	unsigned n = 0;
	struct leg *l;

	for (const struct user *u = c->users; u && n < 2; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te)
			if (l->state == LEG_CONNECTED && l->call && !n++)
				*first = l;
	return n;
}

static void entertain(struct conf *c, struct leg *l)
{
	struct call *k = l->call;
	const struct app *a = k->uas->app;

	if (l->alone || !k->media || !prompts_spoken(a->prompts) || !a->cfg.music)
		return;
	l->alone = c->music = true;
	say(k, 0, PROMPT_ALONE);
	if (prompts_clip(a->prompts, PROMPT_MUSIC))
		mleg_music(k->media, prompts_clip(a->prompts, PROMPT_MUSIC));
}

static void company(struct conf *c)
{
	struct leg *l;

	c->music = false;
	for (struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te) {
			struct call *k = l->call;

			if (l->alone && k && k->media)
				mleg_music(k->media, NULL);
			l->alone = false;
		}
}

/* --- recorded */

/* Who does not know yet is told, unless all hear it at once. */
static void tell_recorded(struct conf *c, bool say_it)
{
	struct leg *l;

	for (struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te) {
			if (l->record_told || l->state != LEG_CONNECTED || !l->call)
				continue;
			l->record_told = true;
			if (say_it)
				say(l->call, 0, PROMPT_RECORDING_ON);
		}
}

void bridge_recorded(struct conf *c, struct app *a)
{
	struct leg *l;

	for (struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te)
			l->record_told = false;
	if (c->recording)
		tell_recorded(c, false);
	say_to_all(c, a, c->recording ? PROMPT_RECORDING_ON : PROMPT_RECORDING_OFF);
}

void bridge_changed(struct conf *c)
{
	struct leg *l = NULL;
	unsigned n;

	if (!c->room || c->attendant)
		return;
	if (c->recording)
		tell_recorded(c, true);
	n = connected(c, &l);
	if (n == 1)
		entertain(c, l);
	else if (n > 1 && c->music)
		company(c);
}

void bridge_chimes(struct conf *c, struct app *a)
{
	if (c->room)
		mroom_chimes(c->room, prompts_clip(a->prompts, PROMPT_JOIN), prompts_clip(a->prompts, PROMPT_LEAVE));
}

/* --- what all are told */

void bridge_locked(struct conf *c, struct app *a)
{
	say_to_all(c, a, c->locked ? PROMPT_LOCKED : PROMPT_UNLOCKED);
}

/* --- commands */

void bridge_muted(struct call *c)
{
	say(c, PLAY_NOW, c->leg->ingress_block ? PROMPT_MUTED : PROMPT_UNMUTED);
}

static void on_mute(struct call *c)
{
	if (!leg_self_mute(c->leg))
		say(c, PLAY_NOW, PROMPT_NOT_NOW);
}

static void on_hand(struct call *c)
{
	leg_hand(c->leg, !c->leg->hand);
	say(c, PLAY_NOW, c->leg->hand ? PROMPT_HAND_UP : PROMPT_HAND_DOWN);
}

static void volume(struct call *c, int db)
{
	int v = c->leg->volume_db + db;

	if (v >= -VOLUME_MAX_DB && v <= VOLUME_MAX_DB) {
		c->leg->volume_db = (int8_t)v;
		mleg_volume(c->media, v);
	}
	say(c, PLAY_NOW, db > 0 ? PROMPT_LOUDER : PROMPT_QUIETER);
}

static void on_louder(struct call *c) { volume(c, VOLUME_STEP_DB); }
static void on_quieter(struct call *c) { volume(c, -VOLUME_STEP_DB); }

static unsigned present(const struct conf *c)
{
	unsigned n = 0;
	struct leg *l;

	for (const struct user *u = c->users; u; u = u->hh.next)
		TAILQ_FOREACH(l, &u->legs, te)
			if (l->state == LEG_CONNECTED) {
				n++;
				break;
			}
	return n;
}

static void on_count(struct call *c)
{
	enum prompt ids[8] = { PROMPT_COUNT_BEFORE };
	unsigned count = present(c->leg->user->conf), n = 1;

	if (count == 1) {
		ids[0] = PROMPT_ALONE;
	} else {
		n += prompts_number(count, ids + 1, 6);
		ids[n++] = PROMPT_COUNT_AFTER;
	}
	prompts_say(c->uas->app->prompts, c->media, PLAY_NOW, ids, n);
}

/* The focus has changed it: its command to this server tells everybody (bridge_locked(), bridge_recorded()). */
static void on_asked(int err, const char *reason, void *arg)
{
	struct call *c = arg;

	trace_add(call_id(c), "command by key: %s", !err ? "done" : err == -EPROTO ? reason : strerror(-err));
	if (err)
		say(c, PLAY_NOW, PROMPT_NOT_NOW);
	c->ask = mem_deref(c->ask);
}

static bool is_presenter(const struct leg *l)
{
	return cstr_ieq(l->role ? l->role : l->user->role, "presenter");
}

static void ask(struct call *c, const char *command, const char *what, bool on)
{
	const char *const leaves[] = { what, on ? "true" : "false", NULL };

	if (c->ask)
		return;
	if (!is_presenter(c->leg) || ask_focus(&c->ask, c->uas->app, c->leg, command, leaves, on_asked, c))
		say(c, PLAY_NOW, PROMPT_NOT_NOW);
}

static void on_lock(struct call *c) { ask(c, "modifyConferenceLock", "locked", !c->leg->user->conf->locked); }
static void on_record(struct call *c) { ask(c, "oc:record", "oc:recording", !c->leg->user->conf->recording); }

static void on_help(struct call *c);

static const struct { void (*run)(struct call *c); enum prompt help; bool presenter; } commands[KEY_N] = {
	[KEY_MUTE]    = { on_mute,    PROMPT_HELP_MUTE,    false },
	[KEY_HAND]    = { on_hand,    PROMPT_HELP_HAND,    false },
	[KEY_LOUDER]  = { on_louder,  PROMPT_HELP_LOUDER,  false },
	[KEY_QUIETER] = { on_quieter, PROMPT_HELP_QUIETER, false },
	[KEY_COUNT]   = { on_count,   PROMPT_HELP_COUNT,   false },
	[KEY_LOCK]    = { on_lock,    PROMPT_HELP_LOCK,    true },
	[KEY_RECORD]  = { on_record,  PROMPT_HELP_RECORD,  true },
	[KEY_HELP]    = { on_help,    PROMPT_HELP_HELP,    false },
};

/* Each command that is there and the caller's, and its keys: as many as a queue of recordings takes. */
static void on_help(struct call *c)
{
	const struct app *a = c->uas->app;
	bool presenter = is_presenter(c->leg);
	enum prompt ids[24];
	unsigned n = 0;

	for (unsigned i = 1; i < KEY_N; i++) {
		const char *seq = a->keys.seq[i];

		if (!*seq || (commands[i].presenter && !presenter) || n + 1 + strlen(seq) > sizeof(ids) / sizeof(ids[0]))
			continue;
		ids[n++] = commands[i].help;
		for (; *seq; seq++)
			ids[n++] = prompts_key(*seq);
	}
	prompts_say(a->prompts, c->media, PLAY_NOW, ids, n);
}

void bridge_digit(struct call *c, char key)
{
	struct app *a = c->uas->app;
	enum key_cmd cmd;

	if (c->attend) {
		attend_digit(c->attend, key);
		return;
	}
	if (!c->leg->user || !c->media)
		return;
	cmd = keys_feed(&a->keys, &c->leg->keys, key, ev_now_ms(a->loop));
	if (cmd == KEY_NONE)
		return;
	metric_register(&m_cmds, 1);
	metric_inc(&m_cmds);
	trace_add(call_id(c), "keys: %s", keys_name(cmd));
	commands[cmd].run(c);
}
