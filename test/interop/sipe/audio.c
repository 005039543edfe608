/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audio.c - a tone for a microphone, a ring of samples for a loudspeaker
 *
 * libpurple builds the call's pipeline and asks for its two ends. The source is a live tone; the sink turns what arrives into 8 kHz
 * mono and keeps the last second, in which audio_hear() looks for tones. The sink's thread is GStreamer's.
 */
#include <errno.h>
#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <libpurple/media-gst.h>
#include <math.h>
#include <string.h>

#include "driver.h"

#define RATE   8000u
#define WINDOW 4000u                   /* samples that a tone is looked for in: half a second */

static struct {
	unsigned      tone_hz;
	GMutex        lock;
	gint16        ring[RATE];
	guint         pos;
	guint64       samples;         /* since the start */
	PurpleMedia  *media;           /* the running call, or NULL; libpurple's */
} audio;

static GstElement *end_of(const char *pipeline)
{
	GError *err = NULL;
	GstElement *bin = gst_parse_bin_from_description(pipeline, TRUE, &err);

	if (!bin)
		g_error("%s: %s", pipeline, err->message);
	return bin;
}

static GstElement *make_source(PurpleMedia *m, const gchar *session, const gchar *who)
{
	char *text = g_strdup_printf("audiotestsrc is-live=true wave=%s freq=%u volume=0.2 samplesperbuffer=160 ! "
				     "audio/x-raw,rate=8000,channels=1 ! audioconvert ! audioresample",
				     audio.tone_hz ? "sine" : "silence", audio.tone_hz ? audio.tone_hz : 440);
	GstElement *bin = end_of(text);

	(void)m;
	(void)session;
	(void)who;
	g_free(text);
	return bin;
}

static GstFlowReturn on_sample(GstAppSink *sink, gpointer arg)
{
	GstSample *s = gst_app_sink_pull_sample(sink);
	GstMapInfo map;

	(void)arg;
	if (!s)
		return GST_FLOW_EOS;
	if (gst_buffer_map(gst_sample_get_buffer(s), &map, GST_MAP_READ)) {
		const gint16 *x = (const gint16 *)map.data;

		g_mutex_lock(&audio.lock);
		for (gsize i = 0; i < map.size / 2; i++) {
			audio.ring[audio.pos] = x[i];
			audio.pos = (audio.pos + 1) % RATE;
		}
		audio.samples += map.size / 2;
		g_mutex_unlock(&audio.lock);
		gst_buffer_unmap(gst_sample_get_buffer(s), &map);
	}
	gst_sample_unref(s);
	return GST_FLOW_OK;
}

static GstElement *make_sink(PurpleMedia *m, const gchar *session, const gchar *who)
{
	GstElement *bin = end_of("audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate=8000,channels=1 ! "
				 "appsink name=ear sync=false async=false max-buffers=50 drop=true emit-signals=true");
	GstElement *ear = gst_bin_get_by_name(GST_BIN(bin), "ear");

	(void)m;
	(void)session;
	(void)who;
	g_signal_connect(ear, "new-sample", G_CALLBACK(on_sample), NULL);
	gst_object_unref(ear);
	return bin;
}

static const char *const states[] = { "new", "connected", "end" };
static const char *const infos[] = { "hangup", "accept", "reject", "mute", "unmute", "pause", "unpause", "hold", "unhold" };

static void on_state(PurpleMedia *m, PurpleMediaState state, gchar *session, gchar *who, gpointer arg)
{
	(void)arg;
	event("media", "{s:s, s:s, s:s}", "state", state < G_N_ELEMENTS(states) ? states[state] : "?", "session",
	      session ? session : "", "who", who ? who : "");
	if (state == PURPLE_MEDIA_STATE_END && audio.media == m)
		audio.media = NULL;
}

static void on_info(PurpleMedia *m, PurpleMediaInfoType type, gchar *session, gchar *who, gboolean local, gpointer arg)
{
	(void)m;
	(void)arg;
	(void)session;
	event("media-info", "{s:s, s:s, s:b}", "info", type < G_N_ELEMENTS(infos) ? infos[type] : "?", "who", who ? who : "", "local",
	      local);
}

/* A call that we start has our consent; of one that comes to us the plugin asks by a request first. */
static gboolean accept_streams(gpointer arg)
{
	PurpleMedia *m = arg;

	if (audio.media == m)
		purple_media_stream_info(m, PURPLE_MEDIA_INFO_ACCEPT, NULL, NULL, TRUE);
	return FALSE;
}

