/* SPDX-License-Identifier: Apache-2.0 */
/* jsonsock.c - one JSON request and one answer a line on a Unix socket, see jsonsock.h
 *
 * bytes -> the connection's buffer -> a line -> a request at the end of the connection's queue -> callback. An answer
 * is kept in its slot until every earlier one of that connection has left, then written.
 * A connection is held by its libuv handle (until the close callback) and by its slots.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/ev/jsonsock.h"

#define MAX_CONNS   32u
#define MAX_WAITING 64u          /* unanswered requests of one connection */

struct conn {
	uv_pipe_t        pipe;
	struct jsonsock *js;     /* NULL: closing */
	struct buf       in;
	unsigned         waiting;
	TAILQ_HEAD(, slot) slots;
	LIST_ENTRY(conn) le;
	char             chunk[4096];
};

struct slot {                    /* the place of an answer in its connection's order */
	struct conn *conn;       /* reference */
	char        *answer;     /* NULL until replied */
	bool         queued;
	TAILQ_ENTRY(slot) te;
};

struct jsonsock_req { struct slot *slot; };      /* what the user holds: its last reference answers */

struct server_handle {           /* outlives the jsonsock until closed */
	uv_pipe_t        pipe;
	struct jsonsock *js;
};

struct jsonsock {
	struct server_handle *srv;
	char                 *path;
	bool                  bound;
	jsonsock_cb          *cb;
	void                 *arg;
	unsigned              nconns;
	LIST_HEAD(, conn)     conns;
};

struct write {
	uv_write_t req;
	char      *text;
};

static const char unanswered[] = "{\"ok\":false,\"error\":\"the daemon gave no answer; see its log\"}";

static void conn_destructor(void *arg)
{
	struct conn *c = arg;

	buf_fini(&c->in);
}

static void on_conn_closed(uv_handle_t *h)
{
	mem_deref(h->data);
}

