/* SPDX-License-Identifier: Apache-2.0 */
/* dialog.c - dialogs (RFC 3261 12) as plain data
 *
 * Made from the request (UAS) or its 2xx (UAC), kept in a store as strings and read back, and used to make requests.
 * The strings are mem objects of the dialog.
 */
#include <errno.h>
#include "lib/sip/sip_priv.h"

#define MAX_ROUTES 32u

static void destructor(void *arg)
{
	struct sip_dlg *d = arg;

	mem_deref(d->call_id);
	mem_deref(d->local_tag);
	mem_deref(d->remote_tag);
	mem_deref(d->local_uri);
	mem_deref(d->remote_uri);
	mem_deref(d->remote_target);
	mem_deref(d->route);
}

static char *addr_uri(const struct sip_msg *m, const char *name)
{
	struct str v = sip_msg_hdr(m, name, 0);
	struct sip_addr a;

	return v.p && !sip_addr_decode(&a, v) ? str_dup(a.uri) : NULL;
}

/* The Contact's URI with all of its parameters: alias, gr and ob mean something to whoever wrote them. */
static int contact_uri(char **uri, const struct sip_msg *m)
{
	struct str v = sip_msg_hdr(m, "Contact", 0);
	struct sip_addr a;

	if (!v.p || sip_addr_decode(&a, v) || str_eq(a.uri, STR("*")))
		return -EBADMSG;
	*uri = str_dup(a.uri);
	return *uri ? 0 : -ENOMEM;
}

static int route_set(char **route, const struct sip_msg *m, bool reversed)
{
	struct str v, rr[MAX_ROUTES];
	unsigned n = 0;
	struct buf b;

	while ((v = sip_msg_hdr(m, "Record-Route", n)).p) {
		if (n == MAX_ROUTES)
			return -EBADMSG;
		rr[n++] = v;
	}
	if (!n)
		return 0;
	buf_init(&b, 0);
	for (unsigned i = 0; i < n; i++) {
		v = rr[reversed ? n - 1 - i : i];
		buf_printf(&b, "Route: " STR_FMT "\r\n", STR_ARG(v));
	}
	*route = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return *route ? 0 : -ENOMEM;
}

static int from_msg(struct sip_dlg **dp, const struct sip_msg *m, struct str local_tag, struct str remote_tag,
		    const char *local_uri, bool uac)
{
	struct sip_dlg *d = mem_zalloc(sizeof(*d), destructor);
	int err;

	if (!d)
		return -ENOMEM;
	err = contact_uri(&d->remote_target, m);
	if (!err)
		err = route_set(&d->route, m, uac);
	if (err)
		goto out;
	d->call_id    = str_dup(sip_msg_call_id(m));
	d->local_tag  = str_dup(local_tag);
	d->remote_tag = str_dup(remote_tag);
	d->local_uri  = local_uri ? str_dup(str_c(local_uri)) : addr_uri(m, uac ? "From" : "To");
	d->remote_uri = addr_uri(m, uac ? "To" : "From");
	if (!d->call_id || !d->local_tag || !d->remote_tag || !d->local_uri || !d->remote_uri)
		err = -ENOMEM;
	*(uac ? &d->local_cseq : &d->remote_cseq) = sip_msg_cseq(m);
out:
	if (err)
		mem_deref(d);
	else
		*dp = d;
	return err;
}

int sip_dlg_uas(struct sip_dlg **dp, const struct sip_msg *req, const char *local_tag)
{
	if (!local_tag || !*local_tag)
		return -EINVAL;
	if (!sip_msg_is_request(req) || !sip_msg_from_tag(req).l)
		return -EBADMSG;
	return from_msg(dp, req, str_c(local_tag), sip_msg_from_tag(req), NULL, false);
}

int sip_dlg_uac(struct sip_dlg **dp, const struct sip_msg *resp_2xx, const char *local_uri)
{
	if (sip_msg_is_request(resp_2xx) || !sip_msg_to_tag(resp_2xx).l)
		return -EBADMSG;
	return from_msg(dp, resp_2xx, sip_msg_from_tag(resp_2xx), sip_msg_to_tag(resp_2xx), local_uri, true);
}

void sip_dlg_target_refresh(struct sip_dlg *d, const struct sip_msg *m)
{
	char *uri = NULL;

	if (contact_uri(&uri, m))
		return;                                   /* no Contact: the old one stays */
	mem_deref(d->remote_target);
	d->remote_target = uri;
}

bool sip_dlg_match(const struct sip_dlg *d, const struct sip_msg *m)
{
	bool req = sip_msg_is_request(m);
	struct str local = req ? sip_msg_to_tag(m) : sip_msg_from_tag(m);
	struct str remote = req ? sip_msg_from_tag(m) : sip_msg_to_tag(m);

	return str_eq(str_c(d->call_id), sip_msg_call_id(m)) && str_eq(str_c(d->local_tag), local) &&
	       str_eq(str_c(d->remote_tag), remote);
}

int sip_dlg_accept(struct sip_dlg *d, const struct sip_msg *m)
{
	bool ack = str_eq(sip_msg_method(m), STR("ACK"));

	if (!sip_msg_is_request(m) || !sip_dlg_match(d, m))
		return -ENOENT;
	if (ack)
		return 0;                                 /* has its INVITE's number */
	if (d->remote_cseq && sip_msg_cseq(m) <= d->remote_cseq)
		return -EPROTO;
	d->remote_cseq = sip_msg_cseq(m);
	return 0;
}

struct names { char *from, *to; };

static int names(struct names *n, const struct sip_dlg *d)
{
	n->from = str_printf("<%s>%s%s", d->local_uri, *d->local_tag ? ";tag=" : "", d->local_tag);
	n->to   = str_printf("<%s>%s%s", d->remote_uri, *d->remote_tag ? ";tag=" : "", d->remote_tag);
	return n->from && n->to ? 0 : -ENOMEM;
}

static void names_free(struct names *n)
{
	mem_deref(n->from);
	mem_deref(n->to);
}

int sip_dlg_request(struct sip *s, struct sip_ct **ctp, struct sip_dlg *d, const char *method, const char *hdrs,
		    const char *ctype, struct str body, sip_response_cb *cb, void *arg)
{
	struct names n = { NULL, NULL };
	struct sip_req r = {
		.method = method, .ruri = d->remote_target, .call_id = d->call_id, .route = d->route,
		.hdrs = hdrs, .ctype = ctype, .body = body, .no_answer = cstr_eq(method, "BENOTIFY"),
	};
	int err = names(&n, d);

	if (!err) {
		r.from = n.from;
		r.to   = n.to;
		r.cseq = ++d->local_cseq;
		err = sip_request(s, ctp, &r, cb, arg);
		if (err)
			d->local_cseq--;                  /* nothing left us */
	}
	names_free(&n);
	return err;
}

int sip_dlg_ack(struct sip *s, struct sip_dlg *d, uint32_t cseq)
{
	struct names n = { NULL, NULL };
	struct sip_req r = {
		.method = "ACK", .ruri = d->remote_target, .call_id = d->call_id, .route = d->route, .cseq = cseq,
	};
	int err = names(&n, d);

	if (!err) {
		r.from = n.from;
		r.to   = n.to;
		err = sip_ack(s, &r);
	}
	names_free(&n);
	return err;
}
