/* SPDX-License-Identifier: Apache-2.0 */
/* ctx.c - TLS contexts: certificates, trust, names, and what a failed handshake is called
 *
 * OpenSSL checks the names itself while it verifies the chain (X509_VERIFY_PARAM hosts), for servers and for clients, so that a
 * wrong name ends the handshake with an alert. Only subjectAltName counts, without wildcards. Reloading makes a new
 * SSL_CTX; streams keep the one they began with.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "lib/base/mem.h"
#include "lib/base/metric.h"
#include "lib/tls/tls_priv.h"

#define HS_METRIC(result) METRIC_LABEL("conclave_tls_handshakes_total", "result=\"" result "\"", "TLS handshakes by result")
static struct metric handshakes[HS_NRESULTS] = {
	[HS_OK]        = HS_METRIC("ok"),
	[HS_NAME]      = HS_METRIC("wrong_name"),
	[HS_UNTRUSTED] = HS_METRIC("untrusted"),
	[HS_EXPIRED]   = HS_METRIC("expired"),
	[HS_NO_CERT]   = HS_METRIC("no_certificate"),
	[HS_REFUSED]   = HS_METRIC("refused_by_peer"),
	[HS_PROTOCOL]  = HS_METRIC("protocol"),
	[HS_TIMEOUT]   = HS_METRIC("timeout"),
	[HS_CLOSED]    = HS_METRIC("closed"),
	[HS_LIMIT]     = HS_METRIC("limit"),
};
static const char *const texts[HS_NRESULTS] = {
	[HS_OK]        = "ok",
	[HS_NAME]      = "certificate has none of the names expected here",
	[HS_UNTRUSTED] = "certificate is not of a CA trusted here",
	[HS_EXPIRED]   = "certificate is expired or not valid yet",
	[HS_NO_CERT]   = "no certificate",
	[HS_REFUSED]   = "the peer refused us (see its log)",
	[HS_PROTOCOL]  = "not TLS, or no common version or cipher",
	[HS_TIMEOUT]   = "timed out",
	[HS_CLOSED]    = "connection ended",
	[HS_LIMIT]     = "too many streams",
};

struct tls_ctx {
	SSL_CTX *ssl;
	char    *cert_file, *key_file, *ca_file, *peer_names;
	bool     mutual;
};

/* --- results */
void hs_count(enum hs_result r)
{
	metric_inc(&handshakes[r]);
}

const char *hs_name(enum hs_result r)
{
	return texts[r];
}

static bool is_alert(unsigned long e)
{
	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET;
}

enum hs_result hs_result(SSL *ssl)
{
	unsigned long e = ERR_peek_error();

