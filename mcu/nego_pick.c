/* SPDX-License-Identifier: Apache-2.0 */
/* nego_pick.c - which m-line, codec and key of a description we take
 *
 * Every audio line in use is judged alone; a secure one wins over a plain one, an earlier one over a later one. When
 * none can be taken, the fault of the line that came furthest is told, so that the answer says what to change.
 */
#include <stdlib.h>
#include <strings.h>
#include "mcu/nego_priv.h"

const struct nego_codec nego_codecs[NEGO_CODECS] = {
	{ MCODEC_OPUS, "opus", 48000, 2, 96 },
	{ MCODEC_G722, "G722",  8000, 1,  9 },
	{ MCODEC_PCMU, "PCMU",  8000, 1,  0 },
	{ MCODEC_PCMA, "PCMA",  8000, 1,  8 },
};

static const struct { const char *name; bool savp; } protos[] = {
	{ "RTP/AVP",   false },
	{ "RTP/AVPF",  false },
	{ "RTP/SAVP",  true },
	{ "RTP/SAVPF", true },
};

/* With its channels: Communicator's family offers OPUS/48000, and its media engine can then neither send nor receive what RFC 7587
 * calls opus/48000/2. */
static bool is_codec(const struct nego_codec *c, const struct sdp_fmt *f)
{
	return f->pt >= 0 && f->pt < 128 && f->clock == c->clock && f->channels == c->channels && str_ieq(f->enc, str_c(c->enc));
}

static bool wanted(const struct nego_policy *p, enum mcodec id)
{
	for (unsigned i = 0; i < p->ncodecs; i++)
		if (p->order[i] == id)
			return true;
	return false;
}

static const struct nego_codec *codec_of(const struct nego_policy *p, const struct sdp_fmt *f)
{
	for (unsigned i = 0; i < NEGO_CODECS; i++)
		if (is_codec(&nego_codecs[i], f) && wanted(p, nego_codecs[i].id))
			return &nego_codecs[i];
	return NULL;
}

static unsigned rank(const struct nego_policy *p, const struct nego_codec *c)
{
	unsigned i = 0;

	while (i < p->ncodecs && p->order[i] != c->id)
		i++;
	return i;
}

static bool pick_codec(struct pick *p, const struct nego_policy *pol)
{
	for (unsigned i = 0; i < p->m->nfmts; i++) {
		const struct sdp_fmt *f = &p->m->fmts[i];
		const struct nego_codec *c = codec_of(pol, f);

		if (!c || (p->codec && (!pol->ours_first || rank(pol, c) >= rank(pol, p->codec))))
			continue;
		p->codec = c;
		p->fmt   = f;
	}
	return p->codec;
}

/* telephone-event at the codec's clock, else at 8000 Hz; comfort noise for the codecs of 8000 Hz only. */
static void pick_extras(struct pick *p)
{
	for (unsigned i = 0; i < p->m->nfmts; i++) {
		const struct sdp_fmt *f = &p->m->fmts[i];

		if (f->pt < 0 || f->pt > 127)
			continue;
		if (str_ieq(f->enc, STR("telephone-event")) &&
		    (f->clock == p->codec->clock || (f->clock == 8000 && !p->dtmf)))
			p->dtmf = f;
		else if (str_ieq(f->enc, STR("CN")) && f->clock == 8000 && p->codec->id != MCODEC_OPUS && !p->cn)
			p->cn = f;
	}
	for (unsigned i = 0; i < p->m->nextmap; i++) {
		struct str uri = p->m->extmap[i].uri;

		if (str_ieq(str_cut(&uri, ' '), STR(NEGO_LEVEL_URI)) && p->m->extmap[i].id > 0 &&
		    p->m->extmap[i].id < 15)
			p->level_ext = (uint8_t)p->m->extmap[i].id;
	}
}

/* A key that travels with every packet (MKI) is not for our contexts; phones that use one offer a line without, too. */
static const struct srtp_suite *usable(const struct sdp_crypto *c, struct sdes_key *key)
{
	const struct srtp_suite *s = srtp_suite_find(c->suite.p, c->suite.l);

	if (!s || sdes_decode(key, c, s->key_len + s->salt_len) || key->mki_len)
		return NULL;
	return s;
}

static bool pick_crypto(struct pick *p)
{
	for (unsigned i = 0; i < p->m->ncrypto; i++) {
		struct sdes_key key = { .len = 0 };
		const struct srtp_suite *s = usable(&p->m->crypto[i], &key);

		if (s && (!p->crypto || (s->id == SRTP_AES_CM_128_HMAC_SHA1_80 && p->suite->id != s->id))) {
			p->crypto = &p->m->crypto[i];
			p->suite  = s;
			p->key    = key;
		}
		explicit_bzero(&key, sizeof(key));
	}
	return p->crypto;
}

static bool same_family(const char *ours, struct str theirs)
{
	return str_empty(theirs) || !memchr(theirs.p, ':', theirs.l) == !strchr(ours, ':');
}

static enum nego_fault pick_security(struct pick *p, const struct nego_prm *prm)
{
	if (str_ieq(p->m->encryption, STR("rejected")) && !p->savp)      /* MS-SDP: its keys stand there for nothing */
		return prm->plain_ok ? NEGO_OK : NEGO_INSECURE;
	if (pick_crypto(p))
		return NEGO_OK;
	if (p->m->ncrypto && (p->savp || !prm->plain_ok))
		return NEGO_NO_CRYPTO;
	if (p->savp || str_ieq(p->m->encryption, STR("required")))
		return NEGO_NO_CRYPTO;
	return prm->plain_ok ? NEGO_OK : NEGO_INSECURE;
}

enum nego_fault pick_line(struct pick *p, const struct nego_prm *prm, const struct sdp_media *m)
{
	enum nego_fault f;
	unsigned i = 0;

	p->m = m;
	while (i < sizeof(protos) / sizeof(protos[0]) && !str_ieq(m->proto, str_c(protos[i].name)))
		i++;
	if (i == sizeof(protos) / sizeof(protos[0]))
		return NEGO_TRANSPORT;
	p->savp = protos[i].savp;
	if (!pick_codec(p, prm->policy))
		return NEGO_NO_CODEC;
	if (!same_family(prm->policy->ip, m->conn))
		return NEGO_FAMILY;
	pick_extras(p);
	f = pick_security(p, prm);
	return f == NEGO_OK ? pick_ice(&p->ice, m) : f;
}

enum nego_fault pick_media(struct pick *p, const struct nego_prm *prm, const struct sdp *s)
{
	enum nego_fault worst = NEGO_NO_AUDIO;
	bool found = false;

	for (unsigned i = 0; i < s->nmedia; i++) {
		struct pick one = { .index = i };
		enum nego_fault f;

		if (!str_ieq(s->media[i].type, STR("audio")) || !s->media[i].port)
			continue;
		f = pick_line(&one, prm, &s->media[i]);
		if (f == NEGO_OK && (!found || (one.crypto && !p->crypto))) {
			*p = one;
			found = true;
		} else if (f > worst) {
			worst = f;
		}
		explicit_bzero(&one, sizeof(one));
	}
	return found ? NEGO_OK : worst;
}
