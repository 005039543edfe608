/* SPDX-License-Identifier: Apache-2.0 */
/* uas.h - SIP requests from the edge: which call or conference they are for */
#ifndef MCU_UAS_H
#define MCU_UAS_H
#include "lib/sip/sip.h"
#include "mcu/call.h"

struct app;
struct uas {
	struct app  *app;
	struct call *calls;                  /* by key */
	unsigned     byes;                   /* ours, not answered yet */
};

int  uas_alloc(struct uas **up, struct app *a);        /* mem_deref() ends every call without a word */
void uas_on_request(struct sip_st *st, const struct sip_msg *m, void *arg);   /* sip_request_cb; arg: uas */
unsigned uas_calls(const struct uas *u);

#define UAS_ALLOW "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS\r\n"
struct service;
struct conf;
char *uas_contact(const struct service *s, const struct conf *c);     /* the header line, new reference */
/* An error with ms-diagnostics (diag > 0), a Warning with the same text, and more header lines (or NULL). */
int  uas_refuse(struct sip_st *st, int code, int diag, const char *hdrs, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#endif
