/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h - short secrets at rest (pass codes): AES-256-GCM under a key that lies in a file of its own, mode 0600
 *
 * A sealed secret is text, "1." and hexadecimal: nonce, ciphertext, tag. It is bound to a context (whose it is), so it
 * cannot be moved to another record. Who has the database but not the key file has nothing.
 */
#ifndef TLS_SEAL_H
#define TLS_SEAL_H
#include <stdbool.h>
#include "lib/base/str.h"

#define SEAL_MAX 1024u                       /* bytes of a secret */

struct seal;                                 /* mem_deref() wipes the key */

/* Reads the key file, or makes it on first use. On error err says what is wrong with it. */
int  seal_alloc(struct seal **sp, const char *key_file, char *err, size_t errsz);
int  seal_close(const struct seal *s, char **sealed, struct str context, struct str plain);  /* new reference */
/* New reference, terminated; -EBADMSG: not sealed by this key for this context. Wipe it with seal_wipe() after use. */
int  seal_open(const struct seal *s, char **plain, struct str context, struct str sealed);
/* Is `plain` what was sealed? Takes the same time for every wrong guess of the same length. */
bool seal_is(const struct seal *s, struct str context, struct str sealed, struct str plain);
void seal_wipe(char *plain);

#endif
