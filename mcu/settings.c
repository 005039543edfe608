/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - what can be configured, and what `--check` looks at beyond numbers and names */
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/tls/tls.h"
#include "mcu/service.h"
#include "mcu/settings.h"

#define S struct settings
const struct cfg_key settings_keys[] = {
	CFG_STR("mcu", "node", S, node, "mcu-1", "Name of this server, as in oc-mcu= of its Contact"),
	CFG_STR("mcu", "domain", S, domain, "conclave.test", "SIP domain of the conferences"),
	CFG_STR("mcu", "types", S, types, "audio-video,chat", "What is served: audio-video, chat; comma-separated"),
	CFG_STR("edge", "addresses", S, edge_addresses, "127.0.0.1:15063",
		"Peer listeners of the edge, for calls that start here, IP:PORT, comma-separated"),
	CFG_STR("tls", "cert", S, cert, "certs/mcu-1.pem", "Certificate chain of this server, PEM"),
	CFG_STR("tls", "key", S, key, "certs/mcu-1.key", "Its private key, PEM"),
	CFG_STR("tls", "ca", S, ca, "ca/servers.pem", "Root and issuing certificates of the other servers, PEM"),
	CFG_STR("tls", "edge", S, edge_names, "edge.conclave.internal", "Certificate names of the edge, comma-separated"),
	CFG_STR("tls", "focus", S, focus_names, "focus.conclave.internal",
		"Certificate names of the focus, comma-separated"),
	CFG_STR("sip", "bind", S, sip_bind, "127.0.0.1", "Address of the SIP listener (TLS, from the edge)"),
	CFG_INT("sip", "port", S, sip_port, "15068", 0, 65535, "Port of the SIP listener"),
	CFG_INT("sip", "ring_s", S, ring_s, "180", 5, 180, "A call that starts here rings so long at most, seconds"),
	CFG_INT("sip", "session_s", S, session_s, "1800", 90, 86400, "Session timer asked for (RFC 4028), seconds"),
	CFG_INT("sip", "min_se_s", S, min_se_s, "90", 90, 86400, "Shortest session timer taken, seconds"),
	CFG_STR("http", "bind", S, http_bind, "127.0.0.1", "Address of the C3P listener (HTTPS, from the focus)"),
	CFG_INT("http", "port", S, http_port, "15069", 0, 65535, "Port of the C3P listener"),
	CFG_STR("http", "url", S, http_url, "", "How others reach it, https://IP:PORT; empty: from bind and port"),
	CFG_STR("factory", "urls", S, factory_urls, "https://127.0.0.1:15066/LiveServer/MCUFactory/",
		"MCU factories that are told of this server, comma-separated"),
	CFG_STR("metrics", "bind", S, metrics_bind, "127.0.0.1", "Address of the metrics listener (plain HTTP)"),
	CFG_INT("metrics", "port", S, metrics_port, "15070", 0, 65535, "Port of the metrics listener; 0: off"),
	CFG_STR("admin", "socket", S, admin_socket, "", "Unix socket for administration; empty: off"),
	CFG_STR("media", "ip", S, media_ip, "127.0.0.1", "Address of the media sockets, numeric"),
	CFG_INT("media", "port_min", S, port_min, "20000", 1024, 65534, "First media port"),
	CFG_INT("media", "port_max", S, port_max, "39999", 1025, 65535, "Last media port"),
	CFG_INT("media", "workers", S, workers, "0", 0, 256, "Media threads; 0: one per core"),
	CFG_INT("media", "span", S, span, "300", 0, 100000,
		"Legs of a room on one media thread before it goes on on another; 0: a room keeps to one"),
	CFG_INT("media", "idle_s", S, idle_s, "60", 5, 3600, "A leg without valid media for so long is ended, seconds"),
	CFG_INT("media", "mix_max", S, mix_max, "3", 1, 6, "Talkers in a mix"),
	CFG_INT("media", "ptime_ms", S, ptime_ms, "20", 10, 60, "Packet length unless the peer asks for another, ms"),
	CFG_STR("media", "codecs", S, codecs, "opus,G722,PCMU,PCMA", "Codecs spoken, best first, comma-separated"),
	CFG_STR("media", "codec_order", S, codec_order, "offerer",
		"Whose order decides about the codec: offerer or ours"),
	CFG_INT("media", "opus_bitrate", S, opus_bitrate, "0", 0, 510000, "Opus bit rate, bit/s; 0: default"),
	CFG_BOOL("media", "agc", S, agc, "yes", "Loud and soft voices are brought together"),
	CFG_BOOL("media", "denoise", S, denoise, "no", "Noise is taken out of what talkers send; costs, while they talk"),
	CFG_BOOL("media", "comfort_noise", S, comfort_noise, "no",
		"Silence is sent as comfort noise (RFC 3389) to phones that take it, not as packets of silence"),
	CFG_BOOL("media", "tones", S, tones, "yes", "Tones when somebody joins or leaves"),
	CFG_STR("prompts", "language", S, prompts_language, "en", "Language of what callers are told, a directory of recordings; empty: tones only"),
	CFG_STR("prompts", "dir", S, prompts_dir, "",
		"Own recordings, LANGUAGE/NAME.wav or NAME.wav, before those installed; empty: none"),
	CFG_BOOL("prompts", "music", S, music, "yes", "Who is alone in a conference hears so, and music"),
	CFG_STR("recording", "path", S, recording_path, "recordings", "Directory of recordings, made when it is needed; empty: no recordings"),
	CFG_STR("recording", "format", S, recording_format, "opus", "opus (in Ogg) or wav (5.5 MiB a minute)"),
	CFG_INT("recording", "bitrate", S, recording_bitrate, "32000", 6000, 256000, "Of Opus, bit/s"),
	CFG_INT("recording", "limit_min", S, recording_limit, "720", 1, 100000, "Longest recording, minutes"),
	CFG_INT("recording", "min_free_mb", S, recording_free, "500", 0, 100000000,
		"A recording ends when the file system has less left, MiB"),
#define X(id, name, dflt, text) CFG_STR("keys", #name, S, key_##name, dflt, text),
	KEY_CMDS(X)
#undef X
	CFG_STR("records", "path", S, records_path, "calls.jsonl",
		"File of call records; relative: below $LOGS_DIRECTORY, without that none are written; empty: none"),
	CFG_INT("chat", "max_bytes", S, chat_bytes, "65536", 1000, 200000, "Largest message, bytes"),
	CFG_INT("chat", "queue", S, chat_queue, "64", 1, 10000, "Messages that may wait for one recipient"),
	CFG_INT("chat", "rate", S, chat_rate, "20", 0, 10000, "Messages a second of one author in the long run; 0: no bound"),
	CFG_INT("chat", "burst", S, chat_burst, "40", 1, 10000, "Messages of one author at once"),
	CFG_INT("chat", "probe_s", S, chat_probe_s, "90", 5, 86400,
		"A silent chat client is asked with OPTIONS after so long, seconds"),
	CFG_BOOL("chat", "report_all", S, chat_report_all, "no", "Delivery reports name those who got the message, too"),
	CFG_INT("limits", "unacknowledged", S, unacknowledged, "4", 1, 100, "Calls of one user in a conference that are answered and not acknowledged"),
	CFG_INT("limits", "conferences", S, conferences, "1000", 1, 100000, "Conferences at once"),
	CFG_INT("limits", "users", S, users, "2000", 1, 100000, "Legs at once, announced ones included"),
	CFG_STR("log", "level", S, log_level, "info", "error, warn, info or debug; or area=level,..."),
	{ 0 }
};
#undef S

