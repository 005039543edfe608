/* SPDX-License-Identifier: Apache-2.0 */
/* play.h - recordings on their way to one leg or to a room: a queue, and music behind it (the worker's side)
 *
 * A leg or a room has a player only while it has something to play. What is beneath, the conference, is turned down
 * under a recording that is for one leg, or off where it is to be heard alone; nothing begins or ends with a click.
 */
#ifndef MEDIA_PLAY_H
#define MEDIA_PLAY_H
#include "mcu/audio/clip.h"
#include "mcu/audio/mix.h"

#define PLAY_QUEUE 24u                   /* recordings that wait; more are dropped */

struct play_order {                      /* by message; mem reference, holds the clips */
	unsigned     how;                /* PLAY_* of media.h */
	bool         music;              /* clip[0], or none: stops */
	unsigned     n;
	struct clip *clip[];
};
struct play_order *play_order(unsigned how, struct clip *const *clips, unsigned n);   /* NULL: no memory */

struct player;
struct wroom;
int  player_take(struct player **pp, struct play_order *o);          /* clips of o become the player's; -ENOMEM */
/* One tick. False: nothing is left, the player can go. k: enum rate. */
bool player_leg(struct player *p, int16_t *pcm, int32_t *tmp, unsigned k);
bool player_room(struct player *p, struct wroom *r);
unsigned player_waiting(const struct player *p);                     /* recordings, with the one that plays */

#endif
