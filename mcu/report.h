/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what the focus does not know yet about one conference (pure: no HTTP, no XML)
 *
 * Changes of endpoints are marked; report_take() moves them into the one notification that is under way and gives it
 * the next version (from 1, no gaps). What changes meanwhile waits and merges: an endpoint stands once in it, with the
 * state it has when it is written. The notification is repeated byte for byte until report_done(); so nothing is lost
 * and nothing is told twice under different versions.
 */
#ifndef MCU_REPORT_H
#define MCU_REPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_what { REPORT_TALK = 1, REPORT_STATE = 2 };      /* talking alone is not urgent */

struct report_item {
	const char *user, *endpoint;         /* borrowed until report_done() or the item is marked again */
	unsigned    what;                    /* enum report_what, or-ed */
};

struct report;
int  report_alloc(struct report **rp);
int  report_mark(struct report *r, const char *user, const char *endpoint, enum report_what what);

bool     report_pending(const struct report *r);             /* something waits */
bool     report_urgent(const struct report *r);              /* something other than talking waits */
bool     report_busy(const struct report *r);                /* one is under way */
uint64_t report_version(const struct report *r);             /* of the last one taken; 0: none yet */

/* Calls each() for at most max items in the order of their first change; each() returns false to leave an item and
 * all later ones for the next. The first is always taken. Returns the version; 0: nothing to take or one is busy. */
typedef bool (report_each_cb)(const struct report_item *it, void *arg);
uint64_t report_take(struct report *r, unsigned max, report_each_cb *each, void *arg);
void     report_done(struct report *r);
void     report_untake(struct report *r);                    /* it could not be written: as before report_take() */

#endif
