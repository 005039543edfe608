/* SPDX-License-Identifier: Apache-2.0 */
/* msg.h - a received SIP message (RFC 3261), parsed by libosip2; URIs and name-addrs by our own pure parser */
#ifndef SIP_MSG_H
#define SIP_MSG_H
#include "lib/base/buf.h"
#include "lib/base/str.h"

struct sip_msg;                                  /* immutable; mem_ref()/mem_deref() */

#define SIP_MAX_MSG (256u * 1024)                /* the edge's own bound on one message */

int  sip_msg_decode(struct sip_msg **mp, struct str data);   /* exactly one message; -EBADMSG, -EMSGSIZE, -ENOMEM */

/* Length of the first complete message at the head of a TCP byte stream: >0 bytes, 0 = need more, -EBADMSG,
 * -EMSGSIZE. Leading CRLFs (keep-alives) are part of the length. */
long sip_msg_frame(struct str stream);

bool       sip_msg_is_request(const struct sip_msg *m);
struct str sip_msg_method(const struct sip_msg *m);        /* request: method; response: CSeq's method */
struct str sip_msg_ruri(const struct sip_msg *m);
int        sip_msg_scode(const struct sip_msg *m);         /* 0 for a request */
struct str sip_msg_reason(const struct sip_msg *m);
struct str sip_msg_call_id(const struct sip_msg *m);
uint32_t   sip_msg_cseq(const struct sip_msg *m);
struct str sip_msg_from_tag(const struct sip_msg *m);      /* empty when absent */
struct str sip_msg_to_tag(const struct sip_msg *m);
struct str sip_msg_branch(const struct sip_msg *m);        /* of the topmost Via */
struct str sip_msg_body(const struct sip_msg *m);
struct str sip_msg_raw(const struct sip_msg *m);
/* The idx-th value of a header, comma-joined values of list headers split (Via, Route, Record-Route, Contact,
 * Supported, Require, Accept, Allow, ...); compact names count. STR_NULL when absent. Borrowed from the message. */
struct str sip_msg_hdr(const struct sip_msg *m, const char *name, unsigned idx);
bool       sip_msg_has_token(const struct sip_msg *m, const char *name, const char *token);  /* any value equals token */

/* --- sip:user@host:port;params?headers, also sips: and tel: */
struct sip_uri {
	struct str scheme, user, host, params, headers;    /* params without the leading ';' */
	uint16_t   port;                                   /* 0: none */
};
int        sip_uri_decode(struct sip_uri *u, struct str s);               /* -EBADMSG */
bool       sip_uri_param(const struct sip_uri *u, struct str name, struct str *value);  /* value empty when valueless */
struct str sip_uri_aor(struct str uri, char *out, size_t outsz);          /* "sip:user@host" lower-case scheme and host */

/* --- "Name" <uri>;params */
struct sip_addr { struct str display, uri, params; };
int        sip_addr_decode(struct sip_addr *a, struct str s);
bool       sip_param(struct str params, struct str name, struct str *value);   /* in a ';' list */

#endif
