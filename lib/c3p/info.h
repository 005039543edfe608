/* SPDX-License-Identifier: Apache-2.0 */
/* info.h - pieces of the conference-info document (RFC 4575 and Microsoft's extensions), as plain structs
 *
 * Used both ways: the focus writes rosters and reads what an MCU reports; an MCU writes reports. Elements are written
 * with the prefixes of c3p_begin_*() (ci, msci, oc) unless `dflt` says that conference-info is the default namespace,
 * as in a notification. Strings in read structs are borrowed from the document.
 */
#ifndef C3P_INFO_H
#define C3P_INFO_H
#include "lib/c3p/msg.h"
#include "lib/c3p/rules.h"

#define C3P_MAX_MEDIA 8
#define C3P_MAX_ENDPOINTS 16

struct c3p_media {
	const char *id, *type, *label, *status;           /* status: sendrecv, sendonly, recvonly, inactive */
	const char *display_text, *src_id, *state;        /* src-id, msci:media-state */
	const char *ingress, *egress;                     /* "block", "unblock" or NULL */
};
struct c3p_endpoint {
	const char *entity, *session_type, *uri;          /* uri: msci:endpoint-uri */
	const char *state;                                /* full, partial, deleted; NULL = full */
	const char *status, *joining_method, *joining_when, *disconnection_method;
	const char *call_id, *from_tag, *to_tag;          /* call-info/sip, written when call_id */
	const char *role;                                 /* msci:roles/entry, NULL: none */
	const char *leg;                                  /* oc:leg, opaque state an MCU keeps with its focus */
	bool        talking;                              /* oc:talking on the endpoint */
	bool        hand;                                 /* oc:hand: asks to speak */
	unsigned    nmedia;
	struct c3p_media media[C3P_MAX_MEDIA];
};
struct c3p_user {
	const char *entity, *display_text, *role, *state; /* state as above */
	unsigned    nendpoints;
	const struct c3p_endpoint *endpoints;             /* writing */
	const struct xml_node *node;                      /* reading: walk with c3p_endpoint_decode() */
};
void c3p_media_encode(struct xmlw *w, bool dflt, const struct c3p_media *m);
void c3p_endpoint_encode(struct xmlw *w, bool dflt, const struct c3p_endpoint *e);
void c3p_user_encode(struct xmlw *w, bool dflt, const struct c3p_user *u);
int  c3p_media_decode(struct c3p_media *m, const struct xml_node *n);
int  c3p_endpoint_decode(struct c3p_endpoint *e, const struct xml_node *n);   /* -EBADMSG without entity */
int  c3p_user_decode(struct c3p_user *u, const struct xml_node *n);

struct c3p_entity_view {                                  /* one MCU in conference-view */
	const char *entity, *state;                       /* MCU conference URI */
	bool        active, locked;
	const char *media_types[4];                       /* NULL-terminated unless full; label is "main-audio" for audio.. */
	const struct c3p_rule *rules;                     /* media filters of roles */
	unsigned    nrules;
};
void c3p_entity_view_encode(struct xmlw *w, bool dflt, const struct c3p_entity_view *v);
const char *c3p_media_label(const char *type);            /* audio -> main-audio, video -> main-video, chat -> chat */

#endif
