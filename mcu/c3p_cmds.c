/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_cmds.c - the commands of the focus, one function each
 *
 * The focus has decided already who may do what; here a command is applied to the model. Each may come twice (the focus
 * repeats what was not answered) and has the same result then.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"
#include "mcu/bridge.h"
#include "mcu/c3p_cmds.h"
#include "mcu/factory.h"
#include "mcu/infodoc.h"
#include "mcu/notify.h"
#include "mcu/recording.h"

bool c3p_is_true(const char *s)
{
	return cstr_ieq(s, "true") || cstr_eq(s, "1");
}

const char *c3p_text_of(const struct xml_node *n, const char *name)
{
	return xml_text(xml_child(n, NULL, name));
}

/* --- conferences */

static unsigned limit_of(const struct xml_node *n)
{
	const char *v = xml_attr(xml_child(n, NULL, "limits"), NULL, "users");
	uint64_t users;

	return v && !str_u64(str_c(v), &users) && users < 1000000 ? (unsigned)users : 0;
}

static const char *conf_prm(struct conf_prm *p, const struct c3p_call *k, const struct xml_node *info)
{
	const struct xml_node *views = xml_child(info, NULL, "conference-view");
	const struct c3p_req *rq = k->rq;
	struct c3p_uri focus, mcu;

	*p = (struct conf_prm){
		.focus_uri  = xml_attr(info, NULL, "entity"),
		.mcu_uri    = xml_attr(xml_child(views, NULL, "entity-view"), NULL, "entity"),
		.subject    = c3p_text_of(xml_child(info, NULL, "conference-description"), "subject"),
		.notify_url = c3p_text_of(info, "notifyUrl"),
		.locked     = c3p_is_true(c3p_text_of(xml_child(info, NULL, "conference-state"), "locked")),
		.max_legs   = limit_of(info),
		.attendant  = xml_child(info, C3P_NS_OC, "attendant") != NULL,
	};
	if (!p->notify_url)
		p->notify_url = c3p_text_of(rq->cmd, "notifyUrl");
	if (!p->max_legs)
		p->max_legs = limit_of(rq->cmd);
	if (!p->mcu_uri)
		p->mcu_uri = rq->mcu_uri ? rq->mcu_uri : rq->to;
	if (!p->focus_uri || !p->mcu_uri || !p->notify_url || !rq->epoch || str_u64(str_c(rq->epoch), &p->epoch))
		return "requestMalformed";
	if (c3p_uri_decode(&focus, str_c(p->focus_uri)) || c3p_uri_decode(&mcu, str_c(p->mcu_uri)) ||
	    focus.type != C3P_FOCUS || mcu.type != k->svc->kind->type || !str_ieq(focus.id, mcu.id) || str_empty(mcu.id))
		return "requestMalformed";
	p->org    = focus.user;
	p->domain = focus.domain;
	p->id     = focus.id;
	if (!p->subject)
		p->subject = "";
	return NULL;
}

static const struct xml_node *state_of(const struct xml_node *info)
{
	return xml_child(xml_child(xml_child(info, NULL, "conference-view"), NULL, "entity-view"), NULL, "entity-state");
}

static const char *on_add_conference(struct c3p_call *k)
{
	const struct xml_node *info = xml_child(k->rq->cmd, NULL, "conference-info");
	struct conf_prm p;
	const char *reason = info ? conf_prm(&p, k, info) : "requestMalformed";
	int err;

	if (reason)
		return reason;
	err = conf_add(&k->conf, k->svc->confs, &p);
	if (err == -EEXIST)
		return "conferenceExists";           /* with this epoch that is a success for the focus */
	if (!err) {
		err = notify_attach(k->conf, k->app);
		if (!err && c3p_entity_state(k, state_of(info)))
			err = -EBUSY;            /* without its filters it is not the conference that it was */
		if (err)
			conf_end(k->conf, LEG_END_FAILED);
	}
	if (err)
		return err == -EBUSY || err == -ENOMEM ? "serverBusy" : "otherFailure";
	bridge_chimes(k->conf, k->app);
	if (c3p_is_true(c3p_text_of(xml_child(info, NULL, "conference-state"), "recording")))
		recording_resume(k->conf, k->app);
	factory_changed(k->svc->factory);
	return NULL;
}

