/* SPDX-License-Identifier: Apache-2.0 */
/* call_out.c - calls that start here */
#include "lib/base/mem.h"
#include "mcu/app.h"
#include "mcu/uas.h"

/* Letting go of the INVITE cancels it; a late 2xx is acknowledged and ended by lib/sip. */
void call_dial_stop(struct call *c, enum leg_end why)
{
	(void)why;
	c->out = mem_deref(c->out);
}
