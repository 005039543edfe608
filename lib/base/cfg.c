/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.c - table-driven configuration over libinih, see cfg.h */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/cfg.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static int fail(char *err, size_t errsz, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(char *err, size_t errsz, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(err, errsz, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int parse_bool(const char *v)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (cstr_ieq(v, yes[i]))
			return 1;
		if (cstr_ieq(v, no[i]))
			return 0;
	}
	return -EINVAL;
}

static int set(const struct cfg_key *k, void *cfg, const char *v, char *err, size_t errsz)
{
	char *at = (char *)cfg + k->off, *end, *s;
	long n;

	switch (k->type) {
	case CFG_T_STR:
		s = str_dup(str_c(v));
		if (!s)
			return -ENOMEM;
		mem_deref(*(char **)at);
		*(char **)at = s;
		return 0;
	case CFG_T_BOOL:
		n = parse_bool(v);
		if (n < 0)
			return fail(err, errsz, "[%s] %s: '%s' is neither yes nor no", k->section, k->name, v);
		*(bool *)at = n;
		return 0;
	case CFG_T_INT:
		errno = 0;
		n = strtol(v, &end, 10);
		if (errno || end == v || *end || n < k->min || n > k->max)
			return fail(err, errsz, "[%s] %s: '%s' is not a number from %ld to %ld", k->section, k->name, v,
				    k->min, k->max);
		*(long *)at = n;
		return 0;
	}
	return -EINVAL;
}

int cfg_set(const struct cfg_key *keys, void *cfg, const char *section, const char *name, const char *value,
	    char *err, size_t errsz)
{
	bool known_section = false;

	for (const struct cfg_key *k = keys; k->name; k++) {
		if (!cstr_eq(k->section, section))
			continue;
		known_section = true;
		if (cstr_eq(k->name, name))
			return set(k, cfg, value, err, errsz);
	}
	return known_section ? fail(err, errsz, "unknown key '%s' in section [%s]", name, section)
			     : fail(err, errsz, "unknown section [%s]", section);
}

int cfg_defaults(const struct cfg_key *keys, void *cfg)
{
	int err = 0;

	for (const struct cfg_key *k = keys; k->name && !err; k++)
		err = set(k, cfg, k->dflt, NULL, 0);
	return err;
}

struct load {
	const struct cfg_key *keys;
	void                 *cfg;
	const char           *file;
	char                 *err;
	size_t                errsz;
	bool                  failed;
};

static int on_key(void *arg, const char *section, const char *name, const char *value, int line)
{
	struct load *l = arg;
	char why[256] = "";

	if (l->failed)
		return 1;
	if (cfg_set(l->keys, l->cfg, section, name, value, why, sizeof(why)) == 0)
		return 1;
	l->failed = true;
	fail(l->err, l->errsz, "%s:%d: %s", l->file, line, why);
	return 1;
}

/* libinih tells no line to its handler as Debian builds it, so lines are counted here. */
struct reader { FILE *f; int line; };

static char *next_line(char *s, int n, void *arg)
{
	struct reader *r = arg;

	r->line++;
	return fgets(s, n, r->f);
}

static struct reader *reading;      /* the handler below has no other way to the reader; loading is single-threaded */

static int on_key_inih(void *arg, const char *section, const char *name, const char *value)
{
	return on_key(arg, section, name, value, reading->line);
}

int cfg_load(const struct cfg_key *keys, void *cfg, const char *file, char *err, size_t errsz)
{
	struct load l = { keys, cfg, file, err, errsz, false };
	struct reader r = { fopen(file, "r"), 0 };
	int n;

	if (!r.f) {
		n = errno;
		fail(err, errsz, "%s: %s", file, strerror(n));
		return -n;
	}
	reading = &r;
	n = ini_parse_stream((ini_reader)next_line, &r, on_key_inih, &l);
	reading = NULL;
	fclose(r.f);
	if (l.failed)
		return -EINVAL;
	return n ? fail(err, errsz, "%s:%d: not an INI line", file, n) : 0;
}

void cfg_free(const struct cfg_key *keys, void *cfg)
{
	for (const struct cfg_key *k = keys; k->name; k++)
		if (k->type == CFG_T_STR)
			*(char **)((char *)cfg + k->off) = mem_deref(*(char **)((char *)cfg + k->off));
}

void cfg_sample(const struct cfg_key *keys, FILE *f)
{
	const char *section = "";

	for (const struct cfg_key *k = keys; k->name; k++) {
		if (!cstr_eq(section, k->section)) {
			fprintf(f, "%s[%s]\n", *section ? "\n" : "", k->section);
			section = k->section;
		}
		fprintf(f, "; %s", k->help);
		if (k->type == CFG_T_INT)
			fprintf(f, " (%ld to %ld)", k->min, k->max);
		fprintf(f, "\n;%s = %s\n", k->name, k->dflt);
	}
}
