/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.h - what focusd can be told, see the table in cfg.c */
#ifndef FOCUSD_CFG_H
#define FOCUSD_CFG_H
#include <stdbool.h>
#include "lib/base/cfg.h"

struct focusd_cfg {
	char *node, *domain;
	char *cert, *key, *ca;
	char *sip_bind, *edges;
	long  sip_port;
	char *http_bind, *http_url, *factory_url;
	long  http_port;
	char *store_path, *store_sync;
	char *metrics_bind, *admin_socket, *log_level;
	long  metrics_port;
	char *schedule_bind, *schedule_cert, *schedule_key, *schedule_credentials;
	long  schedule_port;
	char *attendant_name;
	long  attendant_wrong, attendant_pause_s;
	long  grace_s, empty_s, focus_hold_s, pending_s, progress_s, probe_s, max_users, max_conferences, default_expiry_s;
	long  sub_default_s, sub_min_s, sub_max_s, session_s, pace_ms, notify_rate, doc_bytes, doc_udp_bytes;
	char *mcu_types;
	bool  anonymous_allowed, attendee_dialout, dialout_plain;
};
extern const struct cfg_key focusd_keys[];

#endif
