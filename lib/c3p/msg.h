/* SPDX-License-Identifier: Apache-2.0 */
/* msg.h - the C3P envelope: request and response documents (namespace urn:ietf:params:xml:ns:cccp)
 *
 * Reading is lenient (prefixes, order, attributes of unknown kind); writing is strict.
 */
#ifndef C3P_MSG_H
#define C3P_MSG_H
#include "lib/xml/xml.h"

#define C3P_NS      "urn:ietf:params:xml:ns:cccp"
#define C3P_NS_MSCP "http://schemas.microsoft.com/rtc/2005/08/cccpextensions"
#define C3P_NS_CI   "urn:ietf:params:xml:ns:conference-info"
#define C3P_NS_MSCI "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions"
#define C3P_NS_CIS  "urn:ietf:params:xml:ns:conference-info-separator"
#define C3P_NS_OC   "urn:x-conclave:c3p:1"
#define C3P_CTYPE   "application/cccp+xml"
#define C3P_HTTP_CTYPE C3P_CTYPE "; charset=utf-8"
#define C3P_CTYPE_INFO "application/conference-info+xml"

/* keys of any *Keys element; each "" when absent */
struct c3p_keys { const char *conf_entity, *conf_id, *user_entity, *endpoint_entity, *media_id; };

struct c3p_req {                        /* strings are borrowed from doc */
	struct xml_doc        *doc;
	const char            *request_id, *from, *to;
	const char            *command; /* local name of the one child */
	const struct xml_node *cmd;     /* that child */
	const char            *mcu_uri; /* mscp:mcuUri on the command, NULL when absent */
	const char            *epoch;   /* oc:epoch, oc:requestedBy, oc:requestedRole on the envelope; NULL when absent */
	const char            *requested_by, *requested_role;
	struct c3p_keys        keys;
};
int  c3p_req_decode(struct c3p_req *r, struct str body);  /* -EBADMSG: answer 400 with ms-diagnostics 3006 */
void c3p_req_fini(struct c3p_req *r);

enum c3p_code { C3P_SUCCESS, C3P_FAILURE, C3P_PENDING };
struct c3p_resp {
	struct xml_doc        *doc;
	const char            *request_id, *from, *to, *command, *reason;   /* reason "" unless failure */
	enum c3p_code          code;
	const struct xml_node *cmd;
};
int  c3p_resp_decode(struct c3p_resp *r, struct str body);
void c3p_resp_fini(struct c3p_resp *r);

/* --- writing. Envelope attributes; NULL ones are left out. The writer stands inside the envelope afterwards: write
 * the command element, then c3p_end(). Namespaces mscp, ci, msci, cis and oc are declared on the envelope. */
struct c3p_env { const char *request_id, *from, *to, *epoch, *requested_by, *requested_role, *callback; };
struct c3p_env c3p_env_of(const struct c3p_req *r);        /* of the answer to it: from and to change places */
void c3p_begin_request(struct xmlw *w, struct buf *b, const struct c3p_env *env);
void c3p_begin_response(struct xmlw *w, struct buf *b, const struct c3p_env *env, enum c3p_code code, const char *reason);
int  c3p_end(struct xmlw *w);                             /* closes the envelope; buf's sticky error */
/* A whole response whose command element is empty but for `reason` (and keys when given). */
int  c3p_simple_response(struct buf *b, const struct c3p_env *env, enum c3p_code code, const char *command,
			 const char *reason, const struct c3p_keys *keys);
void c3p_write_keys(struct xmlw *w, const char *element, const struct c3p_keys *keys);   /* e.g. "mediaKeys" */

#endif
