/* SPDX-License-Identifier: Apache-2.0 */
/* opts.c - command line, configuration file and process settings of a daemon, see opts.h */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"

enum { OPT_CHECK = 256, OPT_SAMPLE, OPT_VERSION, OPT_HELP };

static const struct option longopts[] = {
	{ "config",  required_argument, NULL, 'c' },
	{ "check",   no_argument,       NULL, OPT_CHECK },
	{ "sample",  no_argument,       NULL, OPT_SAMPLE },
	{ "version", no_argument,       NULL, OPT_VERSION },
	{ "help",    no_argument,       NULL, OPT_HELP },
	{ 0 }
};

static void help(const struct opts_prm *prm, FILE *f)
{
	fprintf(f, "%s - %s\n\nusage: %s [-c FILE] [--check] [--sample] [--version] [--help]\n\n"
		"  -c, --config FILE  read this configuration file; without it every key has its default\n"
		"  --check            say what is wrong with the configuration and exit\n"
		"  --sample           print a commented configuration file\n\nkeys:\n", prm->name, prm->what, prm->name);
	for (const struct cfg_key *k = prm->keys; k->name; k++)
		fprintf(f, "  [%s] %s = %s\n      %s\n", k->section, k->name, k->dflt, k->help);
}

static int load(const struct opts *o, const struct opts_prm *prm, void *cfg)
{
	char why[512] = "out of memory";
	unsigned faults = 0;
	int err;

	err = cfg_defaults(prm->keys, cfg);
	if (!err && o->file)
		err = cfg_load(prm->keys, cfg, o->file, why, sizeof(why));
	if (err) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (prm->check)
		faults = prm->check(cfg, o->file);
	if (faults) {
		fprintf(stderr, "%s: %u fault%s in the configuration\n", prm->name, faults, faults > 1 ? "s" : "");
		return 1;
	}
	return OPTS_GO;
}

int opts_run(struct opts *o, const struct opts_prm *prm, void *cfg, int argc, char *argv[])
{
	int c, rc;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:", longopts, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_SAMPLE:
			cfg_sample(prm->keys, stdout);
			return 0;
		case OPT_VERSION:
			printf("%s (Conclave) %s\n", prm->name, CONCLAVE_VERSION);
			return 0;
		case OPT_HELP:
			help(prm, stdout);
			return 0;
		default:
			fprintf(stderr, "try %s --help\n", prm->name);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: '%s' is not understood; try --help\n", prm->name, argv[optind]);
		return 2;
	}
	rc = load(o, prm, cfg);
	if (rc == OPTS_GO && o->check) {
		printf("%s: configuration is good\n", o->file ? o->file : "defaults");
		return 0;
	}
	return rc;
}

/* The line of a key, 0 when the file does not set it. libinih keeps no lines, and this runs only to complain. */
static int line_of(const char *file, const char *section, const char *name)
{
	char text[1024], in[64] = "";
	int line = 0, found = 0;
	FILE *f = fopen(file, "r");

	if (!f)
		return 0;
	while (fgets(text, sizeof(text), f)) {
		struct str s = str_trim(str_c(text));

		line++;
		if (s.l > 2 && s.p[0] == '[') {
			s.p++;
			s.l--;
			s = str_cut(&s, ']');
			snprintf(in, sizeof(in), STR_FMT, STR_ARG(s));
			continue;
		}
		if (cstr_eq(in, section) && str_eq(str_trim(str_cut(&s, '=')), str_c(name)))
			found = line;
	}
	fclose(f);
	return found;
}

void opts_fault(const char *file, const char *section, const char *name, const char *fmt, ...)
{
	int line = file ? line_of(file, section, name) : 0;
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (line)
		fprintf(stderr, "%s:%d: [%s] %s: %s\n", file, line, section, name, why);
	else
		fprintf(stderr, "%s: [%s] %s (its default): %s\n", file ? file : "defaults", section, name, why);
}

static int set_level(struct str item)
{
	char area[32], level[16];
	struct str left = str_trim(str_cut(&item, '='));

	if (str_empty(item)) {
		snprintf(level, sizeof(level), STR_FMT, STR_ARG(left));
		return log_set(NULL, level);
	}
	item = str_trim(item);
	snprintf(area, sizeof(area), STR_FMT, STR_ARG(left));
	snprintf(level, sizeof(level), STR_FMT, STR_ARG(item));
	return log_set(area, level);
}

int opts_log_levels(const char *spec)
{
	struct str rest = str_c(spec);
	int err = 0;

	while (!str_empty(rest)) {
		struct str item = str_trim(str_cut(&rest, ','));

		if (!str_empty(item) && set_level(item))
			err = -EINVAL;
	}
	return err;
}

void opts_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == rl.rlim_max)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl))
		log_warn(app, "cannot raise the number of open files to %llu: %s", (unsigned long long)rl.rlim_max,
			 strerror(errno));
}

void opts_ready(void)
{
	log_info(app, "ready");
	opts_notify("READY=1");
}

/* Does the service manager's socket have room? sd_notify() would wait for it, and with it every call of the daemon, when
 * nobody reads. A datagram socket connected there is writable only while the reader's queue is not full. What is wrong with the
 * address, and other kinds of it, sd_notify() says better. */
static bool has_room(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct pollfd p = { .events = POLLOUT };
	size_t len = strlen(path);
	bool room = true;

	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(to.sun_path))
		return true;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	p.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p.fd < 0)
		return true;
	if (!connect(p.fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		room = poll(&p, 1, 0) > 0;
	close(p.fd);
	return room;
}

void opts_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int rc;

	if (!path)
		return;
	rc = has_room(path) ? sd_notify(0, state) : -EAGAIN;
	if (rc < 0)
		log_warn(app, "service manager did not take %s: %s", state, strerror(-rc));
}
