/* SPDX-License-Identifier: Apache-2.0 */
/* nice_peer.c - an independent ICE agent (libnice) in front of a scripted client
 *
 *   nice_peer MODE CONTROLLING RTP_PORT RTCP_PORT        MODE: rfc5245 oc2007 oc2007r2
 *
 * Packets of the client's own sockets (127.0.0.1:RTP_PORT and RTCP_PORT) go out by the chosen pair of component 1 and
 * 2, and what comes there goes to them. Which of our ports takes the client's packets is told first. One line an event:
 *
 *   out: port COMP PORT            in: remote-credentials UFRAG PWD
 *        credentials UFRAG PWD         remote COMP TRANSPORT PRIORITY ADDRESS PORT FOUNDATION USER PWD    ("-": none)
 *        candidate COMP TRANSPORT PRIORITY ADDRESS PORT FOUNDATION USER PWD
 *        gathered                      start
 *        state COMP NAME               restart      (new credentials and candidates are told)
 *        pair COMP LOCAL-ADDRESS LOCAL-PORT LOCAL-USER REMOTE-ADDRESS REMOTE-PORT REMOTE-USER
 *
 * Candidates have the form that nice calls its own; the test writes them in the SDP grammar it wants. The client on
 * stdin is done when it closes it.
 */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <nice/agent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMPS 2u

static NiceAgent *agent;
static guint stream;
static GSList *remotes[COMPS + 1];
static int fds[COMPS + 1];
static struct sockaddr_in client[COMPS + 1];
static GMainLoop *loop;

static const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

static const char *transport_name(NiceCandidateTransport t)
{
	static const char *const names[] = { "UDP", "TCP-ACT", "TCP-PASS", "TCP-SO" };

	return (unsigned)t < 4 ? names[t] : "OTHER";
}

static void tell_candidate(const NiceCandidate *c)
{
	char ip[INET6_ADDRSTRLEN];

	nice_address_to_string(&c->addr, ip);
	printf("candidate %u %s %u %s %u %s %s %s\n", c->component_id, transport_name(c->transport), c->priority, ip,
	       nice_address_get_port(&c->addr), or_dash(c->foundation), or_dash(c->username), or_dash(c->password));
}

static void tell_local(void)
{
	char *user = NULL, *pwd = NULL;

	if (nice_agent_get_local_credentials(agent, stream, &user, &pwd))
		printf("credentials %s %s\n", user, pwd);
	g_free(user);
	g_free(pwd);
	for (guint c = 1; c <= COMPS; c++) {
		GSList *l = nice_agent_get_local_candidates(agent, stream, c);

		for (GSList *i = l; i; i = i->next)
			tell_candidate(i->data);
		g_slist_free_full(l, (GDestroyNotify)nice_candidate_free);
	}
	printf("gathered\n");
	fflush(stdout);
}

static void on_gathered(NiceAgent *a, guint s, gpointer arg)
{
	(void)a;
	(void)s;
	(void)arg;
	tell_local();
}

static void on_state(NiceAgent *a, guint s, guint comp, guint state, gpointer arg)
{
	(void)a;
	(void)s;
	(void)arg;
	printf("state %u %s\n", comp, nice_component_state_to_string(state));
	fflush(stdout);
}

static void on_pair(NiceAgent *a, guint s, guint comp, NiceCandidate *l, NiceCandidate *r, gpointer arg)
{
	char lip[INET6_ADDRSTRLEN], rip[INET6_ADDRSTRLEN];

	(void)a;
	(void)s;
	(void)arg;
	nice_address_to_string(&l->addr, lip);
	nice_address_to_string(&r->addr, rip);
	printf("pair %u %s %u %s %s %u %s\n", comp, lip, nice_address_get_port(&l->addr), or_dash(l->username), rip,
	       nice_address_get_port(&r->addr), or_dash(r->username));
	fflush(stdout);
}

/* --- packets */
static void on_packet(NiceAgent *a, guint s, guint comp, guint len, gchar *buf, gpointer arg)
{
	(void)a;
	(void)s;
	(void)arg;
	(void)!sendto(fds[comp], buf, len, 0, (struct sockaddr *)&client[comp], sizeof(client[comp]));
}

