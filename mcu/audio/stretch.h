/* SPDX-License-Identifier: Apache-2.0 */
/* stretch.h - a little more or less time in the same sound: a period of the voice is left out or said twice
 *
 * Pitch and loudness stay; the seam is a cross-fade between places that look alike (as in WSOLA, one step a call). Where
 * no two places are alike enough to hide it (a consonant's onset) nothing is changed: ask again with the next frame.
 * x begins and ends as before, so it joins its neighbours.
 */
#ifndef AUDIO_STRETCH_H
#define AUDIO_STRETCH_H
#include <stddef.h>
#include <stdint.h>

#define STRETCH_MIN_MS  18u      /* needs so much sound */
#define STRETCH_STEP_MS 10u      /* adds or takes at most so much */

size_t stretch_shorter(int16_t *x, size_t n, uint32_t rate);                /* the new length; n: not here */
size_t stretch_longer(int16_t *x, size_t n, size_t room, uint32_t rate);    /* likewise; room: x can hold so many */

#endif
