/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - the file of call records: whole lines, appended, never in anybody's way
 *
 *   records_write(line) -> queue -> (libuv worker, one at a time) open when needed, write -> file
 *
 * A file that cannot be opened or written costs the lines that were due: counted, told in the log, not kept.
 */
#ifndef MCU_RECORDS_H
#define MCU_RECORDS_H
#include <stdbool.h>
#include "lib/ev/ev.h"
#include "lib/base/str.h"

struct records;
int  records_alloc(struct records **rp, struct ev_loop *l, const char *path);     /* "": no records. Opens it at once */
int  records_reopen(struct records *r, const char *path);    /* NULL: the same, after a rename; -ENOMEM: it stays */
void records_write(struct records *r, struct str line);      /* with its newline */
void records_missed(struct records *r);                      /* there was no memory to make one: counted */
void records_expect(struct records *r, int n);               /* n more records are on their way (or fewer) */
bool records_idle(const struct records *r);                  /* none is, and all are written */
void records_stop(struct records *r);                        /* writes what is left; instead of mem_deref() */
/* Where `[records] path` is: a relative one is below the first of $LOGS_DIRECTORY, and without that nowhere. New reference. */
char *records_path(const char *path);

#endif
