/* SPDX-License-Identifier: Apache-2.0 */
/* nego.c - offer and answer of one leg, see nego.h
 *
 * offer -> sdp_decode -> pick (nego_pick.c) -> a copy of the session takes it over -> text (nego_text.c) -> the copy
 * becomes the session. So whatever fails, the running session is untouched.
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include "lib/base/mem.h"
#include "mcu/nego_priv.h"

static const char *const texts[NEGO_NFAULTS] = {
	[NEGO_OK] = "agreed",
#define X(name, text) [NEGO_##name] = text,
	NEGO_FAULTS(X)
#undef X
};

const char *nego_fault_text(enum nego_fault f)
{
	return (unsigned)f < NEGO_NFAULTS ? texts[f] : "";
}

static void random_bytes(void *p, size_t n)
{
	uint8_t *at = p;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got <= 0)
			continue;       /* EINTR before the pool is ready is all that can happen for so few bytes */
		at += got;
		n  -= (size_t)got;
	}
}

/* The session id keeps to 31 bits: some phones read it as a signed number. */
void nego_init(struct nego *n)
{
	uint32_t id;

	memset(n, 0, sizeof(*n));
	random_bytes(&id, sizeof(id));
	n->sess_id = (id & 0x7fffffff) | 1;
	n->version = 1;
}

void nego_fini(struct nego *n)
{
	if (n->local)
		explicit_bzero(n->local, strlen(n->local));
	n->local = mem_deref(n->local);
	explicit_bzero(&n->set, sizeof(n->set));
}

static void copy(char *out, size_t outsz, struct str s)
{
	snprintf(out, outsz, STR_FMT, STR_ARG(s));
}

static enum nego_fault finish(struct nego *n, struct nego *next, enum nego_fault f)
{
	if (f == NEGO_OK) {
		if (n->local && n->local != next->local) {
			explicit_bzero(n->local, strlen(n->local));
			mem_deref(n->local);
		}
		*n = *next;
	} else if (next->local != n->local) {
		mem_deref(next->local);
	}
	explicit_bzero(next, sizeof(*next));
	return f;
}

static bool unspecified(struct str conn)
{
	return str_eq(conn, STR("0.0.0.0")) || str_eq(conn, STR("::"));
}

/* RFC 2543 hold: an address of zeros means "send me nothing", whatever the direction says. */
static enum sdp_dir offered_dir(const struct sdp_media *m)
{
	if (!unspecified(m->conn))
		return m->dir;
	return m->dir == SDP_SENDRECV || m->dir == SDP_SENDONLY ? SDP_SENDONLY : SDP_INACTIVE;
}

static void take_direction(struct nego *n, enum sdp_dir ours, enum sdp_dir peers)
{
	n->peer_dir = peers;
	n->set.send = ours == SDP_SENDRECV || ours == SDP_SENDONLY;
	n->set.recv = ours == SDP_SENDRECV || ours == SDP_RECVONLY;
}

static unsigned choose_ptime(enum mcodec codec, const struct nego_policy *p, const struct sdp_media *m)
{
	unsigned ms = m->ptime ? m->ptime : p->ptime_ms;

	if (m->maxptime && ms > m->maxptime)
		ms = m->maxptime;
	ms = ms < 10 ? 10 : ms > 60 ? 60 : ms / 10 * 10;
	if (codec == MCODEC_OPUS && (ms == 30 || ms == 50))
		ms -= 10;               /* not a frame length of Opus */
	return ms;
}

static unsigned opus_cap(const struct nego_policy *p, struct str fmtp)
{
	struct str v;
	uint64_t bps;

	if (!sdp_fmtp_param(fmtp, STR("maxaveragebitrate"), &v) || str_u64(v, &bps) || bps < 6000)
		return p->opus_bitrate;
	if (p->opus_bitrate && bps > p->opus_bitrate)
		return p->opus_bitrate;
	return bps > 510000 ? 510000 : (unsigned)bps;
}

/* RFC 7587 6.1: what the peer would like to receive */
static bool wants_dtx(struct str fmtp)
{
	struct str v;

	return sdp_fmtp_param(fmtp, STR("usedtx"), &v) && str_eq(v, STR("1"));
}

