/* SPDX-License-Identifier: Apache-2.0 */
/* filters.h - the media filters that presenters set for a role ("mute all"), as the conference keeps them
 *
 * They are the focus's, not the MCU's: committed before the MCU hears of them, shown in the audio entity-view, given to each
 * MCU that takes the conference over, and over with the activation. The conference holds them as text (conf->filters):
 *
 *   rule ROLE INGRESS EGRESS OWN     digits of enum c3p_say
 *   but sip:user@domain              an exception of the rule above
 */
#ifndef FOCUSD_FILTERS_H
#define FOCUSD_FILTERS_H
#include "focusd/conf.h"
#include "lib/c3p/rules.h"

struct filters { struct c3p_rule rule[C3P_NRULES]; unsigned n; char *text; };        /* text: what the rules borrow from */
int  filters_read(struct filters *f, const char *text);  /* -ENOMEM; NULL: no rules */
void filters_fini(struct filters *f);
/* What text becomes with a change: new reference in *out, NULL when no rule is left. What a rule leaves unsaid stays as it
 * was; full: roles that are not named have no rule any more. */
int  filters_merge(char **out, const char *text, const struct c3p_rule *r, unsigned n, bool full);

#endif
