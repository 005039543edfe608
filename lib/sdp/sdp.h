/* SPDX-License-Identifier: Apache-2.0 */
/* sdp.h - session descriptions (RFC 8866): a lenient bounded reader and a strict writer; no policy
 *
 * Bounds: 16 KiB, 8 m-lines, 64 formats, 16 crypto lines and 32 candidates a line. Strings are borrowed from the text given to decode.
 */
#ifndef SDP_SDP_H
#define SDP_SDP_H
#include "lib/base/buf.h"

#define SDP_MAX_BYTES  (16u * 1024)
#define SDP_MAX_MEDIA  8
#define SDP_MAX_FMTS   64
#define SDP_MAX_CRYPTO 16
#define SDP_MAX_EXTMAP 16
#define SDP_MAX_CAND   32

enum sdp_dir { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };
const char *sdp_dir_name(enum sdp_dir d);
enum sdp_dir sdp_dir_answer(enum sdp_dir offered, bool may_send, bool may_recv);   /* RFC 3264 6.1, our side's view */

struct sdp_fmt {
	struct str id;                   /* as in the m-line */
	int        pt;                   /* -1 when not a number */
	struct str enc;                  /* rtpmap name; static numbers are filled from RFC 3551 */
	uint32_t   clock;
	unsigned   channels;
	struct str fmtp;                 /* "" when none */
};
struct sdp_crypto { uint32_t tag; struct str suite, key_params, session_params; };   /* key_params: "inline:..." */
struct sdp_extmap { unsigned id; struct str uri; };
struct sdp_media {
	struct str     type, proto;      /* "audio", "RTP/SAVP" */
	uint16_t       port;             /* 0: refused */
	struct str     conn;             /* numeric address of c= (own or session), "" when none */
	uint16_t       rtcp_port;        /* a=rtcp, else 0 */
	enum sdp_dir   dir;
	bool           rtcp_mux;
	unsigned       ptime, maxptime;  /* ms, 0: absent */
	unsigned       nfmts, ncrypto, nextmap, ncand;
	struct sdp_fmt    fmts[SDP_MAX_FMTS];
	struct sdp_crypto crypto[SDP_MAX_CRYPTO];
	struct sdp_extmap extmap[SDP_MAX_EXTMAP];
	struct str     cand[SDP_MAX_CAND];                       /* a=candidate as written: lib/ice reads them */
	struct str     remote_candidate, remote_candidates;      /* of ICE draft 6, of RFC 5245 */
	bool           ice_lite, ice_mismatch, end_of_candidates;   /* ice_lite is the session's, and so of all its lines */
	struct str     label, mid, ice_ufrag, ice_pwd, fingerprint, setup, encryption;
};
struct sdp {
	struct str       origin_user, origin_addr;
	uint64_t         sess_id, sess_version;
	unsigned         nmedia;
	struct sdp_media media[SDP_MAX_MEDIA];
};
int  sdp_decode(struct sdp **sp, struct str text);       /* -EBADMSG, -EMSGSIZE, -ENOMEM; mem_deref(); copies the text */
bool sdp_fmtp_param(struct str fmtp, struct str name, struct str *value);   /* split at ';' and spaces */
int  sdp_encode(struct buf *b, const struct sdp *s);     /* CRLF lines; fmts with enc get rtpmap, fmtp when not empty */

/* SDES (RFC 4568 9.1): base64 with or without padding, lifetime and MKI */
struct sdes_key { uint8_t key[64]; size_t len; unsigned mki_len; uint32_t mki; };
int  sdes_decode(struct sdes_key *k, const struct sdp_crypto *c, size_t want_len);  /* -EINVAL wrong length, -ENOTSUP params */
int  sdes_encode(char *out, size_t outsz, const uint8_t *key, size_t len);          /* "inline:BASE64|2^31" */

#endif
