/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the configuration of the MCU: one table, one struct */
#ifndef MCU_SETTINGS_H
#define MCU_SETTINGS_H
#include <stdbool.h>
#include "lib/base/cfg.h"
#include "mcu/keys.h"
#include "mcu/nego.h"

struct settings {
	char *node, *domain, *types, *edge_addresses;
	char *cert, *key, *ca;
	char *sip_bind, *http_bind, *http_url, *factory_urls, *metrics_bind, *admin_socket, *log_level;
	char *media_ip, *codecs, *codec_order;
	char *edge_names, *focus_names;
	long  sip_port, http_port, metrics_port, port_min, port_max, workers, span, idle_s, mix_max, ptime_ms, opus_bitrate;
	long  conferences, users, session_s, min_se_s, ring_s, unacknowledged;
	long  chat_bytes, chat_queue, chat_rate, chat_burst, chat_probe_s;
	bool  tones, music, agc, denoise, comfort_noise, chat_report_all;
	char *recording_path, *recording_format;
	long  recording_bitrate, recording_limit, recording_free;
	char *prompts_language, *prompts_dir, *records_path;
#define X(id, name, dflt, text) char *key_##name;
	KEY_CMDS(X)
#undef X
};
extern const struct cfg_key settings_keys[];

unsigned settings_check(const void *cfg, const char *file);            /* opts_check_cb */
int      settings_policy(const struct settings *s, struct nego_policy *p);   /* -EINVAL: an unknown codec */
int      settings_keys_of(const struct settings *s, struct keys *k, enum key_cmd *wrong);   /* -EINVAL, -EEXIST: two clash */
char    *settings_http_url(const struct settings *s, unsigned port, const char *path);   /* new reference */

#endif
