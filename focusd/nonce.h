/* SPDX-License-Identifier: Apache-2.0 */
/* nonce.h - nonces of the digest challenges that focusd makes itself: "time.hash" under a secret of this process, so none is
 * kept. scope: what it is good for, a conference or a service.
 */
#ifndef FOCUSD_NONCE_H
#define FOCUSD_NONCE_H
#include <stdbool.h>
#include "lib/base/str.h"

#define NONCE_SIZE 64
int  nonce_make(char out[NONCE_SIZE], const char *scope);
bool nonce_fresh(struct str nonce, const char *scope, int64_t max_age_s);       /* ours, for that scope, and not too old */

#endif
