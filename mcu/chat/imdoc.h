/* SPDX-License-Identifier: Apache-2.0 */
/* imdoc.h - the small XML documents of chat: delivery reports and typing; pure */
#ifndef CHAT_IMDOC_H
#define CHAT_IMDOC_H
#include "lib/xml/xml.h"

#define IMDOC_IMDN_TYPE   "application/ms-imdn+xml"
#define IMDOC_TYPING_TYPE "application/xml"
#define IMDOC_COMPOSING_TYPE "application/im-iscomposing+xml"

struct imdoc_result { const char *uri; int code; const char *diag; };    /* diag: value of ms-diagnostics, or NULL */
int imdoc_imdn(struct buf *b, uint64_t message_id, const struct imdoc_result *r, unsigned n);

/* KeyboardActivity (INFO) or isComposing (MESSAGE): is somebody typing? -EBADMSG */
int imdoc_typing_decode(bool *typing, struct str body);
int imdoc_typing_encode(struct buf *b, bool typing);

#endif
