/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - a headless user of pidgin-sipe: what its files share; see main.c */
#ifndef INTEROP_SIPE_DRIVER_H
#define INTEROP_SIPE_DRIVER_H

#include <jansson.h>
#include <stdbool.h>
#include <libpurple/purple.h>

struct account {
	PurpleAccount *acct;           /* libpurple's; NULL before login */
	GMainLoop     *loop;
};

extern struct account me;

/* One JSON line on stdout; fmt and what follows are json_pack()'s, for an object without its "event". */
void event(const char *name, const char *fmt, ...);

/* ui.c: libpurple's user interface. What it wants to show becomes an event; what it asks waits for ui_answer(). */
void ui_init(const char *home);
int ui_answer(int id, int choice);

/* menu.c: what a user does by menus and by typing. A command gets its JSON line and answers by a negative errno or 0. */
int menu_buddy(json_t *cmd);
int menu_chat(json_t *cmd);
int menu_join(json_t *cmd);
int menu_send(json_t *cmd);
int menu_invite(json_t *cmd);
int menu_leave(json_t *cmd);
int menu_chats(json_t *cmd);
PurpleConversation *menu_find_chat(json_t *cmd);

/* audio.c: a tone for a microphone, a ring of samples for a loudspeaker. */
void audio_init(unsigned tone_hz);
void audio_prefs(void);
int audio_call(json_t *cmd);
int audio_mute(json_t *cmd);
int audio_hangup(json_t *cmd);
int audio_hear(json_t *cmd);

#endif