static void write_entity(struct c3p_call *k, struct xmlw *w)
{
	xmlw_start(w, "ci:conference-info");
	xmlw_attr(w, "entity", k->conf->focus_uri);
	xmlw_end(w);
}

static const char *on_delete_conference(struct c3p_call *k)
{
	conf_end(k->conf, LEG_END_CONF);
	k->conf = NULL;
	factory_changed(k->svc->factory);
	return NULL;
}

static const char *on_lock(struct c3p_call *k)
{
	const char *v = c3p_text_of(k->rq->cmd, "locked");

	if (!v)
		return "requestMalformed";
	if (k->conf->locked != c3p_is_true(v)) {
		conf_lock(k->conf, c3p_is_true(v));
		bridge_locked(k->conf, k->app);
	}
	return NULL;
}

static const char *on_record(struct c3p_call *k)
{
	const char *v = c3p_text_of(k->rq->cmd, "recording");
	int err = v ? recording_set(k->conf, k->app, c3p_is_true(v)) : 0;

	if (!v)
		return "requestMalformed";
	return !err ? NULL : err == -ENOTSUP ? "notSupported" : err == -ENOSPC ? "diskFull" : "recordingFailed";
}

static const char *on_announcements(struct c3p_call *k)
{
	const char *v = c3p_text_of(k->rq->cmd, "enabled");

	if (!k->conf->room)
		return "notSupported";
	if (!v)
		return "requestMalformed";
	conf_set_tones(k->conf, c3p_is_true(v));
	return NULL;
}

static const char *on_nothing(struct c3p_call *k)
{
	(void)k;
	return NULL;
}

static void write_info(struct c3p_call *k, struct xmlw *w)
{
	infodoc_full(w, k->conf);
}

static void write_health(struct c3p_call *k, struct xmlw *w)
{
	factory_health(k->svc->factory, w);
}

/* --- users */

/* In an announcement a media status is a right: it bounds the direction in every answer. */
static void media_of(struct expect_prm *p, const struct c3p_endpoint *e)
{
	p->may_send = p->may_recv = true;
	for (unsigned i = 0; i < e->nmedia; i++) {
		const struct c3p_media *m = &e->media[i];

		if (m->type && !cstr_ieq(m->type, "audio"))
			continue;
		p->ingress_block = cstr_ieq(m->ingress, "block");
		p->egress_block  = cstr_ieq(m->egress, "block");
		p->may_send = !cstr_ieq(m->status, "recvonly") && !cstr_ieq(m->status, "inactive");
		p->may_recv = !cstr_ieq(m->status, "sendonly") && !cstr_ieq(m->status, "inactive");
	}
}

static const char *expect_prm(struct expect_prm *p, struct c3p_user *u, struct c3p_endpoint *e,
			      const struct xml_node *cmd)
{
	const struct xml_node *user = xml_child(cmd, NULL, "user"), *endpoint = xml_child(user, NULL, "endpoint");
	const struct xml_node *ticket = xml_child(cmd, NULL, "ticket"), *dial = xml_child(cmd, NULL, "dialout");

	if (!user || !endpoint || c3p_user_decode(u, user) || c3p_endpoint_decode(e, endpoint))
		return "requestMalformed";
	*p = (struct expect_prm){
		.entity = u->entity, .display = u->display_text, .role = u->role, .endpoint = e->entity,
		.joining = e->joining_method, .ticket = xml_attr(ticket, NULL, "value"),
		.call_id = xml_attr(ticket, NULL, "callId"),
		.any_media = cstr_ieq(xml_attr(ticket ? ticket : dial, NULL, "media"), "any"),
	};
	if (!p->entity || !*p->entity)
		return "requestMalformed";
	media_of(p, e);
	return NULL;
}

