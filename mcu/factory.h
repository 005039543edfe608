/* SPDX-License-Identifier: Apache-2.0 */
/* factory.h - telling the MCU factories how a service is: every 10 s and on change */
#ifndef MCU_FACTORY_H
#define MCU_FACTORY_H
#include <stdbool.h>
#include "lib/xml/xml.h"

struct service;
struct factory;
int  factory_alloc(struct factory **fp, struct service *s);    /* starts at once; a->instance is set */
void factory_changed(struct factory *f);                       /* told within a second */
void factory_now(struct factory *f);                           /* at once */
bool factory_idle(const struct factory *f);                    /* no report is under way */
void factory_health(struct factory *f, struct xmlw *w);        /* the oc:health element, next seq */
unsigned factory_load(struct factory *f);                      /* percent */

#endif
