/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h - bounded XML reading (libxml2: no network, no DTD, no entities) and a writer straight into a buffer */
#ifndef XML_XML_H
#define XML_XML_H
#include "lib/base/buf.h"

#define XML_MAX_BYTES (1024u * 1024)
#define XML_MAX_DEPTH 64u
#define XML_MAX_NODES 65536u

struct xml_doc;                              /* mem_deref() frees it and every node */
struct xml_node;                             /* borrowed from its document */

int  xml_parse(struct xml_doc **dp, struct str data);     /* -EBADMSG, -EMSGSIZE (a bound), -ENOMEM; a DOCTYPE is -EBADMSG */
const struct xml_node *xml_root(const struct xml_doc *d);
/* Elements only. Match is by namespace URI and local name; ns NULL: any namespace. */
const struct xml_node *xml_child(const struct xml_node *n, const char *ns, const char *name);   /* first, or NULL; n may be NULL */
const struct xml_node *xml_next(const struct xml_node *n, const char *ns, const char *name);    /* next sibling like it */
const struct xml_node *xml_first(const struct xml_node *n);                                     /* first child element */
const char *xml_name(const struct xml_node *n);
const char *xml_ns(const struct xml_node *n);             /* "" when none */
bool        xml_is(const struct xml_node *n, const char *ns, const char *name);
/* Attribute value, NULL when absent. ns NULL: an attribute of that local name in any namespace or none. */
const char *xml_attr(const struct xml_node *n, const char *ns, const char *name);
const char *xml_text(const struct xml_node *n);           /* trimmed text of a leaf, "" when empty; NULL for n NULL */
int         xml_copy(const struct xml_node *n, struct buf *b);   /* the element as it stands, namespaces declared */

/* --- writer: names are written as given (prefix:name); the caller declares namespaces by attributes */
struct xmlw {
	struct buf *b;
	bool        open;                    /* a start tag still lacks its '>' */
	unsigned    depth;
	const char *stack[XML_MAX_DEPTH];
};
void xmlw_init(struct xmlw *w, struct buf *b);
void xmlw_start(struct xmlw *w, const char *name);        /* name must outlive the element */
void xmlw_attr(struct xmlw *w, const char *name, const char *value);       /* NULL value: not written */
void xmlw_attrf(struct xmlw *w, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void xmlw_text(struct xmlw *w, const char *text);
void xmlw_end(struct xmlw *w);
void xmlw_leaf(struct xmlw *w, const char *name, const char *text);        /* <name>text</name>; NULL text: nothing */
void xmlw_raw(struct xmlw *w, struct str xml);            /* already well-formed */

#endif
