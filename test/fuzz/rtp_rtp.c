/* SPDX-License-Identifier: Apache-2.0 */
/* Any datagram as RTP: the header, each extension id, and the payload as a telephone event; then a run of sequence
 * numbers taken from the same bytes through the source statistics.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/rtp/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rtp_source s;
	struct rtp_dtmf d;
	struct rtp_hdr h, g;
	uint8_t out[72];
	bool voice;

	if (!rtp_hdr_decode(&h, p, n)) {
		if (h.hdr_len + h.payload_len > n)
			abort();
		for (unsigned id = 0; id < 256; id++)
			if (rtp_audio_level(&h, id, &voice) > 127)
				abort();
		if (!rtp_dtmf_decode(&d, p + h.hdr_len, h.payload_len))
			rtp_dtmf_encode(out, &d);
		if (rtp_hdr_encode(out, sizeof(out), &h) != RTP_HDR_MIN + 4u * h.ncsrc ||
		    rtp_hdr_decode(&g, out, RTP_HDR_MIN + 4u * h.ncsrc) || g.ssrc != h.ssrc || g.seq != h.seq)
			abort();
	}
	rtp_source_init(&s, 1, 0, 8000);
	for (size_t i = 0; i + 6 <= n; i += 6) {
		uint32_t ts;

		memcpy(&ts, p + i + 2, 4);
		rtp_source_update(&s, (uint16_t)(p[i] << 8 | p[i + 1]), ts, (uint64_t)ts * 1000 + i);
		rtp_source_lost(&s);
	}
	return 0;
}
