/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the load generator: participants against one server process, figures as one JSON object on standard output
 *
 *   load [options] -- SERVER [its arguments]
 *
 * starts the server, tells it the plan (test/bench/floor/plan.h), lets it run warm, measures for some seconds and ends
 * it. The CPU time is the server's, all threads, read from its clock at both ends of the measured time.
 */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include "test/bench/load/load.h"

#define STEP_US 1000

static const struct { const char *name; const struct codec *codec; } codecs[PLAN_CODECS] = {
	[PLAN_PCMU] = { "pcmu", &codec_pcmu }, [PLAN_G722] = { "g722", &codec_g722 }, [PLAN_OPUS] = { "opus", &codec_opus },
};

struct server { pid_t pid; int in, out; clockid_t clock; };
struct figures { double cpu_s, self_s, wall_s; long rss0_kb, rss1_kb; struct plan_stats st; };
struct wishes { double warm_s, measure_s; unsigned sample; };

static double clock_s(clockid_t c)
{
	struct timespec ts = { 0 };

	clock_gettime(c, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(err < 0 ? -err : errno));
	exit(1);
}

/* --- the server */
static void server_start(struct server *s, char *argv[])
{
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		die("pipe", 0);
	s->pid = fork();
	if (s->pid < 0)
		die("fork", 0);
	if (!s->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execv(argv[0], argv);
		die(argv[0], 0);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	s->out = out[0];
	if (clock_getcpuclockid(s->pid, &s->clock))
		die("clock of the server", 0);
}

static long rss_kb(pid_t pid)
{
	char path[64];
	long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void server_end(struct server *s, struct plan_stats *st)
{
	int status;

	close(s->in);
	alarm(10);                                       /* a server that hangs does not hang us */
	if (plan_read(s->out, st, sizeof(*st)))
		fprintf(stderr, "load: the server ended without its figures\n");
	waitpid(s->pid, &status, 0);
	alarm(0);
}

/* --- the clock */
static void run(struct load *l, double seconds)
{
	static struct timespec next;
	static unsigned group;
	uint64_t steps = (uint64_t)(seconds * 1e6 / STEP_US);

	if (!next.tv_sec)
		clock_gettime(CLOCK_MONOTONIC, &next);
	for (uint64_t k = 0; k < steps; k++) {
		struct timespec now;
		int64_t late;

		next.tv_nsec += STEP_US * 1000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL))
			;
		clock_gettime(CLOCK_MONOTONIC, &now);
		late = (now.tv_sec - next.tv_sec) * 1000000 + (now.tv_nsec - next.tv_nsec) / 1000;
		l->steps++;
		l->late_steps += late > 5000;
		if (late > l->max_late_us)
			l->max_late_us = late;
		peers_send(l, group);
		peers_receive(l, (group + GROUPS / 2) % GROUPS);
		group = (group + 1) % GROUPS;
	}
}

