/* SPDX-License-Identifier: Apache-2.0 */
/* ice.c - the agent, see ice.h
 *
 * datagram -> stun_decode() -> our name in front of USERNAME? -> integrity in the dialect it speaks -> role -> the way
 * is noted, chosen perhaps -> answer. Whatever fails before the integrity is proven gets no answer, so nobody can use
 * us to send to others.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include "lib/base/mem.h"
#include "lib/ice/ice.h"

#define AGGRESSIVE_US 3000000        /* so long after its last check a way with a higher priority gives place */
#define D6_USER       32u            /* bytes, as libnice and Communicator have them */
#define D6_PWD        16u
#define RAW           ICE_TEXT       /* decoded names are shorter than their text */

struct way {
	union ice_addr addr;
	uint32_t       priority;
	bool           nominated, tested;    /* tested: our own check was answered */
	uint8_t        peer;                 /* whose name the last check had, draft 6 */
	int64_t        seen_us;
};

struct comp {
	struct way      way[ICE_WAYS];
	unsigned        nways;
	int             chosen;              /* -1: none yet */
	union ice_addr  wanted;              /* what the peer's offer named */
};

struct peer {
	uint8_t         user[RAW];
	size_t          nuser;
	struct stun_key key;
};

struct ice {
	enum ice_form    form;
	uint8_t          user[RAW];
	size_t           nuser;
	struct stun_key  key, text_key;      /* draft 6: libnice returns a check with the text of our password as key */
	unsigned         npeers;
	struct peer      peer[ICE_PEERS];
	uint8_t          tid[12];            /* of our checks: a secret prefix, then the component */
	struct comp      comp[ICE_COMPS];
	struct ice_stats st;
};

/* --- credentials */
static void random_text(char *out, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t r[ICE_TEXT];

	while (getrandom(r, n, 0) != (ssize_t)n)
		;                        /* EINTR before the pool is ready */
	for (size_t i = 0; i < n; i++)
		out[i] = set[r[i] & 63];
	out[n] = '\0';
}

/* n bytes in base64 without padding: the last character has fewer bits, the others are free. */
static void random_base64(char *out, size_t n)
{
	static const char two[] = "AQgw", four[] = "AEIMQUYcgkosw048";
	size_t chars = (n * 4 + 2) / 3;

	random_text(out, chars);
	if (n % 3 == 1)
		out[chars - 1] = two[(unsigned char)out[chars - 1] & 3];
	else if (n % 3 == 2)
		out[chars - 1] = four[(unsigned char)out[chars - 1] & 15];
}

void ice_credentials(struct ice_prm *prm)
{
	if (prm->form == ICE_DRAFT6) {
		random_base64(prm->user, D6_USER);
		random_base64(prm->pwd, D6_PWD);
	} else {
		random_text(prm->user, 8);
		random_text(prm->pwd, 24);
	}
}

bool ice_same_session(const struct ice_prm *a, const struct ice_prm *b)
{
	if (a->form != b->form || strcmp(a->user, b->user) || strcmp(a->pwd, b->pwd) || a->npeers != b->npeers)
		return false;
	for (unsigned i = 0; i < a->npeers && i < ICE_PEERS; i++)
		if (strcmp(a->peer[i].user, b->peer[i].user) || strcmp(a->peer[i].pwd, b->peer[i].pwd))
			return false;
	return true;
}

static int decode_pair(uint8_t *user, size_t *nuser, struct stun_key *key, const char *u, const char *p)
{
	uint8_t pwd[RAW];
	int n = ice_base64(user, RAW, str_c(u)), k = ice_base64(pwd, sizeof(pwd), str_c(p));

	if (n > 0 && k > 0) {
		*nuser = (size_t)n;
		stun_key_init(key, pwd, (size_t)k);
	}
	explicit_bzero(pwd, sizeof(pwd));
	return n > 0 && k > 0 ? 0 : -EINVAL;
}

