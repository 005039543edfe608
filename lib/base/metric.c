/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - the list of metrics and its text form, see metric.h */
#include <inttypes.h>
#include "lib/base/metric.h"

static struct metric *first, **last = &first;

void metric_register(struct metric *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (m[i].next || last == &m[i].next)
			continue;
		*last = &m[i];
		last = &m[i].next;
	}
}

static void row(struct buf *b, const struct metric *m)
{
	int64_t v = metric_get(m);

	buf_printf(b, "%s%s", m->name, m->part ? m->part : "");
	if (m->labels)
		buf_printf(b, "{%s}", m->labels);
	if (m->milli)
		buf_printf(b, " %.3f\n", (double)v / 1000);
	else
		buf_printf(b, " %" PRId64 "\n", v);
}

void metric_render(struct buf *b)
{
	const char *name = "";

	for (const struct metric *m = first; m; m = m->next) {
		if (strcmp(name, m->name) != 0)
			buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
				   m->part ? "histogram" : m->gauge ? "gauge" : "counter");
		name = m->name;
		row(b, m);
	}
}
