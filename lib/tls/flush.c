/* SPDX-License-Identifier: Apache-2.0 */
/* flush.c - the sending side of a stream
 *
 * stream_send() appends to the queue and posts the flush task, so all that is sent in one turn is encrypted and written
 * together. The task takes the queue a chunk at a time: encrypt, try to write at once, and when the socket is full hand the rest to
 * uv_write() and go on when that is done. So at most one chunk is encrypted ahead, whatever waits in the queue.
 * No callback of the owner is called from here: an error waits for the timer.
 */
#include <errno.h>
#include <openssl/err.h>
#include "lib/base/mem.h"
#include "lib/tls/tls_priv.h"

enum { CHUNK = 64 * 1024, KEEP = 64 * 1024, MAX_UNASKED = 256 * 1024 };

struct wr {
	uv_write_t   uv;
	struct conn *c;
	char         data[];
};

static void on_written(uv_write_t *uv, int status)
{
	struct wr *w = uv->data;
	struct stream *s = w->c->s;

	mem_deref(w);
	if (!s)
		return;
	s->writing  = false;
	s->inflight = 0;
	if (status) {
		stream_fail(s, status);
		return;
	}
	if (s->closing && s->state == ST_OPEN)
		tmr_start(&s->tmr, FLUSH_MS);      /* slow is fine, stuck is not */
	stream_flush(s);
}

static int write_rest(struct stream *s, const char *p, size_t n)
{
	struct wr *w = mem_zalloc(sizeof(*w) + n, NULL);
	uv_buf_t b;
	int err;

	if (!w)
		return -ENOMEM;
	memcpy(w->data, p, n);
	w->c = s->c;
	w->uv.data = w;
	b = uv_buf_init(w->data, (unsigned)n);
	err = uv_write(&w->uv, (uv_stream_t *)&s->c->uv, &b, 1, on_written);
	if (err) {
		mem_deref(w);
		return err;
	}
	s->writing  = true;
	s->inflight = n;
	return 0;
}

static int write_all(struct stream *s, const char *p, size_t n)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	int sent = uv_try_write((uv_stream_t *)&s->c->uv, &b, 1);

	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0)
		return sent;
	return (size_t)sent < n ? write_rest(s, p + sent, n - (size_t)sent) : 0;
}

/* What OpenSSL has written so far: records, handshake messages, alerts. */
int stream_push(struct stream *s)
{
	BIO *out = SSL_get_wbio(s->ssl);
	char *p;
	long n = BIO_get_mem_data(out, &p);
	int err;

	if (n <= 0)
		return 0;
	if (s->writing)                    /* follows when that is done; a peer cannot make us hoard answers */
		return n > MAX_UNASKED ? -ENOBUFS : 0;
	err = write_all(s, p, (size_t)n);
	(void)BIO_reset(out);
	return err;
}

static void taken(struct stream *s, size_t n)
{
	s->out_off += n;
	if (s->out_off < s->out.l)
		return;
	s->out_off = 0;
	if (s->out.size > KEEP)
		buf_fini(&s->out);
	else
		buf_reset(&s->out);
}

static int send_chunk(struct stream *s)
{
	size_t n = s->out.l - s->out_off;
	int err;

	if (n > CHUNK)
		n = CHUNK;
	if (!s->ssl) {
		err = write_all(s, s->out.p + s->out_off, n);
	} else {
		size_t done = 0;

		ERR_clear_error();
		while (done < n) {
			int m = SSL_write(s->ssl, s->out.p + s->out_off + done, (int)(n - done));

			if (m <= 0)
				return -EPROTO;
			done += (size_t)m;
		}
		err = stream_push(s);
	}
	taken(s, n);
	return err;
}

void stream_flush(void *arg)
{
	struct stream *s = arg;
	int err = 0;

	ev_task_cancel(&s->flush);
	if (s->state != ST_OPEN && s->state != ST_HANDSHAKE)
		return;
	if (s->ssl && !s->writing)
		err = stream_push(s);
	while (!err && !s->writing && s->state == ST_OPEN && s->out.l)
		err = send_chunk(s);
	if (err)
		stream_fail_later(s, err);
	else if (s->closing && s->state == ST_OPEN && !s->writing)
		stream_finish(s);
}

int stream_send(struct stream *s, struct str data)
{
	size_t queued = s->out.l - s->out_off + s->inflight;

	if (s->closing || s->state > ST_OPEN)
		return -ENOTCONN;
	if (!data.l)
		return 0;
	if (data.l > s->max_queue || queued > s->max_queue - data.l) {
		stream_fail_later(s, -ENOBUFS);
		return -ENOBUFS;
	}
	if (s->out_off > s->out.l / 2) {           /* keeps the buffer near what is queued, at one move per byte */
		buf_skip(&s->out, s->out_off);
		s->out_off = 0;
	}
	buf_str(&s->out, data);
	if (s->out.err) {
		stream_fail_later(s, s->out.err);
		return s->out.err;
	}
	if (s->state == ST_OPEN && !s->writing)
		ev_task_post(&s->flush);
	return 0;
}
