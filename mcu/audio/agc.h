/* SPDX-License-Identifier: Apache-2.0 */
/* agc.h - one leg's automatic gain: brings a voice into the range in which the others are
 *
 * Voices between -25 and -18 dBov stay as they are. What is louder comes down within 50 ms or so, what is softer comes
 * up by at most 12 dB a second; never more than 12 dB either way. Only frames that are voice teach it, so pauses are
 * not pumped up, and what it has learned stays for the next sentence.
 */
#ifndef AUDIO_AGC_H
#define AUDIO_AGC_H
#include <stdbool.h>

#define AGC_LOUD_DBOV (-18)
#define AGC_SOFT_DBOV (-25)
#define AGC_MAX_DB    12

struct agc { float level, gain; };       /* dBov, dB; zeroed: nothing learned, 0 dB */

float agc_update(struct agc *a, int level_dbov);         /* a frame of 20 ms of voice; the gain in dB from here on */

#endif
