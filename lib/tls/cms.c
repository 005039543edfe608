/* SPDX-License-Identifier: Apache-2.0 */
/* cms.c - see cms.h */
#include <errno.h>
#include <fcntl.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/mem.h"
#include "lib/tls/cms.h"

struct cms {
	EVP_PKEY *key;
	X509     *cert;
	char     *base64;
	char      key_id[17];
};

static void on_destroy(void *arg)
{
	struct cms *c = arg;

	EVP_PKEY_free(c->key);
	X509_free(c->cert);
	mem_deref(c->base64);
}

/* --- base64 of whole texts, one line */
static char *to_base64(const unsigned char *p, size_t n)
{
	char *s = mem_zalloc(4 * ((n + 2) / 3) + 1, NULL);

	if (s)
		EVP_EncodeBlock((unsigned char *)s, p, (int)n);
	return s;
}

static int from_base64(unsigned char **out, size_t *outlen, struct str s)
{
	EVP_ENCODE_CTX *x = EVP_ENCODE_CTX_new();
	unsigned char *p = mem_zalloc(s.l + 4, NULL);
	int n = 0, m = 0, ok = x && p;

	if (ok) {
		EVP_DecodeInit(x);
		ok = EVP_DecodeUpdate(x, p, &n, (const unsigned char *)s.p, (int)s.l) >= 0 && EVP_DecodeFinal(x, p + n, &m) >= 0;
	}
	EVP_ENCODE_CTX_free(x);
	if (!ok || n + m <= 0) {
		mem_deref(p);
		return x && p ? -EBADMSG : -ENOMEM;
	}
	*out    = p;
	*outlen = (size_t)(n + m);
	return 0;
}

/* --- our key pair */
static X509 *self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name;

	if (!x)
		return NULL;
	name = X509_get_subject_name(x);
	if (!X509_set_version(x, 2) || !ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), (uint64_t)time(NULL)) ||
	    !X509_gmtime_adj(X509_getm_notBefore(x), -300) || !X509_gmtime_adj(X509_getm_notAfter(x), 2 * CMS_ROTATE_S) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Conclave pass codes", -1, -1, 0) ||
	    !X509_set_issuer_name(x, name) || !X509_set_pubkey(x, key) || !X509_sign(x, key, EVP_sha256())) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int make(struct cms *c, const char *file)
{
	char tmp[4096];
	FILE *f;
	int fd, ok;

	c->key  = EVP_RSA_gen(2048);
	c->cert = c->key ? self_signed(c->key) : NULL;
	if (!c->cert)
		return -ENOMEM;
	snprintf(tmp, sizeof(tmp), "%s.new", file);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	f  = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return -errno;
	ok = PEM_write_X509(f, c->cert) && PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL);
	ok = fclose(f) == 0 && ok;
	return ok && rename(tmp, file) == 0 ? 0 : -EIO;
}

static int load(struct cms *c, const char *file)
{
	FILE *f = fopen(file, "r");

	if (!f)
		return -errno;
	c->cert = PEM_read_X509(f, NULL, NULL, NULL);
	c->key  = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	return c->cert && c->key && X509_check_private_key(c->cert, c->key) == 1 ? 0 : -EBADMSG;
}

static int describe(struct cms *c)
{
	unsigned char *der = NULL, md[SHA256_DIGEST_LENGTH];
	int n = i2d_X509(c->cert, &der);

	if (n <= 0)
		return -ENOMEM;
	c->base64 = to_base64(der, (size_t)n);
	SHA256(der, (size_t)n, md);
	OPENSSL_free(der);
	for (int i = 0; i < 8; i++)
		snprintf(c->key_id + 2 * i, 3, "%02x", md[i]);
	return c->base64 ? 0 : -ENOMEM;
}

int cms_alloc(struct cms **cp, const char *file, char *err, size_t errsz)
{
	struct cms *c = mem_zalloc(sizeof(*c), on_destroy);
	struct stat st;
	int rc = -ENOMEM;

	if (!c)
		return rc;
	if (stat(file, &st) || st.st_mtime + CMS_ROTATE_S < time(NULL))
		rc = make(c, file);
	else
		rc = load(c, file);
	if (!rc)
		rc = describe(c);
	ERR_clear_error();
	if (rc) {
		snprintf(err, errsz, "%s: %s", file, rc == -EBADMSG ? "holds no certificate with its key" : strerror(-rc));
		mem_deref(c);
		return rc;
	}
	*cp = c;
	return 0;
}

const char *cms_cert(const struct cms *c)
{
	return c->base64;
}

const char *cms_key_id(const struct cms *c)
{
	return c->key_id;
}

/* --- opening */
static char *decrypt(const struct cms *c, const unsigned char *p, size_t n)
{
	CMS_ContentInfo *ci = d2i_CMS_ContentInfo(NULL, &p, (long)n);
	BIO *out = BIO_new(BIO_s_mem());
	char *data, *s = NULL;
	long len;

	if (ci && out && CMS_decrypt(ci, c->key, c->cert, NULL, out, CMS_DEBUG_DECRYPT) == 1) {
		len = BIO_get_mem_data(out, &data);
		if (len > 0 && len <= 64 && !memchr(data, 0, (size_t)len))
			s = str_dup((struct str){ data, (size_t)len });
	}
	BIO_free(out);
	CMS_ContentInfo_free(ci);
	ERR_clear_error();
	return s;
}

int cms_open(const struct cms *c, char **plain, struct str text, const char *key_id)
{
	unsigned char *der;
	size_t n;
	int err;

	text = str_trim(text);
	if (!text.l || text.l > CMS_MAX_TEXT)
		return -EBADMSG;
	err = from_base64(&der, &n, text);
	if (err)
		return err;
	*plain = decrypt(c, der, n);
	mem_deref(der);
	if (*plain)
		return 0;
	return key_id && *key_id && !cstr_ieq(key_id, c->key_id) ? -ESTALE : -EBADMSG;
}

/* --- for somebody else */
int cms_encrypt_for(char **out, struct str cert, struct str plain)
{
	unsigned char *der = NULL, *box = NULL;
	const unsigned char *p;
	EVP_PKEY_CTX *x = NULL;
	X509 *peer = NULL;
	size_t n, len = 0;
	int err = -EBADMSG;

	cert = str_trim(cert);
	if (cert.l > CMS_MAX_TEXT || from_base64(&der, &n, cert))
		return err;
	p = der;
	peer = d2i_X509(NULL, &p, (long)n);
	if (peer && EVP_PKEY_get_base_id(X509_get0_pubkey(peer)) == EVP_PKEY_RSA)
		x = EVP_PKEY_CTX_new(X509_get0_pubkey(peer), NULL);
	if (x && EVP_PKEY_encrypt_init(x) == 1 && EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_encrypt(x, NULL, &len, (const unsigned char *)plain.p, plain.l) == 1 && (box = mem_zalloc(len, NULL)) &&
	    EVP_PKEY_encrypt(x, box, &len, (const unsigned char *)plain.p, plain.l) == 1) {
		*out = to_base64(box, len);
		err  = *out ? 0 : -ENOMEM;
	}
	mem_deref(box);
	mem_deref(der);
	EVP_PKEY_CTX_free(x);
	X509_free(peer);
	ERR_clear_error();
	return err;
}
