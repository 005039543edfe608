/* SPDX-License-Identifier: Apache-2.0 */
/* factory.h - the MCU factory: which conferencing servers there are, how loaded, and which one a conference gets
 *
 * An MCU pushes its health (`ping`) over HTTPS; the factory probes it every second with a ping of its own, because a
 * process that was killed says nothing. Refused or unanswered twice, or a new `instance`: its conferences are gone.
 */
#ifndef FOCUSD_FACTORY_H
#define FOCUSD_FACTORY_H
#include <uthash.h>
#include "focusd/app.h"
#include "lib/c3p/msg.h"

enum mcu_state { MCU_ACTIVE, MCU_DRAINING, MCU_STOPPING };
struct mcu {
	struct dirt    dirt;
	UT_hash_handle hh;
	char    *id, *type, *instance, *url, *contact;   /* contact: IP:PORT of its SIP listener */
	enum mcu_state state;
	uint64_t seq, heard_ms;
	unsigned conferences, users, max_conferences, max_users, load;
	unsigned announced;                              /* users sent there since its last ping: load to come */
	bool     probing;
	unsigned misses;
	struct app *app;
};
struct factory { struct mcu *mcus; };

int  factory_alloc(struct factory **fp);
/* One that was up when we last ran: taken as up until its first probe says otherwise. Known already: nothing. */
struct factory_mcu { const char *id, *type, *instance, *url, *contact; unsigned max_conferences, max_users; };
int  factory_restore(struct app *a, int64_t row, const struct factory_mcu *f);
/* A health push. peer: DNS names are checked by TLS; 0, or -EBADMSG with *why. */
int  factory_ping(struct app *a, const struct xml_node *health, const char **why);
struct mcu *factory_find(const struct app *a, const char *id);
/* Two at random, the less loaded wins. exclude: ids separated by commas, or NULL. NULL: none; *known tells whether any
 * MCU of the type exists at all. */
struct mcu *factory_pick(struct app *a, const char *type, const char *exclude, bool *known);
struct mcu *factory_prefer(struct app *a, const char *type, const char *id, const char *exclude);   /* that one, when it can */
void factory_mark(struct app *a);                        /* every row is written again */
void factory_sweep(struct app *a);                       /* once a second: probes, expiry */

/* news for the rest of focusd, implemented in mcunews.c */
void on_mcu_up(struct app *a, struct mcu *m);            /* new, or back with the same instance after a restart of ours */
void on_mcu_down(struct app *a, const char *id, const char *instance, const char *why);

#endif
