/* SPDX-License-Identifier: Apache-2.0 */
/* leg.c - states of a leg, see leg.h
 *
 * ANNOUNCED -(leg_attach)-> ANSWERED -(leg_connected)-> CONNECTED -> GONE; a call that starts here: ANNOUNCED
 * -(leg_dialing)-> DIALING -(leg_alerting)-> ALERTING -(leg_connected)-> CONNECTED. Only a leg whose call is the one
 * that reports is changed: a replaced call that ends late does not touch its successor.
 */
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/conf.h"
#include "mcu/rules.h"

static const struct { const char *text, *method; } ends[LEG_NENDS] = {
#define X(name, text, method) [LEG_END_##name] = { text, method },
	LEG_ENDS(X)
#undef X
};

const char *leg_end_text(enum leg_end why)
{
	return (unsigned)why < LEG_NENDS ? ends[why].text : "";
}

const char *leg_end_method(enum leg_end why)
{
	return (unsigned)why < LEG_NENDS ? ends[why].method : "departed";
}

const char *leg_state_name(enum leg_state s)
{
	static const char *const names[] = { "announced", "dialing", "alerting", "answered", "connected", "gone" };

	return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "";
}

bool leg_shown(const struct leg *l)
{
	return l->state == LEG_DIALING || l->state == LEG_ALERTING || l->state == LEG_CONNECTED;
}

static void changed(struct leg *l, enum report_what what)
{
	struct conf *c = l->user ? l->user->conf : NULL;

	if (!c || (!leg_shown(l) && l->state != LEG_GONE))
		return;
	if (report_mark(c->report, l->user->entity, l->endpoint, what))
		log_warn(conf, "conference %s: no memory for a change of %s", c->id, l->user->entity);
	conf_changed(c);
}

void leg_attach(struct leg *l, const struct leg_ops *ops, void *call)
{
	const struct leg_ops *old_ops = l->ops;
	void *old = l->call;

	l->ops     = ops;
	l->call    = call;
	l->awaited = false;
	l->talking = false;
	l->state   = LEG_ANSWERED;
	if (old && old != call)
		old_ops->end(l, LEG_END_REPLACED, old);
}

void leg_dialing(struct leg *l, const struct leg_ops *ops, void *call)
{
	l->ops   = ops;
	l->call  = call;
	l->state = LEG_DIALING;
	changed(l, REPORT_STATE);
}

void leg_alerting(struct leg *l, const void *call)
{
	if (l->call != call || l->state != LEG_DIALING)
		return;
	l->state = LEG_ALERTING;
	changed(l, REPORT_STATE);
}

void leg_detach(struct leg *l, const void *call)
{
	if (l->call == call)
		l->call = NULL;
}

void leg_connected(struct leg *l, const void *call)
{
	if (l->call != call || (l->state != LEG_ANSWERED && l->state != LEG_DIALING && l->state != LEG_ALERTING))
		return;
	l->state = LEG_CONNECTED;
	changed(l, REPORT_STATE);
}

/* A leg that the focus has announced is told as deleted even when it never connected: the focus shows it already. */
static void out(struct leg *l, enum leg_end why)
{
	if (l->state == LEG_GONE)
		return;
	l->state = LEG_GONE;
	if (l->user)
		log_info(leg, "leg %s of %s in %s: %s", l->endpoint, l->user->entity, l->user->conf->id,
			 leg_end_text(why));
	changed(l, REPORT_STATE);
	conf_drop_leg(l);
}

void leg_gone(struct leg *l, const void *call, enum leg_end why)
{
	if (l->call != call)
		return;
	l->call = NULL;
	if (l->awaited) {                    /* its next INVITE is on its way */
		l->state = LEG_ANNOUNCED;
		l->talking = false;
		return;
	}
	mem_ref(l);
	out(l, why);
	mem_deref(l);
}

void leg_end(struct leg *l, enum leg_end why)
{
	void *call = l->call;

	mem_ref(l);
	l->call = NULL;
	out(l, why);
	if (call)
		l->ops->end(l, why, call);
	mem_deref(l);
}

void leg_refused(struct leg *l)
{
	l->awaited = false;
	if (!l->call)
		leg_end(l, LEG_END_REFUSED);
}

void leg_direction(struct leg *l, bool peer_send, bool peer_recv)
{
	if (l->peer_send == peer_send && l->peer_recv == peer_recv)
		return;
	l->peer_send = peer_send;
	l->peer_recv = peer_recv;
	changed(l, REPORT_STATE);
}

void leg_keep(struct leg *l, char *kept)
{
	bool same = cstr_eq(l->kept, kept);

	mem_deref(l->kept);
	l->kept = kept;
	if (!same)
		changed(l, REPORT_STATE);
}

int leg_set_role(struct leg *l, const char *role)
{
	int err = cstr_set(&l->role, role);

	if (!err)
		changed(l, REPORT_STATE);
	return err;
}

void leg_talk(struct leg *l, bool talking)
{
	if (l->talking == talking)
		return;
	l->talking = talking;
	changed(l, REPORT_TALK);
}

void leg_filter(struct leg *l, bool ingress_block, bool egress_block)
{
	if (l->ingress_block == ingress_block && l->egress_block == egress_block)
		return;
	l->ingress_block = ingress_block;
	l->egress_block  = egress_block;
	if (ingress_block)
		l->talking = false;
	if (l->call)
		l->ops->filter(l, l->call);
	changed(l, REPORT_STATE);
}

bool leg_self_mute(struct leg *l)
{
	if (l->ingress_block && !rules_may_own(l))
		return false;
	l->ingress_by_rule = false;
	leg_filter(l, !l->ingress_block, l->egress_block);
	return true;
}

void leg_hand(struct leg *l, bool up)
{
	if (l->hand == up)
		return;
	l->hand = up;
	changed(l, REPORT_STATE);
}

void leg_roster_dir(const struct leg *l, bool *sends, bool *receives)
{
	*sends    = l->peer_send && l->may_send && !l->ingress_block;
	*receives = l->peer_recv && l->may_recv && !l->egress_block;
}
