/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h - conferences into files: which one is recorded, by order of the focus
 *
 *   focus -> c3p_cmds.c -> recording_set() -> media/recorder.h | it ended by itself -> conf->unrecorded -> infodoc.c -> focus
 *
 * The focus keeps whether a conference is recorded; here the recorder runs. With the conference its recording ends.
 */
#ifndef MCU_RECORDING_H
#define MCU_RECORDING_H
#include <stdbool.h>

struct app;
struct conf;
/* All are told. -ENOTSUP: nothing is recorded here; -ENOSPC: too little room on the disk; or -errno of the file */
int  recording_set(struct conf *c, struct app *a, bool on);
void recording_resume(struct conf *c, struct app *a);      /* was recorded elsewhere; the focus hears it when that fails */
const char *recording_path(const struct conf *c);          /* NULL: none runs */
void recordings_stop(struct app *a);                       /* waits until their files are whole; their conferences are gone */

#endif
