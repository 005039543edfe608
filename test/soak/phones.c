/* SPDX-License-Identifier: Apache-2.0 */
/* phones.c - the media of a crowd of phones: a socket each, a packet of PCMU each 20 ms; crowd.py does the signalling
 *
 *   phones ADDRESS SOUND...                 files of raw PCMU, played round and round
 *   in:  open SOUND\n                       out: ID PORT\n
 *        talk ID ADDRESS PORT\n             begins to send
 *        close ID\n                         out: ID SENT RECEIVED MISSING\n   MISSING: gaps in the sequence numbers of what came
 *
 * Twenty groups take turns, one a millisecond. What comes is counted, not heard. It ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define GROUPS 20u
#define MAX    4000u
#define FRAME  160u
#define SOUNDS 8

struct phone {
	int      fd;
	bool     used, talks, heard;
	unsigned sound;
	uint32_t at, ts;
	uint16_t seq, last;
	unsigned long sent, received, missing;
};
static struct phone phones[MAX];
static struct { const uint8_t *p; size_t n; } sounds[SOUNDS];
static unsigned nsounds, top;
static struct sockaddr_in here = { .sin_family = AF_INET };

static void sound(const char *path)
{
	struct stat s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s) || s.st_size < (off_t)FRAME || nsounds == SOUNDS) {
		fprintf(stderr, "phones: %s: not a sound\n", path);
		exit(2);
	}
	sounds[nsounds].n = (size_t)s.st_size / FRAME;
	sounds[nsounds++].p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
}

/* --- commands */
static void open_phone(unsigned what)
{
	struct sockaddr_in a = here;
	socklen_t len = sizeof(a);
	unsigned i = 0;

	while (i < MAX && phones[i].used)
		i++;
	if (i == MAX || what >= nsounds)
		exit(3);
	phones[i] = (struct phone){ .used = true, .sound = what, .at = (uint32_t)rand(), .ts = (uint32_t)rand(), .seq = (uint16_t)rand() };
	phones[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (phones[i].fd < 0 || bind(phones[i].fd, (struct sockaddr *)&a, sizeof(a)) || getsockname(phones[i].fd, (struct sockaddr *)&a, &len)) {
		perror("phones: socket");
		exit(3);
	}
	top = i >= top ? i + 1 : top;
	printf("%u %u\n", i, ntohs(a.sin_port));
}

static void command(const char *line)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	unsigned i, port;
	char addr[64];

	if (sscanf(line, "open %u", &i) == 1) {
		open_phone(i);
	} else if (sscanf(line, "talk %u %63s %u", &i, addr, &port) == 3 && i < MAX && phones[i].used) {
		to.sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, addr, &to.sin_addr) != 1 || connect(phones[i].fd, (struct sockaddr *)&to, sizeof(to)))
			exit(3);
		phones[i].talks = true;
	} else if (sscanf(line, "close %u", &i) == 1 && i < MAX && phones[i].used) {
		close(phones[i].fd);
		phones[i].used = phones[i].talks = false;
		printf("%u %lu %lu %lu\n", i, phones[i].sent, phones[i].received, phones[i].missing);
	} else {
		fprintf(stderr, "phones: not understood: %s", line);
		exit(2);
	}
	fflush(stdout);
}

static bool commands(void)
{
	static char buf[4096];
	static size_t n;
	ssize_t r = read(0, buf + n, sizeof(buf) - 1 - n);
	char *end;

	if (r <= 0)
		return r < 0 && errno == EAGAIN;
	n += (size_t)r;
	while ((end = memchr(buf, '\n', n))) {
		*end++ = '\0';
		command(buf);
		n -= (size_t)(end - buf);
		memmove(buf, end, n);
	}
	return true;
}

/* --- media */
static void receive(struct phone *p)
{
	uint8_t b[2048];
	ssize_t n;

	while ((n = recv(p->fd, b, sizeof(b), 0)) >= 12) {
		uint16_t seq = (uint16_t)(b[2] << 8 | b[3]), step = (uint16_t)(seq - p->last);

		if ((b[1] & 127) >= 72 && (b[1] & 127) <= 76)
			continue;                        /* a report */
		if (p->heard && step > 1 && step < 0x8000)
			p->missing += step - 1u;
		p->heard = true;
		p->last = seq;
		p->received++;
	}
}

static void turn(unsigned group)
{
	for (unsigned i = group; i < top; i += GROUPS) {
		struct phone *p = &phones[i];
		uint8_t b[12 + FRAME] = { 0x80, 0, (uint8_t)(p->seq >> 8), (uint8_t)p->seq, (uint8_t)(p->ts >> 24), (uint8_t)(p->ts >> 16),
					  (uint8_t)(p->ts >> 8), (uint8_t)p->ts, 's', 'o', (uint8_t)(i >> 8), (uint8_t)i };

		if (!p->talks)
			continue;
		receive(p);
		memcpy(b + 12, sounds[p->sound].p + p->at++ % sounds[p->sound].n * FRAME, FRAME);
		p->seq++;
		p->ts += FRAME;
		p->sent += send(p->fd, b, sizeof(b), 0) == (ssize_t)sizeof(b);
	}
}

int main(int argc, char *argv[])
{
	struct timespec next;

	if (argc < 3 || inet_pton(AF_INET, argv[1], &here.sin_addr) != 1) {
		fprintf(stderr, "usage: phones ADDRESS SOUND...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		sound(argv[i]);
	srand((unsigned)getpid());
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned group = 0;; group = (group + 1) % GROUPS) {
		struct pollfd in = { .fd = 0, .events = POLLIN };

		next.tv_nsec += 1000000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL))
			;
		turn(group);
		if (poll(&in, 1, 0) > 0 && !commands())
			return 0;
	}
}
