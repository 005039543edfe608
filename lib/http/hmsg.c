/* SPDX-License-Identifier: Apache-2.0 */
/* hmsg.c - HTTP/1.1 framing (RFC 9112), see hmsg.h
 *
 * A message passes through the states of enum hmsg_state; each has a step that takes what it can from the input.
 */
#include <errno.h>
#include "lib/http/hmsg.h"

enum { MAX_LINE = 256, MAX_TRAILER = 4096, MAX_BLANK = 2 };

void hmsg_init(struct hmsg *m, bool request, size_t max_body)
{
	*m = (struct hmsg){ .request = request, .max_body = max_body };
	buf_init(&m->head, HMSG_MAX_HEAD);
	buf_init(&m->body, max_body);
	buf_init(&m->line, MAX_LINE);
}

void hmsg_reset(struct hmsg *m)
{
	struct hmsg old = *m;

	hmsg_init(m, old.request, old.max_body);
	m->head = old.head;
	m->line = old.line;
	m->line.limit = MAX_LINE;
	buf_reset(&m->head);
	buf_reset(&m->line);
	buf_fini(&old.body);
}

void hmsg_fini(struct hmsg *m)
{
	buf_fini(&m->head);
	buf_fini(&m->body);
	buf_fini(&m->line);
}

bool hmsg_begun(const struct hmsg *m)
{
	return m->st != HMSG_HEAD || m->head.l;
}

static struct str take(struct str *in, size_t n)
{
	struct str s = { in->p, n < in->l ? n : in->l };

	in->p += s.l;
	in->l -= s.l;
	return s;
}

/* Takes up to and including the next LF. */
static struct str take_line(struct str *in)
{
	const char *lf = memchr(in->p, '\n', in->l);

	return take(in, lf ? (size_t)(lf - in->p) + 1 : in->l);
}

/* --- head */
static bool is_token(struct str s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.l; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c && strchr(others, c))))
			return false;
	}
	return s.l > 0;
}

