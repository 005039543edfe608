/* SPDX-License-Identifier: Apache-2.0 */
/* c3p_cmds.h - between the files of commands: c3p_cmds.c (the table), c3p_dial.c (dial-out), c3p_media.c (media) */
#ifndef MCU_C3P_CMDS_H
#define MCU_C3P_CMDS_H
#include "lib/c3p/info.h"
#include "mcu/c3p_srv.h"

/* --- c3p_dial.c */
const char *c3p_dial_out(struct c3p_call *k, const struct expect_prm *p, const struct c3p_endpoint *e);

/* --- c3p_move.c */
const char *c3p_move(struct c3p_call *k, const struct expect_prm *p, const struct xml_node *n);

/* --- c3p_media.c: c3p_cmd_cb */
const char *c3p_modify_media(struct c3p_call *k);
const char *c3p_add_media(struct c3p_call *k);
const char *c3p_delete_media(struct c3p_call *k);
const char *c3p_media_filters(struct c3p_call *k);
const char *c3p_modify_conference(struct c3p_call *k);
const char *c3p_entity_state(struct c3p_call *k, const struct xml_node *state);        /* of an entity-view; NULL: nothing in it */

bool        c3p_is_true(const char *s);
const char *c3p_text_of(const struct xml_node *n, const char *name);   /* of a child; NULL: absent */

#endif