/* As text with its padding, which the SDP leaves out */
static void text_key(struct stun_key *key, const char *pwd)
{
	char text[ICE_TEXT + 4];
	int n = snprintf(text, sizeof(text) - 3, "%s", pwd);

	while (n % 4)
		text[n++] = '=';
	stun_key_init(key, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
}

static int take_credentials(struct ice *i, const struct ice_prm *prm)
{
	int err;

	if (i->form != ICE_DRAFT6) {
		i->nuser = strlen(prm->user);
		memcpy(i->user, prm->user, i->nuser);
		stun_key_init(&i->key, prm->pwd, strlen(prm->pwd));
		return i->nuser && prm->pwd[0] ? 0 : -EINVAL;
	}
	err = decode_pair(i->user, &i->nuser, &i->key, prm->user, prm->pwd);
	text_key(&i->text_key, prm->pwd);
	for (unsigned k = 0; !err && k < prm->npeers && k < ICE_PEERS; k++) {
		struct peer *p = &i->peer[i->npeers];

		if (!decode_pair(p->user, &p->nuser, &p->key, prm->peer[k].user, prm->peer[k].pwd))
			i->npeers++;
	}
	return err;
}

static void destructor(void *arg)
{
	struct ice *i = arg;

	explicit_bzero(i, sizeof(*i));
}

int ice_alloc(struct ice **ip, const struct ice_prm *prm)
{
	struct ice *i;
	int err;

	if (prm->form != ICE_RFC5245 && prm->form != ICE_DRAFT6)
		return -EINVAL;
	if (!memchr(prm->user, 0, sizeof(prm->user)) || !memchr(prm->pwd, 0, sizeof(prm->pwd)))
		return -EINVAL;
	i = mem_zalloc(sizeof(*i), destructor);
	if (!i)
		return -ENOMEM;
	i->form = prm->form;
	(void)!getrandom(i->tid, sizeof(i->tid), 0);
	for (unsigned c = 0; c < ICE_COMPS; c++) {
		i->comp[c].chosen = -1;
		i->comp[c].wanted = prm->chosen[c];
	}
	err = take_credentials(i, prm);
	if (err)
		mem_deref(i);
	else
		*ip = i;
	return err;
}

/* --- ways */
static union ice_addr addr_of(const struct sockaddr *sa)
{
	union ice_addr a;

	memset(&a, 0, sizeof(a));
	memcpy(&a, sa, sa->sa_family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in));
	return a;
}

