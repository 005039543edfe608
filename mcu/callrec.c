/* SPDX-License-Identifier: Apache-2.0 */
/* callrec.c - see callrec.h */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "mcu/app.h"
#include "mcu/callrec.h"
#include "mcu/records.h"
#include "mcu/uas.h"

/* --- what becomes of all calls together */
static struct metric m_ends[LEG_NENDS];
static char end_labels[LEG_NENDS][32];
static struct metric m_talk = METRIC_COUNTER("conclave_mcu_talk_seconds_total", "Time that ended calls were in a mix");
static int64_t talk_ms;

#define MOS_NAME "conclave_mcu_call_mos"
#define MOS_HELP "Calls that have ended by their estimated MOS; in: what was heard of the caller"
#define MOS_LE(dir, le) METRIC_PART(MOS_NAME, "_bucket", "direction=\"" dir "\",le=\"" le "\"", MOS_HELP)
#define MOS_ROWS(dir) { { MOS_LE(dir, "2"), MOS_LE(dir, "2.6"), MOS_LE(dir, "3.1"), MOS_LE(dir, "3.6"), MOS_LE(dir, "4"), \
			  MOS_LE(dir, "4.3"), MOS_LE(dir, "+Inf") }, \
			{ .name = MOS_NAME, .part = "_sum", .labels = "direction=\"" dir "\"", .help = MOS_HELP, .milli = true }, \
			METRIC_PART(MOS_NAME, "_count", "direction=\"" dir "\"", MOS_HELP) }
static const double mos_limits[] = { 2, 2.6, 3.1, 3.6, 4, 4.3, 5 };
#define NMOS (sizeof(mos_limits) / sizeof(mos_limits[0]))
static struct mos { struct metric le[NMOS], sum, count; } m_mos[2] = { MOS_ROWS("in"), MOS_ROWS("out") };

/* HANGUP -> hangup, as in records and metrics */
static const char *cause(enum leg_end why)
{
	static const char *const names[LEG_NENDS] = {
#define X(name, text, method) [LEG_END_##name] = #name,
		LEG_ENDS(X)
#undef X
	};
	static char low[LEG_NENDS][16];

	if ((unsigned)why >= LEG_NENDS)
		return "";
	if (!*low[why])
		for (size_t i = 0; names[why][i] && i < sizeof(low[0]) - 1; i++)
			low[why][i] = (char)tolower((unsigned char)names[why][i]);
	return low[why];
}

void callrec_metrics(void)
{
	for (unsigned i = 0; i < LEG_NENDS; i++) {
		snprintf(end_labels[i], sizeof(end_labels[i]), "cause=\"%s\"", cause((enum leg_end)i));
		m_ends[i].name   = "conclave_mcu_call_ends_total";
		m_ends[i].help   = "Calls that have ended, by cause";
		m_ends[i].labels = end_labels[i];
	}
	metric_register(m_ends, LEG_NENDS);
	for (unsigned dir = 0; dir < 2; dir++) {
		metric_register(m_mos[dir].le, NMOS);
		metric_register(&m_mos[dir].sum, 1);
		metric_register(&m_mos[dir].count, 1);
	}
	metric_register(&m_talk, 1);
}

static void count_mos(unsigned dir, double mos)
{
	struct mos *m = &m_mos[dir];

	if (mos <= 0)                            /* not known */
		return;
	metric_add(&m->sum, (int64_t)(mos * 1000 + 0.5));
	metric_inc(&m->count);
	for (unsigned i = 0; i < NMOS; i++)
		if (mos <= mos_limits[i])
			metric_inc(&m->le[i]);
}

static void count(const struct callrec *r)
{
	metric_inc(&m_ends[r->why]);
	if (!r->media)
		return;
	count_mos(0, r->st.mos_in);
	count_mos(1, r->st.mos_out);
	talk_ms += r->st.talk_ms;
	metric_set(&m_talk, talk_ms / 1000);
}

static json_t *mean(unsigned dir)
{
	int64_t n = metric_get(&m_mos[dir].count);

	return n ? json_real((double)metric_get(&m_mos[dir].sum) / 1000 / (double)n) : json_null();
}

json_t *callrec_totals(void)
{
	json_t *causes = json_object();
	int64_t n, all = 0;

	for (unsigned i = 0; i < LEG_NENDS; i++) {
		n = metric_get(&m_ends[i]);
		all += n;
		if (n)
			json_object_set_new(causes, cause((enum leg_end)i), json_integer(n));
	}
	return json_pack("{s:I,s:o,s:I,s:o,s:o}", "calls", (json_int_t)all, "causes", causes, "talk_s", (json_int_t)(talk_ms / 1000),
			 "mos_in", mean(0), "mos_out", mean(1));
}

