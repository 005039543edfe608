/* SPDX-License-Identifier: Apache-2.0 */
/* stun.h - STUN messages of connectivity checks, in three dialects; bytes in, struct out and back, no state
 *
 *                 RFC 5389             MS-ICE2 (Office Communicator 2007 R2)    RFC 3489 (draft-6 ICE, Communicator 2007)
 * cookie          yes                  yes                                      none: 16 free bytes of transaction id
 * attribute       padded to 4, not     padded to 4, padding is counted          padded to 4, padding is counted
 *                 counted
 * integrity over  length up to itself  length with FINGERPRINT, then zeros up   length up to itself, then zeros up to
 *                                      to a multiple of 64                      a multiple of 64
 * FINGERPRINT     CRC-32               CRC-32, or one with a wrong table entry  none
 * reflexive       XOR-MAPPED-ADDRESS   XOR-MAPPED-ADDRESS                       that, xored with the id, and MAPPED-ADDRESS
 * USERNAME        to:from              to:from                                  to:COMPONENT:from:COMPONENT, decoded
 *
 * Verified against libnice in its modes RFC5245, OC2007R2 and OC2007, and the vectors of RFC 5769.
 */
#ifndef ICE_STUN_H
#define ICE_STUN_H
#define OPENSSL_SUPPRESS_DEPRECATED      /* SHA_CTX: a check costs no allocation, see stun_mac.c */
#include <netinet/in.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/str.h"

#define STUN_HDR     20u
#define STUN_MAX     548u                /* what we write; a check is about 100 bytes */
#define STUN_USER    512u                /* longest USERNAME (RFC 8489 14.3) */
#define STUN_COOKIE  0x2112a442u

enum stun_dialect { STUN_RFC5389, STUN_MSICE2, STUN_RFC3489 };
enum stun_type { STUN_REQUEST = 0x0001, STUN_INDICATION = 0x0011, STUN_SUCCESS = 0x0101, STUN_ERROR = 0x0111 };
enum stun_attr {
	STUN_MAPPED_ADDRESS = 0x0001, STUN_USERNAME = 0x0006, STUN_INTEGRITY = 0x0008, STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN_ATTRIBUTES = 0x000a, STUN_REALM = 0x0014, STUN_NONCE = 0x0015, STUN_XOR_MAPPED_ADDRESS = 0x0020,
	STUN_PRIORITY = 0x0024, STUN_USE_CANDIDATE = 0x0025, STUN_SOFTWARE = 0x8022, STUN_FINGERPRINT = 0x8028,
	STUN_ICE_CONTROLLED = 0x8029, STUN_ICE_CONTROLLING = 0x802a, STUN_MS_CANDIDATE = 0x8054, STUN_MS_VERSION = 0x8070,
};

union ice_addr {                             /* family 0: none */
	struct sockaddr     sa;
	struct sockaddr_in  in;
	struct sockaddr_in6 in6;
};

struct stun_msg {
	uint16_t       type;
	const uint8_t *id;                   /* 16 bytes: the cookie, if any, and the transaction id */
	const uint8_t *p;                    /* the message, n bytes */
	size_t         n;
	bool           cookie, ms;           /* ms: it says that it is of MS-ICE2 */
	struct str     user;                 /* without trailing zeros; p NULL: absent */
	size_t         mi_at, fp_at;         /* offsets of MESSAGE-INTEGRITY and FINGERPRINT, 0: absent */
	bool           use_candidate, controlling, controlled;
	uint32_t       priority;
	uint16_t       error;                /* of an error response, 0: none */
	uint16_t       unknown;              /* the first attribute that must be understood and is not; 0: none */
	union ice_addr mapped;               /* the reflexive address, whatever attribute it was in */
};
/* -EBADMSG: not STUN, or malformed. What m points to is in p. */
int  stun_decode(struct stun_msg *m, const uint8_t *p, size_t n);

struct stun_key { SHA_CTX inner, outer; };   /* HMAC-SHA1 after its padded key */
void stun_key_init(struct stun_key *k, const void *pwd, size_t n);
bool stun_authentic(const struct stun_msg *m, const struct stun_key *k, enum stun_dialect d);
bool stun_fingerprint_ok(const struct stun_msg *m, enum stun_dialect d);

struct stun_out {                            /* sticky: stun_end() tells */
	uint8_t          *p;
	size_t            n, room;
	enum stun_dialect dialect;
	bool              full;
};
void stun_begin(struct stun_out *o, uint8_t *p, size_t room, enum stun_dialect d, uint16_t type, const uint8_t id[16]);
void stun_attr(struct stun_out *o, uint16_t type, const void *v, size_t n);
void stun_attr_u32(struct stun_out *o, uint16_t type, uint32_t v);
void stun_attr_mapped(struct stun_out *o, const union ice_addr *a);     /* as the dialect has it */
void stun_attr_error(struct stun_out *o, unsigned code, const char *reason);
size_t stun_end(struct stun_out *o, const struct stun_key *k);          /* k NULL: no integrity; 0: it did not fit */

/* stun_mac.c */
void     stun_mac(const struct stun_key *k, const uint8_t *p, size_t n, uint16_t len, bool pad, uint8_t mac[20]);
uint32_t stun_crc(const uint8_t *p, size_t n, bool ms);

/* addresses */
bool ice_addr_eq(const union ice_addr *a, const union ice_addr *b);
int  ice_addr_parse(union ice_addr *a, struct str ip, uint16_t port);   /* numeric; -EINVAL */

#endif