static bool is_text(struct str s, unsigned char from)
{
	for (size_t i = 0; i < s.l; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < from && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int on_content_length(struct hmsg *m, struct str v)
{
	if (m->has_len)
		return -EBADMSG;
	m->has_len = true;
	return str_u64(v, &m->left) ? -EBADMSG : 0;
}

static int on_transfer_encoding(struct hmsg *m, struct str v)
{
	if (m->chunked)
		return -EBADMSG;
	m->chunked = true;
	return str_ieq(v, STR("chunked")) ? 0 : -ENOTSUP;
}

static int on_connection(struct hmsg *m, struct str v)
{
	do {
		struct str opt = str_trim(str_cut(&v, ','));

		if (str_ieq(opt, STR("close")))
			m->keep_alive = false;
		else if (str_ieq(opt, STR("keep-alive")) && m->http10 && m->request)
			m->keep_alive = true;
	} while (v.p);
	return 0;
}

static int on_content_type(struct hmsg *m, struct str v)
{
	if (m->ctype.p)
		return -EBADMSG;
	m->ctype = v;
	return 0;
}

static int on_authorization(struct hmsg *m, struct str v)
{
	if (m->authorization.p)
		return -EBADMSG;
	m->authorization = v;
	return 0;
}

static int on_host(struct hmsg *m, struct str v)
{
	(void)v;
	if (m->has_host)
		return -EBADMSG;
	m->has_host = true;
	return 0;
}

static int on_expect(struct hmsg *m, struct str v)
{
	m->expect = m->request && str_ieq(v, STR("100-continue"));
	return 0;
}

static const struct { struct str name; int (*h)(struct hmsg *m, struct str value); } headers[] = {
	{ STR("Content-Length"),    on_content_length    },
	{ STR("Transfer-Encoding"), on_transfer_encoding },
	{ STR("Content-Type"),      on_content_type      },
	{ STR("Authorization"),     on_authorization     },
	{ STR("Connection"),        on_connection        },
	{ STR("Host"),              on_host              },
	{ STR("Expect"),            on_expect            },
};

static int header(struct hmsg *m, struct str line)
{
	struct str name = str_cut(&line, ':');

	if (!line.p || !is_token(name) || !is_text(line, ' '))
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (str_ieq(name, headers[i].name))
			return headers[i].h(m, str_trim(line));
	return 0;
}

static int version(struct hmsg *m, struct str v)
{
	m->http10 = str_eq(v, STR("HTTP/1.0"));
	m->keep_alive = !m->http10;
	if (m->http10 || str_eq(v, STR("HTTP/1.1")))
		return 0;
	return str_starts(v, STR("HTTP/")) ? -EPROTONOSUPPORT : -EBADMSG;
}

static int first_line(struct hmsg *m, struct str line)
{
	struct str a = str_cut(&line, ' '), b = str_cut(&line, ' ');
	uint64_t code;

	if (m->request) {
		m->method = a;
		m->path   = b;
		if (!is_token(a) || !b.l || !is_text(b, '!') || memchr(b.p, '\t', b.l) || !line.p)
			return -EBADMSG;
		return version(m, line);
	}
	if (b.l != 3 || str_u64(b, &code) || code < 100 || code > 599)
		return -EBADMSG;
	m->status = (int)code;
	return version(m, a);
}

static int parse_head(struct hmsg *m)
{
	struct str rest = { m->head.p, m->head.l - 2 }, line;     /* without the empty line */
	bool first = true;
	int err = 0;

	while (!err && rest.l) {
		line = str_cut(&rest, '\n');
		if (!line.l || line.p[--line.l] != '\r' || memchr(line.p, '\r', line.l) || memchr(line.p, '\0', line.l))
			return -EBADMSG;
		err = first ? first_line(m, line) : header(m, line);
		first = false;
	}
	return err;
}

static int body_follows(struct hmsg *m)
{
	if (m->chunked && (m->has_len || m->http10))
		return -EBADMSG;
	if (m->request && !m->http10 && !m->has_host)
		return -EBADMSG;
	if (!m->request && m->status < 200) {                     /* 100 Continue and the like: another head follows */
		hmsg_reset(m);
		return 0;
	}
	if (!m->request && (m->status == 204 || m->status == 304)) {
		m->st = HMSG_DONE;
	} else if (m->chunked) {
		m->st = HMSG_CHUNK_SIZE;
	} else if (m->has_len) {
		if (m->left > m->max_body)
			return -EMSGSIZE;
		m->st = m->left ? HMSG_SIZED : HMSG_DONE;
	} else if (m->request) {
		m->st = HMSG_DONE;
	} else {
		m->st = HMSG_TO_END;
		m->keep_alive = false;
	}
	return 0;
}

static int step_head(struct hmsg *m, struct str *in)
{
	struct str line = take_line(in);
	size_t n;
	int err;

	buf_str(&m->head, line);
	if (m->head.err)
		return m->head.err == -EMSGSIZE ? -E2BIG : m->head.err;
	n = m->head.l;
	if (n == 2 && memcmp(m->head.p, "\r\n", 2) == 0) {        /* an empty line before the message is forgiven */
		if (++m->blank > MAX_BLANK)
			return -EBADMSG;
		buf_reset(&m->head);
		return 0;
	}
	if (n < 4 || memcmp(m->head.p + n - 4, "\r\n\r\n", 4) != 0)
		return n >= 2 && m->head.p[n - 1] == '\n' && m->head.p[n - 2] != '\r' ? -EBADMSG : 0;
	err = parse_head(m);
	return err ? err : body_follows(m);
}

/* --- body */
static int append(struct hmsg *m, struct str *in)
{
	struct str s = take(in, m->left < in->l ? (size_t)m->left : in->l);

	buf_str(&m->body, s);
	m->left -= s.l;
	return m->body.err;
}

static int step_sized(struct hmsg *m, struct str *in)
{
	int err = append(m, in);

	if (!m->left)
		m->st = HMSG_DONE;
	return err;
}

/* One line into m->line, without its CRLF. 1: complete, 0: more is needed */
static int whole_line(struct hmsg *m, struct str *in)
{
	buf_str(&m->line, take_line(in));
	if (m->line.err)
		return m->line.err == -ENOMEM ? -ENOMEM : -EBADMSG;
	if (m->line.p[m->line.l - 1] != '\n')
		return 0;
	if (m->line.l < 2 || m->line.p[m->line.l - 2] != '\r')
		return -EBADMSG;
	m->line.l -= 2;
	return 1;
}

static int hex(struct str s, uint64_t *v)
{
	*v = 0;
	if (!s.l || s.l > 8)
		return -EBADMSG;
	for (size_t i = 0; i < s.l; i++) {
		char c = s.p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
						       : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

		if (d < 0)
			return -EBADMSG;
		*v = *v << 4 | (unsigned)d;
	}
	return 0;
}

static int step_chunk_size(struct hmsg *m, struct str *in)
{
	int n = whole_line(m, in);
	struct str line;

	if (n <= 0)
		return n;
	line = buf_view(&m->line);
	n = hex(str_trim(str_cut(&line, ';')), &m->left);
	buf_reset(&m->line);
	if (n)
		return n;
	if (m->left > m->max_body - m->body.l)
		return -EMSGSIZE;
	if (!m->left)
		m->line.limit = MAX_TRAILER;
	m->st = m->left ? HMSG_CHUNK : HMSG_TRAILER;
	return 0;
}

static int step_chunk(struct hmsg *m, struct str *in)
{
	int err = append(m, in);

	if (!m->left)
		m->st = HMSG_CHUNK_END;
	return err;
}

static int step_chunk_end(struct hmsg *m, struct str *in)
{
	int n = whole_line(m, in);

	if (n <= 0)
		return n;
	if (m->line.l)
		return -EBADMSG;
	buf_reset(&m->line);
	m->st = HMSG_CHUNK_SIZE;
	return 0;
}

/* Trailers are not used. Each one counts against the limit, so they end. */
static int step_trailer(struct hmsg *m, struct str *in)
{
	int n = whole_line(m, in);

	if (n <= 0)
		return n;
	if (!m->line.l) {
		m->st = HMSG_DONE;
	} else if (m->line.limit < m->line.l + MAX_LINE) {
		return -EBADMSG;
	}
	m->line.limit -= m->line.l;
	buf_reset(&m->line);
	return 0;
}

static int step_to_end(struct hmsg *m, struct str *in)
{
	buf_str(&m->body, take(in, in->l));
	return m->body.err;
}

int hmsg_feed(struct hmsg *m, struct str data, size_t *used)
{
	static int (*const steps[])(struct hmsg *, struct str *) = {
		[HMSG_HEAD]       = step_head,
		[HMSG_SIZED]      = step_sized,
		[HMSG_CHUNK_SIZE] = step_chunk_size,
		[HMSG_CHUNK]      = step_chunk,
		[HMSG_CHUNK_END]  = step_chunk_end,
		[HMSG_TRAILER]    = step_trailer,
		[HMSG_TO_END]     = step_to_end,
	};
	struct str in = data;
	int err = 0;

	while (!err && in.l && m->st != HMSG_DONE)
		err = steps[m->st](m, &in);
	*used = data.l - in.l;
	return err;
}

int hmsg_eof(struct hmsg *m)
{
	if (m->st == HMSG_TO_END)
		m->st = HMSG_DONE;
	return m->st == HMSG_DONE ? 0 : -ECONNRESET;
}
