/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - one conferencing server of this process: audio-video or chat
 *
 * Towards the factory and the edge each type that `[mcu] types` names is an MCU of its own, with its own id,
 * conferences, limits and health reports; what they share is the process, its listeners and its SIP side.
 */
#ifndef MCU_SERVICE_H
#define MCU_SERVICE_H
#include "lib/base/str.h"
#include "lib/c3p/uri.h"

struct app;
struct conf_set;
struct factory;

#define SERVICES_MAX 4u

struct service_kind {                        /* what is the same for every MCU of a type */
	enum c3p_type type;
	const char   *name;                  /* "audio-video": type, session-type */
	const char   *medium;                /* "audio": type of its one medium */
	const char   *path;                  /* of its C3P server */
	const char   *opaque;                /* "avmcu", in its server URI */
	const char   *suffix;                /* behind the node's name in its id */
	int           diag_unknown, diag_unannounced, diag_busy;     /* ms-diagnostics of refused INVITEs */
};
const struct service_kind *service_kind_find(struct str name);         /* NULL: no such type here */

struct service {
	const struct service_kind *kind;
	struct app      *app;
	char            *id;                 /* as in oc-mcu= and in health reports */
	struct conf_set *confs;
	struct factory  *factory;
	unsigned         told_confs, told_legs;      /* as last told to the factories */
};

/* Makes the services that `[mcu] types` names; -EINVAL: an unknown type, or none. */
int  services_start(struct app *a);
void services_stop(struct app *a);
int  services_check(const char *types);                                /* number of types; -EINVAL */
struct service *service_by_type(struct app *a, enum c3p_type type);    /* NULL: not served here */
struct service *service_by_path(struct app *a, struct str path);
unsigned services_confs(const struct app *a);
unsigned services_legs(const struct app *a);

#define SERVICES_FOREACH(s, a) for ((s) = (a)->services; (s) < (a)->services + (a)->nservices; (s)++)

#endif
