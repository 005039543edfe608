/* SPDX-License-Identifier: Apache-2.0 */
/* rtcp.h - RTCP (RFC 3550 6): what we send, and a bounded walk over what arrives */
#ifndef RTP_RTCP_H
#define RTP_RTCP_H
#include "lib/rtp/rtp.h"

struct rtcp_report { uint32_t ssrc; uint8_t fraction; int32_t lost; uint32_t ext_seq, jitter, lsr, dlsr; };
struct rtcp_sr { uint32_t ssrc; uint64_t ntp; uint32_t rtp_ts, packets, octets; };

struct rtcp_handler {                    /* any may be NULL */
	void (*sr)(const struct rtcp_sr *sr, void *arg);
	void (*report)(uint32_t from, const struct rtcp_report *r, void *arg);  /* of SR, RR */
	void (*bye)(uint32_t ssrc, void *arg);
	void (*feedback)(uint8_t pt, uint8_t fmt, uint32_t from, uint32_t media, const uint8_t *fci, size_t n,
			 void *arg);
};
/* Valid packets before a malformed one are delivered; returns how many, or -EBADMSG when none. */
int    rtcp_decode(const uint8_t *p, size_t n, const struct rtcp_handler *h, void *arg);
/* Compound SR (sr != NULL) or RR, with nrep reports (at most 31) and SDES CNAME (NULL: none). 0: does not fit. */
size_t rtcp_encode(uint8_t *p, size_t room, uint32_t ssrc, const struct rtcp_sr *sr, const struct rtcp_report *rep,
		   unsigned nrep, const char *cname);
size_t rtcp_encode_bye(uint8_t *p, size_t room, uint32_t ssrc);           /* empty RR and BYE */
/* One feedback packet: PLI is (206, 1) without FCI, NACK (205, 1), FIR (206, 4), ... n is a multiple of 4. */
size_t rtcp_encode_feedback(uint8_t *p, size_t room, uint8_t pt, uint8_t fmt, uint32_t from, uint32_t media,
			    const uint8_t *fci, size_t n);
/* fills a report and starts the next interval */
void   rtp_source_report(struct rtp_source *s, struct rtcp_report *r, uint64_t now_us);
/* an SR of the source: LSR and DLSR of our next reports */
void   rtp_source_sr(struct rtp_source *s, const struct rtcp_sr *sr, uint64_t now_us);
uint64_t rtcp_ntp(uint64_t wall_us);
uint32_t rtcp_rtt_us(const struct rtcp_report *r, uint64_t ntp_now);                      /* 0 when unknown */

#endif
