/* SPDX-License-Identifier: Apache-2.0 */
/* nego_ice.c - the ICE part of a session: which form an offer has, what we keep of it, what we answer
 *
 * candidate lines -> all of one grammar? -> credentials of the peer, the pair it chose -> our agent's parameters, which
 * stay while the peer's do. The answer has the form of the offer, with one host candidate a component. An offer that
 * is ICE, but of no form known here, is refused so that Communicator's family tries its other form.
 */
#include <stdio.h>
#include "mcu/nego_priv.h"

#define PRIO_HOST 2130706431u                /* RFC 8445 5.1.2.1: host, component 1; one less for component 2 */
#define PRIO_D6   830000u                    /* what libnice and Communicator write for a host candidate */

static void copy(char *out, size_t outsz, struct str s)
{
	snprintf(out, outsz, STR_FMT, STR_ARG(s));
}

static bool reads(union ice_addr *a, struct str addr, uint16_t port)
{
	return !ice_addr_parse(a, addr, port);
}

/* --- reading */
static void add_peer(struct ice_prm *prm, struct str user, struct str pwd)
{
	struct ice_peer p = { .user = "" };

	copy(p.user, sizeof(p.user), user);
	copy(p.pwd, sizeof(p.pwd), pwd);
	for (unsigned i = 0; i < prm->npeers; i++)
		if (!strcmp(prm->peer[i].user, p.user))
			return;
	if (prm->npeers < ICE_PEERS && user.l < ICE_TEXT && pwd.l < ICE_TEXT)
		prm->peer[prm->npeers++] = p;
}

/* The candidates as they stand; the first of each component is kept for naming the chosen pair. */
static bool read_candidates(struct pick_ice *p, const struct sdp_media *m)
{
	unsigned good = 0;

	for (unsigned i = 0; i < m->ncand; i++) {
		struct ice_cand c;

		if (ice_cand_decode(&c, m->cand[i]))
			continue;
		if (good++ && c.form != p->prm.form)
			return false;
		p->prm.form = c.form;
		if (c.form == ICE_DRAFT6 || c.transport == ICE_TCP_ACT || c.transport == ICE_TCP_PASS)
			p->ms = true;
		if (c.transport != ICE_UDP || c.comp > ICE_COMPS)
			continue;
		if (c.form == ICE_DRAFT6)
			add_peer(&p->prm, c.user, c.pwd);
		if (!p->count[c.comp - 1]++)
			p->first[c.comp - 1] = c;
	}
	return good || !m->ncand;
}

/* RFC 5245 5.1: is the address that a peer without ICE would use among the candidates? One behind a gateway that
 * changed the address lines alone is not, and its checks would not come. */
static bool mismatch(const struct sdp_media *m)
{
	union ice_addr want, have;
	struct ice_cand c;

	if (!m->ncand || m->port == 9 || !reads(&want, m->conn, m->port))
		return false;
	for (unsigned i = 0; i < m->ncand; i++)
		if (!ice_cand_decode(&c, m->cand[i]) && reads(&have, c.addr, c.port) &&
		    ice_addr_eq(&want, &have))
			return false;
	return true;
}

static void read_chosen(struct pick_ice *p, const struct sdp_media *m)
{
	union ice_addr a;

	for (unsigned c = 0; c < ICE_COMPS; c++) {
		uint16_t port = c ? m->rtcp_port : m->port;

		if (p->count[c] == 1 && reads(&a, p->first[c].addr, p->first[c].port))
			p->prm.chosen[c] = a;
		else if (port && reads(&a, m->conn, port))
			p->prm.chosen[c] = a;
	}
}

enum nego_fault pick_ice(struct pick_ice *p, const struct sdp_media *m)
{
	memset(p, 0, sizeof(*p));
	if (!m->ncand && !(m->ice_ufrag.l && m->ice_pwd.l))
		return NEGO_OK;
	if (!read_candidates(p, m) || (p->prm.form == ICE_DRAFT6 && !p->prm.npeers))
		return NEGO_ICE;
	if (p->prm.form != ICE_DRAFT6) {
		p->prm.form = m->ice_ufrag.l && m->ice_pwd.l && !m->ice_lite ? ICE_RFC5245 : ICE_OFF;
		p->mismatch = p->prm.form && !p->ms && mismatch(m);
		if (p->mismatch)
			p->prm.form = ICE_OFF;
		add_peer(&p->prm, m->ice_ufrag, STR(""));
	}
	p->final = m->remote_candidate.l || m->remote_candidates.l;
	if (p->final)
		read_chosen(p, m);
	p->names_ours = m->remote_candidate;
	return NEGO_OK;
}

