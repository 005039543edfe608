/* SPDX-License-Identifier: Apache-2.0 */
/* xml.c - bounded XML reading
 *
 * A body passes a cheap lexical scan first (encoding, DOCTYPE, depth, nodes, attributes of one tag: what libxml2 would
 * only notice after expensive work), then libxml2's SAX parser, whose callbacks build a compact tree in an arena and
 * hold the same bounds as libxml2 sees them. Names and namespaces live in the parser's dictionary, which the document
 * keeps. Comments and processing instructions are dropped. The declared encoding is ignored: SIP bodies of this family
 * are UTF-8 even when a .NET writer has put "utf-16" into the declaration.
 */
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/xml/xml.h"

#define MAX_ATTRS 128u      /* attributes and namespace declarations of one tag: libxml2 compares them pairwise */
#define MAX_SCOPE 256u      /* namespace declarations in scope: every prefix is searched among them */
#define CHUNK_MIN 4096u
#define CHUNK_MAX (256u * 1024)

struct attr {
	const char *qname, *name, *ns, *value;
};

struct xml_node {           /* an element, or between elements a run of text: its name is NULL */
	const char      *qname, *name, *ns;
	const char      *text;  /* element: the first run of its own text that is not blank, trimmed */
	const char      *raw;   /* run, or element that holds nothing but text: as it stands */
	struct xml_node *parent, *next, *first, *last;
	struct attr     *attrs, *decls;         /* decls: xmlns attributes, their name is the prefix */
	unsigned         nattrs, ndecls;
};

struct chunk {
	struct chunk *next;
	size_t        used, size;
	char          p[];
};

struct xml_doc {
	struct chunk    *chunks;                /* the newest first */
	struct xml_node *root;
	xmlDict         *dict;
};

struct build {              /* one parse under way */
	struct xml_doc  *doc;
	xmlParserCtxt   *ctxt;
	struct xml_node *cur;
	struct buf       text;                  /* the run of text being collected */
	unsigned         depth, nodes, scope;
	int              err;
};

static struct metric refused[] = {
	METRIC_LABEL("conclave_xml_refused_total", "reason=\"malformed\"", "XML documents refused"),
	METRIC_LABEL("conclave_xml_refused_total", "reason=\"bound\"", "XML documents refused"),
	METRIC_LABEL("conclave_xml_refused_total", "reason=\"memory\"", "XML documents refused"),
};

static __attribute__((constructor)) void refused_register(void)
{
	metric_register(refused, sizeof(refused) / sizeof(refused[0]));
}

/* --- arena */
static void *take(struct xml_doc *d, size_t n, size_t align)
{
	struct chunk *c = d->chunks;
	size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0, size;

	if (!c || at + n > c->size) {
		size = c ? c->size * 2 : CHUNK_MIN;
		if (size > CHUNK_MAX)
			size = CHUNK_MAX;
		if (size < n)
			size = n;
		c = mem_zalloc(sizeof(*c) + size, NULL);
		if (!c)
			return NULL;
		c->size   = size;
		c->next   = d->chunks;
		d->chunks = c;
		at = 0;
	}
	c->used = at + n;
	return c->p + at;
}

static char *take_str(struct xml_doc *d, const char *p, size_t n)
{
	char *s = take(d, n + 1, 1);

	if (s && n)
		memcpy(s, p, n);
	return s;
}

static const char *take_qname(struct xml_doc *d, const char *prefix, const char *name)
{
	size_t np, nn;
	char *s;

	if (!prefix)
		return name;
	np = strlen(prefix);
	nn = strlen(name);
	s = take(d, np + nn + 2, 1);
	if (!s)
		return NULL;
	memcpy(s, prefix, np);
	s[np] = ':';
	memcpy(s + np + 1, name, nn);
	return s;
}

/* --- building */
static void stop(struct build *b, int err)
{
	if (!b->err)
		b->err = err;
	xmlStopParser(b->ctxt);
}

static struct xml_node *append(struct build *b)
{
	struct xml_node *n = take(b->doc, sizeof(*n), sizeof(void *)), *up = b->cur;

	if (!n)
		return NULL;
	n->parent = up;
	if (!up) {
		b->doc->root = n;
		return n;
	}
	if (up->last)
		up->last->next = n;
	else
		up->first = n;
	up->last = n;
	return n;
}

