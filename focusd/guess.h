/* SPDX-License-Identifier: Apache-2.0 */
/* guess.h - who tries conference numbers and pass codes is slowed down: wrong tries by key, a caller's or an address's
 *
 * Counts are forgotten after pause_ms; one that reaches its limit is paused for as long. The table is bounded: the oldest go.
 */
#ifndef FOCUSD_GUESS_H
#define FOCUSD_GUESS_H
#include <stdbool.h>
#include <stdint.h>

#define GUESS_MAX 8192u

struct guesses;
int  guesses_alloc(struct guesses **gp, uint64_t pause_ms);
bool guess_paused(const struct guesses *g, const char *key, uint64_t now_ms);      /* key NULL: never */
void guess_wrong(struct guesses *g, const char *key, unsigned limit, uint64_t now_ms);
void guess_right(struct guesses *g, const char *key);          /* forgets; an address is not forgiven, do not call it for one */
unsigned guess_count(const struct guesses *g);

#endif