static void take_transport(struct nego *n, const struct pick *p)
{
	struct mleg_set *s = &n->set;

	s->rtcp_mux = p->m->rtcp_mux;
	s->port     = p->m->port;
	if (s->rtcp_mux)
		s->rtcp_port = s->port;
	else if (p->m->rtcp_port)
		s->rtcp_port = p->m->rtcp_port;
	else
		s->rtcp_port = s->port < 65535 ? s->port + 1 : s->port;
	if (unspecified(p->m->conn) || p->m->conn.l >= sizeof(s->addr))
		s->addr[0] = '\0';
	else
		copy(s->addr, sizeof(s->addr), p->m->conn);
}

static void take_codec(struct nego *n, const struct nego_policy *pol, const struct pick *p)
{
	struct mleg_set *s = &n->set;

	s->codec        = p->codec->id;
	s->pt_send      = (uint8_t)p->fmt->pt;
	s->dtmf_pt      = p->dtmf ? (uint8_t)p->dtmf->pt : 0;
	s->cn_pt        = p->cn ? (uint8_t)p->cn->pt : 0;
	s->level_ext    = p->level_ext;
	s->ptime_ms     = choose_ptime(s->codec, pol, p->m);
	s->opus_bitrate = s->codec == MCODEC_OPUS ? opus_cap(pol, p->fmt->fmtp) : 0;
	s->dtx          = s->codec == MCODEC_OPUS ? wants_dtx(p->fmt->fmtp) : pol->comfort_noise;
	s->agc          = pol->agc;
	s->denoise      = pol->denoise;
	n->dtmf_clock   = p->dtmf ? p->dtmf->clock : 0;
}

static void new_key(struct nego *n)
{
	n->set.srtp    = true;
	n->set.suite   = n->suite->id;
	n->set.key_len = n->suite->key_len + n->suite->salt_len;
	random_bytes(n->set.key_out, n->set.key_len);
}

/* Our key stays while the peer's does: kept contexts go on with their roll-over counters. A peer with a new key has
 * started again, and expects ours to start again, too. */
static void take_key(struct nego *n, const struct pick *p)
{
	bool same = p->crypto && n->suite == p->suite && n->set.key_len == p->key.len &&
		    !memcmp(n->set.key_in, p->key.key, p->key.len);

	n->suite = p->suite;
	if (!p->crypto) {
		n->set.srtp = false;
		n->set.key_len = 0;
		return;
	}
	n->crypto_tag = p->crypto->tag;
	if (same)
		return;
	new_key(n);
	memcpy(n->set.key_in, p->key.key, n->set.key_len);
}

static void take_lines(struct nego *n, const struct sdp *s, unsigned active)
{
	n->nlines = s->nmedia;
	n->active = active;
	for (unsigned i = 0; i < s->nmedia; i++) {
		const struct sdp_media *m = &s->media[i];

		copy(n->lines[i].type, sizeof(n->lines[i].type), m->type);
		copy(n->lines[i].proto, sizeof(n->lines[i].proto), m->proto);
		copy(n->lines[i].fmt, sizeof(n->lines[i].fmt), m->nfmts ? m->fmts[0].id : STR("0"));
	}
}

static void take_offer(struct nego *n, const struct nego_prm *prm, const struct pick *p)
{
	enum sdp_dir offered = offered_dir(p->m);

	copy(n->proto, sizeof(n->proto), p->m->proto);
	if (p->crypto && !p->savp && (prm->ms_kind || p->ice.ms || p->m->encryption.l))
		copy(n->proto, sizeof(n->proto), STR("RTP/SAVP"));
	copy(n->label, sizeof(n->label), p->m->label);
	copy(n->mid, sizeof(n->mid), p->m->mid);
	take_codec(n, prm->policy, p);
	n->set.pt_recv = n->set.pt_send;
	take_transport(n, p);
	take_key(n, p);
	take_ice(n, &p->ice, prm->ms_kind);
	n->dir = sdp_dir_answer(offered, prm->may_recv, prm->may_send);
	take_direction(n, n->dir, offered);
	n->done = true;
	n->offering = false;
}

static enum nego_fault decode(struct sdp **sp, struct str text)
{
	int err = sdp_decode(sp, text);

	if (err == -ENOMEM)
		return NEGO_NO_MEMORY;
	return err ? NEGO_SYNTAX : NEGO_OK;
}

