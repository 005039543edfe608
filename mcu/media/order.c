/* SPDX-License-Identifier: Apache-2.0 */
/* order.c - recordings, music and volume: from the signalling thread to the workers, see media.h */
#include <errno.h>
#include "lib/base/mem.h"
#include "mcu/media/handles.h"

static struct msg *order(enum msg_kind kind, struct wroom *r, struct wleg *l, unsigned how, struct clip *const *clips,
			 unsigned n)
{
	struct msg *m = msg_new(kind, r, l);

	if (!m)
		return NULL;
	m->play = play_order(how, clips, n);
	return m->play ? m : mem_deref(m);
}

int mleg_play(struct mleg *l, unsigned how, struct clip *const *clips, unsigned n)
{
	struct msg *m = order(MSG_LEG_PLAY, NULL, l->half, how, clips, n);

	if (!m)
		return -ENOMEM;
	mleg_post(l, m);
	return 0;
}

int mleg_music(struct mleg *l, struct clip *c)
{
	struct msg *m = order(MSG_LEG_PLAY, NULL, l->half, 0, &c, 1);

	if (!m)
		return -ENOMEM;
	m->play->music = true;
	mleg_post(l, m);
	return 0;
}

/* All shards or none: each gets an order of its own, and plays it in its own ticks. */
int mroom_play(struct mroom *r, unsigned how, struct clip *const *clips, unsigned n)
{
	struct msg *m[SHARDS_MAX];
	unsigned i;

	for (i = 0; i < r->nshards; i++) {
		m[i] = order(MSG_ROOM_PLAY, r->shard[i]->half, NULL, how, clips, n);
		if (!m[i])
			break;
	}
	if (i < r->nshards) {
		while (i-- > 0) {
			mem_deref(m[i]->play);
			mem_deref(m[i]);
		}
		return -ENOMEM;
	}
	while (i-- > 0)
		worker_post(r->shard[i]->w, m[i]);
	return 0;
}

/* The first shard mixes what all say, as each does, and lives as long as the room. */
int mroom_tap(struct mroom *r, struct tap *t)
{
	struct msg *m = msg_new(MSG_ROOM_TAP, r->shard[0]->half, NULL);

	if (!m) {
		atomic_store(&t->closed, true);
		return -ENOMEM;
	}
	m->tap = t;
	worker_post(r->shard[0]->w, m);
	return 0;
}

void mleg_volume(struct mleg *l, int db)
{
	struct msg *m = msg_new(MSG_LEG_VOLUME, NULL, l->half);

	if (!m)
		return;
	m->a = (unsigned)mix_gain_db(db);
	mleg_post(l, m);
}