/* --- while the call lives */
static void destructor(void *arg)
{
	struct callrec *r = arg;

	mem_deref(r->call_id);
	mem_deref(r->user);
	mem_deref(r->conf);
	mem_deref(r->came_from);
}

struct callrec *callrec_alloc(struct app *a, struct str call_id, const char *type)
{
	struct callrec *r = mem_zalloc(sizeof(*r), destructor);

	if (!r) {
		records_missed(a->records);
		return NULL;
	}
	r->app      = a;
	r->type     = type;
	r->start_ms = ev_wall_ms();
	r->call_id  = str_dup(call_id);
	if (r->call_id)
		return r;
	records_missed(a->records);
	return mem_deref(r);
}

/* The last Via is the client's own; it may lie, so only names that exist are taken. */
void callrec_peer(struct callrec *r, const struct sip_msg *m)
{
	static const char *const known[] = { "udp", "tcp", "tls", "ws", "wss" };
	struct str via = STR_NULL, next;

	for (unsigned i = 0; i < 32 && (next = sip_msg_hdr(m, "Via", i)).p; i++)
		via = next;
	str_cut(&via, '/');
	str_cut(&via, '/');
	via = str_trim(via);
	for (size_t i = 0; r && i < sizeof(known) / sizeof(known[0]); i++) {
		struct str k = str_c(known[i]);

		if (str_istarts(via, k) && (via.l == k.l || via.p[k.l] == ' '))
			r->signalling = known[i];
	}
}

void callrec_leg(struct callrec *r, const struct call *c)
{
	const struct user *u = c->leg->user;
	char *conf, *user;

	if (!r || !u)
		return;
	conf = str_dup(str_c(u->conf->id));
	user = str_dup(str_c(u->entity));
	if (!conf || !user) {
		mem_deref(conf);
		mem_deref(user);
		return;
	}
	mem_deref(r->came_from);
	mem_deref(r->user);
	r->came_from = r->conf;
	r->conf = conf;
	r->user = user;
	r->out  = c->state == CALL_CALLING || r->out;
	if (c->media)
		callrec_muted(r, c->leg->ingress_block && !u->conf->attendant);
}

void callrec_answered(struct callrec *r)
{
	if (!r || r->answered_ms)
		return;
	r->answered_ms = ev_wall_ms();
	r->up_since    = ev_now_ms(r->app->loop);
}

void callrec_muted(struct callrec *r, bool muted)
{
	uint64_t now;

	if (!r || muted == (r->muted_since != 0))
		return;
	now = ev_now_ms(r->app->loop);
	if (muted) {
		r->mutes++;
		r->muted_since = now ? now : 1;
	} else {
		r->muted_ms += now - r->muted_since;
		r->muted_since = 0;
	}
}

