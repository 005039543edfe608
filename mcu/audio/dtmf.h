/* SPDX-License-Identifier: Apache-2.0 */
/* dtmf.h - keys in the sound itself, for phones that do not send them as telephone events (spandsp) */
#ifndef AUDIO_DTMF_H
#define AUDIO_DTMF_H
#include <stddef.h>
#include <stdint.h>

struct dtmf;
typedef void (dtmf_key_cb)(char key, void *arg);              /* '0'..'9' '*' '#' 'A'..'D', once as it is recognized */
int  dtmf_alloc(struct dtmf **dp, uint32_t rate, dtmf_key_cb *cb, void *arg);   /* 8, 16 or 48 kHz; mem_deref() */
void dtmf_feed(struct dtmf *d, const int16_t *pcm, size_t n);  /* at most a tick; NULL: so much silence */

#endif
