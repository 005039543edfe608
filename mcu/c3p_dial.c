/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_dial.c - addUser with `dialed-out`: the MCU calls somebody into the conference
 *
 * The command is answered `pending` as soon as the INVITE is on its way; the focus has decided already that this target
 * may be called. What it gives as header lines came from a client (refer-to-uri), so only lines of a short list pass.
 */
#include <errno.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/sip/msg.h"
#include "mcu/c3p_cmds.h"
#include "mcu/call.h"
#include "mcu/dialout.h"
#include "mcu/factory.h"
#include "mcu/uas.h"

#define MAX_TARGET 512u
#define MAX_HDRS   4096u

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.l; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"' || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_target(const char *text)
{
	struct str s = str_c(text);
	struct sip_uri u;

	if (str_empty(s) || s.l > MAX_TARGET || !is_plain(s) || sip_uri_decode(&u, s))
		return false;
	return str_ieq(u.scheme, STR("sip")) || str_ieq(u.scheme, STR("sips")) || str_ieq(u.scheme, STR("tel"));
}

static bool may_pass(struct str line)
{
	static const char *const names[] = {
		"Replaces", "Join", "Require", "Referred-By", "Subject", "Priority", "Alert-Info", "Call-Info", "In-Reply-To",
		"Accept-Language", "User-to-User", "Ms-Conversation-ID",
	};
	struct str name = str_trim(str_cut(&line, ':'));

	for (size_t i = 0; i < line.l; i++)
		if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t')
			return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(name, str_c(names[i])))
			return !str_empty(str_trim(line));
	return false;
}

/* New reference, NULL: none or no memory. */
static char *header_lines(const char *text)
{
	struct str rest = str_c(text);
	struct buf b;
	char *out;

	if (!text || rest.l > MAX_HDRS)
		return NULL;
	buf_init(&b, MAX_HDRS + 64);
	while (!str_empty(rest)) {
		struct str line = str_trim(str_cut(&rest, '\n'));

		if (str_empty(line))
			continue;
		if (!may_pass(line)) {
			log_warn(c3p, "dial-out: a header line that may not be given is left out");
			continue;
		}
		buf_str(&b, line);
		buf_puts(&b, "\r\n");
	}
	out = b.err || !b.l ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return out;
}

static const char *dial_prm(struct call_dial_prm *d, const struct expect_prm *p, const struct c3p_endpoint *e,
			    const struct xml_node *cmd)
{
	const struct xml_node *n = xml_child(cmd, NULL, "dialout");
	const char *target = xml_attr(n, NULL, "target");

	if (!target)
		target = e->uri && *e->uri ? e->uri : p->entity;
	*d = (struct call_dial_prm){ .target = target, .user = p->entity, .plain_ok = p->any_media };
	return is_target(target) && is_target(p->entity) ? NULL : "requestMalformed";
}

static const char *start(struct c3p_call *k, struct call_dial_prm *d)
{
	char *contact = uas_contact(k->svc, k->conf);
	int err = contact ? dialout_alloc(&d->dialout, k->app, k->conf, k->rq) : -ENOMEM;

	d->conf    = k->conf;
	d->leg     = k->leg;
	d->contact = contact;
	if (!err) {
		err = call_dial(k->app->uas, d);
		if (err)
			dialout_forget(d->dialout);
	}
	mem_deref(d->dialout);
	mem_deref(contact);
	if (err)
		log_warn(c3p, "dial-out to %s: %s", d->target, strerror(-err));
	return !err ? NULL : err == -ENOMEM ? "serverBusy" : "otherFailure";
}

/* The same command again has the same result, also when the call has ended meanwhile. */
static bool known(struct c3p_call *k, const char **reason)
{
	struct dialout *d = dialout_find(k->app, k->rq);

	if (!d)
		return false;
	k->pending = !dialout_over(d, reason);
	return true;
}

const char *c3p_dial_out(struct c3p_call *k, const struct expect_prm *p, const struct c3p_endpoint *e)
{
	struct call_dial_prm d;
	const char *reason = NULL;
	char *hdrs;
	int err;

	if (known(k, &reason))
		return reason;
	reason = dial_prm(&d, p, e, k->rq->cmd);
	if (reason)
		return reason;
	err = conf_dial(&k->leg, k->conf, p);
	if (err)
		return err == -EEXIST ? "userExists" : "serverBusy";
	hdrs = header_lines(xml_attr(xml_child(k->rq->cmd, NULL, "dialout"), NULL, "headers"));
	d.hdrs = hdrs;
	mem_ref(k->leg);
	reason = start(k, &d);
	if (reason)
		conf_drop_leg(k->leg);
	k->leg = mem_deref(k->leg);
	mem_deref(hdrs);
	k->pending = !reason;
	factory_changed(k->svc->factory);
	return reason;
}
