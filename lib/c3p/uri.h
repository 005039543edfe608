/* SPDX-License-Identifier: Apache-2.0 */
/* uri.h - conference URIs: sip:ORGANIZER@DOMAIN;gruu;opaque=app:conf:TYPE[:id:ID] (MS-CONFBAS 2.2, digest grammar) */
#ifndef C3P_URI_H
#define C3P_URI_H
#include "lib/base/str.h"

enum c3p_type { C3P_FOCUSFACTORY, C3P_FOCUS, C3P_CHAT, C3P_AUDIO_VIDEO, C3P_APPLICATIONSHARING, C3P_MEETING,
		C3P_PHONE_CONF, C3P_NTYPES };
extern const char *const c3p_type_names[C3P_NTYPES];
int c3p_type_find(struct str name);                       /* enum c3p_type or -ENOENT; "audiovideo" is read too */

struct c3p_uri {                                          /* borrowed from the text */
	struct str    user, domain;
	enum c3p_type type;
	struct str    id;                                 /* empty for the factory */
	struct str    mcu;                                /* oc-mcu=, empty when absent */
	struct str    ticket;                             /* oc-ticket=, empty when absent */
};
/* Parameters in any order, names without case, a "?..." tail and a leading conf: / meet: ignored. -EBADMSG when it is
 * not a conference URI. */
int  c3p_uri_decode(struct c3p_uri *u, struct str s);
/* "sip:alice@example.net;gruu;opaque=app:conf:focus:id:X", new reference. id NULL or "": no ":id:" part. */
char *c3p_uri_make(const char *user, const char *domain, enum c3p_type type, const char *id);
bool c3p_uri_same(struct str a, struct str b);            /* same conference and type; other parameters ignored */
bool c3p_id_valid(struct str id);                         /* 8 to 32 letters and digits */

#endif
