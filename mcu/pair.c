/* SPDX-License-Identifier: Apache-2.0 */
/* pair.c - which legs share a port pair, see pair.h and mcu/media/hub.c
 *
 * On a shared pair a leg is known by the address its media comes from, and proves itself by its key where it has one.
 * So: no ICE and no DTLS in any audio line, and the address in the SDP is that from which the request came, which the
 * lowest Via tells (RFC 3261 18.2.1: `received` where it is not what the client believes). Who lies there, or sits
 * behind a NAT, only has to do with himself.
 */
#include <arpa/inet.h>
#include <string.h>
#include "lib/base/mem.h"
#include "lib/sdp/sdp.h"
#include "mcu/pair.h"

#define VIAS_MAX 32u

struct ip { int family; uint8_t b[16]; };

static bool parse(struct ip *a, struct str s)
{
	char text[INET6_ADDRSTRLEN];

	if (s.l > 2 && s.p[0] == '[' && s.p[s.l - 1] == ']')
		s = (struct str){ s.p + 1, s.l - 2 };
	if (!s.l || s.l >= sizeof(text))
		return false;
	memcpy(text, s.p, s.l);
	text[s.l] = 0;
	memset(a, 0, sizeof(*a));
	a->family = memchr(text, ':', s.l) ? AF_INET6 : AF_INET;
	return inet_pton(a->family, text, a->b) == 1;
}

static bool unspecified(const struct ip *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->b, zero, sizeof(zero));
}

/* "SIP/2.0/UDP host:port;params" */
static bool via_source(struct ip *a, struct str via)
{
	struct str proto = str_cut(&via, ' '), sent_by, v;
	size_t end;

	(void)proto;
	via = str_trim(via);
	sent_by = str_trim(str_cut(&via, ';'));
	if (sip_param(via, STR("received"), &v))
		return parse(a, v);
	if (sent_by.l && sent_by.p[0] == '[') {
		for (end = 0; end < sent_by.l && sent_by.p[end] != ']'; end++)
			;
		return parse(a, (struct str){ sent_by.p, end < sent_by.l ? end + 1 : end });
	}
	return parse(a, str_trim(str_cut(&sent_by, ':')));
}

static bool source(struct ip *a, const struct sip_msg *m)
{
	struct str via = STR_NULL, next;

	for (unsigned i = 0; i < VIAS_MAX; i++, via = next) {
		next = sip_msg_hdr(m, "Via", i);
		if (str_empty(next))
			break;
	}
	return !str_empty(via) && via_source(a, via);
}

static bool line_may(const struct sdp_media *l, const struct ip *from, bool shared)
{
	struct ip at;

	bool sdes = str_ieq(l->proto, STR("RTP/SAVP")) || str_ieq(l->proto, STR("RTP/SAVPF"));

	if (!sdes && !str_ieq(l->proto, STR("RTP/AVP")) && !str_ieq(l->proto, STR("RTP/AVPF")))
		return false;
	if ((sdes && !l->ncrypto) || l->ncand || !str_empty(l->ice_ufrag) || !parse(&at, l->conn))
		return false;
	return unspecified(&at) ? shared : at.family == from->family && !memcmp(at.b, from->b, sizeof(at.b));
}

bool pair_may_share(const struct sip_msg *m, bool shared)
{
	struct sdp *s = NULL;
	bool may = false;
	struct ip from;

	if (!source(&from, m) || sdp_decode(&s, sip_msg_body(m)))
		return false;
	for (unsigned i = 0; i < s->nmedia; i++) {
		if (!str_ieq(s->media[i].type, STR("audio")) || !s->media[i].port)
			continue;
		may = line_may(&s->media[i], &from, shared);
		if (!may)
			break;
	}
	mem_deref(s);
	return may;
}
