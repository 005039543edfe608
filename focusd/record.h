/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the conference record as C3P says it: conference-info of scheduling commands, read and written */
#ifndef FOCUSD_RECORD_H
#define FOCUSD_RECORD_H
#include "focusd/app.h"
#include "lib/c3p/msg.h"

struct record {
	const char      *subject, *display, *conf_id;      /* borrowed from the document */
	enum conf_policy policy;
	int64_t          expiry_s;
	struct buf       invited, types;                   /* as in struct conf */
	char            *passcode;                         /* mem; wiped by record_fini(); NULL: none said */
	bool             has_version;
	uint64_t         version;
};
/* NULL, or the C3P failure reason (docs/c3p.md, schedule). record_fini() either way. */
const char *record_decode(struct record *r, const struct app *a, const struct xml_node *conf_info);
void record_fini(struct record *r);
/* ci:conference-info of a stored record; whole: with users and MCU types, else a summary. */
void record_encode(struct xmlw *w, const struct conf *c, bool whole);
void record_encode_with(struct xmlw *w, const struct conf *c, bool whole, const char *passcode);   /* encrypted for the reader */

#endif