static void measure(struct load *l, struct server *s, const struct wishes *w, struct figures *f)
{
	double cpu, self, wall;

	run(l, w->warm_s);
	peers_reset(l);
	cpu = clock_s(s->clock);
	self = clock_s(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_s(CLOCK_MONOTONIC);
	l->from_us = wall_us();
	run(l, w->measure_s);
	l->to_us = wall_us();
	f->cpu_s = clock_s(s->clock) - cpu;
	f->self_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - self;
	f->wall_s = clock_s(CLOCK_MONOTONIC) - wall;
	f->rss1_kb = rss_kb(s->pid);
	l->measuring = false;
}

static void handshake(struct load *l, struct server *s, const struct plan_leg *legs, struct figures *f)
{
	uint16_t *ports = calloc(l->plan.nlegs, sizeof(*ports));
	int err = plan_write(s->in, &l->plan, sizeof(l->plan));

	usleep(50000);
	f->rss0_kb = rss_kb(s->pid);                     /* it waits for its legs */
	if (!err)
		err = plan_write(s->in, legs, l->plan.nlegs * sizeof(*legs));
	if (!err)
		err = plan_read(s->out, ports, l->plan.nlegs * sizeof(*ports));
	if (err)
		die("the server did not take the plan", err);
	for (unsigned i = 0; i < l->plan.nlegs; i++)
		l->peers[i].to_port = ports[i];
	free(ports);
}

/* --- the report */
static void report(const struct load *l, const struct figures *f, const struct hear *h)
{
	unsigned n = l->plan.nlegs;
	double low = 1e9, high = 0, sum = 0, jmax = 0, jsum = 0;
	uint64_t lost = 0, late = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct peer *p = &l->peers[i];
		double rate = (double)p->nrecv / f->wall_s;

		low = rate < low ? rate : low;
		high = rate > high ? rate : high;
		sum += (double)p->nrecv;
		jsum += p->jitter_us;
		jmax = p->max_jitter_us > jmax ? p->max_jitter_us : jmax;
		lost += p->nlost;
		late += p->nlate;
	}
	printf("{\"legs\": %u, \"rooms\": %u, \"talkers\": %u, \"codec\": \"%s\", \"srtp\": %s, \"level\": %s, \"listeners\": \"%s\", ",
	       n, l->plan.rooms, l->plan.talkers, codecs[l->plan.codec].name, l->plan.srtp ? "true" : "false",
	       l->plan.level ? "true" : "false", l->quiet == QUIET_NOISE ? "noise" : "silence");
	printf("\"seconds\": %.3f, \"us_per_participant\": %.3f, \"cpu\": %.4f, \"load_cpu\": %.4f, ", f->wall_s,
	       f->cpu_s * 1e6 / f->wall_s / n, f->cpu_s / f->wall_s, f->self_s / f->wall_s);
	printf("\"rss_start_kb\": %ld, \"rss_kb\": %ld, ", f->rss0_kb, f->rss1_kb);
	printf("\"rate_min\": %.2f, \"rate_mean\": %.2f, \"rate_max\": %.2f, \"lost\": %lu, \"loss\": %.6f, \"reordered\": %lu, "
	       "\"bad\": %lu, \"rtcp\": %lu, \"jitter_us_mean\": %.0f, \"jitter_us_max\": %.0f, ", low, sum / f->wall_s / n, high, lost,
	       sum ? (double)lost / (sum + (double)lost) : 1, late, l->bad, l->rtcp, jsum / n, jmax);
	printf("\"receivers\": %u, \"bursts\": %u, \"heard\": %u, \"own\": %u, \"level_db\": [%.1f, %.1f], ", h->receivers, h->expected,
	       h->heard, h->own, h->level_db_min, h->level_db_max);
	printf("\"latency_ms\": {\"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f, \"left_out\": %.2f}, ", h->p50_ms, h->p99_ms, h->max_ms,
	       h->codec_ms);
	printf("\"load_late\": %lu, \"load_steps\": %lu, \"load_max_late_us\": %ld, ", l->late_steps, l->steps, (long)l->max_late_us);
	printf("\"server\": {\"rx\": %lu, \"tx\": %lu, \"bad\": %lu, \"encodes\": %lu, \"decodes\": %lu, \"late_ticks\": %lu, "
	       "\"skipped_ticks\": %lu, \"tick_max_us\": %lu}}\n", f->st.rx, f->st.tx, f->st.bad, f->st.encodes, f->st.decodes,
	       f->st.late_ticks, f->st.skipped_ticks, f->st.tick_max_us);
}

