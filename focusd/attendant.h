/* SPDX-License-Identifier: Apache-2.0 */
/* attendant.h - callers who dial the attendant's address are asked for the number and the pass code of a conference
 *
 *   INVITE sip:conference@DOMAIN -> attendant_conf(): a conference of its own, whose MCU keeps its callers apart and asks
 *   them -> `enter` of that MCU -> number, pass code, admission -> addUser with oc:move: his call goes on to it
 */
#ifndef FOCUSD_ATTENDANT_H
#define FOCUSD_ATTENDANT_H
#include "focusd/uas.h"

struct http_req;
struct c3p_req;

int  attendant_start(struct app *a);
bool attendant_is(const struct conf *c);
struct conf *attendant_conf(struct app *a, struct str user);           /* made at need; NULL: not its address */
bool attendant_reserved(const char *organizer);                        /* nobody else's rooms are his */
bool attendant_paused(const struct uas_req *rq);                       /* this caller, or his address, has tried too often */
void attendant_on_enter(struct app *a, struct http_req *hr, const struct c3p_req *r);

#endif
