/* SPDX-License-Identifier: Apache-2.0 */
/* passcode.h - anonymous callers show a conference's pass code by digest (MS-SIPAE 3.2.4.3; docs/c3p.md, anonymous) */
#ifndef FOCUSD_PASSCODE_H
#define FOCUSD_PASSCODE_H
#include "focusd/uas.h"

int  passcode_start(struct app *a);
/* true: the request carries the right pass code. false: it has been answered (401 with a challenge, or 403 after too many
 * wrong ones). */
bool passcode_shown(struct uas_req *rq);
/* For a request outside of his dialogs in the name of somebody who is inside: an anonymous name stands in the roster for
 * all to read, so it is believed with the pass code only. true for everybody whom the edge knows. */
bool passcode_again(struct uas_req *rq);
/* What a caller has typed: -EACCES: wrong; -EBUSY: none is looked at for a while. A conference without one takes an empty one. */
int  passcode_try(struct app *a, struct conf *c, struct str typed);

#endif