	if (is_alert(e))
		return HS_REFUSED;
	if (ERR_GET_REASON(e) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return HS_NO_CERT;
	switch (SSL_get_verify_result(ssl)) {
	case X509_V_OK:
		return HS_PROTOCOL;
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return HS_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return HS_EXPIRED;
	default:
		return HS_UNTRUSTED;
	}
}

int tls_errno(void)
{
	return is_alert(ERR_peek_error()) ? -EACCES : -EPROTO;
}

/* --- contexts */
static int complain(char *err, size_t errsz, const char *what, const char *file)
{
	unsigned long e = ERR_peek_error();

	if (err)
		snprintf(err, errsz, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
			 e ? ERR_reason_error_string(e) : "invalid");
	return -EINVAL;
}

/* A key with a pass phrase is an error, not a question on the terminal. */
static int on_passphrase(char *buf, int size, int rw, void *arg)
{
	(void)buf, (void)size, (void)rw, (void)arg;
	return -1;
}

static int set_names(SSL_CTX *ssl, const char *names)
{
	X509_VERIFY_PARAM *vp = SSL_CTX_get0_param(ssl);
	struct str rest = str_c(names), name;

	X509_VERIFY_PARAM_set_hostflags(vp, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	do {
		name = str_trim(str_cut(&rest, ','));
		if (str_empty(name) || !X509_VERIFY_PARAM_add1_host(vp, name.p, name.l))
			return -EINVAL;
	} while (rest.p);
	return 0;
}

static int load(SSL_CTX *ssl, const struct tls_ctx *c, char *err, size_t errsz)
{
	if (c->cert_file && SSL_CTX_use_certificate_chain_file(ssl, c->cert_file) != 1)
		return complain(err, errsz, "certificate", c->cert_file);
	if (c->key_file && SSL_CTX_use_PrivateKey_file(ssl, c->key_file, SSL_FILETYPE_PEM) != 1)
		return complain(err, errsz, "key", c->key_file);
	if (c->cert_file && SSL_CTX_check_private_key(ssl) != 1)
		return complain(err, errsz, "key does not belong to the certificate:", c->key_file);
	if (c->ca_file && SSL_CTX_load_verify_locations(ssl, c->ca_file, NULL) != 1)
		return complain(err, errsz, "CA file", c->ca_file);
	if (c->mutual && !c->ca_file)
		return complain(err, errsz, "mutual TLS needs a CA file", NULL);
	if (c->peer_names && set_names(ssl, c->peer_names))
		return complain(err, errsz, "list of peer names", c->peer_names);
	return 0;
}

static int setup(SSL_CTX *ssl)
{
	SSL_CTX_set_default_passwd_cb(ssl, on_passphrase);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 0);
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1"))
		return -EINVAL;
	return 0;
}

int tls_ctx_reload(struct tls_ctx *c, char *err, size_t errsz)
{
	SSL_CTX *ssl;
	int e;

	ERR_clear_error();
	ssl = SSL_CTX_new(TLS_method());
	if (!ssl)
		return -ENOMEM;
	e = setup(ssl);
	if (e)
		complain(err, errsz, "TLS library", NULL);
	else
		e = load(ssl, c, err, errsz);
	ERR_clear_error();
	if (e) {
		SSL_CTX_free(ssl);
		return e;
	}
	SSL_CTX_free(c->ssl);
	c->ssl = ssl;
	return 0;
}

static void destructor(void *arg)
{
	struct tls_ctx *c = arg;

	SSL_CTX_free(c->ssl);
	mem_deref(c->cert_file);
	mem_deref(c->key_file);
	mem_deref(c->ca_file);
	mem_deref(c->peer_names);
}

static int copy(char **d, const char *s)
{
	if (!s)
		return 0;
	*d = str_dup(str_c(s));
	return *d ? 0 : -ENOMEM;
}

int tls_ctx_alloc(struct tls_ctx **cp, const struct tls_prm *prm, char *err, size_t errsz)
{
	struct tls_ctx *c = mem_zalloc(sizeof(*c), destructor);
	int e = -ENOMEM;

	if (err && errsz)
		*err = '\0';
	if (!c)
		return e;
	metric_register(handshakes, HS_NRESULTS);
	c->mutual = prm->mutual;
	if (copy(&c->cert_file, prm->cert_file) || copy(&c->key_file, prm->key_file) || copy(&c->ca_file, prm->ca_file) ||
	    copy(&c->peer_names, prm->peer_names))
		goto out;
	e = tls_ctx_reload(c, err, errsz);
	if (!e)
		*cp = c;
out:
	if (e)
		mem_deref(c);
	return e;
}

/* --- one connection */
static int verify_mode(const struct tls_ctx *c, bool server)
{
	if (!server)
		return SSL_VERIFY_PEER;
	return c->mutual ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE;
}

SSL *tls_ssl(struct tls_ctx *c, bool server)
{
	SSL *ssl = SSL_new(c->ssl);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!ssl || !in || !out) {
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_mem_eof_return(in, -1);            /* empty means: come back later */
	SSL_set_bio(ssl, in, out);
	SSL_set_verify(ssl, verify_mode(c, server), NULL);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static char *first_dns(GENERAL_NAMES *names)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		struct str s;

		if (n->type != GEN_DNS)
			continue;
		s.p = (const char *)ASN1_STRING_get0_data(n->d.dNSName);
		s.l = (size_t)ASN1_STRING_length(n->d.dNSName);
		if (s.l && !memchr(s.p, '\0', s.l))
			return str_dup(s);
	}
	return NULL;
}

char *tls_peer_name(SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
	char *name = names ? first_dns(names) : NULL;

	GENERAL_NAMES_free(names);
	return name;
}
