/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c - session descriptions: the writer, from a struct sdp to CRLF lines
 *
 * The address that most lines share stands once at session level. A refused m-line keeps its formats and its mid, so
 * the other side can match lines by position and bundle tag, and nothing else. A value that would start a line of its
 * own is our mistake or somebody's attack; it ends in the buffer's sticky error.
 */
#include <errno.h>
#include <inttypes.h>
#include "lib/sdp/sdp.h"

static void put(struct buf *b, struct str s)
{
	if (memchr(s.l ? s.p : "", '\r', s.l) || memchr(s.l ? s.p : "", '\n', s.l) || memchr(s.l ? s.p : "", '\0', s.l)) {
		if (!b->err)
			b->err = -EINVAL;
		return;
	}
	buf_str(b, s);
}

static void attr(struct buf *b, const char *name, struct str value)
{
	if (!value.l)
		return;
	buf_printf(b, "a=%s:", name);
	put(b, value);
	buf_puts(b, "\r\n");
}

static void addr(struct buf *b, struct str a)
{
	buf_puts(b, a.l && memchr(a.p, ':', a.l) ? "IN IP6 " : "IN IP4 ");
	put(b, a.l ? a : STR("0.0.0.0"));
	buf_puts(b, "\r\n");
}

static struct str session_addr(const struct sdp *s)
{
	for (unsigned i = 0; i < s->nmedia; i++)
		if (s->media[i].port && s->media[i].conn.l)
			return s->media[i].conn;
	return s->origin_addr;
}

static void fmts(struct buf *b, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->nfmts && i < SDP_MAX_FMTS; i++) {
		const struct sdp_fmt *f = &m->fmts[i];

		if (f->enc.l) {
			buf_puts(b, "a=rtpmap:");
			put(b, f->id);
			buf_puts(b, " ");
			put(b, f->enc);
			buf_printf(b, "/%" PRIu32, f->clock);
			if (f->channels > 1)
				buf_printf(b, "/%u", f->channels);
			buf_puts(b, "\r\n");
		}
		if (f->fmtp.l) {
			buf_puts(b, "a=fmtp:");
			put(b, f->id);
			buf_puts(b, " ");
			put(b, f->fmtp);
			buf_puts(b, "\r\n");
		}
	}
}

static void cryptos(struct buf *b, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->ncrypto && i < SDP_MAX_CRYPTO; i++) {
		const struct sdp_crypto *c = &m->crypto[i];

		buf_printf(b, "a=crypto:%" PRIu32 " ", c->tag);
		put(b, c->suite);
		buf_puts(b, " ");
		put(b, c->key_params);
		if (c->session_params.l) {
			buf_puts(b, " ");
			put(b, c->session_params);
		}
		buf_puts(b, "\r\n");
	}
}

static void extmaps(struct buf *b, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->nextmap && i < SDP_MAX_EXTMAP; i++) {
		buf_printf(b, "a=extmap:%u ", m->extmap[i].id);
		put(b, m->extmap[i].uri);
		buf_puts(b, "\r\n");
	}
}

static void ice(struct buf *b, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->ncand && i < SDP_MAX_CAND; i++)
		attr(b, "candidate", m->cand[i]);
	attr(b, "remote-candidate", m->remote_candidate);
	attr(b, "remote-candidates", m->remote_candidates);
	attr(b, "ice-ufrag", m->ice_ufrag);
	attr(b, "ice-pwd", m->ice_pwd);
	if (m->end_of_candidates)
		buf_puts(b, "a=end-of-candidates\r\n");
	if (m->ice_mismatch)
		buf_puts(b, "a=ice-mismatch\r\n");
}

static bool ice_lite(const struct sdp *s)
{
	for (unsigned i = 0; i < s->nmedia && i < SDP_MAX_MEDIA; i++)
		if (s->media[i].port && s->media[i].ice_lite)
			return true;
	return false;
}

static void m_line(struct buf *b, const struct sdp_media *m)
{
	buf_puts(b, "m=");
	put(b, m->type);
	buf_printf(b, " %u ", m->port);
	put(b, m->proto);
	for (unsigned i = 0; i < m->nfmts && i < SDP_MAX_FMTS; i++) {
		buf_puts(b, " ");
		put(b, m->fmts[i].id);
	}
	if (!m->nfmts && m->port && !b->err)
		b->err = -EINVAL;
	buf_puts(b, m->nfmts ? "\r\n" : " 0\r\n");      /* the grammar wants a format even of a refused line */
}

static void media(struct buf *b, const struct sdp_media *m, struct str conn)
{
	m_line(b, m);
	if (!m->port) {
		attr(b, "mid", m->mid);
		return;
	}
	if (m->conn.l && !str_eq(m->conn, conn)) {
		buf_puts(b, "c=");
		addr(b, m->conn);
	}
	fmts(b, m);
	cryptos(b, m);
	ice(b, m);
	attr(b, "fingerprint", m->fingerprint);
	attr(b, "setup", m->setup);
	attr(b, "mid", m->mid);
	extmaps(b, m);
	if (m->rtcp_port)
		buf_printf(b, "a=rtcp:%u\r\n", m->rtcp_port);
	if (m->rtcp_mux)
		buf_puts(b, "a=rtcp-mux\r\n");
	if (m->ptime)
		buf_printf(b, "a=ptime:%u\r\n", m->ptime);
	if (m->maxptime)
		buf_printf(b, "a=maxptime:%u\r\n", m->maxptime);
	buf_printf(b, "a=%s\r\n", sdp_dir_name(m->dir));
	attr(b, "label", m->label);
	attr(b, "encryption", m->encryption);
}

int sdp_encode(struct buf *b, const struct sdp *s)
{
	struct str conn = session_addr(s);

	buf_puts(b, "v=0\r\no=");
	put(b, s->origin_user.l ? s->origin_user : STR("-"));
	buf_printf(b, " %" PRIu64 " %" PRIu64 " ", s->sess_id, s->sess_version);
	addr(b, s->origin_addr.l ? s->origin_addr : conn);
	buf_puts(b, "s=-\r\nc=");
	addr(b, conn);
	buf_puts(b, "t=0 0\r\n");
	if (ice_lite(s))
		buf_puts(b, "a=ice-lite\r\n");
	for (unsigned i = 0; i < s->nmedia && i < SDP_MAX_MEDIA; i++)
		media(b, &s->media[i], conn);
	return b->err;
}
