/* SPDX-License-Identifier: Apache-2.0 */
/* call_move.c - a call leaves one conference for another: same dialog, same media, another leg and room
 *
 * The peer notices nothing; our Contact, which names the conference, is told with the next refresh of the session.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "mcu/app.h"
#include "mcu/uas.h"

int call_move(struct call *c, struct leg *to, const char *contact)
{
	struct conf *conf = to->user->conf;
	char *id = str_dup(str_c(conf->id)), *line = str_dup(str_c(contact));
	struct leg *old = c->leg;
	int err = id && line ? 0 : -ENOMEM;

	if (!err && (c->state != CALL_UP || !c->media || !conf->room))
		err = -EINVAL;
	if (!err)
		err = mleg_move(c->media, conf->room);
	if (err) {
		mem_deref(id);
		mem_deref(line);
		return err;
	}
	trace_add(call_id(c), "goes on to conference %s as %s", conf->id, to->user->entity);
	log_info(leg, "call %s: from %s to %s", call_id(c), c->conf_id, conf->id);
	mem_deref(c->conf_id);
	mem_deref(c->contact);
	c->conf_id = id;
	c->contact = line;
	c->attend  = mem_deref(c->attend);
	c->ask     = mem_deref(c->ask);
	c->leg     = mem_ref(to);
	c->told_block = to->ingress_block;
	to->any_media = old->any_media;
	leg_detach(old, c);
	leg_end(old, LEG_END_MOVED);
	mem_deref(old);
	call_attach(c);
	call_filter(c);
	call_keep(c);
	leg_connected(c->leg, c);
	return 0;
}
