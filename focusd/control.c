/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h */
#include "focusd/control.h"
#include "lib/base/log.h"

void control_lock(struct app *a, struct conf *c, bool locked, const char *by)
{
	if (c->locked == locked)
		return;
	conf_set_locked(&a->confs, c, locked);
	mculink_set_locked(a, c, locked);
	log_info(conf, "%s: %s by %s", c->key, locked ? "locked" : "unlocked", by);
}

int control_record(struct app *a, struct conf *c, bool on, const char *by, mculink_cb *cb, void *arg)
{
	conf_set_recording(&a->confs, c, on);
	log_info(conf, "%s: recording %s by %s", c->key, on ? "started" : "ended", by);
	return mculink_set_recording(a, c, on, cb, arg);
}
