/* SPDX-License-Identifier: Apache-2.0 */
/* sdp.c - session descriptions: the reader
 *
 * The text is copied once and cut into lines; every string of the result points into that copy. Session-level values
 * collect in a media of their own, and each m-line starts as a copy of it, so what stands once for all lines (address,
 * direction, ICE, fingerprint) needs no second look. Unknown lines and attributes, and attributes that make no sense,
 * are passed over; a broken v=, o= or m= line refuses the whole text. Nothing is decided here about what is acceptable.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/sdp/sdp.h"

struct owned {
	struct sdp sdp;
	char       text[];
};

struct dec {
	struct sdp       *sdp;
	struct sdp_media  session;      /* what m-lines inherit */
	struct sdp_media *m;            /* &session before the first m-line */
	unsigned          nlines;
	bool              origin;
};

typedef int (line_cb)(struct dec *d, struct str value);
typedef int (attr_cb)(struct sdp_media *m, struct str value);

static struct metric refused[] = {
	METRIC_LABEL("conclave_sdp_refused_total", "reason=\"malformed\"", "Session descriptions refused"),
	METRIC_LABEL("conclave_sdp_refused_total", "reason=\"bound\"", "Session descriptions refused"),
	METRIC_LABEL("conclave_sdp_refused_total", "reason=\"memory\"", "Session descriptions refused"),
};

static __attribute__((constructor)) void refused_register(void)
{
	metric_register(refused, sizeof(refused) / sizeof(refused[0]));
}

/* --- pieces */
static struct str word(struct str *rest)        /* next word; several spaces are one */
{
	*rest = str_trim(*rest);
	return str_cut(rest, ' ');
}

static bool number(struct str s, uint64_t max, uint64_t *v)
{
	return !str_u64(s, v) && *v <= max;
}

/* Session ids of any length are legal; only whether they change matters, so they wrap. */
static uint64_t wrapped(struct str s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.l && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	return v;
}