static const struct { const char *name; enum mcodec id; } codec_names[] = {
	{ "opus", MCODEC_OPUS }, { "G722", MCODEC_G722 }, { "PCMU", MCODEC_PCMU }, { "PCMA", MCODEC_PCMA },
};

static int codec_add(struct nego_policy *p, struct str name)
{
	for (size_t i = 0; i < NEGO_CODECS; i++) {
		if (!str_ieq(name, str_c(codec_names[i].name)))
			continue;
		for (unsigned k = 0; k < p->ncodecs; k++)
			if (p->order[k] == codec_names[i].id)
				return 0;
		p->order[p->ncodecs++] = codec_names[i].id;
		return 0;
	}
	return -EINVAL;
}

int settings_policy(const struct settings *s, struct nego_policy *p)
{
	struct str rest = str_c(s->codecs);
	int err = 0;

	*p = (struct nego_policy){
		.ip = s->media_ip, .name = s->node, .ptime_ms = (unsigned)s->ptime_ms / 10 * 10,
		.opus_bitrate = (unsigned)s->opus_bitrate, .ours_first = cstr_ieq(s->codec_order, "ours"),
		.agc = s->agc, .denoise = s->denoise, .comfort_noise = s->comfort_noise,
	};
	while (!err && !str_empty(rest))
		err = codec_add(p, str_trim(str_cut(&rest, ',')));
	return err || !p->ncodecs ? -EINVAL : 0;
}

int settings_keys_of(const struct settings *s, struct keys *k, enum key_cmd *wrong)
{
	const char *const seqs[KEY_N] = {
#define X(id, name, dflt, text) [KEY_##id] = s->key_##name,
		KEY_CMDS(X)
#undef X
	};

	memset(k, 0, sizeof(*k));
	for (unsigned i = 1; i < KEY_N; i++)
		if (keys_set(k, (enum key_cmd)i, seqs[i])) {
			*wrong = (enum key_cmd)i;
			return -EINVAL;
		}
	*wrong = keys_clash(k);
	return *wrong == KEY_NONE ? 0 : -EEXIST;
}

static bool numeric(const char *ip)
{
	unsigned char a[16];

	return inet_pton(AF_INET, ip, a) == 1 || inet_pton(AF_INET6, ip, a) == 1;
}

