/* SPDX-License-Identifier: Apache-2.0 */
/* caller.h - who sent a request, as the edge says it: P-Asserted-Identity and Conclave-Access */
#ifndef FOCUSD_CALLER_H
#define FOCUSD_CALLER_H
#include <stdbool.h>
#include "focusd/conf.h"
#include "lib/sip/msg.h"

enum access { ACCESS_NONE, ACCESS_USER, ACCESS_TRUNK, ACCESS_FEDERATED, ACCESS_ANONYMOUS };
struct caller {
	enum access access;
	char       *entity;              /* sip:user@domain of the asserted identity; NULL for the anonymous */
	char       *display;             /* of the asserted identity, else of From */
	char       *instance;            /* +sip.instance, else the From's epid, else the Contact's address */
	char       *address;             /* where the edge got the request from; NULL: not told */
	bool        plain_ok;            /* plain RTP allowed */
	bool        udp;                 /* the client came by UDP */
	bool        timer;               /* supports session timers */
};
int  caller_decode(struct caller *c, const struct sip_msg *m);   /* -EACCES: no access told; -EBADMSG; -ENOMEM */
void caller_fini(struct caller *c);
enum conf_auth caller_auth(const struct caller *c);

#endif
