/* SPDX-License-Identifier: Apache-2.0 */
/* metric.h - counters, gauges and histograms in Prometheus text form
 *
 * A module owns its metrics as statics and registers them once at start. Writes are relaxed atomics: any thread may.
 *   static struct metric joins = METRIC_COUNTER("conclave_focus_joins_total", "Joins admitted");
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H
#include <stdatomic.h>
#include "lib/base/buf.h"

struct metric {
	const char    *name, *help;
	const char    *labels;        /* NULL or `code="488"`; rows of one name stand together */
	const char    *part;          /* of a histogram: "_bucket", "_sum" or "_count" behind the name, else NULL */
	bool           gauge, milli;  /* milli: counted in thousandths */
	_Atomic int64_t v;
	struct metric *next;
};

#define METRIC_COUNTER(nm, hlp) { .name = (nm), .help = (hlp) }
#define METRIC_GAUGE(nm, hlp)   { .name = (nm), .help = (hlp), .gauge = true }
#define METRIC_LABEL(nm, lbl, hlp) { .name = (nm), .help = (hlp), .labels = (lbl) }
#define METRIC_PART(nm, prt, lbl, hlp) { .name = (nm), .part = (prt), .help = (hlp), .labels = (lbl) }

void metric_register(struct metric *m, size_t n);         /* n metrics in a row; registering twice is harmless */
void metric_render(struct buf *b);
static inline void metric_inc(struct metric *m) { atomic_fetch_add_explicit(&m->v, 1, memory_order_relaxed); }
static inline void metric_add(struct metric *m, int64_t n) { atomic_fetch_add_explicit(&m->v, n, memory_order_relaxed); }
static inline void metric_set(struct metric *m, int64_t v) { atomic_store_explicit(&m->v, v, memory_order_relaxed); }
static inline int64_t metric_get(const struct metric *m) { return m->v; }

#endif
