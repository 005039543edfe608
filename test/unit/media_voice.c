/* SPDX-License-Identifier: Apache-2.0 */
/* media_voice.c - one leg's sound in made-up time: hours of clock drift, jitter, words held until they are known for words
 *
 * Packets are pushed into the jitter buffer of a leg at their time, and voice_pull() is called every 20 ms, as the room does;
 * neither sockets nor threads. What is mixed is gathered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/mem.h"
#include "mcu/media/media_priv.h"

static struct worker *w;
static struct wroom *room;
static struct wleg *l;
static struct codec_enc *enc;
static double phase;
static int16_t said[2], *heard;
static size_t nheard, room_for;
static int worst_bend;

static void start(enum mcodec codec, bool mixed)
{
	w = mem_zalloc(sizeof(*w), NULL);
	room = wroom_alloc();
	l = wleg_alloc();
	assert_true(w && room && l);
	room->w = w;
	room->floor_last = LEVEL_SILENCE;
	w->rnd = 1;
	l->room = room;
	l->codec_id = codec;
	l->codec = media_codecs[codec];
	l->rate = codec_rate(l->codec);
	l->voiced_ago = 255;
	l->recv = true;
	vad_init(&l->vad, TICK_MS);
	wleg_jbuf(l, l->codec);
	l->in_mix = mixed;
	voice_init();
	assert_int_equal(l->codec->enc_alloc(&enc, 0), 0);
	phase = 0;
	nheard = 0;
	worst_bend = 0;
	said[0] = said[1] = 0;
	room_for = 48000 * 60;
	heard = malloc(room_for * sizeof(*heard));
}

static void stop(void)
{
	free(heard);
	enc = mem_deref(enc);
	l = mem_deref(l);
	room = mem_deref(room);
	assert_int_equal(w->pool.used, 0);
	pool_fini(&w->pool);
	w = mem_deref(w);
	assert_int_equal(mem_live(), 0);
}

static void push(unsigned i, unsigned ms, const int16_t *pcm, int64_t at)
{
	static uint8_t b[4000];
	size_t n = l->codec->rate / 1000 * ms;
	int r = l->codec->encode(enc, pcm, n, b, sizeof(b));
	struct jbuf_pkt k = { .data = b, .len = (uint16_t)r, .seq = (uint16_t)i, .ts = i * (l->codec->rtp_clock / 1000 * ms),
			      .dur = l->codec->rtp_clock / 1000 * ms, .level = JBUF_NO_LEVEL };

	assert_true(r > 0);
	if (l->codec->rate == 8000)
		k.level = (int8_t)voice_payload_level(l, b, (size_t)r);
	jbuf_push(&l->jb, &k, at);
}

static void tone(int16_t *x, size_t n, double hz, double amp)
{
	for (size_t i = 0; i < n; i++) {
		x[i] = (int16_t)lrint(amp * sin(phase));
		phase += 2 * M_PI * hz / l->codec->rate;
	}
}

static void pull(int64_t at)
{
	l->loud_ticks = 0;                           /* never long enough for an event: there is nobody to tell */
	room->tick++;
	voice_pull(l, at);
}

static void tick(int64_t at)
{
	size_t n = rate_frame(l->rate);

	pull(at);
	if (!l->frame || !l->in_mix)
		return;
	for (size_t i = 0; i < n; i++) {
		int bend = abs(l->frame[i] - 2 * said[1] + said[0]);

		if (bend > worst_bend)
			worst_bend = bend;
		said[0] = said[1];
		said[1] = l->frame[i];
	}
	if (nheard + n <= room_for)
		memcpy(heard + nheard, l->frame, n * sizeof(*heard));
	nheard += n;
}