/* --- the line */
static json_t *text(const char *s)
{
	char copy[257];
	size_t n = s ? strnlen(s, sizeof(copy) - 1) : 0;
	json_t *j;

	if (!s)
		return json_null();
	while (n && s[n] && ((unsigned char)s[n] & 0xc0) == 0x80)      /* cut between characters */
		n--;
	j = json_stringn(s, n);
	if (j)
		return j;
	for (size_t i = 0; i < n; i++)                                  /* not UTF-8: a Call-ID is any bytes */
		copy[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	return json_stringn(copy, n);
}

static json_t *when(uint64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	char day[32], all[40];
	struct tm tm;

	if (!wall_ms)
		return json_null();
	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(all, sizeof(all), "%s.%03uZ", day, (unsigned)(wall_ms % 1000));
	return json_string(all);
}

static json_t *real(double v)
{
	return json_real((double)(int64_t)(v * 100 + 0.5) / 100);
}

static json_t *real_or_null(double v)
{
	return v > 0 ? real(v) : json_null();
}

static json_t *whole(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static void head(json_t *j, const struct callrec *r, const char *node)
{
	json_object_set_new(j, "v", json_integer(1));
	json_object_set_new(j, "node", text(node));
	json_object_set_new(j, "start", when(r->start_ms));
	json_object_set_new(j, "answered", when(r->answered_ms));
	json_object_set_new(j, "end", when(r->end_ms));
	json_object_set_new(j, "duration_ms", whole(r->up_ms));
	json_object_set_new(j, "conference", text(r->conf));
	json_object_set_new(j, "came_from", text(r->came_from));
	json_object_set_new(j, "type", text(r->type));
	json_object_set_new(j, "user", text(r->user));
	json_object_set_new(j, "call_id", text(r->call_id));
	json_object_set_new(j, "direction", json_string(r->out ? "out" : "in"));
	json_object_set_new(j, "cause", json_string(cause(r->why)));
	json_object_set_new(j, "reason", json_string(leg_end_text(r->why)));
	json_object_set_new(j, "signalling", text(r->signalling));
}

static void sound(json_t *j, const struct callrec *r)
{
	const struct mleg_stats *s = &r->st;

	json_object_set_new(j, "codec", s->started ? json_string(mcodec_name(s->codec)) : json_null());
	json_object_set_new(j, "profile", *r->proto ? text(r->proto) : json_null());
	json_object_set_new(j, "srtp", text(r->srtp));
	json_object_set_new(j, "ice", json_boolean(r->ice));
	json_object_set_new(j, "first_media_ms", s->first_media_ms >= 0 && s->started ? whole((uint64_t)s->first_media_ms) : json_null());
#define N(name, value) json_object_set_new(j, name, whole(value))
#define MS(name, us)   json_object_set_new(j, name, real((us) / 1000.0))
	N("packets_in", s->rx_packets);
	N("packets_out", s->tx_packets);
	N("bytes_in", s->rx_bytes);
	N("bytes_out", s->tx_bytes);
	N("lost_in", s->lost);
	N("late_in", s->late);
	N("discarded_in", s->discarded);
	N("concealed_in", s->concealed);
	N("lost_out", s->peer_lost);
	json_object_set_new(j, "loss_in", real(s->loss_in));
	json_object_set_new(j, "loss_out", s->peer_expected ? real(s->loss_out) : json_null());
	MS("jitter_in_ms", s->jitter_avg_us);
	MS("jitter_in_max_ms", s->jitter_max_us);
	json_object_set_new(j, "jitter_out_ms", s->peer_expected ? real(s->peer_jitter_us / 1000.0) : json_null());
	json_object_set_new(j, "rtt_ms", real_or_null(s->rtt_avg_us / 1000.0));
	json_object_set_new(j, "rtt_max_ms", real_or_null(s->rtt_max_us / 1000.0));
	N("buffer_ms", s->buffer_avg_ms);
	json_object_set_new(j, "mos_in", real_or_null(s->mos_in));
	json_object_set_new(j, "mos_out", real_or_null(s->mos_out));
	N("talk_ms", s->talk_ms);
	N("mutes", r->mutes);
	N("muted_ms", r->muted_ms);
	N("wrong_key", s->auth_failures);
	N("replays", s->replays);
#undef N
#undef MS
}

static int to_buf(const char *p, size_t n, void *arg)
{
	buf_write(arg, p, n);
	return 0;
}

void callrec_render(struct buf *b, const struct callrec *r, const char *node)
{
	json_t *j = json_object();

	head(j, r, node);
	if (r->media)
		sound(j, r);
	if (!j || json_dump_callback(j, to_buf, b, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9)))
		b->err = -ENOMEM;
	buf_puts(b, "\n");
	json_decref(j);
}

/* --- its end */
static void finish(struct callrec *r)
{
	struct buf b;

	buf_init(&b, 16384);
	count(r);
	callrec_render(&b, r, r->app->cfg.node);
	if (!b.err)
		records_write(r->app->records, buf_view(&b));
	else
		records_missed(r->app->records);
	buf_fini(&b);
	records_expect(r->app->records, -1);
	app_settled(r->app);
	mem_deref(r);
}

static void on_final(const struct mleg_stats *st, void *arg)
{
	struct callrec *r = arg;

	r->st = *st;
	finish(r);
}

void callrec_end(struct call *c, enum leg_end why)
{
	struct callrec *r = c->rec;

	c->rec = NULL;
	if (!r || !r->conf) {                /* nobody's yet: it was refused */
		mem_deref(r);
		return;
	}
	callrec_muted(r, false);
	r->why    = why;
	r->end_ms = ev_wall_ms();
	r->up_ms  = r->answered_ms ? ev_now_ms(r->app->loop) - r->up_since : 0;
	r->media  = c->media != NULL;
	r->srtp   = c->nego.set.srtp && c->nego.suite ? c->nego.suite->name : NULL;
	r->ice    = c->nego.set.ice.form != ICE_OFF;
	snprintf(r->proto, sizeof(r->proto), "%s", c->nego.proto);
	records_expect(r->app->records, 1);
	if (c->media)
		mleg_final(c->media, on_final, r);
	else
		finish(r);
}
