/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per event on stderr: time level area text
 *
 * Areas have a level each, changed at run time (`confctl loglevel`). A line that a peer can cause is
 * rate-limited per call site: at most 5 a second, the rest is counted and told with the next one.
 * Never a key, password, pass code or ticket.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdatomic.h>
#include <stdbool.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

#define LOG_AREAS(X) X(app) X(sip) X(tls) X(http) X(c3p) X(conf) X(store) X(factory) X(media) X(leg) X(admin)
enum log_area {
#define X(a) LOG_##a,
	LOG_AREAS(X)
#undef X
	LOG_NAREAS
};

struct log_rate { _Atomic long long window; atomic_uint n, lost; };

void log_write(enum log_area area, enum log_level lvl, struct log_rate *rate, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool log_on(enum log_area area, enum log_level lvl);
int  log_set(const char *area, const char *level);      /* area NULL or "all": every one; -EINVAL */
void log_dump(void (*each)(const char *area, const char *level, void *arg), void *arg);
void log_ident(const char *ident);                      /* printed first, e.g. "focusd" */

#define LOG_AT_(area, lvl, rate, ...) \
	do { if (log_on(LOG_##area, lvl)) log_write(LOG_##area, lvl, rate, __VA_ARGS__); } while (0)
#define log_error(area, ...) LOG_AT_(area, LOG_LVL_ERROR, NULL, __VA_ARGS__)
#define log_info(area, ...)  LOG_AT_(area, LOG_LVL_INFO, NULL, __VA_ARGS__)
#define log_debug(area, ...) LOG_AT_(area, LOG_LVL_DEBUG, NULL, __VA_ARGS__)
#define log_warn(area, ...) \
	do { static struct log_rate rate_; LOG_AT_(area, LOG_LVL_WARN, &rate_, __VA_ARGS__); } while (0)

#endif