/* Silences a connection: answers that come later go nowhere. */
static void conn_close(struct conn *c)
{
	struct slot *sl;

	if (!c->js)
		return;
	c->js->nconns--;
	c->js = NULL;
	LIST_REMOVE(c, le);
	uv_close((uv_handle_t *)&c->pipe, on_conn_closed);
	while ((sl = TAILQ_FIRST(&c->slots))) {
		TAILQ_REMOVE(&c->slots, sl, te);
		sl->queued = false;
		mem_deref(sl);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;

	(void)status;
	mem_deref(w->text);
	mem_deref(w);
}

static int send_line(struct conn *c, char *text)
{
	struct write *w = mem_zalloc(sizeof(*w), NULL);
	uv_buf_t b[2] = { uv_buf_init(text, (unsigned)strlen(text)), uv_buf_init("\n", 1) };
	int err;

	if (!w)
		return -ENOMEM;
	w->text = mem_ref(text);
	err = uv_write(&w->req, (uv_stream_t *)&c->pipe, b, 2, on_written);
	if (err) {
		mem_deref(w->text);
		mem_deref(w);
	}
	return err;
}

/* Writes what is answered at the head of the queue. */
static void flush(struct conn *c)
{
	struct slot *sl;
	int err = 0;

	mem_ref(c);
	while (!err && (sl = TAILQ_FIRST(&c->slots)) && sl->answer) {
		err = send_line(c, sl->answer);
		TAILQ_REMOVE(&c->slots, sl, te);
		sl->queued = false;
		c->waiting--;
		mem_deref(sl);
	}
	if (err)
		conn_close(c);
	mem_deref(c);
}

static void slot_destructor(void *arg)
{
	struct slot *sl = arg;

	mem_deref(sl->answer);
	mem_deref(sl->conn);
}

static int answer(struct slot *sl, struct str json)
{
	if (sl->answer)
		return -EALREADY;
	sl->answer = str_dup(json);
	if (!sl->answer)
		return -ENOMEM;
	for (char *p = sl->answer; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return 0;
}

int jsonsock_reply(struct jsonsock_req *rq, struct str json)
{
	int err = answer(rq->slot, json);

	if (!err && rq->slot->queued)
		flush(rq->slot->conn);
	return err;
}

static void req_destructor(void *arg)
{
	struct jsonsock_req *rq = arg;

	if (!rq->slot)
		return;
	if (!rq->slot->answer)
		jsonsock_reply(rq, STR(unanswered));
	mem_deref(rq->slot);
}

static int on_line(struct conn *c, struct str line)
{
	struct jsonsock_req *rq;

	if (c->waiting >= MAX_WAITING)
		return -EMSGSIZE;
	rq = mem_zalloc(sizeof(*rq), req_destructor);
	if (!rq)
		return -ENOMEM;
	rq->slot = mem_zalloc(sizeof(*rq->slot), slot_destructor);
	if (!rq->slot) {
		mem_deref(rq);
		return -ENOMEM;
	}
	rq->slot->conn   = mem_ref(c);
	rq->slot->queued = true;
	c->waiting++;
	mem_ref(rq->slot);
	TAILQ_INSERT_TAIL(&c->slots, rq->slot, te);
	c->js->cb(rq, line, c->js->arg);
	mem_deref(rq);
	return 0;
}

static int on_bytes(struct conn *c)
{
	int err = 0;

	while (!err && c->js && c->in.l) {
		const char *nl = memchr(c->in.p, '\n', c->in.l);
		struct str line;

		if (!nl)
			return c->in.l > JSONSOCK_MAX_LINE ? -EMSGSIZE : 0;
		line = str_trim((struct str){ c->in.p, (size_t)(nl - c->in.p) });
		if (line.l > JSONSOCK_MAX_LINE)
			return -EMSGSIZE;
		if (!str_empty(line))
			err = on_line(c, line);
		buf_skip(&c->in, (size_t)(nl - c->in.p) + 1);
	}
	return err;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
	struct conn *c = h->data;

	(void)hint;
	*b = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct conn *c = s->data;
	int err = 0;

	if (n == 0)
		return;
	mem_ref(c);
	if (n > 0) {
		buf_write(&c->in, b->base, (size_t)n);
		err = c->in.err ? c->in.err : on_bytes(c);
	}
	if (n < 0 || err) {
		if (err)
			log_warn(admin, "admin socket: connection closed: %s", strerror(-err));
		conn_close(c);
	}
	mem_deref(c);
}

static void on_accept(uv_stream_t *s, int status)
{
	struct server_handle *h = (struct server_handle *)s;
	struct jsonsock *js = h->js;
	struct conn *c;

	if (status || !js)
		return;
	c = mem_zalloc(sizeof(*c), conn_destructor);
	if (!c)
		return;
	buf_init(&c->in, JSONSOCK_MAX_LINE + sizeof(c->chunk));
	TAILQ_INIT(&c->slots);
	if (uv_pipe_init(s->loop, &c->pipe, 0)) {
		mem_deref(c);
		return;
	}
	c->pipe.data = c;
	c->js = js;
	js->nconns++;
	LIST_INSERT_HEAD(&js->conns, c, le);
	if (uv_accept(s, (uv_stream_t *)&c->pipe) || js->nconns > MAX_CONNS ||
	    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read))
		conn_close(c);
}

static void on_srv_closed(uv_handle_t *h)
{
	mem_deref(h->data);
}

static void destructor(void *arg)
{
	struct jsonsock *js = arg;
	struct conn *c;

	while ((c = LIST_FIRST(&js->conns)))
		conn_close(c);
	if (js->srv) {
		js->srv->js = NULL;
		uv_close((uv_handle_t *)&js->srv->pipe, on_srv_closed);    /* libuv unlinks the path it bound */
	}
	if (js->bound)
		unlink(js->path);
	mem_deref(js->path);
}

/* A socket file that nobody listens on is left over; anything else stays. */
static int clear_path(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	close(fd);
	if (rc != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) ? -errno : 0;
}

static int listen_on(struct jsonsock *js, struct ev_loop *l)
{
	mode_t old;
	int err;

	js->srv = mem_zalloc(sizeof(*js->srv), NULL);
	if (!js->srv)
		return -ENOMEM;
	err = uv_pipe_init(ev_loop_uv(l), &js->srv->pipe, 0);
	if (err) {
		js->srv = mem_deref(js->srv);
		return err;
	}
	js->srv->pipe.data = js->srv;
	js->srv->js = js;
	old = umask(0177);                     /* never a moment with a wider mode */
	err = uv_pipe_bind(&js->srv->pipe, js->path);
	umask(old);
	if (err)
		return err;
	js->bound = true;
	return uv_listen((uv_stream_t *)&js->srv->pipe, 16, on_accept);
}

int jsonsock_alloc(struct jsonsock **jp, struct ev_loop *l, const char *path, jsonsock_cb *cb, void *arg)
{
	struct jsonsock *js = mem_zalloc(sizeof(*js), destructor);
	int err = -ENOMEM;

	if (!js)
		return err;
	LIST_INIT(&js->conns);
	js->cb   = cb;
	js->arg  = arg;
	js->path = str_dup(str_c(path));
	if (!js->path)
		goto out;
	err = clear_path(path);
	if (!err)
		err = listen_on(js, l);
	if (!err)
		*jp = js;
out:
	if (err)
		mem_deref(js);
	return err;
}
