/* SPDX-License-Identifier: Apache-2.0 */
/* passcode.h - anonymous callers show a conference's pass code by digest (MS-SIPAE 3.2.4.3; docs/c3p.md, anonymous) */
#ifndef FOCUSD_PASSCODE_H
#define FOCUSD_PASSCODE_H
#include "focusd/uas.h"

/* true: the request carries the right pass code. false: it has been answered (401 with a challenge, or 403 after too many
 * wrong ones). */
bool passcode_shown(struct uas_req *rq);

#endif
