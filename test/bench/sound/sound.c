/* SPDX-License-Identifier: Apache-2.0 */
/* sound.c - plays a scenario through the mcu's media engine and records what every participant hears
 *
 *   sound SCENARIO SECONDS       one participant a line: leg room=R name=N codec=pcmu in=FILE|- out=FILE [key=value ...]
 *   sound --code CODEC IN OUT    the codec alone, there and back
 *
 * Scenario -> clients (client.c) -> real sockets -> the engine's worker -> real sockets -> recordings. One line of JSON
 * for each participant: when its first sample was sent and when the first one of its recording came, and the engine's
 * counters. Keys: ptime, ptime_in, loss, burst, jitter, ppm, seed, cn, level, agc, denoise, dtx, start (ms), listen (0: nothing is sent to it).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/base/opts.h"
#include "mcu/media/media_priv.h"
#include "test/bench/sound/sound.h"

#define CLIENTS_MAX 400u
#define LEAD_US     300000

static struct client clients[CLIENTS_MAX];
static unsigned nclients, nstats;
static struct { char name[64]; struct mroom *room; } rooms[CLIENTS_MAX];
static unsigned nrooms;
static struct ev_loop *loop;
static struct media *media;
static struct tmr pace;
static int64_t start_us, end_us, worst_us;

static const char *const codec_names[] = { "pcmu", "pcma", "g722", "opus" };

int64_t mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int codec_of(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (!strcmp(codec_names[i], name))
			return i;
	fprintf(stderr, "sound: no codec %s\n", name);
	exit(2);
}

/* --- the scenario */
static bool set_number(struct client *c, const char *key, double v)
{
	struct { const char *key; double *d; unsigned *u; bool *b; } const keys[] = {
		{ "loss", &c->loss, NULL, NULL }, { "burst", &c->burst, NULL, NULL }, { "jitter", &c->jitter_ms, NULL, NULL },
		{ "ppm", &c->ppm, NULL, NULL }, { "ptime", NULL, &c->ptime, NULL }, { "ptime_in", NULL, &c->ptime_in, NULL },
		{ "seed", NULL, &c->seed, NULL }, { "cn", NULL, NULL, &c->cn }, { "level", NULL, NULL, &c->level },
		{ "listen", NULL, NULL, &c->set.send }, { "agc", NULL, NULL, &c->set.agc }, { "denoise", NULL, NULL, &c->set.denoise },
		{ "dtx", NULL, NULL, &c->set.dtx },
	};

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].key, key))
			continue;
		if (keys[i].d)
			*keys[i].d = v;
		if (keys[i].u)
			*keys[i].u = (unsigned)v;
		if (keys[i].b)
			*keys[i].b = v != 0;
		return true;
	}
	if (strcmp(key, "start"))
		return false;
	c->start_us = (int64_t)(v * 1000);
	return true;
}

static void set_key(struct client *c, const char *key, const char *value)
{
	if (!strcmp(key, "room"))
		snprintf(c->room, sizeof(c->room), "%s", value);
	else if (!strcmp(key, "name"))
		snprintf(c->name, sizeof(c->name), "%s", value);
	else if (!strcmp(key, "in"))
		snprintf(c->in, sizeof(c->in), "%s", value);
	else if (!strcmp(key, "out"))
		snprintf(c->out, sizeof(c->out), "%s", value);
	else if (!strcmp(key, "codec"))
		c->id = (enum mcodec)codec_of(value);
	else if (!set_number(c, key, atof(value))) {
		fprintf(stderr, "sound: no key %s\n", key);
		exit(2);
	}
}

static int scenario_read(const char *path)
{
	char line[1200], *save, *word;
	FILE *f = fopen(path, "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f) && nclients < CLIENTS_MAX) {
		struct client *c = &clients[nclients];

		word = strtok_r(line, " \n", &save);
		if (!word || strcmp(word, "leg"))
			continue;
		*c = (struct client){ .ptime = 20, .ptime_in = 20, .seed = ++nclients, .burst = 1, .in = "-", .fd = -1,
				      .set = { .send = true, .recv = true, .rtcp_mux = true, .addr = "127.0.0.1" } };
		while ((word = strtok_r(NULL, " \n", &save))) {
			char *value = strchr(word, '=');

			if (!value)
				continue;
			*value = '\0';
			set_key(c, word, value + 1);
		}
	}
	fclose(f);
	return 0;
}

/* --- the engine */
static struct mroom *room_of(const char *name)
{
	for (unsigned i = 0; i < nrooms; i++)
		if (!strcmp(rooms[i].name, name))
			return rooms[i].room;
	snprintf(rooms[nrooms].name, sizeof(rooms[nrooms].name), "%s", name);
	if (mroom_alloc(&rooms[nrooms].room, media, name))
		return NULL;
	return rooms[nrooms++].room;
}

static int open_socket(struct client *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&a, len) || getsockname(c->fd, (struct sockaddr *)&a, &len))
		return -errno;
	c->port = ntohs(a.sin_port);
	return 0;
}

