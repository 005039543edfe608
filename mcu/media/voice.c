/* SPDX-License-Identifier: Apache-2.0 */
/* voice.c - one leg's sound of one tick: jitter buffer -> decoder -> frame, level, loud or not
 *
 * The level is known from the header extension (RFC 6464), from the payload itself, or from the decoded frame; who cannot
 * be among the loudest is not decoded (voice_fetch.c).
 *
 * A leg outside the mix that becomes loud may be a voice or a keyboard. Its sound is held while voicing.c finds out:
 * a voice then enters with the beginning of its word, up to 160 ms late (voice_enter()), and makes up for that by
 * leaving out a period of its voice every other tick (catch_up()). What is no voice is forgotten. So `fill` samples stand
 * in pcm: `held` ones whose time has passed, then those of now; without anything held the two are the same.
 */
#include <math.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

#define TRIM_MS      300u
#define VOICED_MS     1500u    /* so long after the last vowel loud sound still counts as speech */
#define KEY_DBOV     (-50)
#define FLOOR_CAP    (-46)     /* what never pauses is not taken for noise when above this + VAD_FLOOR_DB */

static uint32_t squares[2][256];          /* PCMU, PCMA: sample squared, by payload byte */

void voice_init(void)
{
	static const struct codec *const c[2] = { &codec_pcmu, &codec_pcma };

	for (unsigned k = 0; k < 2; k++) {
		struct codec_dec *d = NULL;
		uint8_t all[256];
		int16_t pcm[256];

		for (unsigned i = 0; i < 256; i++)
			all[i] = (uint8_t)i;
		if (c[k]->dec_alloc(&d))
			continue;
		if (c[k]->decode(d, all, 256, 0, pcm, 256) == 256)
			for (unsigned i = 0; i < 256; i++)
				squares[k][i] = (uint32_t)((int32_t)pcm[i] * pcm[i]);
		mem_deref(d);
	}
}

int voice_payload_level(const struct wleg *l, const uint8_t *p, size_t n)
{
	const uint32_t *sq = squares[l->codec_id == MCODEC_PCMA];
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += sq[p[i]];
	return level_of_power(sum, n);
}

static int gate(const struct wleg *l)
{
	int floor = l->vad.floor < FLOOR_CAP ? l->vad.floor : FLOOR_CAP;

	return floor + VAD_FLOOR_DB > VAD_GATE_DBOV ? floor + VAD_FLOOR_DB : VAD_GATE_DBOV;
}

int voice_level(const struct wleg *l)
{
	return vad_level(&l->vad);
}

/* Keys in the sound are louder than this, whatever the level of the noise around them. */
static bool may_be_key(const struct wleg *l, int level)
{
	return l->inband && (level == JBUF_NO_LEVEL || level > KEY_DBOV);
}

/* Must the packet be decoded? Its level, when known, decides against the gate and last tick's weakest candidate. */
bool voice_wanted(const struct wleg *l, int level)
{
	const struct wroom *r = l->room;

	if (l->in_mix || may_be_key(l, level) || l->held || (l->voice && !mix_gain_silent(&l->voice->gain)))
		return true;
	if (l->want_in_mute)
		return false;
	if (level == JBUF_NO_LEVEL)
		return true;
	if (level <= gate(l))
		return false;
	return r->floor_last == LEVEL_SILENCE || voice_level(l) >= r->floor_last || level >= r->floor_last + 6;
}

/* Will nobody hear it? Then a packet need not be kept. Who is loud already may be mixed before it plays. */
bool voice_unheard(const struct wleg *l, int level)
{
	return level != JBUF_NO_LEVEL && level <= gate(l) && !l->loud && !l->in_mix && !l->voice && !may_be_key(l, level);
}

static void consume(struct wleg *l)
{
	if (!l->used)
		return;
	l->fill -= l->used;
	if (l->voice && l->fill)
		memmove(l->voice->pcm, l->voice->pcm + l->used, l->fill * sizeof(int16_t));
	l->used = 0;
}

