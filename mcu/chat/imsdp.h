/* SPDX-License-Identifier: Apache-2.0 */
/* imsdp.h - session descriptions of chat: "m=message 5060 sip null" with a=accept-types, old and new form; pure
 *
 * OCS 2007 writes the medium `message`, later clients `x-ms-message`; the answer uses the offer's word.
 */
#ifndef CHAT_IMSDP_H
#define CHAT_IMSDP_H
#include "lib/base/buf.h"
#include "mcu/chat/mime.h"

#define IMSDP_MAX_BYTES (16u * 1024)
#define IMSDP_MAX_LINES 8u
#define IMSDP_TYPES "text/plain text/html image/gif multipart/alternative application/im-iscomposing+xml " \
		    "application/ms-imdn+xml"

struct imsdp_line { char type[24], proto[24], fmt[64]; };
struct imsdp {
	unsigned           nlines, active;   /* active: index of the message line */
	struct imsdp_line  lines[IMSDP_MAX_LINES];
	struct mime_accept accept;           /* text/plain when nothing is said */
};
/* -EBADMSG: not SDP; -ENOENT: no message line with a port; -E2BIG */
int  imsdp_decode(struct imsdp *s, struct str text);
void imsdp_offer(struct imsdp *s);                       /* the lines of an offer of ours */
struct imsdp_prm { const char *ip, *name; uint64_t sess_id, version; unsigned port; };
int  imsdp_encode(struct buf *b, const struct imsdp *s, const struct imsdp_prm *prm);

#endif
