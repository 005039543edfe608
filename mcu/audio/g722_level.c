/* SPDX-License-Identifier: Apache-2.0 */
/* g722_level.c - see g722_level.h */
#include "mcu/audio/g722_level.h"

#define LOW_MAX    18432
#define HIGH_MAX   22528
#define PER_6DB    2048                  /* of the logarithm */
#define LEAST_DBOV (-87)                 /* white noise whose step is the smallest: measured */
#define RISE_DB    6                     /* the steps of steady noise vary by less */
#define AFTER      6u
#define FORGET     50u                   /* packets: the floor rises by 1 dB */

static const int16_t low_step[16] = {    /* by the four leading bits of the low band's code */
	-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
};
static const int16_t high_step[4] = { 798, -214, 798, -214 };

static int16_t follow(int16_t was, int16_t step, int max)
{
	int v = (was * 127 >> 7) + step;

	return (int16_t)(v < 0 ? 0 : v > max ? max : v);
}

static bool rises_to(struct g722_level *l, int db)
{
	if (!l->floor || db < l->floor) {
		l->floor = (int8_t)(db < 0 ? db : -1);
		l->above = 0;
	} else if (++l->above >= FORGET) {
		l->floor += db > l->floor;
		l->above = 0;
	}
	if (db > l->floor + RISE_DB)
		l->after = AFTER;
	else if (l->after)
		l->after--;
	return l->after > 0;
}

int g722_level(struct g722_level *l, const uint8_t *payload, size_t n, bool *rises)
{
	int low = 0, high = 0, db;

	for (size_t i = 0; i < n; i++) {
		l->low  = follow(l->low, low_step[payload[i] >> 2 & 15], LOW_MAX);
		l->high = follow(l->high, high_step[payload[i] >> 6], HIGH_MAX);
		low  = l->low > low ? l->low : low;
		high = l->high > high ? l->high : high;
	}
	db = LEAST_DBOV + (low > high ? low : high) * 6 / PER_6DB;
	db = db > 0 ? 0 : db;
	*rises = rises_to(l, db);
	return db;
}
