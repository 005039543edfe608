/* SPDX-License-Identifier: Apache-2.0 */
/* nego_priv.h - between nego.c (the session), nego_pick.c (judging m-lines), nego_ice.c and nego_text.c (writing) */
#ifndef MCU_NEGO_PRIV_H
#define MCU_NEGO_PRIV_H
#include "mcu/nego.h"

struct nego_codec { enum mcodec id; const char *enc; uint32_t clock; unsigned channels; int pt; };   /* pt: in our offers */
extern const struct nego_codec nego_codecs[NEGO_CODECS];
#define NEGO_PT_DTMF 101
#define NEGO_PT_CN   13
#define NEGO_LEVEL_URI "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

struct pick_ice {                            /* what of its ICE */
	struct ice_prm  prm;                 /* form, peers, chosen; ICE_OFF: none that we do */
	bool            ms, final, mismatch; /* of Communicator's family; it names the chosen pair; RFC 5245 5.1 */
	struct str      names_ours;          /* a=remote-candidate */
	unsigned        count[ICE_COMPS];    /* UDP candidates */
	struct ice_cand first[ICE_COMPS];
};

struct pick {                                /* what of one m-line would be taken */
	const struct sdp_media   *m;
	unsigned                  index;
	const struct nego_codec  *codec;
	const struct sdp_fmt     *fmt, *dtmf, *cn;
	const struct sdp_crypto  *crypto;    /* NULL: plain */
	const struct srtp_suite  *suite;
	struct sdes_key           key;
	bool                      savp;      /* the line's profile is a secure one */
	uint8_t                   level_ext;
	struct pick_ice           ice;
};
enum nego_fault pick_media(struct pick *p, const struct nego_prm *prm, const struct sdp *s);
enum nego_fault pick_line(struct pick *p, const struct nego_prm *prm, const struct sdp_media *m);

/* --- nego_ice.c */
struct ice_texts { char cand[ICE_COMPS][3 * ICE_TEXT]; };       /* strings that the sdp structs borrow */
enum nego_fault pick_ice(struct pick_ice *p, const struct sdp_media *m);
void take_ice(struct nego *n, const struct pick_ice *p, bool ms_kind);
int  write_ice(const struct nego *n, const struct nego_prm *prm, struct sdp_media *m, struct ice_texts *t);

/* Writes n->local. The version rises when the text differs from the last one. */
enum nego_fault nego_write(struct nego *n, const struct nego_prm *prm, bool all_codecs);

#endif
