/* SPDX-License-Identifier: Apache-2.0 */
/* prompts.h - what the bridge says: recordings by name, in one language, the operator's own before those installed
 *
 * A recording NAME is the first that can be read of OWN/LANGUAGE/NAME.wav, OWN/NAME.wav, INSTALLED/LANGUAGE/NAME.wav,
 * INSTALLED/NAME.wav. One that is missing or broken is a line in the log and a tone. Without a language there are tones
 * only, and nobody is told what a tone could not say.
 */
#ifndef MCU_PROMPTS_H
#define MCU_PROMPTS_H
#include "mcu/audio/clip.h"
#include "mcu/media/media.h"

/* name of the file; Hz and ms of the tone in its place, 0: nothing */
#define PROMPTS(X) \
	X(JOIN, "join", 0, 0) X(LEAVE, "leave", 0, 0) X(MUSIC, "music", 0, 0) X(ALONE, "alone", 0, 0) \
	X(MUTED, "muted", 350, 150) X(UNMUTED, "unmuted", 700, 150) X(NOT_NOW, "not-now", 250, 300) \
	X(LOCKED, "locked", 400, 300) X(UNLOCKED, "unlocked", 800, 300) \
	X(HAND_UP, "hand-up", 750, 150) X(HAND_DOWN, "hand-down", 375, 150) \
	X(LOUDER, "louder", 900, 80) X(QUIETER, "quieter", 450, 80) \
	X(COUNT_BEFORE, "count-before", 0, 0) X(COUNT_AFTER, "count-after", 0, 0) \
	X(HELP_MUTE, "help-mute", 0, 0) X(HELP_HAND, "help-hand", 0, 0) X(HELP_LOUDER, "help-louder", 0, 0) \
	X(HELP_QUIETER, "help-quieter", 0, 0) X(HELP_COUNT, "help-count", 0, 0) X(HELP_LOCK, "help-lock", 0, 0) \
	X(HELP_RECORD, "help-record", 0, 0) X(HELP_HELP, "help-help", 0, 0) \
	X(ENTER_NUMBER, "enter-number", 620, 400) X(ENTER_PIN, "enter-pin", 820, 400) X(WRONG_PIN, "wrong-pin", 250, 800) \
	X(NO_ACCESS, "no-access", 250, 800) X(BUSY, "busy", 480, 600) X(WAIT, "wait", 620, 100) X(GOODBYE, "goodbye", 300, 400) \
	X(RECORDING_ON, "recording-on", 1400, 300) X(RECORDING_OFF, "recording-off", 1400, 150) \
	X(STAR, "star", 941, 100) X(POUND, "pound", 1477, 100)
enum prompt {
#define X(id, file, hz, ms) PROMPT_##id,
	PROMPTS(X)
#undef X
	PROMPT_0,                            /* and so on, up to twenty */
	PROMPT_N = PROMPT_0 + 21
};

struct prompts;
int  prompts_alloc(struct prompts **pp, const char *language, const char *own);
void prompts_load(struct prompts *p, const char *language, const char *own);   /* again; what plays goes on as it was */
bool prompts_spoken(const struct prompts *p);                                  /* there is a language */
struct clip *prompts_clip(const struct prompts *p, enum prompt id);            /* borrowed; NULL: nothing */
/* To one leg; returns how long it takes, ms. how: PLAY_* */
unsigned prompts_say(const struct prompts *p, struct mleg *l, unsigned how, const enum prompt *ids, unsigned n);
/* A number as the language's recordings have it: up to twenty a word, else its digits. Returns how many of room. */
unsigned prompts_number(unsigned v, enum prompt *ids, unsigned room);
enum prompt prompts_key(char key);                                             /* of '0'..'9', '*', '#' */

#endif
