/* SPDX-License-Identifier: Apache-2.0 */
/* str.h - borrowed pieces of text, and owned C strings under mem_deref() */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {            /* borrowed, not terminated */
	const char *p;
	size_t      l;
};

#define STR(lit)   ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NULL   ((struct str){ NULL, 0 })
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).l, (s).p ? (s).p : ""

static inline struct str str_c(const char *s) { return (struct str){ s, s ? strlen(s) : 0 }; }
static inline bool str_empty(struct str s) { return s.l == 0; }

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b);                 /* ASCII case-insensitive */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
struct str str_trim(struct str s);                        /* spaces, tabs, CR, LF at both ends */
struct str str_cut(struct str *rest, char sep);           /* takes up to sep off *rest; all of it when absent */
int  str_u64(struct str s, uint64_t *v);                  /* decimal, whole string; -EINVAL, -ERANGE */
char *str_dup(struct str s);                              /* new reference, terminated; NULL: no memory */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* new reference */
int   cstr_set(char **dst, const char *src);                  /* *dst becomes a copy of src (NULL: none); -ENOMEM leaves it */
bool  cstr_eq(const char *a, const char *b);              /* NULL equals NULL only */
bool  cstr_ieq(const char *a, const char *b);
int   str_random_hex(char *out, size_t digits);           /* out has digits + 1; from the kernel */
char *str_guid(void);                                     /* "{XXXXXXXX-XXXX-4XXX-...}", new reference */

#endif
