/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_move.c - addUser with oc:move: the user is in another conference of this server, and his call goes on to this one */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"
#include "mcu/app.h"
#include "mcu/c3p_cmds.h"
#include "mcu/factory.h"
#include "mcu/uas.h"

static struct call *call_named(struct c3p_call *k, const struct xml_node *n)
{
	const char *entity = xml_attr(n, NULL, "confEntity"), *user = xml_attr(n, NULL, "userEntity");
	const char *endpoint = xml_attr(n, NULL, "endpointEntity");
	struct c3p_uri u;
	struct conf *c;
	struct user *who;
	struct leg *l;

	if (!entity || !user || !endpoint || c3p_uri_decode(&u, str_c(entity)))
		return NULL;
	c   = conf_find(k->svc->confs, u.user, u.domain, u.id);
	who = c ? conf_user(c, user) : NULL;
	l   = who ? user_leg(who, endpoint) : NULL;
	return l && l->call && k->svc->kind->type == C3P_AUDIO_VIDEO ? l->call : NULL;
}

/* The same command again: the leg is here already. */
const char *c3p_move(struct c3p_call *k, const struct expect_prm *p, const struct xml_node *n)
{
	struct call *c = call_named(k, n);
	char *contact;
	int err;

	err = conf_dial(&k->leg, k->conf, p);
	if (err == -EEXIST)
		return NULL;
	if (err)
		return "serverBusy";
	contact = c ? uas_contact(k->svc, k->conf) : NULL;
	err = !c ? -ENOENT : contact ? call_move(c, k->leg, contact) : -ENOMEM;
	mem_deref(contact);
	if (err) {
		log_warn(c3p, "move to %s: %s", k->conf->id, strerror(-err));
		conf_drop_leg(k->leg);
		k->leg = NULL;
		return err == -ENOENT || err == -EINVAL ? "endpointDoesntExist" : "serverBusy";
	}
	factory_changed(k->svc->factory);
	return NULL;
}
