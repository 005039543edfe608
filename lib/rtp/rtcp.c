/* SPDX-License-Identifier: Apache-2.0 */
/* rtcp.c - RTCP packets (RFC 3550 6, 4585 6.1)
 *
 * A datagram (already unprotected) is walked packet by packet. The compound rules of RFC 3550 A.2 are not applied:
 * reduced-size packets (RFC 5506) and some clients' single ones are legal here. What follows the report blocks of an SR
 * or RR (profile extensions) is skipped, as are SDES, APP, XR and unknown types. The first malformed packet ends the
 * walk.
 */
#include <errno.h>
#include <string.h>
#include "lib/rtp/rtcp.h"

#define PT_SR    200
#define PT_RR    201
#define PT_SDES  202
#define PT_BYE   203
#define PT_RTPFB 205
#define PT_PSFB  206
#define SDES_CNAME 1

#define HDR_LEN     4u
#define REPORT_LEN  24u
#define COUNT_MAX   31u
#define NTP_UNIX    2208988800ull        /* seconds from 1900 to 1970 */
#define RTT_MAX     (60u << 16)          /* longer is nonsense */

/* --- in */
static void report(struct rd *r, uint32_t from, const struct rtcp_handler *h, void *arg)
{
	struct rtcp_report b;
	uint32_t v;

	b.ssrc     = rd_u32(r);
	v          = rd_u32(r);
	b.fraction = (uint8_t)(v >> 24);
	b.lost     = (int32_t)(v << 8) >> 8;     /* 24 bits, signed */
	b.ext_seq  = rd_u32(r);
	b.jitter   = rd_u32(r);
	b.lsr      = rd_u32(r);
	b.dlsr     = rd_u32(r);
	if (h->report)
		h->report(from, &b, arg);
}

static bool on_report(uint8_t pt, unsigned count, struct rd *r, const struct rtcp_handler *h, void *arg)
{
	struct rtcp_sr sr = { .ssrc = rd_u32(r) };

	if (pt == PT_SR) {
		sr.ntp     = (uint64_t)rd_u32(r) << 32;
		sr.ntp    |= rd_u32(r);
		sr.rtp_ts  = rd_u32(r);
		sr.packets = rd_u32(r);
		sr.octets  = rd_u32(r);
	}
	if (r->bad || r->l < count * REPORT_LEN)
		return false;
	if (pt == PT_SR && h->sr)
		h->sr(&sr, arg);
	while (count--)
		report(r, sr.ssrc, h, arg);
	return true;
}

static bool on_bye(uint8_t pt, unsigned count, struct rd *r, const struct rtcp_handler *h, void *arg)
{
	(void)pt;
	if (r->l < count * 4)
		return false;
	while (count--) {
		uint32_t ssrc = rd_u32(r);

		if (h->bye)
			h->bye(ssrc, arg);
	}
	return true;
}

static bool on_feedback(uint8_t pt, unsigned fmt, struct rd *r, const struct rtcp_handler *h, void *arg)
{
	uint32_t from = rd_u32(r), media = rd_u32(r);

	if (r->bad)
		return false;
	if (h->feedback)
		h->feedback(pt, (uint8_t)fmt, from, media, r->p, r->l, arg);
	return true;
}

typedef bool (packet_cb)(uint8_t pt, unsigned count, struct rd *r, const struct rtcp_handler *h, void *arg);
static const struct { uint8_t pt; packet_cb *cb; } packets[] = {
	{ PT_SR,    on_report },
	{ PT_RR,    on_report },
	{ PT_BYE,   on_bye },
	{ PT_RTPFB, on_feedback },
	{ PT_PSFB,  on_feedback },
};

static bool packet(uint8_t b0, uint8_t pt, struct rd body, const struct rtcp_handler *h, void *arg)
{
	if (b0 & 0x20) {                         /* padding: its length is the last byte */
		uint8_t pad = body.l ? body.p[body.l - 1] : 0;

		if (!pad || pad > body.l)
			return false;
		body.l -= pad;
	}
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		if (packets[i].pt == pt)
			return packets[i].cb(pt, b0 & COUNT_MAX, &body, h, arg);
	return true;
}

int rtcp_decode(const uint8_t *p, size_t n, const struct rtcp_handler *h, void *arg)
{
	struct rd r = rd_init(p, n);
	int done = 0;

	while (r.l) {
		uint8_t b0 = rd_u8(&r), pt = rd_u8(&r);
		size_t len = 4u * rd_u16(&r);
		const uint8_t *body = rd_take(&r, len);

		if (r.bad || b0 >> 6 != 2 || pt < 192 || pt > 223 || !packet(b0, pt, rd_init(body, len), h, arg))
			break;
		done++;
	}
	return done ? done : -EBADMSG;
}

/* --- out: a cursor that remembers that it ran out of room */
struct wr { uint8_t *p; size_t l, room; bool full; };

static uint8_t *wr_take(struct wr *w, size_t n)
{
	uint8_t *at = w->p + w->l;

	if (w->full || w->room - w->l < n) {
		w->full = true;
		return NULL;
	}
	w->l += n;
	return at;
}

static void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *p = wr_take(w, 4);

	if (!p)
		return;
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* len: of the whole packet, a multiple of 4 */
static void wr_header(struct wr *w, unsigned count, uint8_t pt, size_t len)
{
	wr_u32(w, 0x80000000u | count << 24 | (uint32_t)pt << 16 | (uint32_t)(len / 4 - 1));
}

