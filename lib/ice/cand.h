/* SPDX-License-Identifier: Apache-2.0 */
/* cand.h - candidate lines in both grammars; the value behind `a=candidate:`
 *
 *   RFC 5245:  FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE [raddr .. rport .. tcptype ..]
 *   draft 6:   USER COMPONENT PASSWORD TRANSPORT 0.PRIORITY ADDRESS PORT      (credentials of each candidate)
 *
 * and what names the chosen ones: `a=remote-candidates:COMPONENT ADDRESS PORT ...`, `a=remote-candidate:USER`.
 */
#ifndef ICE_CAND_H
#define ICE_CAND_H
#include "lib/ice/stun.h"

#define ICE_COMPS 2u                         /* 1 RTP, 2 RTCP */

enum ice_form { ICE_OFF, ICE_RFC5245, ICE_DRAFT6 };
enum ice_transport { ICE_UDP, ICE_TCP, ICE_TCP_PASS, ICE_TCP_ACT, ICE_TRANSPORT_OTHER };
enum ice_type { ICE_HOST, ICE_SRFLX, ICE_PRFLX, ICE_RELAY, ICE_TYPE_OTHER };

struct ice_cand {
	enum ice_form      form;
	struct str         foundation;       /* RFC 5245 */
	struct str         user, pwd;        /* draft 6, base64 without padding */
	unsigned           comp;
	enum ice_transport transport;
	uint32_t           priority;         /* draft 6: the fraction in millionths */
	struct str         addr;             /* may be a name */
	uint16_t           port;
	enum ice_type      type;             /* draft 6 has none: ICE_HOST */
};
int ice_cand_decode(struct ice_cand *c, struct str line);            /* -EBADMSG: neither grammar; borrows from line */
int ice_cand_encode(char *out, size_t outsz, const struct ice_cand *c);      /* -EMSGSIZE */

/* One more "COMPONENT ADDRESS PORT" off *rest; -ENOENT at the end, -EBADMSG. */
int ice_remote_decode(unsigned *comp, union ice_addr *addr, struct str *rest);

/* Base64 with or without its padding; the number of bytes, -EBADMSG, -EMSGSIZE. */
int ice_base64(uint8_t *out, size_t outsz, struct str text);

#endif
