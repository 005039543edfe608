/* SPDX-License-Identifier: Apache-2.0 */
/* msg.c - one SIP message: framing on a stream, an index over its header lines, validation by libosip2
 *
 * A stream's head is walked line by line until the empty line (sip_msg_frame). sip_msg_decode() copies the message
 * once, behind a table of its header lines, joins folded lines in that copy (CRLF becomes two spaces), lets
 * osipparser2 judge the head as a whole, and then answers every question from the index; nothing is serialised again.
 * osip sees the head with its Content-Length set to zero: bodies, multipart ones above all, are not its business.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <osipparser2/osip_message.h>
#include <osipparser2/osip_parser.h>
#include <osipparser2/osip_port.h>
#include "lib/sip/sip_priv.h"

/* Framing is generous and decoding is not: many users share the edge's connection, and what one of them wrote should
 * cost that one an answer, not all of them the connection. */
#define MAX_LINES 256u
#define MAX_HEAD  (64u * 1024)
#define MAX_FRAME (SIP_MAX_MSG + 16u * 1024)      /* the edge adds lines to what it took */

/* --- names: full, compact, and whether commas separate values */
enum hdr_id { H_OTHER, H_VIA, H_FROM, H_TO, H_CALL_ID, H_CSEQ, H_CLEN };
static const struct { struct str name; char compact; bool list; } names[] = {
	[H_OTHER] = { { "", 0 }, 0, false }, { STR("Via"), 'v', true }, { STR("From"), 'f', false },
	{ STR("To"), 't', false }, { STR("Call-ID"), 'i', false }, { STR("CSeq"), 0, false },
	{ STR("Content-Length"), 'l', false }, { STR("Contact"), 'm', true }, { STR("Record-Route"), 0, true },
	{ STR("Route"), 0, true }, { STR("Max-Forwards"), 0, false }, { STR("Content-Type"), 'c', false },
	{ STR("Supported"), 'k', true }, { STR("Require"), 0, true }, { STR("Proxy-Require"), 0, true },
	{ STR("Unsupported"), 0, true }, { STR("Allow"), 0, true }, { STR("Accept"), 0, true },
	{ STR("Accept-Encoding"), 0, true }, { STR("Accept-Language"), 0, true }, { STR("Allow-Events"), 'u', true },
	{ STR("Event"), 'o', false }, { STR("Subject"), 's', false }, { STR("Content-Encoding"), 'e', true },
	{ STR("Content-Language"), 0, true }, { STR("Refer-To"), 'r', false }, { STR("Referred-By"), 'b', false },
	{ STR("Session-Expires"), 'x', false }, { STR("Accept-Contact"), 'a', true },
	{ STR("Reject-Contact"), 'j', true }, { STR("Request-Disposition"), 'd', true }, { STR("Identity"), 'y', false },
	{ STR("P-Asserted-Identity"), 0, true }, { STR("P-Preferred-Identity"), 0, true }, { STR("Path"), 0, true },
	{ STR("Service-Route"), 0, true }, { STR("Alert-Info"), 0, true }, { STR("Call-Info"), 0, true },
	{ STR("Error-Info"), 0, true }, { STR("In-Reply-To"), 0, true }, { STR("Warning"), 0, true },
	{ STR("History-Info"), 0, true }, { STR("Reason"), 0, true }, { STR("Diversion"), 0, true },
	{ STR("Recv-Info"), 0, true }, { STR("Conclave-Mcu"), 0, true },
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static unsigned name_id(struct str n)
{
	for (unsigned i = 1; i < N_NAMES; i++) {
		if (n.l == 1 ? names[i].compact == tolower((unsigned char)n.p[0]) : str_ieq(names[i].name, n))
			return i;
	}
	return H_OTHER;
}

struct hdr {
	struct str name, value;
	unsigned   id;
};

struct sip_msg {
	struct str method, ruri, reason, call_id, from_tag, to_tag, branch, body, raw;
	uint32_t   cseq;
	int        scode;
	unsigned   n_hdrs, max_hdrs;
	bool       cut;             /* there were more lines */
	struct hdr hdrs[];          /* the message itself stands behind them */
};

/* --- lines */
static bool next_line(struct str *rest, struct str *line)
{
	const char *nl = rest->l ? memchr(rest->p, '\n', rest->l) : NULL;

	if (!nl)
		return false;
	*line = str_cut(rest, '\n');
	if (line->l && line->p[line->l - 1] == '\r')
		line->l--;
	return true;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.l; i++)
		if (!isalnum((unsigned char)s.p[i]) && (!s.p[i] || !strchr("-.!%*_+`'~", s.p[i])))
			return false;
	return s.l > 0;
}

