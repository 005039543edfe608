/* SPDX-License-Identifier: Apache-2.0 */
/* sip.h - SIP over TLS between our servers: transport, transactions (RFC 3261 17, 13.3.1.4) and dialogs (12)
 *
 * A request arrives on a mutual-TLS stream -> framed -> matched to a server transaction (branch) -> requestcb.
 * The user answers with sip_reply(); responses are kept for retransmissions until the transaction ends; a 2xx to
 * INVITE is repeated (T1..T2, 64*T1) until its ACK comes, then `ackcb`; without an ACK `ackcb` gets -ETIMEDOUT.
 * Requests of ours go to the first Route's (else R-URI's) address over a kept connection, opened when needed; the
 * answer comes to respcb exactly once finally (408 on time-out, 503 on transport failure; provisional ones before).
 */
#ifndef SIP_SIP_H
#define SIP_SIP_H
#include "lib/ev/ev.h"
#include "lib/sip/msg.h"
#include "lib/tls/tls.h"

struct sip;
struct sip_st;                              /* server transaction; mem_ref() it to answer later */
struct sip_ct;                              /* client transaction */

/* A request outside or inside a dialog (not ACK, not CANCEL). Must lead to one final sip_reply(), now or later; one that
 * is neither answered nor held (mem_ref(st)) when the callback returns is answered 500. */
typedef void (sip_request_cb)(struct sip_st *st, const struct sip_msg *m, void *arg);
struct sip_prm {
	struct ev_loop *loop;
	struct tls_ctx *server_tls, *client_tls;
	const char     *bind;
	uint16_t        port;               /* 0: any free one */
	const char     *name;               /* our host name in Via and Server/User-Agent, e.g. "focusd" */
	sip_request_cb *requestcb;
	void           *arg;
};
int      sip_alloc(struct sip **sp, const struct sip_prm *prm);
uint16_t sip_port(const struct sip *s);
void     sip_shutdown(struct sip *s);       /* no new requests are taken (503); mem_deref() then closes */
unsigned sip_transactions(const struct sip *s);

/* --- server side */
struct sip_reply {
	int         code;
	const char *reason;                 /* NULL: the RFC's phrase */
	const char *to_tag;                 /* NULL: one is made when the request has none */
	const char *hdrs;                   /* complete extra header lines, each ended by CRLF; or NULL */
	const char *ctype;                  /* of the body */
	struct str  body;
};
int  sip_reply(struct sip_st *st, const struct sip_reply *r);             /* provisional or final; Record-Route copied */
int  sip_replyf(struct sip_st *st, int code, int diag, const char *text); /* error with ms-diagnostics when diag > 0 */
const struct sip_msg *sip_st_msg(const struct sip_st *st);
const char *sip_st_to_tag(struct sip_st *st);                             /* ours for this transaction, made on demand */
const char *sip_st_peer(const struct sip_st *st);                         /* TLS name of who sent it */
bool sip_st_cancelled(const struct sip_st *st);
typedef void (sip_cancel_cb)(struct sip_st *st, void *arg);               /* answer 487 (the CANCEL itself is answered) */
typedef void (sip_ack_cb)(struct sip_st *st, const struct sip_msg *ack, int err, void *arg);  /* 2xx to INVITE */
void sip_st_set_cb(struct sip_st *st, sip_cancel_cb *cancelcb, sip_ack_cb *ackcb, void *arg); /* NULLs detach */

/* --- client side */
struct sip_req {
	const char *method, *ruri, *from, *to, *call_id;   /* from/to: complete header values with tags */
	uint32_t    cseq;
	const char *route;                  /* complete "Route: ...\r\n" lines, or NULL; the first one is the next hop */
	const char *hdrs, *ctype;
	struct str  body;
	const char *dest;                   /* overrides the next hop: "host:port", or NULL */
	bool        no_answer;              /* BENOTIFY: sent once, no transaction, respcb never called */
	uint32_t    timeout_ms;             /* 0: 32000 */
};
typedef void (sip_response_cb)(int err, const struct sip_msg *m, void *arg);   /* err<0 with m NULL: -ETIMEDOUT, ... */
int  sip_request(struct sip *s, struct sip_ct **ctp, const struct sip_req *r, sip_response_cb *cb, void *arg);
/* ctp NULL: fire and forget handle. mem_deref(ct) silences the callback. ACK to a non-2xx is sent by the transaction.
 * An INVITE whose handle is dropped is cancelled; should it be answered 2xx all the same, that is acknowledged and ended
 * with BYE. After a 1xx an INVITE waits up to 200 s, whatever timeout_ms says. Hosts of next hops are numeric. */
int  sip_ack(struct sip *s, const struct sip_req *r);                     /* ACK to a 2xx */
int  sip_cancel(struct sip_ct *ct);

/* --- dialogs (RFC 3261 12): plain data, kept in a store and read back */
struct sip_dlg {
	char    *call_id, *local_tag, *remote_tag;
	char    *local_uri, *remote_uri;    /* URIs without tags */
	char    *remote_target;             /* Contact of the peer */
	char    *route;                     /* "Route: ...\r\n" lines in sending order, or NULL */
	uint32_t local_cseq, remote_cseq;
};
int  sip_dlg_uas(struct sip_dlg **dp, const struct sip_msg *req, const char *local_tag);   /* -EBADMSG without Contact */
int  sip_dlg_uac(struct sip_dlg **dp, const struct sip_msg *resp_2xx, const char *local_uri);
void sip_dlg_target_refresh(struct sip_dlg *d, const struct sip_msg *m);
/* 0 when m (in-dialog request) belongs and is in order; -ENOENT wrong tags; -EPROTO CSeq too low (answer 500). Updates
 * remote_cseq. */
int  sip_dlg_accept(struct sip_dlg *d, const struct sip_msg *m);
bool sip_dlg_match(const struct sip_dlg *d, const struct sip_msg *m);
int  sip_dlg_request(struct sip *s, struct sip_ct **ctp, struct sip_dlg *d, const char *method, const char *hdrs,
		     const char *ctype, struct str body, sip_response_cb *cb, void *arg);   /* BENOTIFY: no answer */
int  sip_dlg_ack(struct sip *s, struct sip_dlg *d, uint32_t cseq);

const char *sip_reason(int code);

#endif
