/* SPDX-License-Identifier: Apache-2.0 */
/* wav.h - a WAV file's bytes to mono samples: PCM of 8 to 32 bits, A-law and u-law, one or two channels, 8 to 48 kHz */
#ifndef AUDIO_WAV_H
#define AUDIO_WAV_H
#include <stdint.h>
#include "lib/base/str.h"

#define WAV_MAX_S     300u                   /* longer ones are cut */
#define WAV_MAX_BYTES (64u << 20)            /* larger ones are not read */

struct wav {
	uint32_t rate;
	size_t   n;
	int16_t *pcm;                        /* mem reference */
};
/* -EBADMSG: no WAV, or a broken one; -ENOTSUP: a coding, rate or number of channels that is not known; -ENOMEM.
 * A data chunk that says more than is there gives what is there: recorders that were killed leave such files. */
int wav_decode(struct wav *w, struct str file);
void wav_fini(struct wav *w);

#endif
