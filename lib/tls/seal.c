/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c - see seal.h
 *
 * Key file: 32 random bytes. It is written under another name and linked to its own, so that it is never half there and
 * of two processes that start at once the second one takes the first one's.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/tls/seal.h"

#define KEY   32u
#define NONCE 12u
#define TAG   16u
#define MARK  "1."

struct seal { uint8_t key[KEY]; };

static void on_destroy(void *arg)
{
	struct seal *s = arg;

	OPENSSL_cleanse(s->key, sizeof(s->key));
}

/* --- the key file */
static int make_key(const char *path)
{
	char *tmp = str_printf("%s.%ld", path, (long)getpid());
	uint8_t key[KEY];
	int fd = -1, err = -ENOMEM;

	if (!tmp)
		return err;
	err = getrandom(key, sizeof(key), 0) == sizeof(key) ? 0 : -EIO;
	if (!err)
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!err && (fd < 0 || write(fd, key, sizeof(key)) != sizeof(key) || fsync(fd)))
		err = errno ? -errno : -EIO;
	if (!err && link(tmp, path) && errno != EEXIST)
		err = -errno;
	if (fd >= 0) {
		close(fd);
		unlink(tmp);
	}
	OPENSSL_cleanse(key, sizeof(key));
	mem_deref(tmp);
	return err;
}

static int read_key(struct seal *s, const char *path, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;
	struct stat st;
	uint8_t more;

	*why = "cannot be read";
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_mode & 077)
		err = -EACCES, *why = "others may read it, its mode must be 0600";
	else if (read(fd, s->key, KEY) != KEY || read(fd, &more, 1) != 0)
		err = -EBADMSG, *why = "is not a key of 32 bytes";
	close(fd);
	return err;
}

int seal_alloc(struct seal **sp, const char *key_file, char *err, size_t errsz)
{
	struct seal *s = mem_zalloc(sizeof(*s), on_destroy);
	const char *why = "out of memory";
	int rc = s ? read_key(s, key_file, &why) : -ENOMEM;

	if (rc == -ENOENT) {
		why = "cannot be made";
		rc  = make_key(key_file);
		if (!rc)
			rc = read_key(s, key_file, &why);
	}
	if (rc) {
		snprintf(err, errsz, "key file %s %s (%s)", key_file, why, strerror(-rc));
		mem_deref(s);
		return rc;
	}
	*sp = s;
	return 0;
}

/* --- hexadecimal */
static char *to_text(const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *t = mem_zalloc(sizeof(MARK) + 2 * n, NULL), *q;

	if (!t)
		return NULL;
	q = stpcpy(t, MARK);
	for (size_t i = 0; i < n; i++) {
		*q++ = digits[p[i] >> 4];
		*q++ = digits[p[i] & 15];
	}
	return t;
}

static int value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int from_text(uint8_t *out, size_t size, size_t *np, struct str t)
{
	if (!str_starts(t, STR(MARK)))
		return -EBADMSG;
	t = (struct str){ t.p + sizeof(MARK) - 1, t.l - (sizeof(MARK) - 1) };
	if (t.l % 2 || t.l / 2 > size || t.l / 2 < NONCE + TAG)
		return -EBADMSG;
	for (size_t i = 0; i < t.l / 2; i++) {
		int hi = value(t.p[2 * i]), lo = value(t.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EBADMSG;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	*np = t.l / 2;
	return 0;
}

/* --- AES-256-GCM; in and out may be the same */
static int gcm(const struct seal *s, bool enc, const uint8_t *nonce, struct str context, const uint8_t *in, uint8_t *out,
		 size_t n, uint8_t tag[TAG])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t rest[TAG];
	int len, ok;

	if (!c)
		return -ENOMEM;
	ok = EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, s->key, nonce, enc) == 1 &&
	     EVP_CipherUpdate(c, NULL, &len, (const uint8_t *)context.p, (int)context.l) == 1 &&
	     EVP_CipherUpdate(c, out, &len, in, (int)n) == 1 &&
	     (enc || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1) &&
	     EVP_CipherFinal_ex(c, rest, &len) == 1 &&
	     (!enc || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1);
	EVP_CIPHER_CTX_free(c);
	return ok ? 0 : -EBADMSG;
}

int seal_close(const struct seal *s, char **sealed, struct str context, struct str plain)
{
	uint8_t b[NONCE + SEAL_MAX + TAG];
	char *t;
	int err;

	if (!plain.l || plain.l > SEAL_MAX || !context.l || context.l > INT32_MAX)
		return -EINVAL;
	if (getrandom(b, NONCE, 0) != NONCE)
		return -EIO;
	err = gcm(s, true, b, context, (const uint8_t *)plain.p, b + NONCE, plain.l, b + NONCE + plain.l);
	if (err)
		return err;
	t = to_text(b, NONCE + plain.l + TAG);
	if (!t)
		return -ENOMEM;
	*sealed = t;
	return 0;
}

int seal_open(const struct seal *s, char **plain, struct str context, struct str sealed)
{
	uint8_t b[NONCE + SEAL_MAX + TAG];
	size_t n = 0;
	char *t;
	int err = from_text(b, sizeof(b), &n, sealed);

	if (err || !context.l || context.l > INT32_MAX)
		return -EBADMSG;
	n -= NONCE + TAG;
	err = gcm(s, false, b, context, b + NONCE, b + NONCE, n, b + NONCE + n);
	t = err ? NULL : str_dup((struct str){ (const char *)b + NONCE, n });
	OPENSSL_cleanse(b, sizeof(b));
	if (err)
		return err;
	if (!t)
		return -ENOMEM;
	*plain = t;
	return 0;
}

bool seal_is(const struct seal *s, struct str context, struct str sealed, struct str plain)
{
	char *had = NULL;
	bool same;

	if (seal_open(s, &had, context, sealed))
		return false;
	same = strlen(had) == plain.l && CRYPTO_memcmp(had, plain.p, plain.l) == 0;
	seal_wipe(had);
	mem_deref(had);
	return same;
}

void seal_wipe(char *plain)
{
	if (plain)
		OPENSSL_cleanse(plain, strlen(plain));
}
