/* SPDX-License-Identifier: Apache-2.0 */
/* nego.h - the media session of one leg: offer in, answer and media settings out (RFC 3264, RFC 4568); no SIP, no sockets
 *
 * A nego lives as long as its dialog. It remembers what was agreed, so that the same offer gets the same answer byte
 * for byte, our key and payload numbers stay, and a refused offer leaves the running session as it was.
 */
#ifndef MCU_NEGO_H
#define MCU_NEGO_H
#include "lib/sdp/sdp.h"
#include "mcu/media/media.h"

#define NEGO_CODECS 4u

struct nego_policy {                         /* of the daemon: from the configuration */
	const char *ip;                      /* ours, numeric, in c= and o= */
	const char *name;                    /* o= user name */
	enum mcodec order[NEGO_CODECS];      /* codecs we speak, best first */
	unsigned    ncodecs;
	bool        ours_first;              /* our order decides, not the offerer's */
	unsigned    ptime_ms;                /* ours, unless the peer asks for another */
	unsigned    opus_bitrate;            /* bit/s, 0: default */
	bool        agc, denoise;            /* what is done to the peer's voice */
	bool        comfort_noise;           /* silence is sent as comfort noise where the peer takes it */
};

struct nego_prm {                            /* of one leg, at this moment */
	const struct nego_policy *policy;
	uint16_t                  port;      /* our RTP port */
	bool                      plain_ok;  /* RTP without encryption is allowed */
	bool                      ms_kind;   /* Communicator and its like: RTP/AVP with crypto is answered RTP/SAVP */
	bool                      may_send, may_recv;   /* rights of the participant */
};

#define NEGO_FAULTS(X) \
	X(SYNTAX,    "the SDP cannot be parsed") \
	X(NO_AUDIO,  "no audio line that is in use") \
	X(TRANSPORT, "the transport of the audio line is not supported; RTP/SAVP with a=crypto is") \
	X(NO_CODEC,  "no common audio codec; opus, G722, PCMU and PCMA are known") \
	X(INSECURE,  "SRTP is required here; switch encryption (SDES) on") \
	X(NO_CRYPTO, "no a=crypto line that can be used") \
	X(FAMILY,    "the media address is of another IP family than ours") \
	X(ICE,       "the ICE candidates are of no form that is known here") \
	X(ANSWER,    "the answer does not fit our offer") \
	X(NO_CHAT,   "no message line that is in use") \
	X(NO_MEMORY, "out of memory")
enum nego_fault {
	NEGO_OK,
#define X(name, text) NEGO_##name,
	NEGO_FAULTS(X)
#undef X
	NEGO_NFAULTS
};
const char *nego_fault_text(enum nego_fault f);

struct nego_line { char type[16], proto[24], fmt[16]; };  /* an m-line that we refuse: echoed with port 0 */

struct nego {
	uint64_t         sess_id, version;
	char            *local;              /* our last description, mem; NULL before the first */
	unsigned         nlines, active;
	struct nego_line lines[SDP_MAX_MEDIA];
	char             proto[24], label[32], mid[32];
	bool             done;               /* set is agreed */
	bool             offering;           /* our offer is out, its answer is awaited */
	const struct srtp_suite *suite;      /* NULL: plain RTP */
	uint32_t         crypto_tag;
	uint32_t         dtmf_clock;         /* Hz */
	enum sdp_dir     dir;                /* ours, as last written */
	enum sdp_dir     peer_dir;           /* the peer's, as last read */
	bool             ice_ms, ice_mismatch;
	char             ice_remote[160];    /* the peer's chosen candidates, as our answer names them; "": not final */
	struct mleg_set  set;                /* for mleg_set() */
};

void nego_init(struct nego *n);
void nego_fini(struct nego *n);              /* wipes keys */

/* An offer came: makes n->local and n->set. A fault leaves n unchanged. */
enum nego_fault nego_answer(struct nego *n, const struct nego_prm *prm, struct str offer);
/* An offer of ours: n->local is to be sent; nego_take_answer() completes it, nego_abandon() forgets it. */
enum nego_fault nego_offer(struct nego *n, const struct nego_prm *prm);
enum nego_fault nego_take_answer(struct nego *n, const struct nego_prm *prm, struct str answer);
void nego_abandon(struct nego *n);
/* Our last description without keys and passwords, for keeping elsewhere; new reference. */
char *nego_keepable(const struct nego *n);

#endif
