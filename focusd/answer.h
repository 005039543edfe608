/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - what goes back to a client: after the commit of the turn that made it, 503 when the commit failed */
#ifndef FOCUSD_ANSWER_H
#define FOCUSD_ANSWER_H
#include "focusd/app.h"
#include "lib/base/buf.h"
#include "lib/c3p/msg.h"
#include "lib/sip/sip.h"

/* ms-diagnostics of the focus (docs/c3p.md); 3012..: see there which conditions share one */
enum diag { DIAG_NONE = 0, DIAG_FROM = 3000, DIAG_TO = 3001, DIAG_USER = 3002, DIAG_CONF_ENTITY = 3003, DIAG_UNKNOWN_COMMAND = 3004,
	    DIAG_NO_MCU_HERE = 3005, DIAG_NOT_C3P = 3006, DIAG_ADD_USER = 3007, DIAG_ACCESS = 3008, DIAG_ENDPOINT = 3009,
	    DIAG_CONF_URI = 3012, DIAG_MCU_URI = 3013, DIAG_FORBIDDEN = 3014, DIAG_DIALOUT = 3015, DIAG_ROLE = 3016 };

struct answer {
	int         code;
	const char *to_tag;              /* NULL: none of ours */
	const char *hdrs;                /* header lines, copied */
	const char *ctype;               /* static text */
	struct str  body;                /* copied */
	int         diag;                /* ms-diagnostics, with text */
	const char *text;
};
void answer(struct app *a, struct sip_st *st, const struct answer *an);
void answer_error(struct app *a, struct sip_st *st, int code, enum diag diag, const char *text);
/* A C3P body built by the caller in b (freed here). */
void answer_c3p(struct app *a, struct sip_st *st, int code, struct buf *b, enum diag diag, const char *text);

/* The same over HTTPS; b (freed here, NULL: no body) is the answer. */
struct http_req;
void answer_http(struct app *a, struct http_req *rq, int status, const char *ctype, struct buf *b);

/* A request of ours inside a focus dialog, after the commit; nobody waits for the answer (a 481 ends the endpoint). Keeps
 * the dialog alive. */
void say_stop(void);                     /* at shutdown, behind store_flush(): forgets those unanswered */
void say_later(struct app *a, struct sip_dlg *dlg, const char *method, const char *hdrs, const char *ctype, struct str body);

#endif