static const char *on_add_user(struct c3p_call *k)
{
	struct expect_prm p;
	struct c3p_user u;
	struct c3p_endpoint e;
	const char *reason = expect_prm(&p, &u, &e, k->rq->cmd);
	int err;

	if (!reason && cstr_ieq(e.joining_method, "dialed-out"))
		return c3p_dial_out(k, &p, &e);
	if (!reason && xml_child(k->rq->cmd, C3P_NS_OC, "move"))
		return c3p_move(k, &p, xml_child(k->rq->cmd, C3P_NS_OC, "move"));
	if (!reason && (!p.ticket || !*p.ticket || !p.call_id || !*p.call_id))
		reason = "requestMalformed";
	if (reason)
		return reason;
	err = conf_expect(&k->leg, k->conf, &p);
	if (err == -EEXIST)
		return "requestMalformed";           /* a ticket of somebody else */
	if (err)
		return "serverBusy";
	factory_changed(k->svc->factory);
	return NULL;
}

static const char *on_delete_user(struct c3p_call *k)
{
	const char *endpoint = k->rq->keys.endpoint_entity;
	struct leg *l;

	if (!*endpoint) {
		conf_user_end(k->user, LEG_END_REMOVED);
	} else {
		l = user_leg(k->user, endpoint);
		if (!l)
			return "endpointDoesntExist";
		leg_end(l, LEG_END_REMOVED);
	}
	k->user = NULL;
	factory_changed(k->svc->factory);
	return NULL;
}

static const char *on_roles(struct c3p_call *k)
{
	const char *role = c3p_text_of(xml_child(k->rq->cmd, NULL, "user-roles"), "entry");

	if (!role)
		role = c3p_text_of(xml_child(k->rq->cmd, NULL, "roles"), "entry");
	if (!role || !*role)
		return "requestMalformed";
	return user_set_role(k->user, role) ? "serverBusy" : NULL;
}

static const char *on_endpoint_role(struct c3p_call *k)
{
	const char *role = c3p_text_of(xml_child(k->rq->cmd, NULL, "roles"), "entry");

	if (!cstr_ieq(role, "presenter") && !cstr_ieq(role, "attendee"))
		return "invalidRole";
	return leg_set_role(k->leg, role) ? "serverBusy" : NULL;
}

static const char *on_modify_user(struct c3p_call *k)
{
	const char *name = c3p_text_of(xml_child(k->rq->cmd, NULL, "user"), "display-text");

	return name && user_set_display(k->user, name) ? "serverBusy" : NULL;
}

static const struct c3p_cmd cmds[] = {
	/* name                           run                   needs          write */
	{ "addConference",                on_add_conference,    NEEDS_NOTHING, write_entity },
	{ "deleteConference",             on_delete_conference, NEEDS_CONF,    NULL },
	{ "getConference",                on_nothing,           NEEDS_CONF,    write_info },
	{ "modifyConferenceLock",         on_lock,              NEEDS_CONF,    NULL },
	{ "record",                       on_record,            NEEDS_CONF,    NULL },
	{ "modifyConferenceAnnouncements", on_announcements,    NEEDS_CONF,    NULL },
	{ "addUser",                      on_add_user,          NEEDS_CONF,    NULL },
	{ "deleteUser",                   on_delete_user,       NEEDS_USER,    NULL },
	{ "modifyUserRoles",              on_roles,             NEEDS_USER,    NULL },
	{ "modifyUser",                   on_modify_user,       NEEDS_USER,    NULL },
	{ "modifyEndpointRole",           on_endpoint_role,     NEEDS_LEG,     NULL },
	{ "modifyEndpointMedia",          c3p_modify_media,     NEEDS_MEDIA,   NULL },
	{ "addEndpointMedia",             c3p_add_media,        NEEDS_LEG,     NULL },
	{ "deleteEndpointMedia",          c3p_delete_media,     NEEDS_MEDIA,   NULL },
	{ "modifyUsersMediaFilters",      c3p_media_filters,    NEEDS_CONF,    NULL },
	{ "modifyConference",             c3p_modify_conference, NEEDS_CONF,   NULL },
	{ "ping",                         on_nothing,           NEEDS_NOTHING, write_health },
};

const struct c3p_cmd *c3p_cmd_find(const char *name)
{
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++)
		if (cstr_eq(cmds[i].name, name))
			return &cmds[i];
	return NULL;
}
