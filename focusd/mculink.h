/* SPDX-License-Identifier: Apache-2.0 */
/* mculink.h - what the focus tells an MCU: C3P commands over HTTPS, sent after the commit of the turn that made them
 *
 * Every function returns 0 and calls cb exactly once later, or returns an error and never does. Who waits keeps keys,
 * not pointers: a conference may be gone when the answer comes.
 */
#ifndef FOCUSD_MCULINK_H
#define FOCUSD_MCULINK_H
#include "focusd/app.h"
#include "lib/c3p/msg.h"

struct mcu;
/* err: 0; -EPROTO: the MCU refused, reason says why; else -ETIMEDOUT, -ECONNREFUSED, -EIO (our commit failed).
 * resp: when the MCU answered, else NULL. */
typedef void (mculink_cb)(int err, const char *reason, const struct c3p_resp *resp, void *arg);

void mculink_init(void);
void mculink_stop(struct app *a);        /* at shutdown, before the store is flushed: everybody is called with -ECANCELED */

int mculink_ping(struct app *a, const struct mcu *m, mculink_cb *cb, void *arg);      /* at once, no commit */

/* Asks the factory, over HTTPS also where it is this process. exclude: ids that were tried, separated by commas. */
int mculink_get_mcu(struct app *a, const struct conf *c, enum conf_session s, const char *exclude, mculink_cb *cb, void *arg);

/* The conference has an MCU: at once when it has, else after getMCU and addConference on it (up to three servers). */
typedef void (mculink_ready_cb)(int err, const char *reason, void *arg);
int mculink_ensure(struct app *a, struct conf *c, enum conf_session s, mculink_ready_cb *cb, void *arg);

struct mculink_user { const char *ticket, *call_id; bool plain_ok; };
int mculink_add_user(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_user *p, mculink_cb *cb, void *arg);
/* Whose call goes on from another conference on the same server. */
struct mculink_move { const struct conf *conf; const char *user, *endpoint; };
int mculink_move_user(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_move *from, mculink_cb *cb, void *arg);
/* Commands whose answer nobody waits for may leave cb NULL. */
int mculink_delete_user(struct app *a, struct conf *c, enum conf_session s, const char *user, const char *endpoint, mculink_cb *cb, void *arg);
int mculink_modify_media(struct app *a, struct conf *c, enum conf_session s, const struct c3p_keys *k, const char *type, const char *ingress,
			 const char *egress, const struct user *by, mculink_cb *cb, void *arg);
/* A client's command as it stands. */
int mculink_forward(struct app *a, struct conf *c, enum conf_session s, const struct xml_node *cmd, const struct user *by,
		    mculink_cb *cb, void *arg);
struct mculink_dial { const char *target, *headers; bool plain_ok; const struct user *by; };
/* The MCU calls out; cb comes when it is over (the MCU's late response), within three minutes. */
int mculink_dial_out(struct app *a, struct conf *c, const struct endpoint *e, const struct mculink_dial *p, mculink_cb *cb, void *arg);
void mculink_late(struct app *a, const struct c3p_resp *resp);           /* a response that an MCU POSTs */
void mculink_sweep(struct app *a);
void mculink_set_role(struct app *a, struct conf *c, const struct user *u, const struct user *by);   /* every MCU of it */
/* The audio MCU records or does not; one that refuses takes the state of the conference back. cb may be NULL and hears how it
 * went (-EPROTO: refused). An error here: cb is not called, and the MCU that takes the conference hears of it then. */
int mculink_set_recording(struct app *a, struct conf *c, bool on, mculink_cb *cb, void *arg);
void mculink_set_locked(struct app *a, struct conf *c, bool locked);
void mculink_set_filters(struct app *a, struct conf *c);  /* the audio MCU has these rules then, and no others */
int mculink_delete_conference(struct app *a, struct conf *c, enum conf_session s);
int mculink_get_conference(struct app *a, struct conf *c, enum conf_session s, mculink_cb *cb, void *arg);
/* for mcuplace.c */
int mculink_add_conference(struct app *a, struct conf *c, enum conf_session s, const struct mcu *m, mculink_cb *cb, void *arg);

#endif