/* Ends a run of text. Most elements are leaves with one run, which then needs no node. What stands between two tags is
 * at most one run, so runs need no bound of their own. */
static int flush(struct build *b, bool at_end)
{
	struct str run = buf_view(&b->text), trim = str_trim(run);
	struct xml_node *up = b->cur, *n = up;
	bool whole = trim.p + trim.l == run.p + run.l;

	if (b->text.err)
		return b->text.err;
	if (!run.l || !up)
		return 0;
	if (!at_end || up->first)
		n = append(b);
	if (!n)
		return -ENOMEM;
	n->raw = take_str(b->doc, run.p, run.l);
	if (!n->raw)
		return -ENOMEM;
	if (trim.l && !up->text) {
		up->text = whole ? n->raw + (trim.p - run.p) : take_str(b->doc, trim.p, trim.l);
		if (!up->text)
			return -ENOMEM;
	}
	buf_reset(&b->text);
	return 0;
}

static int copy_decls(struct build *b, struct xml_node *n, const xmlChar **ns, unsigned count)
{
	n->decls = take(b->doc, count * sizeof(*n->decls), sizeof(void *));
	if (!n->decls)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		const char *prefix = (const char *)ns[2 * i], *uri = (const char *)ns[2 * i + 1];
		struct attr *a = &n->decls[i];

		a->name  = prefix ? prefix : "";
		a->qname = prefix ? take_qname(b->doc, "xmlns", prefix) : "xmlns";
		a->value = uri ? uri : "";
		if (!a->qname)
			return -ENOMEM;
	}
	n->ndecls = count;
	return 0;
}

static int copy_attrs(struct build *b, struct xml_node *n, const xmlChar **at, unsigned count)
{
	n->attrs = take(b->doc, count * sizeof(*n->attrs), sizeof(void *));
	if (!n->attrs)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++, at += 5) {   /* local name, prefix, namespace, value, its end */
		struct attr *a = &n->attrs[i];

		if (at[1] && !at[2])
			return -EBADMSG;        /* a prefix that nobody declared */
		a->name  = (const char *)at[0];
		a->ns    = at[2] ? (const char *)at[2] : "";
		a->qname = take_qname(b->doc, (const char *)at[1], a->name);
		a->value = take_str(b->doc, (const char *)at[3], (size_t)(at[4] - at[3]));
		if (!a->qname || !a->value)
			return -ENOMEM;
	}
	n->nattrs = count;
	return 0;
}

static int start(struct build *b, const char *name, const char *prefix, const char *uri, const xmlChar **ns,
		 unsigned nns, const xmlChar **at, unsigned nat)
{
	struct xml_node *n;
	int err = flush(b, false);

	if (err)
		return err;
	b->nodes += 1 + nns + nat;
	b->scope += nns;
	if (b->depth >= XML_MAX_DEPTH || b->nodes > XML_MAX_NODES || b->scope > MAX_SCOPE)
		return -EMSGSIZE;
	if (prefix && !uri)
		return -EBADMSG;
	n = append(b);
	if (!n)
		return -ENOMEM;
	n->name  = name;
	n->ns    = uri ? uri : "";
	n->qname = take_qname(b->doc, prefix, name);
	if (!n->qname)
		return -ENOMEM;
	if (nns)
		err = copy_decls(b, n, ns, nns);
	if (!err && nat)
		err = copy_attrs(b, n, at, nat);
	b->cur = n;
	b->depth++;
	return err;
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int nns,
		     const xmlChar **ns, int nat, int ndefault, const xmlChar **at)
{
	struct build *b = arg;
	int err;

	(void)ndefault;
	if (b->err)
		return;
	err = start(b, (const char *)name, (const char *)prefix, (const char *)uri, ns, (unsigned)nns, at,
		    (unsigned)nat);
	if (err)
		stop(b, err);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct build *b = arg;
	int err;

	(void)name; (void)prefix; (void)uri;
	if (b->err || !b->cur)
		return;
	err = flush(b, true);
	if (err) {
		stop(b, err);
		return;
	}
	b->scope -= b->cur->ndecls;
	b->depth--;
	b->cur = b->cur->parent;
}

