/* SPDX-License-Identifier: Apache-2.0 */
/* opts.h - what main() of both daemons does before anything runs: the command line, the configuration file, limits
 *
 *   -c FILE | --config FILE   --check   --sample   --version   --help
 *
 *   static const struct opts_prm prm = { "mcu", "audio-video conferencing server", keys, check };
 *   rc = opts_run(&o, &prm, &cfg, argc, argv);
 *   if (rc != OPTS_GO)
 *           return rc;
 */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H
#include <stdbool.h>
#include "lib/base/cfg.h"

#define OPTS_GO (-1)                         /* start the daemon */

#ifndef CONCLAVE_VERSION
#define CONCLAVE_VERSION "0.1"
#endif

/* Looks at a loaded configuration (files readable, certificate fits key, ...). Says each fault with opts_fault();
 * returns how many. Runs for --check and before a start. */
typedef unsigned (opts_check_cb)(const void *cfg, const char *file);

struct opts_prm {
	const char           *name, *what;   /* "focusd", "focus of Conclave" */
	const struct cfg_key *keys;
	opts_check_cb        *check;         /* may be NULL */
};
struct opts {
	const char *file;                    /* NULL: defaults only */
	bool        check;
};

/* Fills cfg (defaults, then the file). OPTS_GO or the exit status of main(): 0 after --help and its like and a clean
 * --check, 1 for a bad configuration, 2 for a bad command line; what was wrong stands on stderr. */
int  opts_run(struct opts *o, const struct opts_prm *prm, void *cfg, int argc, char *argv[]);

/* "FILE:LINE: [section] key: text" on stderr; without the line when the key has its default. */
void opts_fault(const char *file, const char *section, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

int  opts_log_levels(const char *spec);      /* "info" or "area=level,..."; -EINVAL */
void opts_raise_nofile(void);                /* RLIMIT_NOFILE to its hard limit */
void opts_ready(void);                       /* logs `ready` and tells the service manager (READY=1) */
void opts_notify(const char *state);         /* "RELOADING=1", "STOPPING=1"; nothing without a service manager */

#endif
