/* SPDX-License-Identifier: Apache-2.0 */
/* ice.h - our side of ICE for one leg: a lite agent, always controlled, with one host candidate a component
 *
 *   datagram with a first byte of 0..3 -> ice_input() -> answer to send back, and whether the way changed
 *
 * It answers authentic checks and remembers where they came from: the ways. Media may go to the chosen way only. That
 * is the one the peer nominated (RFC 5245: USE-CANDIDATE, of several the one with the highest priority), or named in
 * its second offer (ice_choose(); draft 6 has no other means), and until then the first one. The dialect shows in
 * the checks themselves, so standard agents and those of Office Communicator need no setting. In draft 6, whose agents
 * want to see a check of ours before they trust a pair, each check is also returned (ice_check()).
 *
 * Allocation and the key set-up happen on whatever thread makes the agent; input neither allocates nor blocks.
 */
#ifndef ICE_ICE_H
#define ICE_ICE_H
#include "lib/ice/cand.h"

#define ICE_TEXT  80u                        /* user names and passwords that we keep: their text, with the end */
#define ICE_PEERS 4u
#define ICE_WAYS  4u                         /* a component's addresses of the peer at a time */

struct ice_peer { char user[ICE_TEXT], pwd[ICE_TEXT]; };
struct ice_prm {
	enum ice_form   form;
	char            user[ICE_TEXT], pwd[ICE_TEXT];       /* ours as in the SDP: ufrag and password; draft 6: base64 */
	unsigned        npeers;
	struct ice_peer peer[ICE_PEERS];     /* draft 6: of its candidates; RFC 5245: its ufrag */
	union ice_addr  chosen[ICE_COMPS];   /* what its second offer names as its candidates; family 0: nothing */
};
/* Makes fresh credentials of ours in prm->user and prm->pwd. */
void ice_credentials(struct ice_prm *prm);
bool ice_same_session(const struct ice_prm *a, const struct ice_prm *b);     /* all but what is chosen */

enum {
	ICE_ALIVE  = 1,                      /* an authentic check */
	ICE_WAY    = 2,                      /* the chosen way changed */
	ICE_RETURN = 4,                      /* a check should go back: ice_check() */
	ICE_HEARD  = 8,                      /* an indication, or the answer to a check of ours */
};
struct ice;
int    ice_alloc(struct ice **ip, const struct ice_prm *prm);        /* -EINVAL: credentials that cannot be; -ENOMEM */
/* comp counts from 0. Returns the length of the answer in out (0: none) and sets *news to what happened. */
size_t ice_input(struct ice *i, unsigned comp, const uint8_t *p, size_t n, const struct sockaddr *from, uint8_t *out,
		 size_t room, int64_t now_us, unsigned *news);
size_t ice_check(struct ice *i, unsigned comp, const struct sockaddr *to, uint8_t *out, size_t room);
bool   ice_choose(struct ice *i, unsigned comp, const union ice_addr *to);   /* true: the chosen way changed */
const union ice_addr *ice_way(const struct ice *i, unsigned comp);           /* NULL: no way yet */
bool   ice_known(struct ice *i, unsigned comp, const struct sockaddr *from); /* an authentic check came from there */

struct ice_stats { uint64_t checks, bad, foreign, conflicts, returned; };    /* answered; malformed; not authentic; */
const struct ice_stats *ice_stats(const struct ice *i);                      /* 487; answers to ours */

#endif