static void on_text(void *arg, const xmlChar *p, int n)
{
	struct build *b = arg;

	if (!b->err)
		buf_write(&b->text, p, (size_t)n);
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *ext, const xmlChar *sys)
{
	(void)name; (void)ext; (void)sys;
	stop(arg, -EBADMSG);
}

static const xmlSAXHandler handler = {
	.initialized         = XML_SAX2_MAGIC,
	.internalSubset      = on_doctype,
	.externalSubset      = on_doctype,
	.startElementNs      = on_start,
	.endElementNs        = on_end,
	.characters          = on_text,
	.ignorableWhitespace = on_text,
	.cdataBlock          = on_text,
};

/* --- the scan before libxml2 */
static int skip_past(struct str *s, struct str end)
{
	const char *at = memmem(s->p, s->l, end.p, end.l);

	if (!at)
		return -EBADMSG;
	at  += end.l;
	s->l -= (size_t)(at - s->p);
	s->p  = at;
	return 0;
}

struct tally {
	unsigned depth, nodes;
};

/* Reads one tag, standing behind its '<'. On malformed input it may count wrong; libxml2 refuses that soon after. */
static int scan_tag(struct str *s, struct tally *t)
{
	bool end = s->l && s->p[0] == '/';
	unsigned attrs = 0;
	size_t i;

	for (i = 0; i < s->l && s->p[i] != '>'; i++) {
		char c = s->p[i];

		if (c == '=' && ++attrs > MAX_ATTRS)
			return -EMSGSIZE;
		if (c == '"' || c == '\'') {
			const char *q = memchr(s->p + i + 1, c, s->l - i - 1);

			if (!q)
				return -EBADMSG;
			i = (size_t)(q - s->p);
		}
	}
	if (i >= s->l || (end && !t->depth))
		return -EBADMSG;
	if (end)
		t->depth--;
	else if (i && s->p[i - 1] != '/')
		t->depth++;
	t->nodes += end ? 0 : 1 + attrs;
	*s = (struct str){ s->p + i + 1, s->l - i - 1 };
	return t->nodes > XML_MAX_NODES || t->depth > XML_MAX_DEPTH ? -EMSGSIZE : 0;
}

static int scan(struct str s)
{
	struct tally t = { 0 };
	const char *lt;
	int err = 0;

	if (!s.l || s.p[0] != '<' || memchr(s.p, '\0', s.l))
		return -EBADMSG;        /* also keeps UTF-16 and EBCDIC away from libxml2's guessing */
	while (!err && s.l && (lt = memchr(s.p, '<', s.l))) {
		s.l -= (size_t)(lt + 1 - s.p);
		s.p  = lt + 1;
		if (str_starts(s, STR("!--")))
			err = skip_past(&s, STR("-->"));
		else if (str_starts(s, STR("![CDATA[")))
			err = skip_past(&s, STR("]]>"));
		else if (str_starts(s, STR("?")))
			err = skip_past(&s, STR("?>"));
		else if (str_starts(s, STR("!")))
			err = -EBADMSG;     /* DOCTYPE */
		else
			err = scan_tag(&s, &t);
	}
	return err;
}

/* --- reading */
static void doc_destroy(void *arg)
{
	struct xml_doc *d = arg;
	struct chunk *c;

	while ((c = d->chunks)) {
		d->chunks = c->next;
		mem_deref(c);
	}
	if (d->dict)
		xmlDictFree(d->dict);
}

static int run(struct xml_doc *d, struct str s)
{
	struct build b = { .doc = d };
	int err;

	b.ctxt = xmlCreateMemoryParserCtxt(s.p, (int)s.l);
	if (!b.ctxt)
		return -ENOMEM;
	*b.ctxt->sax = handler;
	b.ctxt->userData = &b;
	/* NOENT only makes &amp; in attributes a plain '&': without a DOCTYPE nobody can declare an entity. */
	xmlCtxtUseOptions(b.ctxt, XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
			  XML_PARSE_IGNORE_ENC);
	d->dict = b.ctxt->dict;
	xmlDictReference(d->dict);
	buf_init(&b.text, 0);

	xmlParseDocument(b.ctxt);
	err = b.err;
	if (!err && b.ctxt->errNo == XML_ERR_NO_MEMORY)
		err = -ENOMEM;
	if (!err && (!b.ctxt->wellFormed || !d->root))
		err = -EBADMSG;
	buf_fini(&b.text);
	xmlFreeParserCtxt(b.ctxt);
	return err;
}

