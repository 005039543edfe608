/* SPDX-License-Identifier: Apache-2.0 */
/* soundfile.h - sound into a file that can be played at any moment while it is written, also after a crash
 *
 *   frames of 20 ms, 48 kHz, mono -> soundfile_add() -> gathered -> soundfile_flush() -> pages (Opus in Ogg, RFC 7845) or
 *   samples and then the header's lengths (WAV)
 *
 * What was flushed is whole: a write that fails is taken back. Blocks on the file, so it is for a thread that may.
 */
#ifndef AUDIO_SOUNDFILE_H
#define AUDIO_SOUNDFILE_H
#include <stdint.h>

#define SOUNDFILE_HZ    48000u
#define SOUNDFILE_FRAME 960u

enum soundfile_kind { SOUNDFILE_OPUS, SOUNDFILE_WAV };
struct soundfile;
/* Takes fd, an empty file, also when it fails; the head is in the file at once. title: in the file's tags, where it has some. */
int soundfile_alloc(struct soundfile **fp, int fd, enum soundfile_kind kind, unsigned bitrate, const char *title);
int soundfile_add(struct soundfile *f, const int16_t *frame);    /* NULL: silence */
int soundfile_flush(struct soundfile *f);                        /* -EFBIG: the format takes no more */
int soundfile_finish(struct soundfile *f);                       /* flushes, and says that this was all */
int soundfile_sync(struct soundfile *f);                         /* to the disk; -ENOENT: somebody has deleted it */
const char *soundfile_ext(enum soundfile_kind kind);             /* ".opus", ".wav" */

#endif
