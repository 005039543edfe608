/* SPDX-License-Identifier: Apache-2.0 */
/* certs.h - for tests: a private CA and certificates made at run time in a temporary directory */
#ifndef TEST_UNIT_CERTS_H
#define TEST_UNIT_CERTS_H
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct certs { char dir[64]; };
struct issuer { EVP_PKEY *key; X509 *cert; };

#define CERTS_MUST(x) do { if (!(x)) { fprintf(stderr, "certs: %s\n", #x); abort(); } } while (0)

static inline const char *certs_path(const struct certs *c, const char *file)
{
	static char path[16][128];
	static unsigned n;
	char *p = path[n++ % 16];

	snprintf(p, sizeof(path[0]), "%s/%s", c->dir, file);
	return p;
}

static inline void certs_ext(X509 *x, X509 *ca, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, ca, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CERTS_MUST(e && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

/* sans: "DNS:a,DNS:b"; NULL: a CA. from and to: seconds from now. */
static inline X509 *certs_sign(EVP_PKEY *key, const struct issuer *ca, const char *cn, const char *sans, long from, long to)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, ca ? X509_get_subject_name(ca->cert) : name);
	if (sans)
		certs_ext(x, ca->cert, NID_subject_alt_name, sans);
	else
		certs_ext(x, x, NID_basic_constraints, "critical,CA:TRUE");
	CERTS_MUST(X509_sign(x, ca ? ca->key : key, EVP_sha256()));
	return x;
}

static inline void certs_write(const struct certs *c, const char *name, EVP_PKEY *key, X509 *x)
{
	char file[64];
	FILE *f;

	snprintf(file, sizeof(file), "%s.pem", name);
	f = fopen(certs_path(c, file), "w");
	CERTS_MUST(f && PEM_write_X509(f, x));
	fclose(f);
	snprintf(file, sizeof(file), "%s.key", name);
	f = fopen(certs_path(c, file), "w");
	CERTS_MUST(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
}

static inline struct issuer certs_ca(const struct certs *c, const char *name)
{
	struct issuer ca = { EVP_EC_gen("P-256"), NULL };

	ca.cert = certs_sign(ca.key, NULL, name, NULL, -3600, 86400);
	certs_write(c, name, ca.key, ca.cert);
	return ca;
}

static inline void certs_leaf(const struct certs *c, const struct issuer *ca, const char *name, const char *sans, long from,
			      long to)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certs_sign(key, ca, name, sans, from, to);

	certs_write(c, name, key, x);
	X509_free(x);
	EVP_PKEY_free(key);
}

static inline void issuer_free(struct issuer *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

/* focus, mcu: good; wrong: another name; foreign: the focus name from another CA; expired: the focus name, last year */
static inline void certs_init(struct certs *c)
{
	struct issuer ca, other;

	snprintf(c->dir, sizeof(c->dir), "/tmp/conclave-certs-XXXXXX");
	CERTS_MUST(mkdtemp(c->dir));
	ca    = certs_ca(c, "ca");
	other = certs_ca(c, "other");
	certs_leaf(c, &ca, "focus", "DNS:focus.test,DNS:focus-1.focus.test", -3600, 86400);
	certs_leaf(c, &ca, "mcu", "DNS:mcu.test,DNS:mcu-1.mcu.test", -3600, 86400);
	certs_leaf(c, &ca, "wrong", "DNS:wrong.test,DNS:*.focus.test", -3600, 86400);
	certs_leaf(c, &ca, "expired", "DNS:focus.test", -7200, -3600);
	certs_leaf(c, &other, "foreign", "DNS:focus.test", -3600, 86400);
	issuer_free(&ca);
	issuer_free(&other);
}

static inline void certs_fini(struct certs *c)
{
	static const char *const names[] = { "ca", "other", "focus", "mcu", "wrong", "expired", "foreign" };
	char file[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(file, sizeof(file), "%s.pem", names[i]);
		unlink(certs_path(c, file));
		snprintf(file, sizeof(file), "%s.key", names[i]);
		unlink(certs_path(c, file));
	}
	rmdir(c->dir);
}

#endif