static const struct option options[] = {
	{ "codec", 1, NULL, 'c' }, { "srtp", 0, NULL, 's' }, { "legs", 1, NULL, 'n' }, { "talkers", 1, NULL, 'k' },
	{ "rooms", 1, NULL, 'r' }, { "level", 0, NULL, 'l' }, { "noise", 0, NULL, 'q' }, { "seconds", 1, NULL, 't' },
	{ "warm", 1, NULL, 'w' }, { "per-socket", 1, NULL, 'p' }, { "sample", 1, NULL, 'a' }, { "ports", 1, NULL, 'b' },
	{ "workers", 1, NULL, 'j' }, { "span", 1, NULL, 'x' }, { 0 }
};

static void usage(void)
{
	fprintf(stderr, "load --legs N [--talkers K] [--rooms R] [--codec pcmu|g722|opus] [--srtp] [--level] [--noise] [--warm S]\n"
		"     [--seconds S] [--sample LISTENERS] [--per-socket N] [--ports FIRST] [--workers N] [--span LEGS] -- SERVER\n");
	exit(2);
}

static uint32_t codec_named(const char *name)
{
	uint32_t i = 0;

	while (i < PLAN_CODECS && strcmp(name, codecs[i].name))
		i++;
	if (i == PLAN_CODECS)
		usage();
	return i;
}

static void parse(struct load *l, struct wishes *w, int argc, char *argv[])
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'c': l->plan.codec = codec_named(optarg); break;
		case 's': l->plan.srtp = 1; break;
		case 'n': l->plan.nlegs = (uint32_t)atoi(optarg); break;
		case 'k': l->plan.talkers = (uint32_t)atoi(optarg); break;
		case 'r': l->plan.rooms = (uint32_t)atoi(optarg); break;
		case 'l': l->plan.level = 1; break;
		case 'q': l->quiet = QUIET_NOISE; break;
		case 't': w->measure_s = atof(optarg); break;
		case 'w': w->warm_s = atof(optarg); break;
		case 'p': l->plan.per_socket = (uint32_t)atoi(optarg); break;
		case 'a': w->sample = (unsigned)atoi(optarg); break;
		case 'b': l->plan.port_min = (uint32_t)atoi(optarg); break;
		case 'j': l->plan.workers = (uint32_t)atoi(optarg); break;
		case 'x': l->plan.span = (uint32_t)atoi(optarg); break;
		default: usage();
		}
	if (optind >= argc || !l->plan.nlegs || l->plan.nlegs > 20000 || !l->plan.rooms || l->plan.nlegs % l->plan.rooms ||
	    l->plan.talkers > l->plan.nlegs / l->plan.rooms || w->measure_s > 60 || w->warm_s > 60)
		usage();
	l->plan.port_max = l->plan.port_min + 2 * l->plan.nlegs + 4000;   /* somebody else's may be among them */
}

int main(int argc, char *argv[])
{
	struct load l = { .plan = { .magic = PLAN_MAGIC, .talkers = 3, .rooms = 1, .per_socket = 128, .port_min = 10000, .workers = 1 } };
	struct wishes w = { .warm_s = 2, .measure_s = 3, .sample = 8 };
	struct figures f = { 0 };
	struct plan_leg *legs;
	struct rlimit rl;
	struct server s;
	struct hear h;
	int err;

	parse(&l, &w, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	prctl(PR_SET_TIMERSLACK, 1000);
	l.codec = codecs[l.plan.codec].codec;
	l.frame = l.codec->rate / 50;
	l.peers = calloc(l.plan.nlegs, sizeof(*l.peers));
	legs = calloc(l.plan.nlegs, sizeof(*legs));
	if (!l.peers || !legs)
		die("memory", -ENOMEM);
	server_start(&s, argv + optind);
	err = quiet_init(&l);
	if (!err)
		err = peers_open(&l, legs);
	if (err)
		die("participants", err);
	peers_sample(&l, w.sample);
	handshake(&l, &s, legs, &f);
	measure(&l, &s, &w, &f);
	server_end(&s, &f.st);
	err = hear_all(&l, &h);
	if (err)
		die("listening", err);
	report(&l, &f, &h);
	return 0;
}
