/* SPDX-License-Identifier: Apache-2.0 */
/* leg_ice.c - connectivity checks of one leg: between its sockets and lib/ice
 *
 * check -> ice_input() -> answer into the outbox -> a new way? then RTP or RTCP goes there from now on. Until a check
 * has come, and when none comes, nothing is sent: an address in an SDP is no proof that somebody there wants it.
 */
#include <string.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

_Static_assert(sizeof(union usa) == sizeof(union ice_addr), "both hold the same addresses");

static void take_way(struct wleg *l, unsigned comp)
{
	const union ice_addr *way = ice_way(l->ice, comp);
	union usa *peer = comp ? &l->rtcp_peer : &l->peer;
	char s[USA_STRLEN];

	if (!way)
		return;
	memcpy(peer, way, sizeof(*peer));
	usa_str(peer, s);
	log_info(leg, "leg %s: ICE component %u goes to %s", l->id, comp + 1, s);
	if (comp == 0)
		l->latched = true;
}

void wleg_ice_set(struct wleg *l, struct leg_update *u, int64_t now)
{
	if (u->new_ice) {
		mem_deref(l->ice);
		l->ice = u->ice;
		u->ice = NULL;
		l->ice_us = now;
		l->no_way_told = false;
	}
	for (unsigned c = 0; l->ice && c < ICE_COMPS; c++)
		if (u->s.ice.chosen[c].sa.sa_family && ice_choose(l->ice, c, &u->s.ice.chosen[c]))
			take_way(l, c);
}

static void add(struct wleg *l, unsigned comp, const union usa *to, size_t n)
{
	if (n)
		outbox_add(&l->room->w->out, comp ? l->sk.rtcp : l->sk.rtp, to, n);
}

static void refused(struct wleg *l, const union usa *from)
{
	char s[USA_STRLEN];

	l->st.bad++;
	metric_inc(&media_metrics[M_BAD_STUN]);
	usa_str(from, s);
	log_warn(leg, "leg %s: STUN from %s: %s", l->id, s, l->ice ? "not of our session" : "ICE was not agreed");
}

void wleg_stun(struct wleg *l, unsigned comp, const uint8_t *p, size_t n, const union usa *from, int64_t now)
{
	struct outbox *o = &l->room->w->out;
	unsigned news = 0;
	size_t len = 0;

	if (l->ice) {
		len = ice_input(l->ice, comp, p, n, &from->sa, outbox_next(o), OUTPKT_MAX, now, &news);
		add(l, comp, from, len);
	}
	if (!news && !len) {
		refused(l, from);
		return;
	}
	if (!(news & ICE_ALIVE))
		return;
	metric_inc(&media_metrics[M_CHECKS]);
	l->last_valid_us = now;                          /* not wleg_valid(): a check says nothing about keys */
	l->idle_told = false;
	if (news & ICE_WAY)
		take_way(l, comp);
	if (news & ICE_RETURN)
		add(l, comp, from, ice_check(l->ice, comp, &from->sa, outbox_next(o), OUTPKT_MAX));
}

void wleg_ice_second(struct wleg *l, int64_t now)
{
	if (!l->ice || l->no_way_told || now - l->ice_us < (int64_t)l->room->w->ice_ms * 1000)
		return;
	if (ice_way(l->ice, 0) && (l->mux || ice_way(l->ice, 1)))
		return;
	l->no_way_told = true;
	wleg_event(l, MLEG_NO_WAY, 0);
}
