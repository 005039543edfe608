/* SPDX-License-Identifier: Apache-2.0 */
/* nego_text.c - writing our side of a session
 *
 * The description is built from what the nego remembers alone, so the same state gives the same text; the o= version
 * rises exactly when the text changes (RFC 3264 8).
 */
#include <stdio.h>
#include <strings.h>
#include "lib/base/mem.h"
#include "mcu/nego_priv.h"

#define OPUS_FMTP "useinbandfec=1;stereo=0;sprop-stereo=0"

struct texts {                              /* strings that the sdp structs borrow */
	char pt[NEGO_CODECS + 2][4];
	char key[128];
	struct ice_texts ice;
};

static void add_fmt(struct sdp_media *m, struct texts *t, int pt, const char *enc, uint32_t clock, unsigned channels,
		    const char *fmtp)
{
	struct sdp_fmt *f = &m->fmts[m->nfmts];

	snprintf(t->pt[m->nfmts], sizeof(t->pt[0]), "%u", (unsigned)pt & 127);
	f->id       = str_c(t->pt[m->nfmts]);
	f->pt       = pt;
	f->enc      = str_c(enc);
	f->clock    = clock;
	f->channels = channels;
	f->fmtp     = str_c(fmtp);
	m->nfmts++;
}

static void add_codec(struct sdp_media *m, struct texts *t, enum mcodec id, int pt)
{
	for (unsigned i = 0; i < NEGO_CODECS; i++) {
		const struct nego_codec *c = &nego_codecs[i];

		if (c->id == id)
			add_fmt(m, t, pt >= 0 ? pt : c->pt, c->enc, c->clock, c->channels,
				id == MCODEC_OPUS ? OPUS_FMTP : "");
	}
}

static void agreed_formats(const struct nego *n, struct sdp_media *m, struct texts *t)
{
	uint32_t clock = n->dtmf_clock ? n->dtmf_clock : 8000;

	add_codec(m, t, n->set.codec, n->set.pt_recv);
	if (n->set.dtmf_pt)
		add_fmt(m, t, n->set.dtmf_pt, "telephone-event", clock, 1, "0-16");
	if (n->set.cn_pt)
		add_fmt(m, t, n->set.cn_pt, "CN", 8000, 1, "");
}

static void all_formats(const struct nego_policy *p, struct sdp_media *m, struct texts *t)
{
	for (unsigned i = 0; i < p->ncodecs; i++)
		add_codec(m, t, p->order[i], -1);
	add_fmt(m, t, NEGO_PT_DTMF, "telephone-event", 8000, 1, "0-16");
	add_fmt(m, t, NEGO_PT_CN, "CN", 8000, 1, "");
}

static int audio_line(const struct nego *n, const struct nego_prm *prm, bool all, struct sdp_media *m, struct texts *t)
{
	m->type  = STR("audio");
	m->proto = str_c(n->proto);
	m->port  = prm->port;
	m->conn  = str_c(prm->policy->ip);
	m->dir   = n->dir;
	m->ptime = n->set.ptime_ms;
	m->label = str_c(n->label);
	m->mid   = str_c(n->mid);
	m->rtcp_mux = n->set.rtcp_mux;
	if (all)
		all_formats(prm->policy, m, t);
	else
		agreed_formats(n, m, t);
	if (n->set.level_ext) {
		m->extmap[0] = (struct sdp_extmap){ n->set.level_ext, STR(NEGO_LEVEL_URI) };
		m->nextmap = 1;
	}
	if (write_ice(n, prm, m, &t->ice))
		return -1;
	if (!n->suite)
		return 0;
	m->ncrypto = 1;
	m->crypto[0].tag   = n->crypto_tag;
	m->crypto[0].suite = str_c(n->suite->name);
	if (sdes_encode(t->key, sizeof(t->key), n->set.key_out, n->set.key_len))
		return -1;
	m->crypto[0].key_params = str_c(t->key);
	return 0;
}

static void refused_line(const struct nego_line *l, const struct nego_policy *p, struct sdp_media *m)
{
	m->type  = str_c(l->type);
	m->proto = str_c(l->proto);
	m->port  = 0;
	m->conn  = str_c(p->ip);
	m->dir   = SDP_INACTIVE;
	m->nfmts = 1;
	m->fmts[0].id = str_c(l->fmt);
	m->fmts[0].pt = -1;
}

static char *render(const struct nego *n, const struct nego_prm *prm, bool all, struct sdp *s)
{
	struct texts t;
	struct buf b;
	char *text = NULL;

	memset(s, 0, sizeof(*s));
	s->origin_user  = str_c(prm->policy->name);
	s->origin_addr  = str_c(prm->policy->ip);
	s->sess_id      = n->sess_id;
	s->sess_version = n->version;
	s->nmedia       = n->nlines;
	buf_init(&b, SDP_MAX_BYTES);
	for (unsigned i = 0; i < n->nlines; i++) {
		if (i != n->active)
			refused_line(&n->lines[i], prm->policy, &s->media[i]);
		else if (audio_line(n, prm, all, &s->media[i], &t))
			goto out;
	}
	if (!sdp_encode(&b, s))
		text = str_dup(buf_view(&b));
out:
	explicit_bzero(&t, sizeof(t));
	if (b.p)
		explicit_bzero(b.p, b.l);
	buf_fini(&b);
	return text;
}

/* First under the old version: when nothing changed, that is the text. The old text stays with the caller. */
enum nego_fault nego_write(struct nego *n, const struct nego_prm *prm, bool all)
{
	struct sdp *s = mem_zalloc(sizeof(*s), NULL);
	char *text;

	if (!s)
		return NEGO_NO_MEMORY;
	text = render(n, prm, all, s);
	if (text && n->local && !cstr_eq(text, n->local)) {
		mem_deref(text);
		n->version++;
		text = render(n, prm, all, s);
	}
	mem_deref(s);
	if (!text)
		return NEGO_NO_MEMORY;
	n->local = text;
	return NEGO_OK;
}
