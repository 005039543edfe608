/* SPDX-License-Identifier: Apache-2.0 */
/* caller.c - see caller.h; docs/interfaces.md lists the headers */
#include <errno.h>
#include "focusd/caller.h"
#include "lib/base/mem.h"

static const struct { struct str name; enum access access; } accesses[] = {
	{ STR("user"), ACCESS_USER },
	{ STR("trunk"), ACCESS_TRUNK },
	{ STR("federated"), ACCESS_FEDERATED },
	{ STR("anonymous"), ACCESS_ANONYMOUS },
};

static int decode_access(struct caller *c, struct str h)
{
	struct str params = h, v, word = str_trim(str_cut(&params, ';'));

	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++)
		if (str_ieq(word, accesses[i].name))
			c->access = accesses[i].access;
	c->plain_ok = sip_param(params, STR("media"), &v) && str_ieq(v, STR("any"));
	c->udp      = sip_param(params, STR("udp"), &v);
	return c->access == ACCESS_NONE ? -EACCES : 0;
}

static char *make_display(const struct sip_addr *pai, const struct sip_addr *from)
{
	struct sip_uri u;

	if (pai && !str_empty(pai->display))
		return str_dup(pai->display);
	if (!str_empty(from->display))
		return str_dup(from->display);
	if (sip_uri_decode(&u, pai ? pai->uri : from->uri) || str_empty(u.user))
		return str_dup(STR("Phone"));
	return str_dup(u.user);
}

static char *make_instance(const struct sip_msg *m, const struct sip_addr *from)
{
	struct sip_addr contact;
	struct sip_uri u;
	struct str v;

	if (sip_addr_decode(&contact, sip_msg_hdr(m, "Contact", 0)) == 0 && sip_param(contact.params, STR("+sip.instance"), &v))
		return str_dup(v);
	if (sip_param(from->params, STR("epid"), &v) && !str_empty(v))
		return str_printf("epid=" STR_FMT, STR_ARG(v));
	if (sip_addr_decode(&contact, sip_msg_hdr(m, "Contact", 0)) == 0 && sip_uri_decode(&u, contact.uri) == 0)
		return str_printf(STR_FMT "@" STR_FMT ":%u", STR_ARG(u.user), STR_ARG(u.host), u.port);
	return NULL;
}

/* The edge's Via stands first, the one that the edge got behind it, with `received` where that does not tell the truth. */
static char *make_address(const struct sip_msg *m)
{
	struct str via = sip_msg_hdr(m, "Via", 1), params = via, v, host = str_trim(str_cut(&params, ';'));

	if (sip_param(params, STR("received"), &v) && !str_empty(v))
		return str_dup(v);
	str_cut(&host, ' ');
	host = str_trim(host);
	if (!str_empty(host) && host.p[0] == '[')
		return str_dup(str_cut(&host, ']'));
	return str_empty(host) ? NULL : str_dup(str_cut(&host, ':'));
}

/* The domain that nobody is of: an anonymous caller does not take the name of somebody who is. */
static bool nameless(struct str uri)
{
	struct sip_uri u;

	return sip_uri_decode(&u, uri) == 0 && !str_empty(u.user) && str_ieq(u.host, STR("anonymous.invalid"));
}

int caller_decode(struct caller *c, const struct sip_msg *m)
{
	struct str h = sip_msg_hdr(m, "P-Asserted-Identity", 0);
	struct sip_addr pai, from;
	char aor[256];
	int err;

	*c = (struct caller){ 0 };
	err = decode_access(c, sip_msg_hdr(m, "Conclave-Access", 0));
	if (err)
		return err;
	if (sip_addr_decode(&from, sip_msg_hdr(m, "From", 0)))
		return -EBADMSG;
	if (!str_empty(h)) {
		if (sip_addr_decode(&pai, h))
			return -EBADMSG;
		c->entity = str_dup(sip_uri_aor(pai.uri, aor, sizeof(aor)));
		if (!c->entity || !*c->entity) {
			caller_fini(c);
			return -EBADMSG;
		}
	} else if (c->access == ACCESS_ANONYMOUS) {      /* who he says he is; only good for conferences that ask no more */
		if (nameless(from.uri))
			c->entity = str_dup(sip_uri_aor(from.uri, aor, sizeof(aor)));
	} else if (c->access == ACCESS_USER || c->access == ACCESS_FEDERATED) {
		return -EACCES;
	}
	c->display  = make_display(str_empty(h) ? NULL : &pai, &from);
	c->instance = make_instance(m, &from);
	c->address  = make_address(m);
	c->timer    = sip_msg_has_token(m, "Supported", "timer");
	if (c->display)
		return 0;
	caller_fini(c);
	return -ENOMEM;
}

void caller_fini(struct caller *c)
{
	mem_deref(c->entity);
	mem_deref(c->display);
	mem_deref(c->instance);
	mem_deref(c->address);
	*c = (struct caller){ 0 };
}

enum conf_auth caller_auth(const struct caller *c)
{
	return c->access == ACCESS_USER ? AUTH_ENTERPRISE : c->access == ACCESS_FEDERATED ? AUTH_FEDERATED : AUTH_NONE;
}
