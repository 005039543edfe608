/* SPDX-License-Identifier: Apache-2.0 */
/* uri.c - conference URIs: text in, borrowed pieces out
 *
 * The text is stripped of what users paste with it (conf:, meet:, "?conf-key=..."), split at ';' and read against a
 * table of the parameters that matter. An opaque= that comes twice is refused, so that nobody can be made to read the
 * other one.
 */
#include <errno.h>
#include "lib/base/mem.h"
#include "lib/c3p/uri.h"

#define MAX_URI 1024u

const char *const c3p_type_names[C3P_NTYPES] = {
	[C3P_FOCUSFACTORY]       = "focusfactory",
	[C3P_FOCUS]              = "focus",
	[C3P_CHAT]               = "chat",
	[C3P_AUDIO_VIDEO]        = "audio-video",
	[C3P_APPLICATIONSHARING] = "applicationsharing",
	[C3P_MEETING]            = "meeting",
	[C3P_PHONE_CONF]         = "phone-conf",
};

int c3p_type_find(struct str name)
{
	for (int i = 0; i < C3P_NTYPES; i++)
		if (str_ieq(name, str_c(c3p_type_names[i])))
			return i;
	return str_ieq(name, STR("audiovideo")) ? (int)C3P_AUDIO_VIDEO : -ENOENT;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool c3p_id_valid(struct str id)
{
	if (id.l < 8 || id.l > 32)
		return false;
	for (size_t i = 0; i < id.l; i++)
		if (!is_alnum(id.p[i]))
			return false;
	return true;
}

static bool skip(struct str *s, struct str prefix)
{
	if (!str_istarts(*s, prefix))
		return false;
	s->p += prefix.l;
	s->l -= prefix.l;
	return true;
}

/* Cuts the tail off: "?..." or, as meet: links carry it, "%3F...". False when a byte cannot be part of a URI. */
static bool clean(struct str *s)
{
	for (size_t i = 0; i < s->l; i++) {
		uint8_t c = (uint8_t)s->p[i];

		if (c == '?' || (c == '%' && str_istarts((struct str){ s->p + i, s->l - i }, STR("%3f")))) {
			s->l = i;
			return true;
		}
		if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"')
			return false;
	}
	return true;
}

static struct str host_of(struct str hostport)
{
	const char *end;

	if (!hostport.l)
		return hostport;
	end = memchr(hostport.p, hostport.p[0] == '[' ? ']' : ':', hostport.l);
	if (!end)
		return hostport.p[0] == '[' ? STR_NULL : hostport;
	return (struct str){ hostport.p, (size_t)(end - hostport.p) + (*end == ']') };
}

static int service_decode(struct c3p_uri *u, struct str v)      /* behind "app:conf:" */
{
	int type = c3p_type_find(str_cut(&v, ':'));

	if (type < 0)
		return -EBADMSG;
	u->type = (enum c3p_type)type;
	if (type == C3P_FOCUSFACTORY)
		return v.p ? -EBADMSG : 0;
	if (!str_ieq(str_cut(&v, ':'), STR("id")) || !c3p_id_valid(v))
		return -EBADMSG;
	u->id = v;
	return 0;
}

static int params_decode(struct c3p_uri *u, struct str params)
{
	struct str opaque = STR_NULL;
	const struct { struct str name; struct str *value; } known[] = {
		{ STR("opaque"),    &opaque },
		{ STR("oc-mcu"),    &u->mcu },
		{ STR("oc-ticket"), &u->ticket },
	};

	while (params.l) {
		struct str value = str_cut(&params, ';'), name = str_cut(&value, '=');

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (!str_ieq(name, known[i].name))
				continue;
			if (known[i].value->p || !value.l)
				return -EBADMSG;
			*known[i].value = value;
		}
	}
	return skip(&opaque, STR("app:conf:")) ? service_decode(u, opaque) : -EBADMSG;
}

int c3p_uri_decode(struct c3p_uri *up, struct str s)
{
	struct c3p_uri u = { 0 };
	struct str addr;
	int err;

	s = str_trim(s);
	if (!skip(&s, STR("conf:")))
		skip(&s, STR("meet:"));
	if (s.l > MAX_URI || !clean(&s) || (!skip(&s, STR("sip:")) && !skip(&s, STR("sips:"))))
		return -EBADMSG;
	if (!s.l || !memchr(s.p, '@', s.l))
		return -EBADMSG;
	u.user   = str_cut(&s, '@');
	addr     = str_cut(&s, ';');
	u.domain = host_of(addr);
	if (!u.user.l || !u.domain.l)
		return -EBADMSG;
	err = params_decode(&u, s);
	if (err)
		return err;
	*up = u;
	return 0;
}

char *c3p_uri_make(const char *user, const char *domain, enum c3p_type type, const char *id)
{
	bool has_id = id && *id;

	return str_printf("sip:%s@%s;gruu;opaque=app:conf:%s%s%s", user, domain, c3p_type_names[type],
			  has_id ? ":id:" : "", has_id ? id : "");
}

bool c3p_uri_same(struct str a, struct str b)
{
	struct c3p_uri x, y;

	if (c3p_uri_decode(&x, a) || c3p_uri_decode(&y, b))
		return false;
	return x.type == y.type && str_eq(x.user, y.user) && str_ieq(x.domain, y.domain) && str_eq(x.id, y.id);
}