static void talk(struct wleg *l)
{
	if (voice_speaks(l)) {
		l->quiet_ticks = 0;
		if (l->loud_ticks < 255)
			l->loud_ticks++;
	} else {
		if (l->quiet_ticks < 60000)
			l->quiet_ticks++;
		if (l->loud_ticks && !l->talk_told)
			l->loud_ticks--;
	}
	if (!l->talk_told && l->loud_ticks >= TICKS(200)) {
		l->talk_told = true;
		wleg_event(l, MLEG_TALK, 1);
	} else if (l->talk_told && (l->quiet_ticks >= TICKS(800) || l->want_in_mute)) {
		l->talk_told = false;
		l->loud_ticks = 0;
		wleg_event(l, MLEG_TALK, 0);
	}
}

static void mute(struct wleg *l)
{
	bool want = atomic_load_explicit(&l->mute_req, memory_order_relaxed) & 1;

	if (want == l->want_in_mute)
		return;
	l->want_in_mute = want;
	if (l->voice)
		mix_gain_set(&l->voice->gain, want || !l->in_mix ? 0 : MIX_UNITY, rate_hz[l->rate] / 100);
}

/* --- held sound */

/* Sound was held while it was judged: said in a little less time until it is caught up with. */
static void catch_up(struct wleg *l)
{
	struct voice *v = l->voice;
	uint32_t rate = rate_hz[l->rate], was = l->fill;

	if (l->held < rate / 1000 * STRETCH_STEP_MS) {       /* little: the next packet comes so much later */
		l->held = 0;
		return;
	}
	if (l->room->tick & 1)
		return;
	l->fill = (uint32_t)stretch_shorter(v->pcm, l->fill, rate);
	l->held -= l->held < was - l->fill ? l->held : was - l->fill;
}

/* What is left of the last packet when a tick begins is delay, too. So much of it as there always is, the packets' rhythm
 * does not need: it came with stretching and with held words. Half a tick and more goes by stretching while the jitter
 * buffer has enough, less in the next pause (hasten()). */
static void trim(struct wleg *l)
{
	uint32_t carry = l->fill > l->held ? l->fill - l->held : 0;

	if (carry < l->carry_low)
		l->carry_low = (uint16_t)carry;
	if (++l->carry_ticks < TICKS(TRIM_MS))
		return;
	if (l->carry_low >= rate_hz[l->rate] / 1000 * STRETCH_STEP_MS && !l->stretch && jbuf_enough(&l->jb))
		l->stretch = -1;
	l->surplus   = l->carry_low;
	l->carry_low = UINT16_MAX;
	l->carry_ticks = 0;
}

/* In a pause the frame fades into what comes `surplus` samples later. */
static void hasten(struct wleg *l, uint32_t need)
{
	uint32_t cut = l->surplus < l->fill - need ? l->surplus : l->fill - need;
	int16_t *x = l->voice->pcm;

	l->surplus = 0;
	if (cut < rate_hz[l->rate] / 1000 || l->held)
		return;
	for (uint32_t i = 0; i < need; i++)
		x[i] = (int16_t)(((int32_t)x[i] * (int32_t)(need - i) + (int32_t)x[i + cut] * (int32_t)i) / (int32_t)need);
	memmove(x + need, x + need + cut, (l->fill - need - cut) * sizeof(*x));
	l->fill -= cut;
}

/* Not in the mix: how much of what stands in pcm is over now */
static uint32_t spend(struct wleg *l, uint32_t need)
{
	uint32_t most = rate_hz[l->rate] / 1000 * VOICE_HOLD_MS, over = 0;

	if (!l->loud && (!l->held || l->quiet_run > TICKS(60))) {        /* a keyboard pauses between its knocks */
		over = l->held + need < l->fill ? l->held + need : l->fill;
		l->held = 0;
		return over;
	}
	l->held += need;
	if (l->held > most) {
		over = l->held - most;
		l->held = most;
	}
	return over;
}

