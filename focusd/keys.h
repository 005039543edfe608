/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - what callers order by their own keys in a conference (mcu/bridge.h): presenters lock, open and record it */
#ifndef FOCUSD_KEYS_H
#define FOCUSD_KEYS_H
#include "focusd/app.h"

struct http_req;
struct c3p_req;

void keys_on_lock(struct app *a, struct http_req *hr, const struct c3p_req *r);
void keys_on_record(struct app *a, struct http_req *hr, const struct c3p_req *r);

#endif
