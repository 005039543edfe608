/* SPDX-License-Identifier: Apache-2.0 */
/* cand.c - candidate lines, see cand.h
 *
 * Which grammar a line is of shows where its transport stands: third word or fourth. Addresses are not looked at: a
 * browser writes names that nobody but it can resolve, and a lite agent needs none of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include "lib/ice/cand.h"

static const struct { struct str name; enum ice_transport t; } transports[] = {
	{ STR("UDP"),      ICE_UDP },      { STR("TCP"),     ICE_TCP },
	{ STR("TCP-PASS"), ICE_TCP_PASS }, { STR("TCP-ACT"), ICE_TCP_ACT },
};
static const struct str types[] = {
	[ICE_HOST] = STR("host"), [ICE_SRFLX] = STR("srflx"), [ICE_PRFLX] = STR("prflx"), [ICE_RELAY] = STR("relay"),
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define WORDS 8u

static enum ice_transport transport(struct str s)
{
	for (size_t i = 0; i < COUNT(transports); i++)
		if (str_ieq(s, transports[i].name))
			return transports[i].t;
	return ICE_TRANSPORT_OTHER;
}

static enum ice_type type_of(struct str s)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (str_ieq(s, types[i]))
			return (enum ice_type)i;
	return ICE_TYPE_OTHER;
}

static unsigned words(struct str w[WORDS], struct str line)
{
	unsigned n = 0;

	while (n < WORDS) {
		line = str_trim(line);
		if (!line.l)
			break;
		w[n++] = str_cut(&line, ' ');
	}
	return n;
}

static bool number(struct str s, uint64_t max, uint64_t *v)
{
	return !str_u64(s, v) && *v <= max;
}

static int place(struct ice_cand *c, struct str comp, struct str addr, struct str port)
{
	uint64_t n, p;

	if (!number(comp, 256, &n) || !n || !number(port, UINT16_MAX, &p))
		return -EBADMSG;
	c->comp = (unsigned)n;
	c->addr = addr;
	c->port = (uint16_t)p;
	return 0;
}

/* "0.830" is 830000 millionths; some write 1.0 or a bare number */
static int fraction(uint32_t *out, struct str s)
{
	struct str whole = str_cut(&s, '.');
	uint32_t v = 0, unit = 100000;
	uint64_t n;

	if (!number(whole, 1, &n))
		return -EBADMSG;
	for (size_t i = 0; i < s.l; i++, unit /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EBADMSG;
		v += unit * (uint32_t)(s.p[i] - '0');
	}
	*out = (uint32_t)n * 1000000 + v;
	return 0;
}

int ice_cand_decode(struct ice_cand *c, struct str line)
{
	struct str w[WORDS];
	unsigned n = words(w, line);
	struct ice_cand k = { .form = ICE_OFF };
	uint64_t v;
	int err;

	if (n < 7)
		return -EBADMSG;
	if (n == 8 && str_ieq(w[6], STR("typ"))) {
		k.form       = ICE_RFC5245;
		k.foundation = w[0];
		k.transport  = transport(w[2]);
		k.type       = type_of(w[7]);
		err = number(w[3], UINT32_MAX, &v) ? place(&k, w[1], w[4], w[5]) : -EBADMSG;
		if (!err)
			k.priority = (uint32_t)v;
	} else {
		k.form      = ICE_DRAFT6;
		k.user      = w[0];
		k.pwd       = w[2];
		k.transport = transport(w[3]);
		err = k.transport == ICE_TRANSPORT_OTHER ? -EBADMSG : fraction(&k.priority, w[4]);
		if (!err)
			err = place(&k, w[1], w[5], w[6]);
	}
	if (!err)
		*c = k;
	return err;
}

int ice_cand_encode(char *out, size_t outsz, const struct ice_cand *c)
{
	struct str t = c->transport < COUNT(transports) ? transports[c->transport].name : transports[0].name;
	struct str y = c->type < COUNT(types) ? types[c->type] : types[0];
	int n;

	if (c->form == ICE_DRAFT6)
		n = snprintf(out, outsz, STR_FMT " %u " STR_FMT " " STR_FMT " %u.%03u " STR_FMT " %u", STR_ARG(c->user),
			     c->comp, STR_ARG(c->pwd), STR_ARG(t), c->priority / 1000000, c->priority % 1000000 / 1000,
			     STR_ARG(c->addr), c->port);
	else
		n = snprintf(out, outsz, STR_FMT " %u " STR_FMT " %" PRIu32 " " STR_FMT " %u typ " STR_FMT,
			     STR_ARG(c->foundation), c->comp, STR_ARG(t), c->priority, STR_ARG(c->addr), c->port,
			     STR_ARG(y));
	return n < 0 || (size_t)n >= outsz ? -EMSGSIZE : 0;
}

int ice_remote_decode(unsigned *comp, union ice_addr *addr, struct str *rest)
{
	struct str w[3];
	uint64_t c, p;

	*rest = str_trim(*rest);
	if (!rest->l)
		return -ENOENT;
	for (unsigned i = 0; i < 3; i++) {
		*rest = str_trim(*rest);
		w[i]  = str_cut(rest, ' ');
	}
	if (!number(w[0], 256, &c) || !c || !number(w[2], UINT16_MAX, &p) || ice_addr_parse(addr, w[1], (uint16_t)p))
		return -EBADMSG;
	*comp = (unsigned)c;
	return 0;
}

int ice_base64(uint8_t *out, size_t outsz, struct str text)
{
	unsigned char in[512], raw[sizeof(in)];
	size_t n, pad = 0;
	int got;

	while (text.l && text.p[text.l - 1] == '=')
		text.l--;
	n = text.l * 3 / 4;
	if (!text.l || text.l % 4 == 1)
		return -EBADMSG;
	if (n > outsz || text.l + 3 > sizeof(in))
		return -EMSGSIZE;
	for (size_t i = 0; i < text.l; i++) {
		char ch = text.p[i];

		if (!(ch >= 'A' && ch <= 'Z') && !(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '+' && ch != '/')
			return -EBADMSG;
		in[i] = (unsigned char)ch;
	}
	while ((text.l + pad) % 4)
		in[text.l + pad++] = '=';
	got = EVP_DecodeBlock(raw, in, (int)(text.l + pad));
	if (got < 0)
		return -EBADMSG;
	memcpy(out, raw, n);
	explicit_bzero(raw, sizeof(raw));
	explicit_bzero(in, sizeof(in));
	return (int)n;
}