static bool is_addr(struct str s)
{
	char host[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (!s.l || s.l >= sizeof(host))
		return false;
	memcpy(host, s.p, s.l);
	host[s.l] = '\0';
	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

/* --- attributes. A value without sense leaves the media as it was; only a crossed bound is an error. */
static struct sdp_fmt *fmt_find(struct sdp_media *m, struct str id)
{
	for (unsigned i = 0; i < m->nfmts; i++)
		if (str_eq(m->fmts[i].id, id))
			return &m->fmts[i];
	return NULL;
}

static int on_rtpmap(struct sdp_media *m, struct str v)
{
	struct sdp_fmt *f = fmt_find(m, word(&v));
	struct str map = word(&v), enc = str_cut(&map, '/'), clock = str_cut(&map, '/');
	uint64_t hz, channels = 1;

	if (!f || f->enc.l || !enc.l || !number(clock, UINT32_MAX, &hz) || !hz)
		return 0;
	if (map.l && (!number(map, 255, &channels) || !channels))
		return 0;
	f->enc      = enc;
	f->clock    = (uint32_t)hz;
	f->channels = (unsigned)channels;
	return 0;
}

static int on_fmtp(struct sdp_media *m, struct str v)
{
	struct sdp_fmt *f = fmt_find(m, word(&v));

	if (f && !f->fmtp.l)
		f->fmtp = str_trim(v);
	return 0;
}

static int on_crypto(struct sdp_media *m, struct str v)
{
	struct sdp_crypto c = { 0 };
	uint64_t tag;

	if (!number(word(&v), 999999999, &tag))
		return 0;
	c.tag            = (uint32_t)tag;
	c.suite          = word(&v);
	c.key_params     = word(&v);
	c.session_params = str_trim(v);
	if (!c.suite.l || !c.key_params.l)
		return 0;
	for (unsigned i = 0; i < m->ncrypto; i++)
		if (m->crypto[i].tag == c.tag)
			return 0;
	if (m->ncrypto == SDP_MAX_CRYPTO)
		return -EMSGSIZE;
	m->crypto[m->ncrypto++] = c;
	return 0;
}

/* Extensions beyond the bound are simply not used. */
static int on_extmap(struct sdp_media *m, struct str v)
{
	struct str dir = word(&v), id = str_cut(&dir, '/'), uri = word(&v);
	uint64_t n;

	if (!number(id, 255, &n) || !n || !uri.l || m->nextmap == SDP_MAX_EXTMAP)
		return 0;
	m->extmap[m->nextmap++] = (struct sdp_extmap){ (unsigned)n, uri };
	return 0;
}

/* Candidates beyond the bound are not used: those of the highest priority are written first. */
static int on_candidate(struct sdp_media *m, struct str v)
{
	if (v.l && m->ncand < SDP_MAX_CAND)
		m->cand[m->ncand++] = v;
	return 0;
}

static int on_ice_lite(struct sdp_media *m, struct str v)
{
	(void)v;
	m->ice_lite = true;
	return 0;
}

static int on_ice_mismatch(struct sdp_media *m, struct str v)
{
	(void)v;
	m->ice_mismatch = true;
	return 0;
}

static int on_end_of_candidates(struct sdp_media *m, struct str v)
{
	(void)v;
	m->end_of_candidates = true;
	return 0;
}

static int on_rtcp(struct sdp_media *m, struct str v)
{
	uint64_t port;

	if (number(word(&v), UINT16_MAX, &port))
		m->rtcp_port = (uint16_t)port;
	return 0;
}

static int on_rtcp_mux(struct sdp_media *m, struct str v)
{
	(void)v;
	m->rtcp_mux = true;
	return 0;
}

static int on_ptime(struct sdp_media *m, struct str v)
{
	uint64_t ms;

	if (number(word(&v), 10000, &ms))
		m->ptime = (unsigned)ms;
	return 0;
}

static int on_maxptime(struct sdp_media *m, struct str v)
{
	uint64_t ms;

	if (number(word(&v), 10000, &ms))
		m->maxptime = (unsigned)ms;
	return 0;
}

static const struct { struct str name; attr_cb *cb; } attrs[] = {
	{ STR("rtpmap"),   on_rtpmap },
	{ STR("fmtp"),     on_fmtp },
	{ STR("crypto"),   on_crypto },
	{ STR("extmap"),   on_extmap },
	{ STR("rtcp"),     on_rtcp },
	{ STR("rtcp-mux"), on_rtcp_mux },
	{ STR("ptime"),    on_ptime },
	{ STR("maxptime"), on_maxptime },
	{ STR("candidate"),    on_candidate },
	{ STR("ice-lite"),     on_ice_lite },
	{ STR("ice-mismatch"), on_ice_mismatch },
	{ STR("end-of-candidates"), on_end_of_candidates },
};

static const struct { struct str name; size_t off; } texts[] = {
	{ STR("label"),       offsetof(struct sdp_media, label) },
	{ STR("mid"),         offsetof(struct sdp_media, mid) },
	{ STR("ice-ufrag"),   offsetof(struct sdp_media, ice_ufrag) },
	{ STR("ice-pwd"),     offsetof(struct sdp_media, ice_pwd) },
	{ STR("fingerprint"), offsetof(struct sdp_media, fingerprint) },
	{ STR("setup"),       offsetof(struct sdp_media, setup) },
	{ STR("encryption"),  offsetof(struct sdp_media, encryption) },
	{ STR("remote-candidate"),  offsetof(struct sdp_media, remote_candidate) },
	{ STR("remote-candidates"), offsetof(struct sdp_media, remote_candidates) },
};

static const char *const dirs[] = {
	[SDP_SENDRECV] = "sendrecv", [SDP_SENDONLY] = "sendonly", [SDP_RECVONLY] = "recvonly", [SDP_INACTIVE] = "inactive",
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int on_attr(struct dec *d, struct str v)
{
	struct str name = str_trim(str_cut(&v, ':'));

	v = str_trim(v);
	for (size_t i = 0; i < COUNT(attrs); i++)
		if (str_ieq(name, attrs[i].name))
			return attrs[i].cb(d->m, v);
	for (size_t i = 0; i < COUNT(texts); i++)
		if (str_ieq(name, texts[i].name))
			*(struct str *)(void *)((char *)d->m + texts[i].off) = v;
	for (size_t i = 0; i < COUNT(dirs); i++)
		if (str_ieq(name, str_c(dirs[i])))
			d->m->dir = (enum sdp_dir)i;
	return 0;
}

/* --- lines */
static int on_origin(struct dec *d, struct str v)
{
	struct sdp *s = d->sdp;
	struct str net, family;

	s->origin_user  = word(&v);
	s->sess_id      = wrapped(word(&v));
	s->sess_version = wrapped(word(&v));
	net             = word(&v);
	family          = word(&v);
	s->origin_addr  = word(&v);
	d->origin       = true;
	return net.l && family.l && s->origin_addr.l ? 0 : -EBADMSG;
}

/* A name instead of an address is as good as none: nobody here resolves what a caller wrote. */
static int on_conn(struct dec *d, struct str v)
{
	struct str net = word(&v), family = word(&v), addr = word(&v);

	addr = str_cut(&addr, '/');
	if (str_ieq(net, STR("IN")) && str_istarts(family, STR("IP")))
		d->m->conn = is_addr(addr) ? addr : STR_NULL;
	return 0;
}

static int on_media(struct dec *d, struct str v)
{
	struct str type = word(&v), ports = word(&v), port = str_cut(&ports, '/'), proto = word(&v), id;
	struct sdp_media *m;
	uint64_t n;

	if (!type.l || !proto.l || !number(port, UINT16_MAX, &n))
		return -EBADMSG;
	if (d->sdp->nmedia == SDP_MAX_MEDIA)
		return -EMSGSIZE;
	m  = &d->sdp->media[d->sdp->nmedia++];
	*m = d->session;
	m->type  = type;
	m->proto = proto;
	m->port  = (uint16_t)n;
	while ((id = word(&v)).l) {
		if (m->nfmts == SDP_MAX_FMTS)
			return -EMSGSIZE;
		m->fmts[m->nfmts++] = (struct sdp_fmt){ .id = id, .pt = number(id, 127, &n) ? (int)n : -1 };
	}
	d->m = m;
	return m->nfmts || !m->port ? 0 : -EBADMSG;
}

static int on_version(struct dec *d, struct str v)
{
	return d->nlines == 1 && str_eq(str_trim(v), STR("0")) ? 0 : -EBADMSG;
}

static const struct { char type; line_cb *cb; } lines[] = {
	{ 'v', on_version }, { 'o', on_origin }, { 'c', on_conn }, { 'm', on_media }, { 'a', on_attr },
};

static int on_line(struct dec *d, struct str line)
{
	if (!line.l)
		return 0;
	if (line.l < 2 || line.p[1] != '=' || (!d->nlines++ && line.p[0] != 'v'))
		return -EBADMSG;
	for (size_t i = 0; i < COUNT(lines); i++)
		if (lines[i].type == line.p[0])
			return lines[i].cb(d, (struct str){ line.p + 2, line.l - 2 });
	return 0;
}

/* --- RFC 3551 6: numbers that need no rtpmap */
static const struct { uint8_t pt, channels; uint32_t clock; struct str enc; } statics[] = {
	{  0, 1,  8000, STR("PCMU") }, {  3, 1,  8000, STR("GSM") },   {  4, 1,  8000, STR("G723") },
	{  5, 1,  8000, STR("DVI4") }, {  6, 1, 16000, STR("DVI4") },  {  7, 1,  8000, STR("LPC") },
	{  8, 1,  8000, STR("PCMA") }, {  9, 1,  8000, STR("G722") },  { 10, 2, 44100, STR("L16") },
	{ 11, 1, 44100, STR("L16") },  { 12, 1,  8000, STR("QCELP") }, { 13, 1,  8000, STR("CN") },
	{ 14, 1, 90000, STR("MPA") },  { 15, 1,  8000, STR("G728") },  { 16, 1, 11025, STR("DVI4") },
	{ 17, 1, 22050, STR("DVI4") }, { 18, 1,  8000, STR("G729") },  { 25, 1, 90000, STR("CelB") },
	{ 26, 1, 90000, STR("JPEG") }, { 28, 1, 90000, STR("nv") },    { 31, 1, 90000, STR("H261") },
	{ 32, 1, 90000, STR("MPV") },  { 33, 1, 90000, STR("MP2T") },  { 34, 1, 90000, STR("H263") },
};

static void fill_static(struct sdp_fmt *f)
{
	for (size_t i = 0; !f->enc.l && i < COUNT(statics); i++)
		if (statics[i].pt == f->pt) {
			f->enc      = statics[i].enc;
			f->clock    = statics[i].clock;
			f->channels = statics[i].channels;
		}
}

static void fill_statics(struct sdp *s)
{
	for (unsigned i = 0; i < s->nmedia; i++)
		if (memmem(s->media[i].proto.p, s->media[i].proto.l, "RTP/", 4))
			for (unsigned j = 0; j < s->media[i].nfmts; j++)
				fill_static(&s->media[i].fmts[j]);
}

static int decode(struct sdp *s, struct str text)
{
	struct dec d = { .sdp = s, .m = &d.session };

	if (memchr(text.p, '\0', text.l))
		return -EBADMSG;
	while (text.l) {
		struct str rest = str_cut(&text, '\n');

		while (rest.l) {                /* a lone CR ends a line too, so none gets into a value */
			int err = on_line(&d, str_cut(&rest, '\r'));

			if (err)
				return err;
		}
	}
	if (!d.origin)
		return -EBADMSG;
	fill_statics(s);
	return 0;
}

int sdp_decode(struct sdp **sp, struct str text)
{
	struct owned *o = NULL;
	int err = text.l > SDP_MAX_BYTES ? -EMSGSIZE : text.l ? 0 : -EBADMSG;

	if (!err) {
		o   = mem_zalloc(sizeof(*o) + text.l + 1, NULL);
		err = o ? 0 : -ENOMEM;
	}
	if (!err) {
		memcpy(o->text, text.p, text.l);
		err = decode(&o->sdp, (struct str){ o->text, text.l });
	}
	if (err) {
		metric_inc(&refused[err == -EMSGSIZE ? 1 : err == -ENOMEM ? 2 : 0]);
		mem_deref(o);
		return err;
	}
	*sp = &o->sdp;                          /* the first member: mem_deref() of it frees all */
	return 0;
}

/* --- helpers for those who answer */
const char *sdp_dir_name(enum sdp_dir d)
{
	return (unsigned)d < COUNT(dirs) ? dirs[d] : dirs[SDP_INACTIVE];
}

enum sdp_dir sdp_dir_answer(enum sdp_dir offered, bool may_send, bool may_recv)
{
	bool send = may_send && (offered == SDP_SENDRECV || offered == SDP_RECVONLY);
	bool recv = may_recv && (offered == SDP_SENDRECV || offered == SDP_SENDONLY);

	if (send)
		return recv ? SDP_SENDRECV : SDP_SENDONLY;
	return recv ? SDP_RECVONLY : SDP_INACTIVE;
}

bool sdp_fmtp_param(struct str fmtp, struct str name, struct str *value)
{
	while (fmtp.l) {
		struct str part = str_cut(&fmtp, ';');

		while (part.l) {
			struct str v = word(&part), n = str_cut(&v, '=');

			if (!n.l || !str_ieq(n, name))
				continue;
			if (value)
				*value = v.p ? v : STR("");
			return true;
		}
	}
	return false;
}
