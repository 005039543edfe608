/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - sequences of keys that a caller presses, and what they ask for; pure
 *
 * A sequence begins with * or #, so a key that is pressed by mistake asks for nothing, and none is the beginning of
 * another, so each is known with its last key.
 */
#ifndef MCU_KEYS_H
#define MCU_KEYS_H
#include <stdint.h>

/* name in [keys] of the configuration, keys, what it does */
#define KEY_CMDS(X) \
	X(MUTE, mute, "*6", "Keys that mute the caller and let him be heard again; empty: none") \
	X(HAND, hand, "*5", "Keys that raise and lower the caller's hand; empty: none") \
	X(LOUDER, louder, "*8", "Keys that turn up what the caller hears; empty: none") \
	X(QUIETER, quieter, "*7", "Keys that turn it down; empty: none") \
	X(COUNT, count, "*2", "Keys that tell how many participants there are; empty: none") \
	X(LOCK, lock, "*9", "Keys by which presenters lock and open the conference; empty: none") \
	X(RECORD, record, "*3", "Keys by which presenters start and stop the recording; empty: none") \
	X(HELP, help, "*0", "Keys that tell all of these; empty: none")
enum key_cmd {
	KEY_NONE,
#define X(id, name, dflt, text) KEY_##id,
	KEY_CMDS(X)
#undef X
	KEY_N
};

#define KEYS_MAX 6u                          /* in a sequence */
#define KEYS_GAP_MS 3000u                    /* between two keys of one */
struct keys { char seq[KEY_N][KEYS_MAX + 1]; };
struct keys_in {                             /* of one caller */
	char     buf[KEYS_MAX + 1];
	uint64_t at_ms;
};

int keys_set(struct keys *k, enum key_cmd c, const char *seq);       /* "": none; -EINVAL: not * or # and then keys */
enum key_cmd keys_clash(const struct keys *k);                       /* one that begins with another, or KEY_NONE */
enum key_cmd keys_feed(const struct keys *k, struct keys_in *in, char key, uint64_t now_ms);
const char *keys_name(enum key_cmd c);

#endif
