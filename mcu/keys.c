/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - see keys.h */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "mcu/keys.h"

const char *keys_name(enum key_cmd c)
{
	static const char *const names[KEY_N] = {
		[KEY_NONE] = "nothing",
#define X(id, name, dflt, text) [KEY_##id] = #name,
		KEY_CMDS(X)
#undef X
	};

	return (unsigned)c < KEY_N ? names[c] : "";
}

int keys_set(struct keys *k, enum key_cmd c, const char *seq)
{
	size_t n = strlen(seq);

	if (n && (n < 2 || n > KEYS_MAX || !strchr("*#", seq[0]) || strspn(seq, "0123456789*#") != n))
		return -EINVAL;
	memcpy(k->seq[c], seq, n + 1);
	return 0;
}

static bool begins(const char *s, const char *with)
{
	return *s && *with && !strncmp(s, with, strlen(with));
}

enum key_cmd keys_clash(const struct keys *k)
{
	for (unsigned i = 1; i < KEY_N; i++)
		for (unsigned j = 1; j < KEY_N; j++)
			if (i != j && begins(k->seq[i], k->seq[j]))
				return (enum key_cmd)i;
	return KEY_NONE;
}

/* The command that buf is; *more: it may become one. */
static enum key_cmd match(const struct keys *k, const char *buf, bool *more)
{
	*more = false;
	for (unsigned i = 1; i < KEY_N; i++) {
		if (!strcmp(k->seq[i], buf) && *buf)
			return (enum key_cmd)i;
		*more |= begins(k->seq[i], buf);
	}
	return KEY_NONE;
}

enum key_cmd keys_feed(const struct keys *k, struct keys_in *in, char key, uint64_t now_ms)
{
	size_t n = now_ms - in->at_ms > KEYS_GAP_MS ? 0 : strlen(in->buf);
	enum key_cmd c;
	bool more;

	if (n == KEYS_MAX)
		n = 0;
	in->at_ms = now_ms;
	in->buf[n] = key;
	in->buf[n + 1] = '\0';
	for (;;) {
		c = match(k, in->buf, &more);
		if (c != KEY_NONE)
			in->buf[0] = '\0';
		if (c != KEY_NONE || more || !in->buf[0])
			return c;
		memmove(in->buf, in->buf + 1, strlen(in->buf));      /* what is left may be the beginning of one */
	}
}