static int32_t lost24(int32_t v)
{
	return v > 0x7fffff ? 0x7fffff : v < -0x800000 ? -0x800000 : v;
}

static void wr_report(struct wr *w, const struct rtcp_report *b)
{
	wr_u32(w, b->ssrc);
	wr_u32(w, (uint32_t)b->fraction << 24 | ((uint32_t)lost24(b->lost) & 0xffffff));
	wr_u32(w, b->ext_seq);
	wr_u32(w, b->jitter);
	wr_u32(w, b->lsr);
	wr_u32(w, b->dlsr);
}

static void wr_cname(struct wr *w, uint32_t ssrc, const char *cname)
{
	size_t n = strlen(cname), chunk = (4 + 2 + n + 1 + 3) & ~(size_t)3;
	uint8_t *p;

	if (n > 255) {
		w->full = true;
		return;
	}
	wr_header(w, 1, PT_SDES, HDR_LEN + chunk);
	wr_u32(w, ssrc);
	p = wr_take(w, chunk - 4);
	if (!p)
		return;
	memset(p, 0, chunk - 4);
	p[0] = SDES_CNAME;
	p[1] = (uint8_t)n;
	memcpy(p + 2, cname, n);
}

size_t rtcp_encode(uint8_t *p, size_t room, uint32_t ssrc, const struct rtcp_sr *sr, const struct rtcp_report *rep,
		   unsigned nrep, const char *cname)
{
	struct wr w = { .p = p, .room = room };

	if (nrep > COUNT_MAX)
		return 0;
	wr_header(&w, nrep, sr ? PT_SR : PT_RR, HDR_LEN + 4 + (sr ? 20 : 0) + nrep * REPORT_LEN);
	wr_u32(&w, ssrc);
	if (sr) {
		wr_u32(&w, (uint32_t)(sr->ntp >> 32));
		wr_u32(&w, (uint32_t)sr->ntp);
		wr_u32(&w, sr->rtp_ts);
		wr_u32(&w, sr->packets);
		wr_u32(&w, sr->octets);
	}
	for (unsigned i = 0; i < nrep; i++)
		wr_report(&w, &rep[i]);
	if (cname)
		wr_cname(&w, ssrc, cname);
	return w.full ? 0 : w.l;
}

size_t rtcp_encode_bye(uint8_t *p, size_t room, uint32_t ssrc)
{
	struct wr w = { .p = p, .room = room };

	wr_header(&w, 0, PT_RR, HDR_LEN + 4);
	wr_u32(&w, ssrc);
	wr_header(&w, 1, PT_BYE, HDR_LEN + 4);
	wr_u32(&w, ssrc);
	return w.full ? 0 : w.l;
}

size_t rtcp_encode_feedback(uint8_t *p, size_t room, uint8_t pt, uint8_t fmt, uint32_t from, uint32_t media,
			    const uint8_t *fci, size_t n)
{
	struct wr w = { .p = p, .room = room };
	uint8_t *at;

	if (n % 4 || n > 4u * 0xffff - 8 || fmt > COUNT_MAX)
		return 0;
	wr_header(&w, fmt, pt, HDR_LEN + 8 + n);
	wr_u32(&w, from);
	wr_u32(&w, media);
	at = wr_take(&w, n);
	if (at && n)
		memcpy(at, fci, n);
	return w.full ? 0 : w.l;
}

/* --- statistics: RFC 3550 A.3, 6.4.1 */
void rtp_source_sr(struct rtp_source *s, const struct rtcp_sr *sr, uint64_t now_us)
{
	s->last_sr_mid = (uint32_t)(sr->ntp >> 16);
	s->last_sr_us  = now_us;
}

void rtp_source_report(struct rtp_source *s, struct rtcp_report *r, uint64_t now_us)
{
	uint32_t expected = s->valid ? rtp_source_ext_seq(s) - s->base_seq + 1 : 0;
	uint32_t exp_int = expected - s->expected_prior, rec_int = s->received - s->received_prior;
	int32_t  lost_int = (int32_t)(exp_int - rec_int);

	s->expected_prior = expected;
	s->received_prior = s->received;
	r->ssrc     = s->ssrc;
	r->fraction = 0;
	if (exp_int && lost_int > 0) {
		uint64_t f = ((uint64_t)(uint32_t)lost_int << 8) / exp_int;

		r->fraction = (uint8_t)(f > 255 ? 255 : f);
	}
	r->lost     = lost24(rtp_source_lost(s));
	r->ext_seq  = rtp_source_ext_seq(s);
	r->jitter   = s->jitter >> 4;
	r->lsr      = s->last_sr_mid;
	r->dlsr     = 0;
	if (s->last_sr_mid && now_us > s->last_sr_us) {
		uint64_t us = now_us - s->last_sr_us;

		r->dlsr = us < 65535ull * 1000000 ? (uint32_t)(us * 65536 / 1000000) : UINT32_MAX;
	}
}

uint64_t rtcp_ntp(uint64_t wall_us)
{
	uint64_t sec = wall_us / 1000000 + NTP_UNIX, us = wall_us % 1000000;

	return sec << 32 | (us << 32) / 1000000;
}

uint32_t rtcp_rtt_us(const struct rtcp_report *r, uint64_t ntp_now)
{
	uint32_t rtt = (uint32_t)(ntp_now >> 16) - r->lsr - r->dlsr;     /* 1/65536 s; a negative one becomes huge */

	if (!r->lsr || rtt > RTT_MAX)
		return 0;
	return (uint32_t)((uint64_t)rtt * 1000000 >> 16);
}
