/* SPDX-License-Identifier: Apache-2.0 */
/* guess.h - who guesses is slowed down: wrong tries by key, be it a caller's, an address's or a conference's
 *
 * Callers at the attendant (attendant.c), pass codes of a conference (passcode.c) and passwords (service_http.c) are counted
 * in a table each. Counts are forgotten after within_ms; one that reaches its limit is paused for pause_ms. The table is
 * bounded: the oldest go. So are its keys: those that agree in the first GUESS_KEY bytes are one.
 */
#ifndef FOCUSD_GUESS_H
#define FOCUSD_GUESS_H
#include <stdbool.h>
#include <stdint.h>

#define GUESS_MAX 8192u
#define GUESS_KEY 255u

struct guesses;
int  guesses_alloc(struct guesses **gp, uint64_t pause_ms, uint64_t within_ms);
bool guess_paused(const struct guesses *g, const char *key, uint64_t now_ms);      /* key NULL: never */
void guess_wrong(struct guesses *g, const char *key, unsigned limit, uint64_t now_ms);
/* Forgets the wrong ones; a pause goes on. An address is not forgiven, do not call it for one. */
void guess_right(struct guesses *g, const char *key, uint64_t now_ms);
unsigned guess_count(const struct guesses *g);

#endif
