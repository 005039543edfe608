/* SPDX-License-Identifier: Apache-2.0 */
/* farewell.h - BYEs that are owed to clients, also across a restart
 *
 * Who is thrown out has no dialog any more in the transaction that says so; should the focus die behind it, nobody would ever
 * tell him. So the BYE is a row of that transaction until the client has answered it.
 */
#ifndef FOCUSD_FAREWELL_H
#define FOCUSD_FAREWELL_H
#include "focusd/app.h"
#include "lib/sip/sip.h"

void farewell(struct app *a, struct sip_dlg *dlg);       /* BYE after the commit; takes a reference */
void farewell_again(struct app *a, int64_t id, struct sip_dlg *dlg);   /* what another life left owing; NULL: it cannot be read */
void farewell_stop(void);                /* at shutdown, behind store_flush(): what is unanswered stays owed */

#endif
