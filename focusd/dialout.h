/* SPDX-License-Identifier: Apache-2.0 */
/* dialout.h - an MCU calls somebody into a conference: for addUser dialed-out and for REFER */
#ifndef FOCUSD_DIALOUT_H
#define FOCUSD_DIALOUT_H
#include "focusd/app.h"

typedef void (dialout_ring_cb)(bool alerting, void *arg);      /* it rings, and every [conference] progress_s that it goes on */
struct dialout_prm {
	struct conf      *conf;
	enum conf_session session;
	const char       *entity;        /* the user to be, a SIP URI; copied, as all of it */
	const char       *display;       /* or NULL */
	const char       *endpoint;      /* GUID, or NULL: one is made */
	const char       *target;        /* what is dialled, sip: or tel: */
	const char       *headers;       /* header lines for the INVITE (Replaces), or NULL */
	enum conf_role    role;
	const struct user *by;
	dialout_ring_cb  *ringcb;        /* or NULL */
};
/* err 0: connected; else the C3P reason. Called once; never when dialout_start() fails. */
typedef void (dialout_cb)(int err, const char *reason, void *arg);
int  dialout_start(struct app *a, const struct dialout_prm *prm, dialout_cb *cb, void *arg);
void dialout_alerting(struct app *a, const struct endpoint *e);          /* the MCU says so */
void dialout_sweep(struct app *a);
/* Attendees call themselves only: the user is himself and what is dialled is his. */
bool dialout_allowed(const struct app *a, const struct user *by, const char *entity, const char *target);
/* Who is to be shown: whoever is dialled at an address of our domain is that user, whatever name the command gives him.
 * out holds it; NULL: what is dialled cannot be read. */
const char *dialout_entity(const struct app *a, const char *entity, const char *target, char *out, size_t size);
/* "sip:..." or "tel:..." that may stand in a Request-URI */
bool dialout_target_valid(const char *s);
bool dialout_waits(const struct app *a, const struct endpoint *e);     /* this process has asked an MCU for it, or will */

#endif
