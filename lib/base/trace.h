/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - what this process did with a call: a ring of short events per Call-ID, for the admin command `why`
 *
 * The last TRACE_CALLS calls are kept, each with its last TRACE_EVENTS events; the call unused for longest makes room.
 * One thread (the signalling loop). Never a key, ticket or pass code: the text is shown to operators.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H
#include <stdint.h>

#define TRACE_CALLS  2000u
#define TRACE_EVENTS 24u
#define TRACE_TEXT   160u

/* Adds an event; silently does nothing when call_id is NULL or empty or memory is short. */
void trace_add(const char *call_id, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Calls each() for every event of that call, oldest first; lost: earlier events that the ring no longer holds (told
 * with the first one). Returns the number of events, -ENOENT when nothing is known. */
typedef void (trace_each_cb)(uint64_t wall_ms, const char *text, unsigned lost, void *arg);
int  trace_find(const char *call_id, trace_each_cb *each, void *arg);

unsigned trace_calls(void);                  /* calls held now */
void     trace_flush(void);                  /* frees all of it */

#endif