static gboolean on_media(PurpleMediaManager *mgr, PurpleMedia *m, PurpleAccount *acct, gchar *who, gpointer arg)
{
	(void)mgr;
	(void)acct;
	(void)arg;
	audio.media = m;
	g_signal_connect(m, "state-changed", G_CALLBACK(on_state), NULL);
	g_signal_connect(m, "stream-info", G_CALLBACK(on_info), NULL);
	event("media", "{s:s, s:s, s:s}", "state", "init", "session", "", "who", who ? who : "");
	g_idle_add(accept_streams, m);
	return TRUE;
}

static void add_element(const char *id, PurpleMediaElementType type, PurpleMediaElementCreateCallback create)
{
	PurpleMediaManager *mgr = purple_media_manager_get();
	PurpleMediaElementInfo *info = g_object_new(PURPLE_TYPE_MEDIA_ELEMENT_INFO, "id", id, "name", id, "type", type, "create-cb",
						    create, NULL);

	purple_media_manager_register_element(mgr, info);
	purple_media_manager_set_active_element(mgr, info);
}

void audio_init(unsigned tone_hz)
{
	PurpleMediaManager *mgr;

	audio.tone_hz = tone_hz;
	g_mutex_init(&audio.lock);
	gst_init(NULL, NULL);
	mgr = purple_media_manager_get();
	purple_media_manager_set_ui_caps(mgr, PURPLE_MEDIA_CAPS_AUDIO | PURPLE_MEDIA_CAPS_AUDIO_SINGLE_DIRECTION);
	add_element("tone", PURPLE_MEDIA_ELEMENT_AUDIO | PURPLE_MEDIA_ELEMENT_SRC | PURPLE_MEDIA_ELEMENT_ONE_SRC |
		    PURPLE_MEDIA_ELEMENT_UNIQUE, make_source);
	add_element("ear", PURPLE_MEDIA_ELEMENT_AUDIO | PURPLE_MEDIA_ELEMENT_SINK | PURPLE_MEDIA_ELEMENT_ONE_SINK, make_sink);
	g_signal_connect(mgr, "init-media", G_CALLBACK(on_media), NULL);
}

/* Without these the volume is nought. They are the user interface's to make, once libpurple runs. */
void audio_prefs(void)
{
	static const char *const names[] = { "/purple/media", "/purple/media/audio", "/purple/media/audio/volume" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		purple_prefs_add_none(names[i]);
	purple_prefs_add_int("/purple/media/audio/volume/input", 10);
	purple_prefs_add_int("/purple/media/audio/volume/output", 10);
}

int audio_call(json_t *cmd)
{
	json_object_set_new(cmd, "item", json_string("Join conference call"));
	return menu_chat(cmd);
}

int audio_mute(json_t *cmd)
{
	bool on = json_is_true(json_object_get(cmd, "on"));

	if (!audio.media)
		return -ENOTCONN;
	purple_media_stream_info(audio.media, on ? PURPLE_MEDIA_INFO_MUTE : PURPLE_MEDIA_INFO_UNMUTE, NULL, NULL, TRUE);
	return 0;
}

int audio_hangup(json_t *cmd)
{
	(void)cmd;
	if (!audio.media)
		return -ENOTCONN;
	purple_media_stream_info(audio.media, PURPLE_MEDIA_INFO_HANGUP, NULL, NULL, TRUE);
	return 0;
}

/* Goertzel's filter over the window: the level of a sine of this frequency in dB below full scale. */
static double level(const gint16 *x, double hz)
{
	double c = 2 * cos(2 * G_PI * hz / RATE), a = 0, b = 0, t;

	for (guint i = 0; i < WINDOW; i++) {
		t = c * a - b + x[i];
		b = a;
		a = t;
	}
	t = sqrt(MAX(a * a + b * b - c * a * b, 0)) * 2 / WINDOW / 32768;
	return t > 1e-6 ? 20 * log10(t) : -120;
}

int audio_hear(json_t *cmd)
{
	json_t *tones = json_object_get(cmd, "tones"), *levels = json_object();
	gint16 x[WINDOW];
	guint64 samples;

	g_mutex_lock(&audio.lock);
	for (guint i = 0; i < WINDOW; i++)
		x[i] = audio.ring[(audio.pos + RATE - WINDOW + i) % RATE];
	samples = audio.samples;
	g_mutex_unlock(&audio.lock);
	for (size_t i = 0; i < json_array_size(tones); i++) {
		int hz = (int)json_integer_value(json_array_get(tones, i));
		char key[16];

		g_snprintf(key, sizeof(key), "%d", hz);
		json_object_set_new(levels, key, json_real(level(x, hz)));
	}
	event("heard", "{s:I, s:o}", "samples", (json_int_t)samples, "levels", levels);
	return 0;
}