static int client_start(struct client *c)
{
	struct mroom *r = room_of(c->room);
	int err = r ? open_socket(c) : -ENOMEM;

	c->ssrc = 0x20000 + c->seed;
	c->set.codec = c->id;
	c->set.pt_send = c->set.pt_recv = (uint8_t[]){ 0, 8, 9, 96 }[c->id];
	c->set.cn_pt = 13;
	c->set.ptime_ms = c->ptime;
	c->set.port = c->port;
	if (!err)
		err = mleg_alloc(&c->leg, r, c->name, NULL, NULL);
	return err ? err : mleg_set(c->leg, &c->set);
}

static int engine_start(void)
{
	struct media_prm prm = { .ip = "127.0.0.1", .port_min = 30000, .port_max = 39999, .workers = 1, .load_max = 1000 };
	int err = ev_loop_alloc(&loop);

	prm.loop = loop;
	return err ? err : media_alloc(&media, &prm);
}

static void on_stats(const struct mleg_stats *st, void *arg)
{
	struct client *c = arg;

	c->st = *st;
	if (++nstats == nclients)
		ev_loop_stop(loop);
}

static void on_pace(void *arg)
{
	int64_t now = mono_us();
	static int64_t last;

	(void)arg;
	if (last && now - last > worst_us)
		worst_us = now - last;
	last = now;
	for (unsigned i = 0; i < nclients; i++) {
		client_send_due(&clients[i], now, start_us);
		client_receive(&clients[i], start_us);
	}
	if (now < end_us) {
		tmr_start(&pace, 1);
		return;
	}
	for (unsigned i = 0; i < nclients; i++)
		if (mleg_stats(clients[i].leg, on_stats, &clients[i]))
			nstats++;
}

static int report(void)
{
	int err = 0;

	printf("{\"late_ticks\": %ld, \"skipped_ticks\": %ld, \"slot_max_us\": %ld, \"pace_worst_us\": %ld, \"encodes\": %ld, \"decodes\": %ld}\n",
	       (long)metric_get(&media_metrics[M_LATE_TICK]), (long)metric_get(&media_metrics[M_SKIPPED]),
	       (long)metric_get(&media_metrics[M_SLOT_MAX]), (long)worst_us, (long)metric_get(&media_metrics[M_ENCODES]),
	       (long)metric_get(&media_metrics[M_DECODES]));
	for (unsigned i = 0; i < nclients && !err; i++) {
		struct client *c = &clients[i];
		int64_t first_us = 0;

		if (c->out[0]) {
			err = client_write(c, &first_us);
			if (err)
				fprintf(stderr, "sound: %s heard nothing: %s\n", c->name, strerror(-err));
		}
		printf("{\"room\": \"%s\", \"name\": \"%s\", \"codec\": \"%s\", \"rate\": %u, \"sent_us\": %ld, \"came_us\": %ld, "
		       "\"packets\": %zu, \"lost_on_way\": %u, \"late\": %llu, \"lost\": %llu, \"concealed\": %llu, \"buffer_ms\": %u, "
		       "\"received\": %zu, \"out\": \"%s\"}\n",
		       c->room, c->name, codec_names[c->id], c->codec->rate, (long)c->start_us, (long)first_us, c->tx.n, c->nlost,
		       (unsigned long long)c->st.late, (unsigned long long)c->st.lost, (unsigned long long)c->st.concealed,
		       c->st.buffer_ms, c->rx.n, c->out);
	}
	return err;
}

static int play(const char *path, unsigned seconds)
{
	int err = scenario_read(path);

	if (!err)
		err = engine_start();
	for (unsigned i = 0; i < nclients && !err; i++) {
		clients[i].codec = media_codecs[clients[i].id];
		err = client_prepare(&clients[i], seconds);
	}
	for (unsigned i = 0; i < nclients && !err; i++)
		err = client_start(&clients[i]);
	if (!err)
		err = tmr_init(&pace, loop, on_pace, NULL);
	if (err)
		return err;
	start_us = mono_us() + LEAD_US;
	end_us = start_us + (int64_t)seconds * 1000000 + LEAD_US;
	tmr_start(&pace, 1);
	err = ev_loop_run(loop);
	if (!err)
		err = report();
	for (unsigned i = 0; i < nclients; i++)
		clients[i].leg = mem_deref(clients[i].leg);
	for (unsigned i = 0; i < nrooms; i++)
		mem_deref(rooms[i].room);
	mem_deref(media);
	tmr_fini(&pace);
	mem_deref(loop);
	return err;
}

int main(int argc, char *argv[])
{
	int err;

	opts_raise_nofile();
	slow_init(getenv("SOUND_SLOW") ? (unsigned)atoi(getenv("SOUND_SLOW")) : 1);
	if (argc == 5 && !strcmp(argv[1], "--code")) {
		err = client_code((enum mcodec)codec_of(argv[2]), argv[3], argv[4]);
	} else if (argc == 3) {
		err = play(argv[1], (unsigned)atoi(argv[2]));
	} else {
		fprintf(stderr, "usage: sound SCENARIO SECONDS | sound --code CODEC IN OUT\n");
		return 2;
	}
	if (err)
		fprintf(stderr, "sound: %s\n", strerror(-err));
	return err ? 1 : 0;
}