/* --- keeping */
static bool goes_on(const struct ice_prm *cur, const struct pick_ice *p)
{
	if (cur->form == ICE_OFF || cur->form != p->prm.form)
		return false;
	if (p->names_ours.l && str_eq(p->names_ours, str_c(cur->user)))
		return true;
	for (unsigned i = 0; i < p->prm.npeers; i++)
		for (unsigned k = 0; k < cur->npeers; k++)
			if (!strcmp(p->prm.peer[i].user, cur->peer[k].user))
				return true;
	return false;
}

static void name_theirs(char *out, size_t outsz, const struct pick_ice *p)
{
	size_t n = 0;

	out[0] = '\0';
	if (p->prm.form == ICE_DRAFT6) {
		copy(out, outsz, p->first[0].user);
		return;
	}
	for (unsigned c = 0; c < ICE_COMPS && n < outsz; c++)
		if (p->count[c])
			n += (size_t)snprintf(out + n, outsz - n, "%s%u " STR_FMT " %u", n ? " " : "", c + 1,
					      STR_ARG(p->first[c].addr), p->first[c].port);
	if (n >= outsz)
		out[0] = '\0';
}

void take_ice(struct nego *n, const struct pick_ice *p, bool ms_kind)
{
	struct ice_prm *cur = &n->set.ice;
	bool same = goes_on(cur, p);

	n->ice_mismatch  = p->mismatch;
	n->ice_ms        = p->ms || ms_kind || (same && n->ice_ms);      /* a second offer has no TCP candidates to show it */
	n->ice_remote[0] = '\0';
	if (p->prm.form == ICE_OFF) {
		memset(cur, 0, sizeof(*cur));
		return;
	}
	if (!same) {
		*cur = p->prm;
		ice_credentials(cur);
	}
	memcpy(cur->chosen, p->prm.chosen, sizeof(cur->chosen));
	if (p->final && n->ice_ms)
		name_theirs(n->ice_remote, sizeof(n->ice_remote), p);
}

/* --- writing */
static void our_candidate(const struct nego *n, const struct nego_prm *prm, unsigned comp, struct ice_cand *c)
{
	const struct ice_prm *i = &n->set.ice;

	*c = (struct ice_cand){
		.form       = i->form,
		.foundation = STR("1"),
		.user       = str_c(i->user),
		.pwd        = str_c(i->pwd),
		.comp       = comp + 1,
		.transport  = ICE_UDP,
		.priority   = i->form == ICE_DRAFT6 ? PRIO_D6 : PRIO_HOST - comp,
		.addr       = str_c(prm->policy->ip),
		.port       = (uint16_t)(prm->port + comp),
		.type       = ICE_HOST,
	};
}

int write_ice(const struct nego *n, const struct nego_prm *prm, struct sdp_media *m, struct ice_texts *t)
{
	const struct ice_prm *i = &n->set.ice;
	unsigned ncomps = n->set.rtcp_mux ? 1 : ICE_COMPS;
	struct ice_cand c;

	m->ice_mismatch = n->ice_mismatch;
	if (i->form == ICE_OFF)
		return 0;
	for (unsigned k = 0; k < ncomps; k++) {
		our_candidate(n, prm, k, &c);
		if (ice_cand_encode(t->cand[k], sizeof(t->cand[k]), &c))
			return -1;
		m->cand[m->ncand++] = str_c(t->cand[k]);
	}
	if (ncomps > 1)
		m->rtcp_port = (uint16_t)(prm->port + 1);
	if (i->form == ICE_DRAFT6) {
		m->remote_candidate = str_c(n->ice_remote);
		return 0;
	}
	m->ice_ufrag = str_c(i->user);
	m->ice_pwd   = str_c(i->pwd);
	m->ice_lite  = !n->ice_ms;           /* Communicator's family knows no lite agents, and needs not know */
	m->remote_candidates = str_c(n->ice_remote);
	return 0;
}
