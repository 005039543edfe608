/* SPDX-License-Identifier: Apache-2.0 */
/* prompts.c - recordings by name, see prompts.h; all are read at the start, so saying something never touches a file */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/prompts.h"

static const struct { const char *file; unsigned hz, ms; } rows[PROMPT_0] = {
#define X(id, file, hz, ms) { file, hz, ms },
	PROMPTS(X)
#undef X
};

struct prompts {
	bool         spoken;
	struct clip *clip[PROMPT_N];
};

static void clear(struct prompts *p)
{
	for (unsigned i = 0; i < PROMPT_N; i++) {
		clip_unref(p->clip[i]);
		p->clip[i] = NULL;
	}
}

static void destructor(void *arg)
{
	clear(arg);
}

/* Beside the binary where it was built, else where `make install` puts them. */
static void installed_dir(char *out, size_t outsz, unsigned which)
{
	static const char *const at[] = { "/prompts", "/../share/conclave/prompts" };
	char exe[2048];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	snprintf(out, outsz, "%s%s", exe, at[which]);
}

static bool try(struct clip **cp, const char *dir, const char *sub, const char *name, bool *broken)
{
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/%s%s%s.wav", dir, sub, *sub ? "/" : "", name);
	err = clip_load(cp, path);
	if (!err)
		return true;
	if (err != -ENOENT && err != -ENOTDIR) {
		*broken = true;
		log_warn(media, "prompt %s: %s", path, err == -EBADMSG ? "not a WAV file" : err == -ENOTSUP ?
			 "a WAV file of a kind that is not known" : strerror(-err));
	}
	return false;
}

static bool find(struct clip **cp, const char *language, const char *own, const char *name)
{
	bool broken = false;
	char dir[2200];

	if (own && *own && (try(cp, own, language, name, &broken) || try(cp, own, "", name, &broken)))
		return true;
	for (unsigned i = 0; i < 2; i++) {
		installed_dir(dir, sizeof(dir), i);
		if (try(cp, dir, language, name, &broken) || try(cp, dir, "", name, &broken))
			return true;
	}
	if (!broken)
		log_warn(media, "prompt %s: no recording in language %s, a tone is played", name, language);
	return false;
}

static struct clip *load(enum prompt id, const char *language, const char *own)
{
	struct clip *c = NULL;
	char digits[4];
	const char *name = digits;

	snprintf(digits, sizeof(digits), "%u", id >= PROMPT_0 ? (unsigned)(id - PROMPT_0) % 100 : 0);
	if (id < PROMPT_0)
		name = rows[id].file;
	if (*language && find(&c, language, own, name))
		return c;
	if (id < PROMPT_0 && rows[id].hz && clip_tone(&c, rows[id].hz, rows[id].ms))
		log_warn(media, "prompt %s: out of memory", name);
	return c;
}

void prompts_load(struct prompts *p, const char *language, const char *own)
{
	unsigned n = 0, ms = 0;

	clear(p);
	if (strchr(language, '/') || strchr(language, '.')) {
		log_warn(media, "prompts: '%s' is no language", language);
		language = "";
	}
	p->spoken = *language;
	for (unsigned i = 0; i < PROMPT_N; i++) {
		p->clip[i] = load(i, language, own);
		n  += p->clip[i] != NULL;
		ms += p->clip[i] ? clip_ms(p->clip[i]) : 0;
	}
	log_info(media, "prompts: language %s, %u recordings of %u s", *language ? language : "none", n, ms / 1000);
}

int prompts_alloc(struct prompts **pp, const char *language, const char *own)
{
	struct prompts *p = mem_zalloc(sizeof(*p), destructor);

	if (!p)
		return -ENOMEM;
	prompts_load(p, language, own);
	*pp = p;
	return 0;
}

bool prompts_spoken(const struct prompts *p) { return p->spoken; }
struct clip *prompts_clip(const struct prompts *p, enum prompt id) { return p->clip[id]; }

unsigned prompts_say(const struct prompts *p, struct mleg *l, unsigned how, const enum prompt *ids, unsigned n)
{
	struct clip *clips[32];
	unsigned m = 0, ms = 0;

	for (unsigned i = 0; i < n && m < sizeof(clips) / sizeof(clips[0]); i++) {
		if (!p->clip[ids[i]])
			continue;
		clips[m++] = p->clip[ids[i]];
		ms += clip_ms(p->clip[ids[i]]);
	}
	if (m && mleg_play(l, how, clips, m))
		log_warn(media, "prompt %s: out of memory", ids[0] < PROMPT_0 ? rows[ids[0]].file : "number");
	return ms;
}

unsigned prompts_number(unsigned v, enum prompt *ids, unsigned room)
{
	char digits[16];
	unsigned n = 0;

	if (v <= 20 && room) {
		ids[0] = PROMPT_0 + v;
		return 1;
	}
	snprintf(digits, sizeof(digits), "%u", v);
	while (digits[n] && n < room) {
		ids[n] = PROMPT_0 + (unsigned)(digits[n] - '0');
		n++;
	}
	return n;
}

enum prompt prompts_key(char key)
{
	return key == '*' ? PROMPT_STAR : key == '#' ? PROMPT_POUND : PROMPT_0 + (unsigned)(key - '0') % 10;
}
