/* SPDX-License-Identifier: Apache-2.0 */
/* soundfile_priv.h - what soundfile.c and the formats share */
#ifndef AUDIO_SOUNDFILE_PRIV_H
#define AUDIO_SOUNDFILE_PRIV_H
#include <stddef.h>
#include <sys/types.h>
#include "mcu/audio/soundfile.h"

struct soundfile_format {
	const char *ext;
	int  (*open)(void **ctx, struct soundfile *f, unsigned bitrate, const char *title);   /* ctx: a reference */
	int  (*add)(void *ctx, const int16_t *frame);
	int  (*flush)(void *ctx);
	int  (*finish)(void *ctx);
};
extern const struct soundfile_format soundfile_ogg, soundfile_wav;

int   soundfile_append(struct soundfile *f, const void *p, size_t n);           /* all of it, or the file is as it was */
int   soundfile_rewrite(struct soundfile *f, off_t at, const void *p, size_t n);
off_t soundfile_size(const struct soundfile *f);

#endif