void voice_enter(struct wleg *l)
{
	uint32_t need = (uint32_t)rate_frame(l->rate), back = l->held + l->used;

	l->held = back > need ? back - need : 0;
	l->used = need;
}

const int16_t *voice_newest(const struct wleg *l)
{
	uint32_t need = (uint32_t)rate_frame(l->rate), carry = l->fill > need ? l->fill - need : 0;

	if (!l->frame)
		return NULL;
	return l->voice->pcm + (l->newest_at < carry ? l->newest_at : carry);
}

bool voice_speaks(const struct wleg *l)
{
	return l->loud && (!l->frame || l->voiced_ago < TICKS(VOICED_MS));
}

int32_t voice_gain(const struct wleg *l)
{
	float db = (l->agc_on ? l->agc.gain : 0) + (float)atomic_load_explicit(&l->volume_in, memory_order_relaxed);

	return db > 12 ? MIX_GAIN_MAX : (int32_t)(MIX_UNITY * powf(10, db / 20));
}

void voice_shape(struct wleg *l)
{
	struct voice *v = l->voice;
	size_t n = rate_frame(l->rate);
	int32_t gain = voice_gain(l);

	if (v->denoise)
		denoise_apply(v->denoise, v->pcm, n);
	if (gain != v->level.target)
		mix_gain_set(&v->level, gain, n);
	mix_gain_apply(&v->level, v->pcm, n);
}

/* What the newest frame tells: its level, and whether it is a voice */
static int judge(struct wleg *l, uint32_t need)
{
	const int16_t *newest = voice_newest(l);
	int level = level_dbov(newest, need);
	unsigned points = 0;

	if (level > gate(l))
		points = voicing_update(&l->voice->voicing, newest, need, rate_hz[l->rate]);
	else
		voicing_quiet(&l->voice->voicing);
	if (voicing_sure(&l->voice->voicing) && points)
		l->voiced_ago = 0;
	else if (l->voiced_ago < 255)
		l->voiced_ago++;
	if (points && l->agc_on)
		agc_update(&l->agc, level);
	return level;
}

static void no_sound(struct wleg *l)
{
	vad_silence(&l->vad);
	l->loud = false;
	l->held = 0;
	talk(l);
}

void voice_pull(struct wleg *l, int64_t tick_us)
{
	uint32_t need = (uint32_t)rate_frame(l->rate);
	int level;

	consume(l);
	mute(l);
	l->frame = NULL;
	l->loud = l->loud && !l->want_in_mute;
	if (l->gap_ticks < 60000)
		l->gap_ticks++;
	trim(l);
	voice_fetch(l, l->held + need, tick_us);
	if (l->in_mix && l->held && l->voice && !l->voice->stale)
		catch_up(l);
	if (!l->fill) {
		no_sound(l);
		return;
	}
	if (l->fill < need) {                    /* the sound ends within the tick */
		if (l->voice)
			memset(l->voice->pcm + l->fill, 0, (need - l->fill) * sizeof(int16_t));
		l->fill = need;
	}
	if (l->voice && !l->voice->stale) {
		l->frame = l->voice->pcm;
		l->idle_voice = 0;
	}
	l->used = need;
	l->newest_at = l->held;
	level = l->frame ? judge(l, need) : l->pkt_level == JBUF_NO_LEVEL ? LEVEL_SILENCE : l->pkt_level;
	vad_update(&l->vad, level);
	l->loud = level > gate(l) && !l->want_in_mute && l->gap_ticks < TICKS(VAD_GAP_MS);
	if (l->surplus && l->frame && !l->loud)
		hasten(l, need);
	l->quiet_run = l->loud ? 0 : l->quiet_run < 255 ? (uint8_t)(l->quiet_run + 1) : 255;
	talk(l);
	if (!l->frame) {
		l->used = l->held + need < l->fill ? l->held + need : l->fill;
		l->held = 0;
	} else if (!l->in_mix && mix_gain_silent(&l->voice->gain)) {
		l->used = spend(l, need);
	}
}
