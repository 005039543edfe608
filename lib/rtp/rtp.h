/* SPDX-License-Identifier: Apache-2.0 */
/* rtp.h - RTP headers (RFC 3550 5.1, 8285), telephone events (RFC 4733) and source statistics (RFC 3550 A) */
#ifndef RTP_RTP_H
#define RTP_RTP_H
#include "lib/base/rd.h"

#define RTP_HDR_MIN 12u
struct rtp_hdr {
	bool     marker;
	uint8_t  pt, ncsrc;
	uint16_t seq;
	uint32_t ts, ssrc;
	uint32_t csrc[15];
	const uint8_t *ext;              /* extension data after its 4-byte header, or NULL */
	uint16_t ext_profile;
	size_t   ext_len;
	size_t   hdr_len;                /* all of it, extension included */
	size_t   payload_len;            /* padding removed */
};
int    rtp_hdr_decode(struct rtp_hdr *h, const uint8_t *p, size_t n);     /* -EBADMSG */
size_t rtp_hdr_encode(uint8_t *p, size_t room, const struct rtp_hdr *h);  /* 0: does not fit; extension not written */
/* RFC 6464 level under a negotiated id: 0..127 (-dBov), voice flag; -ENOENT */
int    rtp_audio_level(const struct rtp_hdr *h, unsigned ext_id, bool *voice);

struct rtp_dtmf { uint8_t event, volume; bool end; uint16_t duration; };
int    rtp_dtmf_decode(struct rtp_dtmf *d, const uint8_t *payload, size_t n);
size_t rtp_dtmf_encode(uint8_t out[4], const struct rtp_dtmf *d);

static inline bool rtp_is_rtcp(const uint8_t *p, size_t n) { return n >= 2 && p[1] >= 192 && p[1] <= 223; }

/* receiver statistics of one source (RFC 3550 A.1, A.3, A.8) */
struct rtp_source {
	bool     valid;
	uint16_t max_seq, probation;
	uint32_t ssrc, cycles, base_seq, bad_seq, received, expected_prior, received_prior;
	uint32_t jitter, transit, clock;   /* jitter in timestamp units x16 */
	uint32_t last_sr_mid;              /* middle 32 bits of the last SR's NTP time */
	uint64_t last_sr_us;
};
/* Then update it with this first packet too: it counts (probation of one). */
void rtp_source_init(struct rtp_source *s, uint32_t ssrc, uint16_t seq, uint32_t clock);
/* true when the packet counts (in sequence or plausible); false: drop */
bool rtp_source_update(struct rtp_source *s, uint16_t seq, uint32_t ts, uint64_t arrival_us);
uint32_t rtp_source_ext_seq(const struct rtp_source *s);
int32_t  rtp_source_lost(const struct rtp_source *s);

#endif