/* The peer's SDP says 192.0.2.1 where a socket for both families says ::ffff:192.0.2.1. */
static bool same_addr(const union ice_addr *a, const union ice_addr *b)
{
	if (a->sa.sa_family == AF_INET6 && b->sa.sa_family == AF_INET && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return a->in.sin_port == b->in.sin_port &&
		       !memcmp(a->in6.sin6_addr.s6_addr + 12, &b->in.sin_addr, 4);
	return ice_addr_eq(a, b);
}

static struct way *find_way(struct comp *c, const union ice_addr *a)
{
	for (unsigned k = 0; k < c->nways; k++)
		if (same_addr(&c->way[k].addr, a))
			return &c->way[k];
	return NULL;
}

/* A full table loses the way that was silent for longest, never the chosen one. */
static struct way *place_for(struct comp *c)
{
	int oldest = -1;

	if (c->nways < ICE_WAYS)
		return &c->way[c->nways++];
	for (int k = 0; k < (int)ICE_WAYS; k++)
		if (k != c->chosen && (oldest < 0 || c->way[k].seen_us < c->way[oldest].seen_us))
			oldest = k;
	return &c->way[oldest];
}

/* A peer that nominates aggressively sets the flag on every check: its highest priority counts, until that way falls
 * silent, for afterwards only the chosen way is checked. */
static bool better(const struct comp *c, const struct way *w, int64_t now)
{
	const struct way *old = c->chosen < 0 ? NULL : &c->way[c->chosen];

	if (!old || (c->wanted.sa.sa_family && same_addr(&w->addr, &c->wanted)))
		return true;
	if (c->wanted.sa.sa_family && same_addr(&old->addr, &c->wanted))
		return w->nominated && now - old->seen_us > AGGRESSIVE_US;
	if (!w->nominated)
		return false;
	return !old->nominated || w->priority >= old->priority || now - old->seen_us > AGGRESSIVE_US;
}

static bool note(struct comp *c, const union ice_addr *from, const struct stun_msg *m, int64_t now)
{
	struct way *w = find_way(c, from);
	int at;

	if (!w) {
		w = place_for(c);
		*w = (struct way){ .addr = *from };
	}
	w->priority = m->priority;
	w->nominated |= m->use_candidate;
	w->seen_us = now;
	at = (int)(w - c->way);
	if (at == c->chosen || !better(c, w, now))
		return false;
	c->chosen = at;
	return true;
}

bool ice_choose(struct ice *i, unsigned comp, const union ice_addr *to)
{
	struct comp *c = &i->comp[comp];
	struct way *w;

	c->wanted = *to;
	w = to->sa.sa_family ? find_way(c, to) : NULL;
	if (!w || w - c->way == c->chosen)
		return false;
	c->chosen = (int)(w - c->way);
	return true;
}

const union ice_addr *ice_way(const struct ice *i, unsigned comp)
{
	const struct comp *c = &i->comp[comp];

	return c->chosen < 0 ? NULL : &c->way[c->chosen].addr;
}

bool ice_known(struct ice *i, unsigned comp, const struct sockaddr *from)
{
	union ice_addr a = addr_of(from);

	return find_way(&i->comp[comp], &a);
}

const struct ice_stats *ice_stats(const struct ice *i)
{
	return &i->st;
}

/* --- answers */
static void echo_user(struct stun_out *o, const struct stun_msg *m)
{
	if (o->dialect != STUN_RFC5389)
		stun_attr(o, STUN_USERNAME, m->user.p, m->user.l);
	if (o->dialect == STUN_MSICE2)
		stun_attr_u32(o, STUN_MS_VERSION, 2);
}

static size_t success(const struct stun_msg *m, const struct stun_key *key, enum stun_dialect d,
		      const union ice_addr *from, uint8_t *out, size_t room)
{
	struct stun_out o;

	stun_begin(&o, out, room, d, STUN_SUCCESS, m->id);
	stun_attr_mapped(&o, from);
	echo_user(&o, m);
	return stun_end(&o, key);
}

static size_t failure(const struct stun_msg *m, const struct stun_key *key, enum stun_dialect d, unsigned code,
		      const char *why, uint8_t *out, size_t room)
{
	uint8_t v[2] = { (uint8_t)(m->unknown >> 8), (uint8_t)m->unknown };
	struct stun_out o;

	stun_begin(&o, out, room, d, STUN_ERROR, m->id);
	stun_attr_error(&o, code, why);
	if (code == 420)
		stun_attr(&o, STUN_UNKNOWN_ATTRIBUTES, v, sizeof(v));
	echo_user(&o, m);
	return stun_end(&o, key);
}

/* "ours:theirs"; in draft 6 "ours:COMPONENT:theirs:COMPONENT", names decoded. What a peer-reflexive peer calls itself
 * is not known here, so only our half counts. */
static bool for_us(const struct ice *i, const struct stun_msg *m)
{
	return m->user.l > i->nuser && !memcmp(m->user.p, i->user, i->nuser) && m->user.p[i->nuser] == ':';
}

/* The key that the message was made with, NULL: none of ours */
static const struct stun_key *authentic(const struct ice *i, const struct stun_msg *m, enum stun_dialect *d)
{
	enum stun_dialect first, second;

	if (i->form == ICE_DRAFT6) {
		*d = STUN_RFC3489;
		if (m->cookie || stun_authentic(m, &i->key, STUN_RFC3489))
			return m->cookie ? NULL : &i->key;
		return stun_authentic(m, &i->text_key, STUN_RFC3489) ? &i->text_key : NULL;
	}
	if (!m->cookie)
		return NULL;
	first  = m->ms ? STUN_MSICE2 : STUN_RFC5389;
	second = m->ms ? STUN_RFC5389 : STUN_MSICE2;
	*d = stun_authentic(m, &i->key, first) ? first : second;
	if (*d != first && !stun_authentic(m, &i->key, second))
		return NULL;
	return stun_fingerprint_ok(m, *d) ? &i->key : NULL;
}

static int peer_of(const struct ice *i, unsigned comp, const struct stun_msg *m)
{
	const char mark[] = { ':', (char)('1' + comp), ':' };
	const char *p = m->user.p + i->nuser;
	size_t n = m->user.l - i->nuser;

	if (n < sizeof(mark) + 2 || memcmp(p, mark, sizeof(mark)) || memcmp(p + n - 2, mark, 2))
		return -1;
	p += sizeof(mark);
	n -= sizeof(mark) + 2;
	for (unsigned k = 0; k < i->npeers; k++)
		if (i->peer[k].nuser == n && !memcmp(i->peer[k].user, p, n))
			return (int)k;
	return -1;
}

static bool wants_return(struct ice *i, unsigned comp, const struct stun_msg *m, const union ice_addr *from)
{
	struct way *w = find_way(&i->comp[comp], from);
	int k = i->form == ICE_DRAFT6 ? peer_of(i, comp, m) : -1;

	if (k < 0 || w->tested)
		return false;
	w->peer = (uint8_t)k;
	return true;
}

static size_t request(struct ice *i, unsigned comp, const struct stun_msg *m, const union ice_addr *from, uint8_t *out,
		      size_t room, int64_t now, unsigned *news)
{
	struct comp *c = &i->comp[comp];
	const struct stun_key *key = NULL;
	enum stun_dialect d = STUN_RFC5389;

	if (for_us(i, m))
		key = authentic(i, m, &d);
	if (!key) {
		i->st.foreign++;
		return 0;
	}
	if (d != STUN_RFC3489 && m->unknown)
		return failure(m, key, d, 420, "Unknown Attribute", out, room);
	if (m->controlled) {
		i->st.conflicts++;
		return failure(m, key, d, 487, "Role Conflict", out, room);
	}
	i->st.checks++;
	*news = ICE_ALIVE;
	if (note(c, from, m, now))
		*news |= ICE_WAY;
	if (wants_return(i, comp, m, from))
		*news |= ICE_RETURN;
	return success(m, key, d, from, out, room);
}

/* --- our own check, of draft 6: back to where one came from */

/* The transaction id holds which of the peer's names it went to, so that the answer's key is known without a table. */
static void our_id(const struct ice *i, unsigned comp, unsigned peer, uint8_t id[16])
{
	memset(id, 0, 16);
	memcpy(id + 2, i->tid, sizeof(i->tid));
	id[0]  = 0x80 | i->tid[0];           /* never the cookie */
	id[14] = (uint8_t)comp;
	id[15] = (uint8_t)peer;
}

static size_t our_username(const struct ice *i, unsigned comp, const struct peer *p, uint8_t out[2 * RAW + 5])
{
	const uint8_t mark[] = { ':', (uint8_t)('1' + comp), ':' };
	size_t n = p->nuser;

	memcpy(out, p->user, n);
	memcpy(out + n, mark, 3);
	memcpy(out + n + 3, i->user, i->nuser);
	n += 3 + i->nuser;
	memcpy(out + n, mark, 2);
	return n + 2;
}

size_t ice_check(struct ice *i, unsigned comp, const struct sockaddr *to, uint8_t *out, size_t room)
{
	union ice_addr a = addr_of(to);
	const struct way *w = find_way(&i->comp[comp], &a);
	uint8_t user[2 * RAW + 5], id[16];
	const struct peer *p;
	struct stun_out o;

	if (!w || w->peer >= i->npeers)
		return 0;
	p = &i->peer[w->peer];
	our_id(i, comp, w->peer, id);
	stun_begin(&o, out, room, STUN_RFC3489, STUN_REQUEST, id);
	stun_attr(&o, STUN_USERNAME, user, our_username(i, comp, p, user));
	return stun_end(&o, &p->key);
}

static bool answer(struct ice *i, unsigned comp, const struct stun_msg *m, const union ice_addr *from)
{
	struct way *w = find_way(&i->comp[comp], from);
	uint8_t id[16];

	if (i->form != ICE_DRAFT6 || m->id[15] >= i->npeers || !w)
		return false;
	our_id(i, comp, m->id[15], id);
	if (memcmp(id, m->id, sizeof(id)) || !stun_authentic(m, &i->peer[m->id[15]].key, STUN_RFC3489))
		return false;
	w->tested = true;
	i->st.returned++;
	return true;
}

size_t ice_input(struct ice *i, unsigned comp, const uint8_t *p, size_t n, const struct sockaddr *from, uint8_t *out,
		 size_t room, int64_t now_us, unsigned *news)
{
	union ice_addr a = addr_of(from);
	struct stun_msg m;

	*news = 0;
	if (comp >= ICE_COMPS || stun_decode(&m, p, n)) {
		i->st.bad++;
		return 0;
	}
	if (m.type == STUN_REQUEST)
		return request(i, comp, &m, &a, out, room, now_us, news);
	if (m.type == STUN_INDICATION || (m.type == STUN_SUCCESS && answer(i, comp, &m, &a)))
		*news = ICE_HEARD;
	else
		i->st.foreign++;
	return 0;
}
