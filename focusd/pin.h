/* SPDX-License-Identifier: Apache-2.0 */
/* pin.h - pass codes of conferences: never kept or stored as they are, see lib/tls/seal.h */
#ifndef FOCUSD_PIN_H
#define FOCUSD_PIN_H
#include "focusd/app.h"

int  pin_start(struct app *a, char *err, size_t errsz);          /* the key lies beside the database: PATH.key */
int  pin_set(struct app *a, struct conf *c, const char *pin);    /* NULL or "": none */
int  pin_open(const struct app *a, const struct conf *c, char **plain);   /* seal_wipe() it; -ENOENT: none */
bool pin_ok(const struct app *a, const struct conf *c, struct str pin);   /* also true for a conference that has none */

#endif