/* --- clocks that are not ours */
static void drift(double ppm, unsigned seconds, unsigned ms)
{
	double period = ms * 1000 * (1 + ppm / 1e6);         /* of our time */
	unsigned i = 0, concealed = 0;
	int32_t low = INT32_MAX, high = 0;
	int16_t x[480];

	start(MCODEC_PCMU, true);
	for (int64_t now = 0; now < (int64_t)seconds * 1000000; now += TICK_US) {
		for (; i * period + 3000 <= now; i++) {
			tone(x, 8 * ms, 400, 6000);
			push(i, ms, x, (int64_t)(i * period) + 3000);
		}
		if (now == 10000000) {
			worst_bend = 0;
			concealed = (unsigned)l->st.concealed;
		}
		tick(now);
		if (now > 10000000) {
			low = l->jb.delay_us < low ? l->jb.delay_us : low;
			high = l->jb.delay_us > high ? l->jb.delay_us : high;
		}
	}
	assert_int_equal(l->st.concealed, concealed);        /* never dry */
	assert_int_equal(l->jb.late + l->jb.overflow + l->jb.restarts + l->jb.skipped, 0);
	assert_true(high <= 50000 + (int32_t)ms * 1000 && low >= -25000);
	assert_true(worst_bend < 6000 * 0.0987 * 1.5 + 200);         /* the tone's own, and the steps of PCMU */
	stop();
}

static void an_hour_with_a_clock_200_ppm_off_has_no_gap_and_no_click(void **state)
{
	(void)state;
	drift(200, 3600, 20);
	drift(-200, 3600, 20);
}

static void other_packet_times_drift_as_well(void **state)
{
	(void)state;
	drift(200, 600, 60);
	drift(-200, 600, 60);
	drift(200, 600, 10);
	drift(-200, 600, 30);
}

/* --- delay */
static void a_steady_network_adds_a_tick_and_a_half_at_most(void **state)
{
	int32_t worst = 0, sum = 0;
	int16_t x[160];

	(void)state;
	for (int64_t after = 0; after < TICK_US; after += 1000) {
		int32_t d;

		start(MCODEC_PCMU, true);
		for (unsigned i = 0; i < 750; i++) {
			tick((int64_t)i * TICK_US);
			tone(x, 160, 400, 6000);
			push(i, 20, x, i * TICK_US + after);
		}
		d = l->jb.delay_us + (int32_t)((l->fill - l->used) * 125);      /* waited, and what plays before it */
		worst = d > worst ? d : worst;
		sum += d;
		stop();
	}
	print_message("delay of a steady network: %d us, at most %d\n", sum / 20, worst);
	assert_true(worst <= 30000);
}

/* --- jitter */
static void jitter_is_taken_in_by_stretching_not_by_gaps(void **state)
{
	struct { int64_t at; int16_t x[160]; } net[1500];
	unsigned gaps = 0;

	(void)state;
	srand(4);
	start(MCODEC_PCMU, true);
	for (unsigned i = 0; i < 1500; i++) {
		net[i].at = i * TICK_US + (i < 500 ? 0 : rand() % 60000);
		tone(net[i].x, 160, 350, 6000);
	}
	for (int64_t now = 0, was = -1; now < 1500 * TICK_US; was = now, now += TICK_US) {
		for (unsigned i = 0; i < 1500; i++)
			if (net[i].at > was && net[i].at <= now)
				push(i, 20, net[i].x, net[i].at);
		if (now == 700 * TICK_US)
			gaps = (unsigned)l->st.concealed;
		tick(now);
	}
	assert_true(l->jb.target_us >= 40000);
	assert_true(l->st.concealed - gaps <= 800 / 30);     /* after four seconds of learning: 3 in 100 */
	stop();
}

/* --- lost packets whose copy is in the next one */
static void a_lost_opus_packet_comes_out_of_the_next_one(void **state)
{
	unsigned from_next = 0, lost = 0;
	int16_t x[960];

	(void)state;
	start(MCODEC_OPUS, true);
	assert_int_equal(l->codec->enc_loss(enc, 20), 0);
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned k = 0; k < 960; k++) {         /* a voice: the encoder sends no copies of a plain tone */
			double t = (i * 960 + k) / 48000.0, y = 0;

			for (unsigned h = 1; h < 16; h++)
				y += sin(2 * M_PI * (130 + 20 * sin(3 * t)) * h * t) / h;
			x[k] = (int16_t)(3000 * y * (1 + 0.5 * sin(2 * M_PI * 4 * t)));
		}
		if (i > 20 && i % 10 == 5) {
			uint8_t b[4000];

			(void)!l->codec->encode(enc, x, 960, b, sizeof(b));
			lost++;
		} else {
			push(i, 20, x, i * TICK_US + 1000);
		}
		if (i > 200 && l->jb.n && jbuf_next(&l->jb) == NULL && l->jb.running &&
		    l->jb.q[0].seq == (uint16_t)(l->jb.last_seq + 2))
			from_next++;
		tick((int64_t)i * TICK_US + 2000);
	}
	assert_true(l->jb.target_us >= 20000);               /* waits for the next one */
	assert_true(from_next >= 70 && from_next <= lost);
	stop();
}

