/* SPDX-License-Identifier: Apache-2.0 */
/* rtp.c - RTP headers, header extension levels, telephone events and what a receiver counts about a source
 *
 * A datagram is decoded into struct rtp_hdr (checked against RFC 3550 A.1: version, CSRC list, extension and padding
 * within the packet); the sequence number then goes through rtp_source_update(), which tells a jump from a gap.
 */
#include <errno.h>
#include <string.h>
#include "lib/rtp/rtp.h"

#define MAX_DROPOUT    3000u
#define MAX_MISORDER   100u
#define MIN_SEQUENTIAL 1u                /* legs are authenticated or latched by address: the first packet counts */
#define SEQ_MOD        (1u << 16)
#define JUMP_S         2u                /* a timestamp that jumps further is a restart, not jitter */

#define EXT_ONE_BYTE   0xbedeu
#define EXT_TWO_BYTE   0x1000u           /* 0x1000..0x100f */

int rtp_hdr_decode(struct rtp_hdr *h, const uint8_t *p, size_t n)
{
	struct rd r = rd_init(p, n);
	uint8_t b0 = rd_u8(&r), b1 = rd_u8(&r);

	if (b0 >> 6 != 2)
		return -EBADMSG;
	h->marker = b1 >> 7;
	h->pt     = b1 & 0x7f;
	h->seq    = rd_u16(&r);
	h->ts     = rd_u32(&r);
	h->ssrc   = rd_u32(&r);
	h->ncsrc  = b0 & 0x0f;
	for (unsigned i = 0; i < h->ncsrc; i++)
		h->csrc[i] = rd_u32(&r);
	h->ext         = NULL;
	h->ext_profile = 0;
	h->ext_len     = 0;
	if (b0 & 0x10) {
		h->ext_profile = rd_u16(&r);
		h->ext_len     = 4u * rd_u16(&r);
		h->ext         = rd_take(&r, h->ext_len);
	}
	if (r.bad)
		return -EBADMSG;
	h->hdr_len     = n - r.l;
	h->payload_len = r.l;
	if (b0 & 0x20) {
		if (!r.l || p[n - 1] == 0 || p[n - 1] > r.l)
			return -EBADMSG;
		h->payload_len -= p[n - 1];
	}
	return 0;
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

size_t rtp_hdr_encode(uint8_t *p, size_t room, const struct rtp_hdr *h)
{
	size_t len = RTP_HDR_MIN + 4u * h->ncsrc;
	uint8_t *w = p;

	if (h->ncsrc > 15 || h->pt > 127 || room < len)
		return 0;
	*w++ = (uint8_t)(0x80 | h->ncsrc);
	*w++ = (uint8_t)((h->marker ? 0x80 : 0) | h->pt);
	w = put16(w, h->seq);
	w = put32(w, h->ts);
	w = put32(w, h->ssrc);
	for (unsigned i = 0; i < h->ncsrc; i++)
		w = put32(w, h->csrc[i]);
	return len;
}

/* The data of the element `id`, or NULL (RFC 8285 4.2, 4.3) */
static const uint8_t *ext_find(const struct rtp_hdr *h, unsigned id, size_t *len)
{
	bool one = h->ext_profile == EXT_ONE_BYTE;
	struct rd r = rd_init(h->ext, h->ext_len);

	if (!h->ext || !id || (!one && (h->ext_profile & 0xfff0) != EXT_TWO_BYTE))
		return NULL;
	while (r.l && !r.bad) {
		uint8_t b = rd_u8(&r);
		unsigned eid = one ? b >> 4 : b;
		const uint8_t *data;

		if (eid == 0)
			continue;                /* padding is one byte in both forms */
		if (one && eid == 15)
			return NULL;
		*len = one ? (b & 0x0fu) + 1 : rd_u8(&r);
		data = rd_take(&r, *len);
		if (eid == id)
			return data;
	}
	return NULL;
}

int rtp_audio_level(const struct rtp_hdr *h, unsigned ext_id, bool *voice)
{
	size_t len = 0;
	const uint8_t *d = ext_find(h, ext_id, &len);

	if (!d || len < 1)
		return -ENOENT;
	if (voice)
		*voice = d[0] >> 7;
	return d[0] & 0x7f;
}

int rtp_dtmf_decode(struct rtp_dtmf *d, const uint8_t *payload, size_t n)
{
	struct rd r = rd_init(payload, n);
	uint8_t event = rd_u8(&r), b = rd_u8(&r);
	uint16_t duration = rd_u16(&r);

	if (r.bad)
		return -EBADMSG;
	d->event    = event;
	d->end      = b >> 7;
	d->volume   = b & 0x3f;
	d->duration = duration;
	return 0;
}

size_t rtp_dtmf_encode(uint8_t out[4], const struct rtp_dtmf *d)
{
	out[0] = d->event;
	out[1] = (uint8_t)((d->end ? 0x80 : 0) | (d->volume & 0x3f));
	put16(out + 2, d->duration);
	return 4;
}

/* --- receiver statistics */
static void restart(struct rtp_source *s, uint16_t seq)
{
	s->base_seq       = seq;
	s->max_seq        = seq;
	s->bad_seq        = SEQ_MOD + 1;         /* no sequence number equals it */
	s->cycles         = 0;
	s->received       = 0;
	s->received_prior = 0;
	s->expected_prior = 0;
}

void rtp_source_init(struct rtp_source *s, uint32_t ssrc, uint16_t seq, uint32_t clock)
{
	memset(s, 0, sizeof(*s));
	s->ssrc  = ssrc;
	s->clock = clock;
	restart(s, seq);
	s->max_seq   = (uint16_t)(seq - 1);
	s->probation = MIN_SEQUENTIAL;
}

/* Interarrival jitter, RFC 3550 A.8 */
static void jitter(struct rtp_source *s, uint32_t ts, uint64_t arrival_us)
{
	uint64_t sec = arrival_us / 1000000, us = arrival_us % 1000000;
	uint32_t arrival = (uint32_t)(sec * s->clock + us * s->clock / 1000000);
	uint32_t transit = arrival - ts;
	int32_t  d = (int32_t)(transit - s->transit);
	uint32_t mag = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;

	s->transit = transit;
	if (s->received > 1 && mag < JUMP_S * s->clock)
		s->jitter += mag - ((s->jitter + 8) >> 4);
}

static bool in_order(struct rtp_source *s, uint16_t seq)
{
	uint16_t up = (uint16_t)(seq - s->max_seq);

	if (!s->valid) {                         /* still on probation */
		if (up == 1) {
			s->max_seq = seq;
			if (--s->probation == 0) {
				s->valid = true;
				restart(s, seq);
				return true;
			}
		} else {
			s->probation = MIN_SEQUENTIAL;
			s->max_seq   = seq;
		}
		return false;
	}
	if (up < MAX_DROPOUT) {
		if (seq < s->max_seq)
			s->cycles += SEQ_MOD;
		s->max_seq = seq;
	} else if (up <= SEQ_MOD - MAX_MISORDER) {
		if (seq != s->bad_seq) {         /* a jump: believe it when the next one follows */
			s->bad_seq = (seq + 1u) & (SEQ_MOD - 1);
			return false;
		}
		restart(s, seq);
	}                                        /* else late or twice: counts, moves nothing */
	return true;
}

bool rtp_source_update(struct rtp_source *s, uint16_t seq, uint32_t ts, uint64_t arrival_us)
{
	if (!in_order(s, seq))
		return false;
	s->received++;
	jitter(s, ts, arrival_us);
	return true;
}

uint32_t rtp_source_ext_seq(const struct rtp_source *s)
{
	return s->cycles + s->max_seq;
}

int32_t rtp_source_lost(const struct rtp_source *s)
{
	if (!s->valid)
		return 0;
	return (int32_t)(rtp_source_ext_seq(s) - s->base_seq + 1 - s->received);
}