/* "METHOD uri SIP/2.0" or "SIP/2.0 code reason" */
static int start_line(struct sip_msg *m, struct str line)
{
	struct str first = str_cut(&line, ' '), second = str_cut(&line, ' ');
	uint64_t code;

	if (str_ieq(first, STR("SIP/2.0"))) {
		if (second.l != 3 || str_u64(second, &code) || code < 100 || code > 699)
			return -EBADMSG;
		m->scode  = (int)code;
		m->reason = str_trim(line);
		return 0;
	}
	if (!is_token(first) || first.l > 32 || !second.l || !str_ieq(str_trim(line), STR("SIP/2.0")))
		return -EBADMSG;
	m->method = first;
	m->ruri   = second;
	return 0;
}

static bool header_line(struct str line, struct str *name, struct str *value)
{
	*value = line;
	if (!memchr(line.p, ':', line.l))
		return false;
	*name  = str_cut(value, ':');
	while (name->l && (name->p[name->l - 1] == ' ' || name->p[name->l - 1] == '\t'))
		name->l--;
	*value = str_trim(*value);
	return is_token(*name);
}

struct head {
	size_t   skip, len;         /* leading CRLFs; bytes behind them up to the body */
	unsigned lines;
	bool     has_clen;
	uint64_t clen;
};

static int head_clen(struct head *h, struct str value)
{
	uint64_t v;

	if (str_u64(value, &v) || (h->has_clen && v != h->clen))
		return -EBADMSG;
	h->has_clen = true;
	h->clen     = v;
	return 0;
}

/* 1: the head is complete, 0: not yet. Only what framing depends on is judged here. */
static int scan_head(struct head *h, struct str s)
{
	struct str rest, line, name, value;
	bool was_clen = false;
	size_t n = 0;

	*h = (struct head){ 0 };
	while (n < s.l && (s.p[n] == '\r' || s.p[n] == '\n'))
		n++;
	h->skip = n;
	rest = (struct str){ s.p + n, s.l - n };
	if (rest.l && !isalnum((unsigned char)rest.p[0]) && !is_token((struct str){ rest.p, 1 }))
		return -EBADMSG;
	while (next_line(&rest, &line)) {
		h->len = (size_t)(rest.p ? rest.p - s.p : (ptrdiff_t)s.l) - n;
		if (h->len > SIP_MAX_MSG)
			return -EMSGSIZE;
		if (!line.l)
			return 1;
		if (h->lines++ == 0) {
			if (!memmem(line.p, line.l, "SIP/", 4))
				return -EBADMSG;
			continue;
		}
		if (line.p[0] == ' ' || line.p[0] == '\t') {
			if (was_clen)
				return -EBADMSG;          /* a folded length: nobody honest does that */
			continue;
		}
		was_clen = (line.p[0] | 32) == 'c' || (line.p[0] | 32) == 'l';
		was_clen = was_clen && header_line(line, &name, &value) && name_id(name) == H_CLEN;
		if (was_clen && head_clen(h, value))
			return -EBADMSG;
	}
	return s.l - n > SIP_MAX_MSG ? -EMSGSIZE : 0;
}

long sip_frame(struct str stream, size_t *need)
{
	struct head h;
	int r = scan_head(&h, stream);
	size_t total;

	*need = stream.l + 1;
	if (r <= 0)
		return r;
	if (h.clen > SIP_MAX_MSG || h.len + h.clen > MAX_FRAME)
		return -EMSGSIZE;
	/* no length: no body. A client may forget it; the edge's connection must not suffer for that. */
	total = h.skip + h.len + (size_t)h.clen;
	*need = total;
	return total <= stream.l ? (long)total : 0;
}

long sip_msg_frame(struct str stream)
{
	size_t need;

	return sip_frame(stream, &need);
}

/* --- the index */
static void unfold(char *p, size_t n)
{
	for (char *nl = p; n && (nl = memchr(nl, '\n', (size_t)(p + n - nl))); nl++) {
		if (nl + 1 >= p + n || (nl[1] != ' ' && nl[1] != '\t'))
			continue;
		if (nl > p && nl[-1] == '\r')
			nl[-1] = ' ';
		*nl = ' ';
	}
}

static bool clean(struct str line)
{
	for (size_t i = 0; i < line.l; i++)
		if (line.p[i] == '\0' || line.p[i] == '\r' || line.p[i] == 0x7f)
			return false;
	return true;
}

