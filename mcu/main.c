/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - mcu: command line, configuration, start and end */
#include <signal.h>
#include <stdio.h>
#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "mcu/app.h"

int main(int argc, char *argv[])
{
	static const struct opts_prm prm = { "mcu", "audio-video conferencing server of Conclave", settings_keys,
					     settings_check };
	static struct app app;
	struct opts o = { 0 };
	char why[256] = "out of memory";
	int rc;

	log_ident("mcu");
	rc = opts_run(&o, &prm, &app.cfg, argc, argv);
	if (rc != OPTS_GO) {
		cfg_free(settings_keys, &app.cfg);
		return rc;
	}
	app.cfg_file = o.file;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);                /* a recording that may not grow ends, not the process */
	opts_raise_nofile();
	rc = app_start(&app, why, sizeof(why));
	if (rc)
		log_error(app, "cannot start: %s", why);
	else
		app_run(&app);
	app_stop(&app);
	return rc ? 1 : 0;
}