/* --- words */
static void word(int16_t *x, unsigned frame)
{
	for (unsigned k = 0; k < 160; k++) {
		double t = (frame * 160 + k) / 8000.0;

		if (frame < 3)                                       /* begins with a hiss */
			x[k] = (int16_t)(rand() % 4000 - 2000);
		else
			x[k] = (int16_t)(3000 * (sin(2 * M_PI * 150 * t) + sin(2 * M_PI * 450 * t) + sin(2 * M_PI * 600 * t)));
	}
}

/* The room's part: who speaks is let in, at once */
static bool admit(void)
{
	if (l->in_mix || !l->loud || !l->frame || !voice_speaks(l))
		return false;
	l->in_mix = true;
	voice_enter(l);
	return true;
}

static void a_word_enters_late_but_with_its_beginning_and_catches_up(void **state)
{
	unsigned entered = 0;
	int16_t x[160];
	uint32_t behind = 0;

	(void)state;
	srand(9);
	start(MCODEC_PCMU, false);
	for (unsigned i = 0; i < 150; i++) {
		if (i < 50)
			memset(x, 0, sizeof(x));
		else
			word(x, i - 50);
		push(i, 20, x, i * TICK_US + 1000);
		pull((int64_t)i * TICK_US + 2000);
		if (admit()) {
			entered = i;
			behind = l->held;
			assert_true(level_dbov(l->frame, 160) > -40 && level_dbov(l->frame, 160) < -25);        /* the hiss */
		}
	}
	assert_true(entered >= 53 && entered <= 57);
	assert_true(behind >= 480 && behind <= 160 * 8);
	assert_int_equal(l->held, 0);                        /* within two seconds */
	stop();
}

static void keys_are_held_and_forgotten(void **state)
{
	int16_t x[160];

	(void)state;
	srand(2);
	start(MCODEC_PCMU, false);
	for (unsigned i = 0; i < 2000; i++) {
		for (unsigned k = 0; k < 160; k++)
			x[k] = i % 9 == 3 || i % 9 == 6 ? (int16_t)((rand() % 30000 - 15000) * exp(-(double)k / 30)) : 0;
		push(i, 20, x, i * TICK_US + 1000);
		pull((int64_t)i * TICK_US + 2000);
		assert_false(admit());
		assert_true(l->held <= 160 * 8 && l->fill <= 160 * 10);
	}
	stop();
}

static void comfort_noise_goes_on_between_its_packets(void **state)
{
	uint8_t b[1] = { 45 };
	unsigned soft = 0;
	int16_t x[160];

	(void)state;
	start(MCODEC_PCMU, true);
	for (unsigned i = 0; i < 100; i++) {
		if (i < 50) {
			tone(x, 160, 400, 6000);
			push(i, 20, x, i * TICK_US + 1000);
		} else if (i == 50) {
			struct jbuf_pkt k = { .data = b, .len = 1, .seq = 50, .ts = 50 * 160, .dur = 160, .flags = JBUF_CN,
					      .level = LEVEL_SILENCE };

			jbuf_push(&l->jb, &k, i * TICK_US + 1000);
		}
		tick((int64_t)i * TICK_US + 2000);
		if (i >= 70 && l->frame)
			soft += abs(level_dbov(l->frame, 160) + 45) <= 3;
	}
	assert_true(soft >= 25);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hour_with_a_clock_200_ppm_off_has_no_gap_and_no_click),
		cmocka_unit_test(other_packet_times_drift_as_well),
		cmocka_unit_test(a_steady_network_adds_a_tick_and_a_half_at_most), cmocka_unit_test(jitter_is_taken_in_by_stretching_not_by_gaps),
		cmocka_unit_test(a_lost_opus_packet_comes_out_of_the_next_one),
		cmocka_unit_test(a_word_enters_late_but_with_its_beginning_and_catches_up),
		cmocka_unit_test(keys_are_held_and_forgotten),
		cmocka_unit_test(comfort_noise_goes_on_between_its_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
