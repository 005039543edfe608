/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h - may a leg share its RTP ports with others? Decided from the offer and where the request came from; pure */
#ifndef MCU_PAIR_H
#define MCU_PAIR_H
#include "lib/sip/msg.h"

/* The body of m is an offer. Shared: it has shared until now; then media on hold (address 0.0.0.0) may stay. */
bool pair_may_share(const struct sip_msg *m, bool shared);

#endif
