/* SPDX-License-Identifier: Apache-2.0 */
/* imsdp.c - reading and writing chat descriptions, see imsdp.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include "mcu/chat/imsdp.h"

/* A word: it is echoed in the answer, so nothing may hide in it. */
static int copy(char *out, size_t outsz, struct str s)
{
	if (str_empty(s) || s.l >= outsz)
		return -EBADMSG;
	for (size_t i = 0; i < s.l; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return -EBADMSG;
	memcpy(out, s.p, s.l);
	out[s.l] = '\0';
	return 0;
}

static bool is_message(const struct imsdp_line *l)
{
	struct str type = str_c(l->type);

	return (str_ieq(type, STR("message")) || str_ieq(type, STR("x-ms-message"))) &&
	       str_ieq(str_c(l->proto), STR("sip"));
}

/* "message 5060 sip null" */
static int media_line(struct imsdp_line *l, uint64_t *port, struct str v)
{
	struct str type = str_cut(&v, ' '), number = str_cut(&v, ' '), proto = str_cut(&v, ' ');

	number = str_cut(&number, '/');
	if (copy(l->type, sizeof(l->type), type) || copy(l->proto, sizeof(l->proto), proto) || str_u64(number, port) ||
	    *port > 65535)
		return -EBADMSG;
	v = str_trim(v);
	v = str_cut(&v, ' ');
	return str_empty(v) ? copy(l->fmt, sizeof(l->fmt), STR("null")) : copy(l->fmt, sizeof(l->fmt), v);
}

int imsdp_decode(struct imsdp *s, struct str text)
{
	bool found = false, mine = false, first = true;
	uint64_t port;

	memset(s, 0, sizeof(*s));
	if (text.l > IMSDP_MAX_BYTES)
		return -E2BIG;
	while (!str_empty(text)) {
		struct str line = str_trim(str_cut(&text, '\n')), v;

		if (str_empty(line))
			continue;
		if (line.l < 2 || line.p[1] != '=' || (first && line.p[0] != 'v'))
			return -EBADMSG;
		first = false;
		v = (struct str){ line.p + 2, line.l - 2 };
		if (line.p[0] == 'm') {
			if (s->nlines == IMSDP_MAX_LINES)
				return -E2BIG;
			if (media_line(&s->lines[s->nlines], &port, v))
				return -EBADMSG;
			mine = !found && port && is_message(&s->lines[s->nlines]);
			if (mine)
				s->active = s->nlines;
			found |= mine;
			s->nlines++;
		} else if (mine && str_istarts(line, STR("a=accept-types:"))) {
			mime_accept_decode(&s->accept, (struct str){ line.p + 15, line.l - 15 });
		}
	}
	if (!s->accept.n)
		mime_accept_decode(&s->accept, STR("text/plain"));
	return first ? -EBADMSG : found ? 0 : -ENOENT;
}

void imsdp_offer(struct imsdp *s)
{
	memset(s, 0, sizeof(*s));
	s->nlines = 1;
	strcpy(s->lines[0].type, "message");
	strcpy(s->lines[0].proto, "sip");
	strcpy(s->lines[0].fmt, "null");
}

int imsdp_encode(struct buf *b, const struct imsdp *s, const struct imsdp_prm *prm)
{
	const char *family = strchr(prm->ip, ':') ? "IP6" : "IP4";

	buf_printf(b, "v=0\r\no=%s %" PRIu64 " %" PRIu64 " IN %s %s\r\ns=session\r\nc=IN %s %s\r\nt=0 0\r\n", prm->name,
		   prm->sess_id, prm->version, family, prm->ip, family, prm->ip);
	for (unsigned i = 0; i < s->nlines; i++) {
		const struct imsdp_line *l = &s->lines[i];

		buf_printf(b, "m=%s %u %s %s\r\n", l->type, i == s->active ? prm->port : 0, l->proto, l->fmt);
		if (i == s->active)
			buf_puts(b, "a=accept-types:" IMSDP_TYPES "\r\n");
	}
	return b->err;
}
