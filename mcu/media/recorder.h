/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.h - a room into a file
 *
 *   worker -> tap.h -> a thread for each recorder -> soundfile.h -> disk: handed over every half second, forced out every second
 *
 * A tick that is missing is silence in the file, so its time is the room's. The thread ends when it is asked to, with the room,
 * at its limits or when the disk is full or fails; then the callback comes on the loop, once.
 */
#ifndef MEDIA_RECORDER_H
#define MEDIA_RECORDER_H
#include <stdint.h>
#include "lib/ev/ev.h"
#include "mcu/audio/soundfile.h"
#include "mcu/media/media.h"

struct tap;
struct recorder;
/* reason: "": asked for, or the room ended; else why it had to end. May deref the recorder. */
typedef void (recorder_end_cb)(struct recorder *r, const char *reason, void *arg);
struct recorder_prm {
	struct ev_loop *loop;
	const char     *dir;             /* made when it is not there, 0750 */
	const char     *id;              /* begins the file's name, and is its title */
	enum soundfile_kind kind;
	unsigned        bitrate;         /* of Opus */
	unsigned        max_s;           /* longest recording, seconds; 0: no limit */
	uint64_t        min_free;        /* bytes of the file system that are left to others */
	recorder_end_cb *cb;
	void           *arg;
};
/* Makes DIR/ID_YYYYMMDDTHHMMSSZ.EXT, 0640. *tp is for mroom_tap(), which has to be called. -ENOSPC: less than min_free is left. */
int  recorder_start(struct recorder **rp, struct tap **tp, const struct recorder_prm *prm);
void recorder_stop(struct recorder *r);              /* soon, the callback comes */
const char *recorder_path(const struct recorder *r);
unsigned recorder_seconds(const struct recorder *r); /* that are in the file */
/* mem_deref() waits for the thread: stop the recorder, or end the room, before */

#endif