static int index_head(struct sip_msg *m, struct str head)
{
	struct str line;

	if (!next_line(&head, &line) || !clean(line) || start_line(m, line))
		return -EBADMSG;
	while (next_line(&head, &line) && line.l) {
		struct hdr *h = &m->hdrs[m->n_hdrs];

		if (m->n_hdrs == m->max_hdrs) {
			m->cut = true;
			break;
		}
		if (!clean(line) || !header_line(line, &h->name, &h->value))
			return -EBADMSG;
		h->id = name_id(h->name);
		m->n_hdrs++;
	}
	return 0;
}

static const struct hdr *find(const struct sip_msg *m, unsigned id)
{
	for (unsigned i = 0; i < m->n_hdrs; i++)
		if (m->hdrs[i].id == id)
			return &m->hdrs[i];
	return NULL;
}

static struct str addr_tag(const struct sip_msg *m, unsigned id)
{
	const struct hdr *h = find(m, id);
	struct sip_addr a;
	struct str tag = STR_NULL;

	if (h && !sip_addr_decode(&a, h->value))
		sip_param(a.params, STR("tag"), &tag);
	return tag;
}

/* The few values that every message is asked for. */
static void read_common(struct sip_msg *m)
{
	const struct hdr *h = find(m, H_CSEQ);
	struct str rest = h ? h->value : STR_NULL, num;
	struct sip_via via;
	uint64_t v = 0;

	num = str_cut(&rest, ' ');
	if (!str_u64(num, &v) && v <= INT32_MAX && is_token(str_trim(rest))) {
		m->cseq = (uint32_t)v;
		if (m->scode)
			m->method = str_trim(rest);
		else if (!str_eq(m->method, str_trim(rest)))
			m->cseq = UINT32_MAX;             /* refused by check() */
	} else {
		m->cseq = UINT32_MAX;
	}
	h = find(m, H_CALL_ID);
	m->call_id  = h ? h->value : STR_NULL;
	m->from_tag = addr_tag(m, H_FROM);
	m->to_tag   = addr_tag(m, H_TO);
	if (!sip_via_decode(&via, sip_msg_hdr(m, "Via", 0)))
		m->branch = via.branch;
}

int sip_msg_split(struct sip_msg **mp, struct str data)
{
	struct head h;
	struct sip_msg *m;
	size_t table, n;
	char *copy;
	int r = scan_head(&h, data);

	if (r <= 0)
		return r ? r : -EBADMSG;
	if (h.lines > MAX_LINES)
		h.lines = MAX_LINES;
	n     = data.l - h.skip;
	table = sizeof(*m) + h.lines * sizeof(m->hdrs[0]);
	m = mem_zalloc(table + n + 1, NULL);
	if (!m)
		return -ENOMEM;
	copy = (char *)m + table;
	memcpy(copy, data.p + h.skip, n);
	unfold(copy, h.len);
	m->max_hdrs = h.lines;
	m->raw  = (struct str){ copy, n };
	m->body = (struct str){ copy + h.len, n - h.len };
	r = index_head(m, (struct str){ copy, h.len });
	if (r) {
		mem_deref(m);
		return r;
	}
	read_common(m);
	*mp = m;
	return 0;
}

/* --- validation */
static void on_trace(const char *file, int line, osip_trace_level_t lvl, const char *fmt, va_list ap)
{
	(void)file, (void)line, (void)lvl, (void)fmt, (void)ap;
}

static void osip_start(void)
{
	osip_trace_initialize_func(END_TRACE_LEVEL, on_trace);    /* it prints to stdout otherwise */
	for (int l = 0; l < END_TRACE_LEVEL; l++)
		osip_trace_disable_level((osip_trace_level_t)l);
	parser_init();
}

static int osip_check(const struct sip_msg *m)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	osip_message_t *o = NULL;
	int err;

	pthread_once(&once, osip_start);
	if (osip_message_init(&o))
		return -ENOMEM;
	err = osip_message_parse(o, m->raw.p, m->raw.l - m->body.l);
	if (!err && (!o->call_id || !o->cseq || !o->from || !o->to || osip_list_size(&o->vias) < 1))
		err = -1;
	osip_message_free(o);
	return err ? -EBADMSG : 0;
}

/* Zeroes stand for the digits of each Content-Length while osip looks (the message is still ours alone). */
static int osip_judge(struct sip_msg *m)
{
	char kept[MAX_LINES][20];
	int err;

	for (unsigned i = 0; i < m->n_hdrs; i++) {
		struct str v = m->hdrs[i].value;

		if (m->hdrs[i].id != H_CLEN)
			continue;
		if (v.l > sizeof(kept[0]))
			return -EBADMSG;
		memcpy(kept[i], v.p, v.l);
		memset((char *)(uintptr_t)v.p, '0', v.l);
	}
	err = osip_check(m);
	for (unsigned i = 0; i < m->n_hdrs; i++)
		if (m->hdrs[i].id == H_CLEN)
			memcpy((char *)(uintptr_t)m->hdrs[i].value.p, kept[i], m->hdrs[i].value.l);
	return err;
}