static gboolean on_client(GIOChannel *ch, GIOCondition cond, gpointer arg)
{
	guint comp = GPOINTER_TO_UINT(arg);
	char buf[1600];
	ssize_t n;

	(void)ch;
	(void)cond;
	while ((n = recv(fds[comp], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		(void)nice_agent_send(agent, stream, comp, (guint)n, buf);
	return TRUE;
}

static void open_client(guint comp, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	client[comp] = a;
	client[comp].sin_port = htons((uint16_t)atoi(port));
	fds[comp] = socket(AF_INET, SOCK_DGRAM, 0);
	if (fds[comp] < 0 || bind(fds[comp], (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(fds[comp], (struct sockaddr *)&a, &len)) {
		perror("nice_peer: socket");
		exit(1);
	}
	printf("port %u %u\n", comp, ntohs(a.sin_port));
	g_io_add_watch(g_io_channel_unix_new(fds[comp]), G_IO_IN, on_client, GUINT_TO_POINTER(comp));
}

/* --- orders */
static void add_remote(char *const *w)
{
	NiceCandidate *c = nice_candidate_new(NICE_CANDIDATE_TYPE_HOST);
	guint comp = (guint)atoi(w[1]);

	c->stream_id = stream;
	c->component_id = comp;
	c->transport = NICE_CANDIDATE_TRANSPORT_UDP;
	c->priority = (guint32)strtoul(w[3], NULL, 10);
	if (!nice_address_set_from_string(&c->addr, w[4]) || comp < 1 || comp > COMPS) {
		fprintf(stderr, "nice_peer: bad candidate\n");
		exit(1);
	}
	nice_address_set_port(&c->addr, (guint)atoi(w[5]));
	g_strlcpy(c->foundation, w[6], sizeof(c->foundation));
	c->username = strcmp(w[7], "-") ? g_strdup(w[7]) : NULL;
	c->password = strcmp(w[8], "-") ? g_strdup(w[8]) : NULL;
	remotes[comp] = g_slist_append(remotes[comp], c);
}

static void start(void)
{
	for (guint c = 1; c <= COMPS; c++) {
		if (remotes[c])
			nice_agent_set_remote_candidates(agent, stream, c, remotes[c]);
		g_slist_free_full(remotes[c], (GDestroyNotify)nice_candidate_free);
		remotes[c] = NULL;
	}
}

static void order(char *line)
{
	char **w = g_strsplit(g_strstrip(line), " ", -1);
	guint n = g_strv_length(w);

	if (n == 3 && !strcmp(w[0], "remote-credentials")) {
		nice_agent_set_remote_credentials(agent, stream, w[1], w[2]);
	} else if (n == 9 && !strcmp(w[0], "remote")) {
		add_remote(w);
	} else if (n == 1 && !strcmp(w[0], "start")) {
		start();
	} else if (n == 1 && !strcmp(w[0], "restart")) {
		nice_agent_restart(agent);
		tell_local();
	}
	g_strfreev(w);
}

static gboolean on_stdin(GIOChannel *ch, GIOCondition cond, gpointer arg)
{
	char *line = NULL;

	(void)cond;
	(void)arg;
	if (g_io_channel_read_line(ch, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	order(line);
	g_free(line);
	return TRUE;
}

static NiceCompatibility mode(const char *name)
{
	static const struct { const char *name; NiceCompatibility c; } modes[] = {
		{ "rfc5245", NICE_COMPATIBILITY_RFC5245 }, { "oc2007", NICE_COMPATIBILITY_OC2007 },
		{ "oc2007r2", NICE_COMPATIBILITY_OC2007R2 },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++)
		if (!strcmp(name, modes[i].name))
			return modes[i].c;
	fprintf(stderr, "nice_peer: no mode %s\n", name);
	exit(2);
}

int main(int argc, char *argv[])
{
	if (argc != 5) {
		fprintf(stderr, "usage: nice_peer rfc5245|oc2007|oc2007r2 0|1 RTP_PORT RTCP_PORT\n");
		return 2;
	}
	loop = g_main_loop_new(NULL, FALSE);
	agent = nice_agent_new(g_main_loop_get_context(loop), mode(argv[1]));
	g_object_set(agent, "controlling-mode", atoi(argv[2]) != 0, "upnp", FALSE, "keepalive-conncheck", TRUE, NULL);
	stream = nice_agent_add_stream(agent, COMPS);
	for (guint c = 1; c <= COMPS; c++) {
		open_client(c, argv[2 + c]);
		nice_agent_attach_recv(agent, stream, c, g_main_loop_get_context(loop), on_packet, NULL);
	}
	g_signal_connect(agent, "candidate-gathering-done", G_CALLBACK(on_gathered), NULL);
	g_signal_connect(agent, "component-state-changed", G_CALLBACK(on_state), NULL);
	g_signal_connect(agent, "new-selected-pair-full", G_CALLBACK(on_pair), NULL);
	if (!nice_agent_gather_candidates(agent, stream)) {
		fprintf(stderr, "nice_peer: no candidates\n");
		return 1;
	}
	g_io_add_watch(g_io_channel_unix_new(STDIN_FILENO), G_IO_IN | G_IO_HUP, on_stdin, NULL);
	g_main_loop_run(loop);
	g_object_unref(agent);
	return 0;
}