char *settings_http_url(const struct settings *s, unsigned port, const char *path)
{
	bool v6 = strchr(s->http_bind, ':');
	size_t n = strlen(s->http_url);

	if (!n)
		return str_printf("https://%s%s%s:%u%s", v6 ? "[" : "", s->http_bind, v6 ? "]" : "", port, path);
	return str_printf("%s%s", s->http_url, s->http_url[n - 1] == '/' ? path + 1 : path);
}

/* --- --check */

static unsigned check_addresses(const struct settings *s, const char *file)
{
	const struct { const char *section, *name, *ip; } rows[] = {
		{ "sip", "bind", s->sip_bind }, { "http", "bind", s->http_bind },
		{ "metrics", "bind", s->metrics_bind }, { "media", "ip", s->media_ip },
	};
	unsigned faults = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (numeric(rows[i].ip))
			continue;
		opts_fault(file, rows[i].section, rows[i].name, "'%s' is not a numeric IPv4 or IPv6 address", rows[i].ip);
		faults++;
	}
	return faults;
}

static unsigned check_files(const struct settings *s, const char *file)
{
	const struct { const char *name, *path; } rows[] = { { "cert", s->cert }, { "key", s->key }, { "ca", s->ca } };
	struct tls_prm prm = { .cert_file = s->cert, .key_file = s->key, .ca_file = s->ca, .mutual = true };
	struct tls_ctx *c = NULL;
	char why[256] = "";
	unsigned faults = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!access(rows[i].path, R_OK))
			continue;
		opts_fault(file, "tls", rows[i].name, "%s: %s", rows[i].path, strerror(errno));
		faults++;
	}
	if (faults)
		return faults;
	if (tls_ctx_alloc(&c, &prm, why, sizeof(why))) {
		opts_fault(file, "tls", "cert", "certificate, key and ca do not fit: %s", why);
		return 1;
	}
	mem_deref(c);
	return 0;
}

static unsigned check_urls(const struct settings *s, const char *file)
{
	struct str rest = str_c(s->factory_urls);
	unsigned faults = 0;

	while (!str_empty(rest)) {
		struct str url = str_trim(str_cut(&rest, ','));

		if (str_empty(url) || str_istarts(url, STR("https://")))
			continue;
		opts_fault(file, "factory", "urls", "'" STR_FMT "' does not begin with https://", STR_ARG(url));
		faults++;
	}
	if (*s->http_url && !str_istarts(str_c(s->http_url), STR("https://"))) {
		opts_fault(file, "http", "url", "'%s' does not begin with https://", s->http_url);
		faults++;
	}
	return faults;
}

static unsigned check_keys(const struct settings *s, const char *file)
{
	enum key_cmd wrong;
	struct keys k;
	int err = settings_keys_of(s, &k, &wrong);

	if (err == -EINVAL)
		opts_fault(file, "keys", keys_name(wrong), "must be * or # and one to five keys behind it, or empty");
	else if (err)
		opts_fault(file, "keys", keys_name(wrong), "'%s' begins with the keys of another command", k.seq[wrong]);
	return err != 0;
}

static unsigned check_records(const struct settings *s, const char *file)
{
	char *dir = *s->records_path == '/' ? str_dup(str_c(s->records_path)) : NULL;
	unsigned faults = 0;

	if (dir) {
		*strrchr(dir, '/') = '\0';
		if (access(*dir ? dir : "/", W_OK)) {
			opts_fault(file, "records", "path", "%s: %s", *dir ? dir : "/", strerror(errno));
			faults++;
		}
	}
	mem_deref(dir);
	return faults;
}

unsigned settings_check(const void *cfg, const char *file)
{
	const struct settings *s = cfg;
	struct nego_policy p;
	unsigned faults = check_addresses(s, file) + check_files(s, file) + check_urls(s, file) + check_keys(s, file) +
			  check_records(s, file);

	if (!*s->node || !*s->domain) {
		opts_fault(file, "mcu", *s->node ? "domain" : "node", "must not be empty");
		faults++;
	}
	if (services_check(s->types) < 0) {
		opts_fault(file, "mcu", "types", "'%s': audio-video and chat are known, each once", s->types);
		faults++;
	}
	if (s->port_min + 1 >= s->port_max) {
		opts_fault(file, "media", "port_max", "%ld leaves no room above port_min %ld", s->port_max, s->port_min);
		faults++;
	}
	if (settings_policy(s, &p)) {
		opts_fault(file, "media", "codecs", "'%s': opus, G722, PCMU and PCMA are known", s->codecs);
		faults++;
	}
	if (!cstr_ieq(s->codec_order, "ours") && !cstr_ieq(s->codec_order, "offerer")) {
		opts_fault(file, "media", "codec_order", "'%s' is neither offerer nor ours", s->codec_order);
		faults++;
	}
	if (!cstr_ieq(s->recording_format, "opus") && !cstr_ieq(s->recording_format, "wav")) {
		opts_fault(file, "recording", "format", "'%s' is neither opus nor wav", s->recording_format);
		faults++;
	}
	if (opts_log_levels(s->log_level)) {
		opts_fault(file, "log", "level", "'%s' names an unknown level or area", s->log_level);
		faults++;
	}
	return faults;
}