/* What osip lets pass: doubled identity headers would let two readers see two messages. */
static int check(const struct sip_msg *m)
{
	struct sip_addr a;
	struct sip_via via;
	unsigned seen[H_CLEN + 1] = { 0 };

	if (m->cut || m->raw.l - m->body.l > MAX_HEAD)
		return -EBADMSG;
	for (unsigned i = 0; i < m->n_hdrs; i++)
		if (m->hdrs[i].id <= H_CLEN)
			seen[m->hdrs[i].id]++;
	if (!seen[H_VIA] || seen[H_FROM] != 1 || seen[H_TO] != 1 || seen[H_CALL_ID] != 1 || seen[H_CSEQ] != 1)
		return -EBADMSG;
	if (m->cseq == UINT32_MAX || !m->call_id.l || memchr(m->call_id.p, ' ', m->call_id.l))
		return -EBADMSG;
	if (sip_via_decode(&via, sip_msg_hdr(m, "Via", 0)) || !via.branch.l)
		return -EBADMSG;
	if (sip_addr_decode(&a, find(m, H_FROM)->value) || sip_addr_decode(&a, find(m, H_TO)->value))
		return -EBADMSG;
	return 0;
}

int sip_msg_decode(struct sip_msg **mp, struct str data)
{
	struct sip_msg *m;
	size_t need;
	long n;
	int err;

	n = sip_frame(data, &need);
	if (n < 0)
		return (int)n;
	if ((size_t)n != data.l)
		return -EBADMSG;
	err = sip_msg_split(&m, data);
	if (err)
		return err;
	err = check(m);
	if (!err)
		err = osip_judge(m);
	if (err)
		mem_deref(m);
	else
		*mp = m;
	return err;
}

/* --- questions */
bool       sip_msg_is_request(const struct sip_msg *m) { return m->scode == 0; }
struct str sip_msg_method(const struct sip_msg *m)     { return m->method; }
struct str sip_msg_ruri(const struct sip_msg *m)       { return m->ruri; }
int        sip_msg_scode(const struct sip_msg *m)      { return m->scode; }
struct str sip_msg_reason(const struct sip_msg *m)     { return m->reason; }
struct str sip_msg_call_id(const struct sip_msg *m)    { return m->call_id; }
uint32_t   sip_msg_cseq(const struct sip_msg *m)       { return m->cseq; }
struct str sip_msg_from_tag(const struct sip_msg *m)   { return m->from_tag; }
struct str sip_msg_to_tag(const struct sip_msg *m)     { return m->to_tag; }
struct str sip_msg_branch(const struct sip_msg *m)     { return m->branch; }
struct str sip_msg_body(const struct sip_msg *m)       { return m->body; }
struct str sip_msg_raw(const struct sip_msg *m)        { return m->raw; }

static bool is_named(const struct hdr *h, unsigned id, struct str name)
{
	return id ? h->id == id : h->id == H_OTHER && str_ieq(h->name, name);
}

struct str sip_msg_line(const struct sip_msg *m, const char *name, unsigned idx)
{
	struct str n = str_c(name);
	unsigned id = name_id(n);

	for (unsigned i = 0; i < m->n_hdrs; i++)
		if (is_named(&m->hdrs[i], id, n) && idx-- == 0)
			return m->hdrs[i].value;
	return STR_NULL;
}

struct str sip_msg_hdr(const struct sip_msg *m, const char *name, unsigned idx)
{
	struct str n = str_c(name);
	unsigned id = name_id(n);

	for (unsigned i = 0; i < m->n_hdrs; i++) {
		struct str rest = m->hdrs[i].value;

		if (!is_named(&m->hdrs[i], id, n))
			continue;
		if (!names[id].list) {
			if (idx-- == 0)
				return rest.p ? rest : STR("");
			continue;
		}
		while (rest.l) {
			size_t at = sip_find_outside(rest, ",");
			struct str one = str_trim((struct str){ rest.p, at });

			rest = at < rest.l ? (struct str){ rest.p + at + 1, rest.l - at - 1 } : STR_NULL;
			if (one.l && idx-- == 0)
				return one;
		}
	}
	return STR_NULL;
}

bool sip_msg_has_token(const struct sip_msg *m, const char *name, const char *token)
{
	struct str v, t = str_c(token);

	for (unsigned i = 0; (v = sip_msg_hdr(m, name, i)).p; i++)
		if (str_ieq(v, t) || str_ieq(str_trim(str_cut(&v, ';')), t))
			return true;
	return false;
}
