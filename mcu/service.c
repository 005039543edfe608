/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the conferencing servers of this process by type and path, see service.h */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/app.h"
#include "mcu/bridge.h"
#include "mcu/call.h"
#include "mcu/factory.h"
#include "mcu/notify.h"

static const struct service_kind kinds[] = {
	{ C3P_AUDIO_VIDEO, "audio-video", "audio", "/LiveServer/AVMCU/", "avmcu", "",      7002, 7006, 7000 },
	{ C3P_CHAT,        "chat",        "chat",  "/LiveServer/IMMCU/", "immcu", "-chat", 6010, 6011, 6014 },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct service_kind *service_kind_find(struct str name)
{
	for (size_t i = 0; i < NKINDS; i++)
		if (str_ieq(name, str_c(kinds[i].name)))
			return &kinds[i];
	return NULL;
}

int services_check(const char *types)
{
	struct str rest = str_c(types);
	bool seen[NKINDS] = { false };
	int n = 0;

	while (!str_empty(rest)) {
		const struct service_kind *k = service_kind_find(str_trim(str_cut(&rest, ',')));

		if (!k || seen[k - kinds])
			return -EINVAL;
		seen[k - kinds] = true;
		n++;
	}
	return n ? n : -EINVAL;
}

static void on_changed(struct conf *c, void *arg)
{
	(void)arg;
	bridge_changed(c);
	notify_changed(c);
}

static int start(struct service *s, struct app *a, const struct service_kind *k)
{
	struct chat_prm chat = {
		.max_bytes = (size_t)a->cfg.chat_bytes, .queue = (unsigned)a->cfg.chat_queue,
		.rate = (unsigned)a->cfg.chat_rate, .burst = (unsigned)a->cfg.chat_burst, .report_all = a->cfg.chat_report_all,
	};
	struct conf_set_prm prm = {
		.media = k->type == C3P_AUDIO_VIDEO ? a->media : NULL, .loop = a->loop, .kind = k,
		.max_confs = (unsigned)a->cfg.conferences, .max_legs = (unsigned)a->cfg.users,
		.tones = a->cfg.tones, .chat = &chat, .chat_ops = &call_chat_ops, .changedcb = on_changed, .arg = s,
	};

	s->app  = a;
	s->kind = k;
	s->id   = str_printf("%s%s", a->cfg.node, k->suffix);
	return s->id ? conf_set_alloc(&s->confs, &prm) : -ENOMEM;
}

int services_start(struct app *a)
{
	struct str rest = str_c(a->cfg.types);
	int err = services_check(a->cfg.types);

	if (err < 0)
		return err;
	for (err = 0; !err && !str_empty(rest);)
		err = start(&a->services[a->nservices++], a, service_kind_find(str_trim(str_cut(&rest, ','))));
	return err;
}

void services_stop(struct app *a)
{
	struct service *s;

	SERVICES_FOREACH(s, a) {
		s->factory = mem_deref(s->factory);
		s->confs   = mem_deref(s->confs);
		s->id      = mem_deref(s->id);
	}
	a->nservices = 0;
}

struct service *service_by_type(struct app *a, enum c3p_type type)
{
	struct service *s;

	SERVICES_FOREACH(s, a)
		if (s->kind->type == type)
			return s;
	return NULL;
}

/* With and without the last slash. */
struct service *service_by_path(struct app *a, struct str path)
{
	struct service *s;

	SERVICES_FOREACH(s, a) {
		struct str full = str_c(s->kind->path), bare = { full.p, full.l - 1 };

		if (str_ieq(path, full) || str_ieq(path, bare))
			return s;
	}
	return NULL;
}

unsigned services_confs(const struct app *a)
{
	const struct service *s;
	unsigned n = 0;

	SERVICES_FOREACH(s, a)
		n += s->confs->nconfs;
	return n;
}

unsigned services_legs(const struct app *a)
{
	const struct service *s;
	unsigned n = 0;

	SERVICES_FOREACH(s, a)
		n += s->confs->nlegs;
	return n;
}
