/* SPDX-License-Identifier: Apache-2.0 */
/* se.h - session timers (RFC 4028) as an answering side: what to agree on, and when to act (pure) */
#ifndef MCU_SE_H
#define MCU_SE_H
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/str.h"

struct se {
	uint32_t interval_s;                 /* 0: none */
	bool     peer_refreshes;
	bool     peer_supports;              /* its Supported says timer */
};
struct se_prm { uint32_t want_s, min_s; };
/* From a request's Session-Expires and Min-SE (STR_NULL when absent). 0, or -ERANGE: answer 422 with our Min-SE;
 * -EBADMSG: not a number. The peer refreshes where it can. */
int      se_answer(struct se *se, const struct se_prm *prm, bool supports, struct str expires, struct str min_se);
uint32_t se_wait_ms(const struct se *se);    /* peer refreshes: until the session is dead; we: until our refresh */

#endif
