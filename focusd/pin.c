/* SPDX-License-Identifier: Apache-2.0 */
/* pin.c - see pin.h; a sealed pass code is bound to its conference's key, so rows cannot be swapped */
#include <errno.h>
#include "focusd/pin.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/tls/cms.h"
#include "lib/tls/seal.h"

int pin_start(struct app *a, char *err, size_t errsz)
{
	char *path = str_printf("%s.key", a->cfg.store_path);
	int rc = path ? seal_alloc(&a->seal, path, err, errsz) : -ENOMEM;

	mem_deref(path);
	path = rc ? NULL : str_printf("%s.passcode.pem", a->cfg.store_path);
	if (path)
		rc = cms_alloc(&a->cms, path, err, errsz);
	mem_deref(path);
	return rc;
}

int pin_set(struct app *a, struct conf *c, const char *pin)
{
	char *sealed = NULL;
	int err = pin && *pin ? seal_close(a->seal, &sealed, str_c(c->key), str_c(pin)) : 0;

	if (err)
		return err;
	mem_deref(c->pin);
	c->pin = sealed;
	conf_touch(&a->confs, c);
	return 0;
}

int pin_open(const struct app *a, const struct conf *c, char **plain)
{
	int err = c->pin ? seal_open(a->seal, plain, str_c(c->key), str_c(c->pin)) : -ENOENT;

	if (err && c->pin)
		log_warn(conf, "%s: its pass code cannot be read with this key file: set it again", c->key);
	return err;
}

bool pin_ok(const struct app *a, const struct conf *c, struct str pin)
{
	return !c->pin || seal_is(a->seal, str_c(c->key), str_c(c->pin), pin);
}
