/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.h - configuration from a table: parser, limits, --help text and sample file come from the same rows
 *
 *   static const struct cfg_key keys[] = {
 *       CFG_INT("sip", "port", struct my_cfg, sip_port, "5061", 1, 65535, "Port of the SIP listener"),
 *       CFG_STR("sip", "bind", struct my_cfg, bind, "127.0.0.1", "Address of the SIP listener"),
 *       { 0 }
 *   };
 * File form: INI. An unknown section or key, or a value out of its limits, is an error with its line number.
 */
#ifndef BASE_CFG_H
#define BASE_CFG_H
#include <stddef.h>
#include <stdio.h>

enum cfg_type { CFG_T_STR, CFG_T_INT, CFG_T_BOOL };

struct cfg_key {
	const char   *section, *name;
	enum cfg_type type;
	size_t        off;             /* char * (mem), long, bool */
	const char   *dflt;
	long          min, max;
	const char   *help;            /* one sentence, with the unit */
};

#define CFG_STR(sec, nm, st, field, dflt, help) { sec, nm, CFG_T_STR, offsetof(st, field), dflt, 0, 0, help }
#define CFG_INT(sec, nm, st, field, dflt, lo, hi, help) { sec, nm, CFG_T_INT, offsetof(st, field), dflt, lo, hi, help }
#define CFG_BOOL(sec, nm, st, field, dflt, help) { sec, nm, CFG_T_BOOL, offsetof(st, field), dflt, 0, 1, help }

int  cfg_defaults(const struct cfg_key *keys, void *cfg);
/* Reads a file over the defaults. On error writes one line "FILE:LINE: what is wrong" to err. */
int  cfg_load(const struct cfg_key *keys, void *cfg, const char *file, char *err, size_t errsz);
int  cfg_set(const struct cfg_key *keys, void *cfg, const char *section, const char *name, const char *value,
	     char *err, size_t errsz);
void cfg_free(const struct cfg_key *keys, void *cfg);
void cfg_sample(const struct cfg_key *keys, FILE *f);     /* a commented sample file */

#endif