enum nego_fault nego_answer(struct nego *n, const struct nego_prm *prm, struct str offer)
{
	struct nego next = *n;
	struct sdp *s = NULL;
	struct pick p = { 0 };
	enum nego_fault f = decode(&s, offer);

	if (f == NEGO_OK)
		f = pick_media(&p, prm, s);
	if (f == NEGO_OK) {
		take_lines(&next, s, p.index);
		take_offer(&next, prm, &p);
		f = nego_write(&next, prm, false);
	}
	explicit_bzero(&p, sizeof(p));
	mem_deref(s);
	return finish(n, &next, f);
}

/* The first offer of a dialog: everything we speak. With plain RTP allowed the profile stays RTP/AVP and the key is an
 * offer (RFC 8643), because a phone without SRTP would refuse the secure profile. */
static void first_offer(struct nego *n, const struct nego_prm *prm)
{
	n->nlines = 1;
	n->active = 0;
	copy(n->proto, sizeof(n->proto), prm->plain_ok ? STR("RTP/AVP") : STR("RTP/SAVP"));
	copy(n->label, sizeof(n->label), STR("main-audio"));
	n->set.ptime_ms = prm->policy->ptime_ms;
	n->set.rtcp_mux = true;
	n->suite = srtp_suite_find("AES_CM_128_HMAC_SHA1_80", strlen("AES_CM_128_HMAC_SHA1_80"));
	n->crypto_tag = 1;
	new_key(n);
}

enum nego_fault nego_offer(struct nego *n, const struct nego_prm *prm)
{
	struct nego next = *n;

	if (!n->done)
		first_offer(&next, prm);
	next.dir = sdp_dir_answer(SDP_SENDRECV, prm->may_recv, prm->may_send);
	next.offering = true;
	return finish(n, &next, nego_write(&next, prm, !n->done));
}

void nego_abandon(struct nego *n)
{
	n->offering = false;
}

static enum nego_fault take_answer(struct nego *n, const struct nego_prm *prm, const struct sdp *s)
{
	const struct sdp_media *m = n->active < s->nmedia ? &s->media[n->active] : NULL;
	struct pick p = { .index = n->active };
	bool send = n->dir == SDP_SENDRECV || n->dir == SDP_SENDONLY;
	bool recv = n->dir == SDP_SENDRECV || n->dir == SDP_RECVONLY;
	enum nego_fault f;

	if (!m || !m->port || !str_ieq(m->type, STR("audio")))
		return NEGO_ANSWER;
	f = pick_line(&p, prm, m);
	if (f == NEGO_OK && p.crypto && (p.crypto->tag != n->crypto_tag || p.suite != n->suite))
		f = NEGO_ANSWER;
	if (f == NEGO_OK) {
		n->set.pt_recv = n->done && n->set.codec == p.codec->id ? n->set.pt_recv : (uint8_t)p.codec->pt;
		take_codec(n, prm->policy, &p);
		take_transport(n, &p);
		if (p.crypto)
			memcpy(n->set.key_in, p.key.key, n->set.key_len);
		else
			take_key(n, &p);
		copy(n->proto, sizeof(n->proto), m->proto);
		take_direction(n, sdp_dir_answer(offered_dir(m), send, recv), offered_dir(m));
		n->done = true;
		n->offering = false;
	}
	explicit_bzero(&p, sizeof(p));
	return f;
}

enum nego_fault nego_take_answer(struct nego *n, const struct nego_prm *prm, struct str answer)
{
	struct nego next = *n;
	struct sdp *s = NULL;
	enum nego_fault f = n->offering ? decode(&s, answer) : NEGO_ANSWER;

	if (f == NEGO_OK)
		f = take_answer(&next, prm, s);
	mem_deref(s);
	return finish(n, &next, f);
}

char *nego_keepable(const struct nego *n)
{
	struct str rest = str_c(n->local);
	struct buf b;
	char *text;

	buf_init(&b, SDP_MAX_BYTES);
	while (!str_empty(rest)) {
		struct str line = str_cut(&rest, '\n');

		if (str_starts(line, STR("a=crypto:")) || str_starts(line, STR("a=candidate:")) ||
		    str_starts(line, STR("a=ice-pwd:")))
			continue;
		buf_str(&b, line);
		buf_puts(&b, "\n");
	}
	text = b.err ? NULL : str_dup(buf_view(&b));
	buf_fini(&b);
	return text;
}
