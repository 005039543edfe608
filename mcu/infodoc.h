/* SPDX-License-Identifier: Apache-2.0 */
/* infodoc.h - the model as conference-info: what the focus is told, and what getConference answers */
#ifndef MCU_INFODOC_H
#define MCU_INFODOC_H
#include "lib/xml/xml.h"
#include "mcu/conf.h"

#define INFODOC_MAX_BYTES (600u * 1024)      /* well below what a reader takes */
#define INFODOC_MAX_ITEMS 400u

/* An oc:notify request with what waits in c->report; 0 and b->l == 0: nothing waits. After an error the report is as
 * before. */
int infodoc_notify(struct buf *b, struct conf *c);
/* conference-info inside an open command element. Endpoints that do not fit are marked in c->report, so that they
 * follow as notifications, and the state is "partial". */
void infodoc_full(struct xmlw *w, struct conf *c);

#endif
