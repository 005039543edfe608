/* SPDX-License-Identifier: Apache-2.0 */
/* se.c - session timers, see se.h */
#include <errno.h>
#include "mcu/se.h"

static int number(struct str v, uint32_t *n)
{
	uint64_t x;
	int err = str_u64(str_trim(str_cut(&v, ';')), &x);

	if (err)
		return -EBADMSG;
	*n = x > 86400 * 7 ? 86400 * 7 : (uint32_t)x;
	return 0;
}

static bool names_uas(struct str v)
{
	str_cut(&v, ';');
	while (!str_empty(v)) {
		struct str item = str_cut(&v, ';'), name = str_trim(str_cut(&item, '='));

		if (str_ieq(name, STR("refresher")))
			return str_ieq(str_trim(item), STR("uas"));
	}
	return false;
}

int se_answer(struct se *se, const struct se_prm *prm, bool supports, struct str expires, struct str min_se)
{
	uint32_t want = prm->want_s, least = 0;

	*se = (struct se){ .peer_supports = supports };
	if (min_se.p && number(min_se, &least))
		return -EBADMSG;
	if (!expires.p) {
		if (supports)
			*se = (struct se){ want > least ? want : least, true, true };
		return 0;
	}
	if (number(expires, &want))
		return -EBADMSG;
	if (want < prm->min_s && supports)
		return -ERANGE;
	if (want < prm->min_s)
		want = prm->min_s;           /* a proxy asked for it; we are the only side that can refresh */
	se->interval_s     = want;
	se->peer_refreshes = supports && !names_uas(expires);
	return 0;
}

uint32_t se_wait_ms(const struct se *se)
{
	uint32_t third = se->interval_s / 3, slack = third < 32 ? third : 32;

	return (se->peer_refreshes ? se->interval_s - slack : se->interval_s / 2) * 1000;
}