int xml_parse(struct xml_doc **dp, struct str data)
{
	struct xml_doc *d = NULL;
	int err = data.l > XML_MAX_BYTES ? -EMSGSIZE : 0;

	if (str_starts(data, STR("\xef\xbb\xbf")))
		data = (struct str){ data.p + 3, data.l - 3 };
	data = str_trim(data);
	if (!err)
		err = scan(data);
	if (!err) {
		d = mem_zalloc(sizeof(*d), doc_destroy);
		err = d ? run(d, data) : -ENOMEM;
	}
	if (err) {
		metric_inc(&refused[err == -EMSGSIZE ? 1 : err == -ENOMEM ? 2 : 0]);
		mem_deref(d);
		return err;
	}
	*dp = d;
	return 0;
}

const struct xml_node *xml_root(const struct xml_doc *d)
{
	return d ? d->root : NULL;
}

bool xml_is(const struct xml_node *n, const char *ns, const char *name)
{
	return n && n->name && strcmp(n->name, name) == 0 && (!ns || strcmp(n->ns, ns) == 0);
}

static const struct xml_node *from(const struct xml_node *n, const char *ns, const char *name)
{
	while (n && (!n->name || (name && !xml_is(n, ns, name))))
		n = n->next;
	return n;
}

const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name)
{
	return n ? from(n->first, ns, name) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *n, const char *ns, const char *name)
{
	return n ? from(n->next, ns, name) : NULL;
}

const struct xml_node *xml_first(const struct xml_node *n)
{
	return n ? from(n->first, NULL, NULL) : NULL;
}

const char *xml_name(const struct xml_node *n)
{
	return n ? n->name : "";
}

const char *xml_ns(const struct xml_node *n)
{
	return n ? n->ns : "";
}

const char *xml_attr(const struct xml_node *n, const char *ns, const char *name)
{
	for (unsigned i = 0; n && i < n->nattrs; i++) {
		const struct attr *a = &n->attrs[i];

		if (strcmp(a->name, name) == 0 && (!ns || strcmp(a->ns, ns) == 0))
			return a->value;
	}
	return NULL;
}

const char *xml_text(const struct xml_node *n)
{
	if (!n)
		return NULL;
	return n->text ? n->text : "";
}

/* --- copying */
static bool declared(const struct xml_node *n, const struct xml_node *until, const char *prefix)
{
	for (; n != until; n = n->parent)
		for (unsigned i = 0; i < n->ndecls; i++)
			if (strcmp(n->decls[i].name, prefix) == 0)
				return true;
	return false;
}

/* What the ancestors declare and nobody nearer declares again: values may use those prefixes too. */
static void copy_scope(struct xmlw *w, const struct xml_node *n)
{
	for (const struct xml_node *up = n->parent; up; up = up->parent)
		for (unsigned i = 0; i < up->ndecls; i++)
			if (!declared(n, up, up->decls[i].name) && (up->decls[i].name[0] || up->decls[i].value[0]))
				xmlw_attr(w, up->decls[i].qname, up->decls[i].value);
}

static void copy(struct xmlw *w, const struct xml_node *n, bool top)
{
	if (!n->name) {
		xmlw_text(w, n->raw);
		return;
	}
	xmlw_start(w, n->qname);
	for (unsigned i = 0; i < n->ndecls; i++)
		xmlw_attr(w, n->decls[i].qname, n->decls[i].value);
	if (top)
		copy_scope(w, n);
	for (unsigned i = 0; i < n->nattrs; i++)
		xmlw_attr(w, n->attrs[i].qname, n->attrs[i].value);
	xmlw_text(w, n->raw);
	for (const struct xml_node *c = n->first; c; c = c->next)
		copy(w, c, false);
	xmlw_end(w);
}

int xml_copy(const struct xml_node *n, struct buf *b)
{
	struct xmlw w;

	if (!n)
		return -EINVAL;
	xmlw_init(&w, b);
	copy(&w, n, true);
	return b->err;
}
