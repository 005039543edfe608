/* SPDX-License-Identifier: Apache-2.0 */
/* uas.h - SIP requests from the edge: which conference, who, and the handler; one handler a file */
#ifndef FOCUSD_UAS_H
#define FOCUSD_UAS_H
#include "focusd/answer.h"
#include "focusd/caller.h"
#include "lib/c3p/uri.h"

struct uas_req {
	struct app           *app;
	struct sip_st        *st;
	const struct sip_msg *m;
	struct caller         caller;
	/* outside a dialog */
	struct conf          *conf;              /* NULL: none of that name */
	enum c3p_type         type;              /* of the Request-URI */
	struct c3p_uri        uri;               /* when it is a conference URI */
	enum conf_session     session;           /* the MCU type it is for */
	bool                  plain;             /* a room's plain address */
	/* inside one */
	struct endpoint      *ep;
};
void uas_on_request(struct sip_st *st, const struct sip_msg *m, void *arg);   /* sip_request_cb; arg: app */
void uas_init(void);

void join_on_invite(struct uas_req *rq);         /* focus URI, C3P addUser */
void join_on_refresh(struct uas_req *rq);        /* re-INVITE, UPDATE in the focus dialog */
void media_on_invite(struct uas_req *rq);        /* room address or audio-video URI, SDP: ends in a 302 to an MCU */
void refer_on_request(struct uas_req *rq);       /* call somebody in, or let him go */
void subscribe_on_request(struct uas_req *rq);
void subscribe_on_refresh(struct uas_req *rq, struct sub *s);
void info_on_request(struct uas_req *rq);        /* C3P commands inside the focus dialog */
void service_on_request(struct uas_req *rq);     /* Focus Factory */

/* Session timer (RFC 4028): 0 and the header lines for the 2xx, or 422 and those for the refusal. */
int  session_negotiate(const struct sip_msg *m, long dflt_s, uint32_t *interval_s, char *hdrs, size_t size);

/* C3P envelope checks shared by INVITE, INFO and SERVICE: 0, or the SIP code with *diag and *text (c3p.md 2, steps 2-3). */
int  uas_c3p_check(const struct uas_req *rq, const struct c3p_req *r, const char *to, enum diag *diag, const char **text);

#endif
