/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.c - the configuration table of focusd: parser, --help, --sample and limits come from it */
#include "focusd/cfg.h"

#define S(sec, nm, f, d, h)         CFG_STR(sec, nm, struct focusd_cfg, f, d, h)
#define I(sec, nm, f, d, lo, hi, h) CFG_INT(sec, nm, struct focusd_cfg, f, d, lo, hi, h)
#define B(sec, nm, f, d, h)         CFG_BOOL(sec, nm, struct focusd_cfg, f, d, h)

const struct cfg_key focusd_keys[] = {
	S("focusd", "node", node, "focus-1", "Name of this node; its certificate's second DNS name begins with it"),
	S("focusd", "domain", domain, "conclave.test", "SIP domain of the conferences"),
	S("tls", "cert", cert, "", "Certificate and issuing CA of this node, PEM file"),
	S("tls", "key", key, "", "Private key of this node, PEM file"),
	S("tls", "ca", ca, "", "Certificates that may sign the other servers, PEM file"),
	S("sip", "bind", sip_bind, "127.0.0.1", "Address of the SIP listener (TLS, for the edge)"),
	I("sip", "port", sip_port, "15065", 0, 65535, "Port of the SIP listener"),
	S("edge", "addresses", edges, "", "Peer listeners of the edge, IP:PORT separated by commas; announced to"),
	S("http", "bind", http_bind, "127.0.0.1", "Address of the HTTPS listener (C3P, for the MCUs)"),
	I("http", "port", http_port, "15066", 0, 65535, "Port of the HTTPS listener"),
	S("http", "url", http_url, "", "The same as others reach it, https://IP:PORT; empty: from bind and port"),
	S("factory", "url", factory_url, "", "Where getMCU goes, https://IP:PORT/LiveServer/MCUFactory/; empty: this node's own"),
	S("store", "path", store_path, "focus.sqlite", "SQLite file of conferences, users and dialogs"),
	S("store", "sync", store_sync, "full", "full: a commit survives a power cut; normal: it survives a crash"),
	S("metrics", "bind", metrics_bind, "127.0.0.1", "Address of the metrics listener (plain HTTP)"),
	I("metrics", "port", metrics_port, "0", 0, 65535, "Port of the metrics listener, 0: off"),
	S("schedule", "bind", schedule_bind, "127.0.0.1", "Address of the HTTPS listener for scheduling tools"),
	I("schedule", "port", schedule_port, "0", 0, 65535, "Port of the HTTPS listener for scheduling tools, 0: off"),
	S("schedule", "cert", schedule_cert, "", "Certificate that scheduling tools see, PEM file"),
	S("schedule", "key", schedule_key, "", "Its private key, PEM file"),
	S("schedule", "credentials", schedule_credentials, "", "The edge's SQLite file of users, read only"),
	S("admin", "socket", admin_socket, "", "Unix socket for confctl, empty: off"),
	I("conference", "grace_s", grace_s, "600", 0, 86400,
	  "Seconds a conference goes on after its last authenticated user left"),
	I("conference", "empty_s", empty_s, "600", 0, 86400, "Seconds an empty conference stays active"),
	I("conference", "focus_hold_s", focus_hold_s, "5", 0, 600,
	  "Seconds a media leg outlives the focus dialog that entitled it"),
	I("conference", "pending_s", pending_s, "60", 5, 600, "Seconds after which an announced leg that never came is forgotten"),
	I("conference", "probe_s", probe_s, "300", 1, 86400,
	  "Seconds between OPTIONS probes of clients without session timer; two misses end them"),
	I("conference", "session_s", session_s, "1800", 90, 86400, "Session timer interval, where the client supports it"),
	I("conference", "max_users", max_users, "1000", 2, 100000, "Users in one conference"),
	I("conference", "max_conferences", max_conferences, "1000", 1, 1000000, "Conferences of one organizer"),
	I("conference", "default_expiry_s", default_expiry_s, "28800", 60, 315360000,
	  "Seconds until a conference scheduled without expiry-time may be deleted"),
	B("conference", "anonymous", anonymous_allowed, "yes", "Organizers may schedule conferences with policy anonymous"),
	B("conference", "attendee_dialout", attendee_dialout, "no", "Attendees may have others called into a conference"),
	B("conference", "dialout_plain", dialout_plain, "no", "Calls out may use plain RTP where the other side has no SRTP"),
	S("conference", "types", mcu_types, "audio-video,chat", "MCU types that clients are offered"),
	I("notify", "default_s", sub_default_s, "28800", 60, 86400, "Seconds of a subscription that asks for none"),
	I("notify", "min_s", sub_min_s, "60", 1, 86400, "Shortest subscription, seconds"),
	I("notify", "max_s", sub_max_s, "43200", 60, 604800, "Longest subscription, seconds"),
	I("notify", "pace_ms", pace_ms, "250", 0, 60000, "Milliseconds between two documents of a conference"),
	I("notify", "max_bytes", doc_bytes, "196608", 4096, 250000, "Largest document in one message, bytes"),
	I("notify", "max_bytes_udp", doc_udp_bytes, "8192", 1024, 60000, "The same for a subscriber on UDP"),
	S("log", "level", log_level, "info", "error, warn, info or debug; or area=level separated by commas"),
	{ 0 }
};
