/* SPDX-License-Identifier: Apache-2.0 */
/* rtp_srtp.c - SRTP and SRTCP against the RFCs' vectors and against libsrtp2 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/rtp/srtp_priv.h"
#include <openssl/hmac.h>
#include "lib/base/mem.h"
#define srtp_protect   oracle_unused_protect       /* libsrtp2 has functions of our names; its _mki ones are used */
#define srtp_unprotect oracle_unused_unprotect
#include <srtp2/srtp.h>
#undef srtp_protect
#undef srtp_unprotect

#define ROOM 1600u

struct pair { struct srtp_ctx *tx, *rx; };

static uint8_t master[SRTP_MAX_KEY] = {
	0xe1, 0xf9, 0x7a, 0x0d, 0x3e, 0x01, 0x8b, 0xe0, 0xd6, 0x4f, 0xa3, 0x2c, 0x06, 0xde, 0x41, 0x39,
	0x0e, 0xc6, 0x75, 0xad, 0x49, 0x8a, 0xfe, 0xeb, 0xb6, 0x96, 0x0b, 0x3a, 0xab, 0xe6, 7, 6,
	5, 4, 3, 2, 1, 0x99, 0x77, 0x55, 9, 8, 6, 4, 3, 1,
};

static size_t key_len(enum srtp_suite_id id)
{
	return srtp_suites[id].key_len + srtp_suites[id].salt_len;
}

static struct srtp_ctx *ctx(enum srtp_suite_id id)
{
	struct srtp_ctx *c = NULL;

	assert_int_equal(srtp_ctx_alloc(&c, id, master, key_len(id)), 0);
	return c;
}

static struct pair pair(enum srtp_suite_id id)
{
	return (struct pair){ ctx(id), ctx(id) };
}

static void done(struct pair p)
{
	mem_deref(p.tx);
	mem_deref(p.rx);
}

static size_t rtp(uint8_t *p, uint32_t ssrc, uint16_t seq, size_t payload)
{
	const uint8_t hdr[12] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 9, 9, (uint8_t)(ssrc >> 24),
				  (uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc };

	memcpy(p, hdr, sizeof(hdr));
	for (size_t i = 0; i < payload; i++)
		p[12 + i] = (uint8_t)(i * 7 + seq);
	return 12 + payload;
}

static int send_one(struct pair c, uint32_t ssrc, uint16_t seq)
{
	uint8_t p[ROOM];
	size_t n = rtp(p, ssrc, seq, 50);
	int err = srtp_protect(c.tx, p, &n, sizeof(p));

	return err ? err : srtp_unprotect(c.rx, p, &n);
}

/* --- vectors */
static size_t hex(uint8_t *out, const char *s)
{
	size_t n = 0;

	for (; *s; s++) {
		if (*s == ' ')
			continue;
		out[n++] = (uint8_t)strtoul((char[]){ s[0], s[1], 0 }, NULL, 16);
		s++;
	}
	return n;
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const uint8_t *key)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	assert_non_null(c);
	assert_int_equal(EVP_EncryptInit_ex(c, cipher, NULL, key, NULL), 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	return c;
}

static void counter_mode_gives_the_key_stream_of_rfc3711_b2(void **st)
{
	uint8_t key[16], iv[16], want[48], got[48] = { 0 }, far[16] = { 0 };
	struct srtp_keys k = { 0 };
	uint8_t *big = calloc(1, 0xff02 * 16);

	(void)st;
	hex(key, "2B7E151628AED2A6ABF7158809CF4F3C");
	hex(iv, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
	hex(want, "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0");
	k.aes = keyed(EVP_aes_128_ecb(), key);
	assert_int_equal(srtp_keys_ctr(&k, iv, got, sizeof(got)), 0);
	assert_memory_equal(got, want, sizeof(want));
	hex(far, "EC8CDF7398607CB0F2D21675EA9EA1E4");          /* block FEFF */
	assert_int_equal(srtp_keys_ctr(&k, iv, big, 0xff02 * 16), 0);
	assert_memory_equal(big + 0xfeff * 16, far, 16);
	free(big);
	srtp_keys_fini(&k);
}

static void session_keys_are_those_of_rfc3711_b3(void **st)
{
	static const uint8_t probe[16] = "sixteen bytes..";
	uint8_t key[16], salt[14], auth[20], a[16], b[16], mac[20], want[20];
	struct srtp_keys k = { 0 };
	EVP_CIPHER_CTX *ref;
	int l;

	(void)st;
	hex(key, "C61E7A93744F39EE10734AFE3FF7A087");
	hex(salt, "30CBBC08863D8C85D49DB34A9AE1");
	hex(auth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
	assert_int_equal(srtp_keys_init(&k, &srtp_suites[0], false, master, SRTP_LABEL_RTP), 0);
	assert_memory_equal(k.salt, salt, sizeof(salt));
	ref = keyed(EVP_aes_128_ecb(), key);
	assert_int_equal(EVP_EncryptUpdate(ref, a, &l, probe, 16), 1);
	assert_int_equal(EVP_EncryptUpdate(k.aes, b, &l, probe, 16), 1);
	assert_memory_equal(a, b, 16);
	srtp_keys_mac(&k, probe, 12, probe + 12, 4, mac);
	assert_non_null(HMAC(EVP_sha1(), auth, sizeof(auth), probe, sizeof(probe), want, NULL));
	assert_memory_equal(mac, want, sizeof(want));
	EVP_CIPHER_CTX_free(ref);
	srtp_keys_fini(&k);
}

static void seal_and_compare(size_t bits, const char *iv_hex, const char *aad_hex, const char *in, const char *out)
{
	uint8_t key[32], iv[12], aad[64], p[128], want[128], tag[16], saved[128];
	size_t naad = hex(aad, aad_hex), n = hex(p, in), nwant = hex(want, out);
	struct srtp_keys k = { 0 };

	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	hex(iv, iv_hex);
	k.aes = keyed(bits == 256 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), key);
	assert_int_equal(srtp_keys_seal(&k, iv, aad, naad, p, n, tag), 0);
	assert_int_equal(nwant, n + 16);
	assert_memory_equal(p, want, n);
	assert_memory_equal(tag, want + n, 16);
	memcpy(saved, p, n);
	tag[3] ^= 1;
	assert_int_equal(srtp_keys_open(&k, iv, aad, naad, p, n, tag), -EACCES);
	assert_memory_equal(p, saved, n);
	tag[3] ^= 1;
	assert_int_equal(srtp_keys_open(&k, iv, aad, naad, p, n, tag), 0);
	hex(want, in);
	assert_memory_equal(p, want, n);
	srtp_keys_fini(&k);
}

static void gcm_seals_as_in_rfc7714(void **st)
{
	static const char hdr[] = "8040f17b 8041f8d3 5501a0b2", iv[] = "51753c6580c2726f20718414";
	static const char text[] = "47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 "
				  "696e2070 61727465 73207472 6573";

	(void)st;
	seal_and_compare(128, iv, hdr, text, "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b "
			 "36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce");
	seal_and_compare(256, iv, hdr, text, "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f "
			 "1ba63799 b87b 7aa3db36 dfffd6b0 f9bb7878 d7a76c13");
	seal_and_compare(128, "517524055203726f207170bb", "81c8000d 4d617273 800005d4",
			 "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 "
			 "deadbeef deadbeef deadbeef deadbeef deadbeef",
			 "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded "
			 "0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade");
}

/* --- the oracle */
static void oracle_policy(enum srtp_suite_id id, srtp_policy_t *pol)
{
	typedef void set_cb(srtp_crypto_policy_t *p);
	static set_cb *const set[SRTP_NSUITES] = {
		[SRTP_AES_CM_128_HMAC_SHA1_80] = srtp_crypto_policy_set_rtp_default,
		[SRTP_AES_CM_128_HMAC_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
		[SRTP_AES_256_CM_HMAC_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
		[SRTP_AEAD_AES_128_GCM]        = srtp_crypto_policy_set_aes_gcm_128_16_auth,
		[SRTP_AEAD_AES_256_GCM]        = srtp_crypto_policy_set_aes_gcm_256_16_auth,
	};

	memset(pol, 0, sizeof(*pol));
	set[id](&pol->rtp);
	if (id == SRTP_AES_CM_128_HMAC_SHA1_32)
		srtp_crypto_policy_set_rtcp_default(&pol->rtcp);
	else
		set[id](&pol->rtcp);
}

static srtp_t oracle(enum srtp_suite_id id, bool inbound)
{
	srtp_policy_t pol;
	srtp_t s;

	oracle_policy(id, &pol);
	pol.ssrc.type   = inbound ? ssrc_any_inbound : ssrc_any_outbound;
	pol.key         = master;
	pol.window_size = 128;
	assert_int_equal(srtp_create(&s, &pol), srtp_err_status_ok);
	return s;
}

static uint32_t rnd_state = 1;
static uint32_t rnd(uint32_t below)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return (rnd_state >> 8) % below;
}

/* A random legal packet: CSRC lists and extensions now and then */
static size_t random_rtp(uint8_t *p, uint32_t ssrc, uint16_t seq)
{
	size_t n = rtp(p, ssrc, seq, rnd(4) ? rnd(300) : rnd(1200)), at = 12;

	if (n < 100)
		return n;
	if (!rnd(3)) {
		p[0] |= (uint8_t)rnd(4);
		at += 4u * (p[0] & 15);
	}
	if (!rnd(3)) {
		p[0] |= 0x10;
		p[at + 2] = 0;
		p[at + 3] = (uint8_t)rnd(5);
	}
	return n;
}

static void to_oracle(enum srtp_suite_id id, unsigned count)
{
	uint16_t seq[3] = { 65000, 10, 32000 };
	struct srtp_ctx *tx = ctx(id);
	srtp_t rx = oracle(id, true);

	for (unsigned i = 0; i < count; i++) {
		uint8_t p[ROOM], was[ROOM];
		unsigned k = rnd(3);
		size_t n = random_rtp(p, 0x11110000 + k, seq[k]), n0 = n;
		int len;

		seq[k] = (uint16_t)(seq[k] + 1 + (rnd(50) ? 0 : rnd(60)));
		memcpy(was, p, n);
		assert_int_equal(srtp_protect(tx, p, &n, sizeof(p)), 0);
		len = (int)n;
		assert_int_equal(srtp_unprotect_mki(rx, p, &len, 0), srtp_err_status_ok);
		assert_int_equal(len, n0);
		assert_memory_equal(p, was, n0);
	}
	srtp_dealloc(rx);
	mem_deref(tx);
}

/* Packets arrive in pairs whose order may be turned around. */
static void from_oracle(enum srtp_suite_id id, unsigned count)
{
	struct srtp_ctx *rx = ctx(id);
	srtp_t tx = oracle(id, false);
	uint16_t seq = 60000;

	for (unsigned i = 0; i < count; i += 2) {
		uint8_t p[2][ROOM], was[2][ROOM];
		size_t n0[2], n;
		unsigned turn = rnd(2);

		for (unsigned j = 0; j < 2; j++) {
			int len;

			n0[j] = random_rtp(p[j], 0xabcdef, seq++);
			memcpy(was[j], p[j], n0[j]);
			len = (int)n0[j];
			assert_int_equal(srtp_protect_mki(tx, p[j], &len, 0, 0), srtp_err_status_ok);
			n = (size_t)len;
			assert_true(n > n0[j] && n - n0[j] <= SRTP_MAX_TRAILER);
		}
		for (unsigned j = 0; j < 2; j++) {
			unsigned k = j ^ turn;

			n = n0[k] + (id == SRTP_AES_CM_128_HMAC_SHA1_32 ? 4 : id >= SRTP_AEAD_AES_128_GCM ? 16 : 10);
			assert_int_equal(srtp_unprotect(rx, p[k], &n), 0);
			assert_int_equal(n, n0[k]);
			assert_memory_equal(p[k], was[k], n);
		}
	}
	srtp_dealloc(tx);
	mem_deref(rx);
}

static void libsrtp2_reads_what_we_send_over_a_roll_over(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++)
		to_oracle(id, 20000);
}

static void we_read_what_libsrtp2_sends_over_a_roll_over(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++)
		from_oracle(id, 20000);
}

static size_t rtcp(uint8_t *p, uint32_t ssrc, size_t words)
{
	const uint8_t hdr[8] = { 0x80, 201, 0, (uint8_t)words, (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16),
				 (uint8_t)(ssrc >> 8), (uint8_t)ssrc };

	memcpy(p, hdr, sizeof(hdr));
	for (size_t i = 8; i < 4 + 4 * words; i++)
		p[i] = (uint8_t)rnd(256);
	return 4 + 4 * words;
}

static void srtcp_agrees_with_libsrtp2_both_ways(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		srtp_t rx = oracle(id, true), tx = oracle(id, false);

		for (unsigned i = 0; i < 2000; i++) {
			uint8_t p[ROOM], was[ROOM];
			size_t n = rtcp(p, 5 + rnd(3), 1 + rnd(100)), n0 = n;
			int len;

			memcpy(was, p, n);
			assert_int_equal(srtcp_protect(c.tx, p, &n, sizeof(p)), 0);
			len = (int)n;
			assert_int_equal(srtp_unprotect_rtcp_mki(rx, p, &len, 0), srtp_err_status_ok);
			assert_int_equal(len, n0);
			assert_memory_equal(p, was, n0);
			assert_int_equal(srtp_protect_rtcp_mki(tx, p, &len, 0, 0), srtp_err_status_ok);
			n = (size_t)len;
			assert_int_equal(srtcp_unprotect(c.rx, p, &n), 0);
			assert_int_equal(n, n0);
			assert_memory_equal(p, was, n0);
		}
		srtp_dealloc(rx);
		srtp_dealloc(tx);
		done(c);
	}
}

/* --- behaviour */
static void suites_are_found_by_their_sdes_name(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		assert_int_equal(srtp_suites[id].id, id);
		assert_true(key_len(id) <= SRTP_MAX_KEY);
		assert_ptr_equal(srtp_suite_find(srtp_suites[id].name, strlen(srtp_suites[id].name)), &srtp_suites[id]);
	}
	assert_null(srtp_suite_find("AES_CM_128_HMAC_SHA1_8", 22));
	assert_null(srtp_suite_find("AES_CM_128_HMAC_SHA1_800", 24));
	assert_null(srtp_suite_find("", 0));
}

static void a_key_of_wrong_length_is_refused(void **st)
{
	struct srtp_ctx *c = NULL;

	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		assert_int_equal(srtp_ctx_alloc(&c, id, master, key_len(id) - 1), -EINVAL);
		assert_int_equal(srtp_ctx_alloc(&c, id, master, key_len(id) + 1), -EINVAL);
	}
	assert_int_equal(srtp_ctx_alloc(&c, SRTP_NSUITES, master, 30), -EINVAL);
	mem_fail_after(1);
	assert_int_equal(srtp_ctx_alloc(&c, SRTP_AES_CM_128_HMAC_SHA1_80, master, 30), -ENOMEM);
	mem_fail_after(0);
	assert_null(c);
}

static void a_packet_that_does_not_fit_its_buffer_is_left_alone(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		uint8_t p[ROOM], was[ROOM];
		size_t n = rtp(p, 1, 1, 20), grown = n;

		memcpy(was, p, n);
		assert_int_equal(srtp_protect(c.tx, p, &n, n), -EMSGSIZE);
		assert_int_equal(srtp_protect(c.tx, p, &n, n - 1), -EMSGSIZE);
		assert_int_equal(srtcp_protect(c.tx, p, &n, n + 13), -EMSGSIZE);
		assert_memory_equal(p, was, n);
		assert_int_equal(srtp_protect(c.tx, p, &grown, n + SRTP_MAX_TRAILER), 0);
		done(c);
	}
}

static void replayed_packets_are_refused(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		uint8_t p[ROOM], again[ROOM];
		size_t n = rtp(p, 1, 7, 50), len;

		assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), 0);
		memcpy(again, p, n);
		len = n;
		assert_int_equal(srtp_unprotect(c.rx, p, &len), 0);
		memcpy(p, again, n);
		len = n;
		assert_int_equal(srtp_unprotect(c.rx, p, &len), -EALREADY);
		assert_memory_equal(p, again, n);
		n = rtcp(p, 1, 10);
		assert_int_equal(srtcp_protect(c.tx, p, &n, sizeof(p)), 0);
		memcpy(again, p, n);
		len = n;
		assert_int_equal(srtcp_unprotect(c.rx, p, &len), 0);
		memcpy(p, again, n);
		len = n;
		assert_int_equal(srtcp_unprotect(c.rx, p, &len), -EALREADY);
		done(c);
	}
}

static void the_window_is_128_packets_deep(void **st)
{
	struct pair c = pair(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint8_t p[300][64];
	size_t n[300];

	(void)st;
	for (unsigned i = 0; i < 300; i++) {
		n[i] = rtp(p[i], 1, (uint16_t)(1000 + i), 20);
		assert_int_equal(srtp_protect(c.tx, p[i], &n[i], sizeof(p[i])), 0);
	}
	assert_int_equal(srtp_unprotect(c.rx, p[200], &n[200]), 0);
	assert_int_equal(srtp_unprotect(c.rx, p[72], &n[72]), -EALREADY);      /* 128 behind */
	for (unsigned i = 73; i < 200; i++)
		assert_int_equal(srtp_unprotect(c.rx, p[i], &n[i]), 0);
	assert_int_equal(srtp_unprotect(c.rx, p[264], &n[264]), 0);            /* 64 on: moves a whole word */
	assert_int_equal(srtp_unprotect(c.rx, p[201], &n[201]), 0);
	assert_int_equal(srtp_unprotect(c.rx, p[299], &n[299]), 0);
	assert_int_equal(srtp_unprotect(c.rx, p[202], &n[202]), 0);
	assert_int_equal(srtp_unprotect(c.rx, p[298], &n[298]), 0);
	done(c);
}

static void packets_may_swap_places_around_the_roll_over(void **st)
{
	static const uint16_t sent[] = { 65533, 65534, 65535, 0, 1, 2, 3 };
	static const unsigned order[] = { 0, 3, 2, 4, 1, 6, 5 };
	struct pair c = pair(SRTP_AEAD_AES_128_GCM);
	uint8_t p[7][128], again[128];
	size_t n[7], len;

	(void)st;
	for (unsigned i = 0; i < 7; i++) {
		n[i] = rtp(p[i], 1, sent[i], 20);
		assert_int_equal(srtp_protect(c.tx, p[i], &n[i], sizeof(p[i])), 0);
	}
	memcpy(again, p[2], len = n[2]);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(srtp_unprotect(c.rx, p[order[i]], &n[order[i]]), 0);
	assert_int_equal(srtp_unprotect(c.rx, again, &len), -EALREADY);
	done(c);
}

static void seventy_thousand_packets_pass(void **st)
{
	struct pair c = pair(SRTP_AES_CM_128_HMAC_SHA1_80);

	(void)st;
	for (unsigned i = 0; i < 140000; i++)
		assert_int_equal(send_one(c, 1, (uint16_t)i), 0);
	done(c);
}

static void a_start_in_the_upper_half_does_not_go_below_roll_over_zero(void **st)
{
	struct pair c = pair(SRTP_AES_CM_128_HMAC_SHA1_80);

	(void)st;
	assert_int_equal(send_one(c, 1, 5), 0);
	assert_int_equal(send_one(c, 1, 40000), 0);              /* a jump ahead, not back */
	assert_int_equal(send_one(c, 1, 65535), 0);
	assert_int_equal(send_one(c, 1, 3), 0);
	done(c);
}

static void a_wrong_key_changes_nothing(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		struct srtp_ctx *other = NULL;
		uint8_t p[ROOM], was[ROOM];
		size_t n = rtp(p, 1, 7, 160), len, nc;

		master[3] ^= 1;
		assert_int_equal(srtp_ctx_alloc(&other, id, master, key_len(id)), 0);
		master[3] ^= 1;
		assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), 0);
		memcpy(was, p, n);
		len = n;
		assert_int_equal(srtp_unprotect(other, p, &len), -EACCES);
		assert_int_equal(len, n);
		assert_memory_equal(p, was, n);
		assert_int_equal(srtp_unprotect(c.rx, p, &n), 0);
		nc = rtcp(p, 1, 20);
		assert_int_equal(srtcp_protect(c.tx, p, &nc, sizeof(p)), 0);
		memcpy(was, p, nc);
		len = nc;
		assert_int_equal(srtcp_unprotect(other, p, &len), -EACCES);
		assert_memory_equal(p, was, nc);
		assert_int_equal(srtcp_unprotect(c.rx, p, &nc), 0);
		mem_deref(other);
		done(c);
	}
}

static void every_flipped_bit_is_noticed(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		uint8_t p[128], was[128], q[128], qwas[128];
		size_t n = rtp(p, 1, 7, 20), nq = rtcp(q, 1, 6), len;

		assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), 0);
		assert_int_equal(srtcp_protect(c.tx, q, &nq, sizeof(q)), 0);
		memcpy(was, p, n);
		memcpy(qwas, q, nq);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			len = n;
			assert_true(srtp_unprotect(c.rx, p, &len) < 0);
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_memory_equal(p, was, n);
		}
		for (size_t bit = 0; bit < 8 * nq; bit++) {
			q[bit / 8] ^= (uint8_t)(1 << bit % 8);
			len = nq;
			assert_true(srtcp_unprotect(c.rx, q, &len) < 0);
			q[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_memory_equal(q, qwas, nq);
		}
		assert_int_equal(srtp_unprotect(c.rx, p, &n), 0);
		assert_int_equal(srtcp_unprotect(c.rx, q, &nq), 0);
		done(c);
	}
}

static void truncated_packets_are_refused(void **st)
{
	(void)st;
	for (unsigned id = 0; id < SRTP_NSUITES; id++) {
		struct pair c = pair(id);
		uint8_t p[128], q[128];
		size_t n = rtp(p, 1, 7, 20), nq = rtcp(q, 1, 6), len;

		assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), 0);
		assert_int_equal(srtcp_protect(c.tx, q, &nq, sizeof(q)), 0);
		for (size_t i = 0; i < n; i++) {
			uint8_t *exact = malloc(i + 1);

			memcpy(exact, p, i);
			len = i;
			assert_true(srtp_unprotect(c.rx, exact, &len) < 0);
			memcpy(exact, q, i < nq ? i : nq - 1);
			len = i < nq ? i : nq - 1;
			assert_true(srtcp_unprotect(c.rx, exact, &len) < 0);
			free(exact);
		}
		len = 11;
		assert_int_equal(srtp_protect(c.tx, p, &len, sizeof(p)), -EBADMSG);
		len = 7;
		assert_int_equal(srtcp_protect(c.tx, p, &len, sizeof(p)), -EBADMSG);
		done(c);
	}
}

static void a_header_longer_than_its_packet_is_refused(void **st)
{
	struct pair c = pair(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint8_t p[ROOM];
	size_t n = rtp(p, 1, 7, 20);

	(void)st;
	p[0] = 0x8f;                                             /* 15 CSRCs */
	assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), -EBADMSG);
	p[0] = 0x90;
	p[14] = 0xff;                                            /* an extension of 260 kB */
	assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), -EBADMSG);
	p[14] = 0;
	p[15] = 4;                                               /* fills the packet: an empty payload */
	assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), 0);
	assert_int_equal(srtp_unprotect(c.rx, p, &n), 0);
	p[0] = 0x40;
	assert_int_equal(srtp_protect(c.tx, p, &n, sizeof(p)), -EBADMSG);
	done(c);
}

static void a_fifth_source_replaces_the_longest_silent_one(void **st)
{
	struct srtp_ctx *rx = ctx(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint8_t p[8][128], q[128];
	size_t n[8], len;

	(void)st;
	for (unsigned i = 0; i < 8; i++) {
		struct srtp_ctx *tx = ctx(SRTP_AES_CM_128_HMAC_SHA1_80);

		n[i] = rtp(p[i], 10 + i % 5, (uint16_t)(100 + i), 20);
		assert_int_equal(srtp_protect(tx, p[i], &n[i], sizeof(p[i])), 0);
		mem_deref(tx);
	}
	for (unsigned i = 0; i < 4; i++) {
		memcpy(q, p[i], len = n[i]);
		assert_int_equal(srtp_unprotect(rx, q, &len), 0);
	}
	memcpy(q, p[5], len = n[5]);                             /* source 10 again: now 11 is the oldest */
	assert_int_equal(srtp_unprotect(rx, q, &len), 0);
	for (unsigned i = 0; i < 100; i++) {                     /* forged sources push nobody out */
		len = rtp(q, 1000 + i, 1, 60);
		assert_int_equal(srtp_unprotect(rx, q, &len), -EACCES);
	}
	memcpy(q, p[0], len = n[0]);
	assert_int_equal(srtp_unprotect(rx, q, &len), -EALREADY);
	memcpy(q, p[4], len = n[4]);                             /* 14 takes the place of 11 */
	assert_int_equal(srtp_unprotect(rx, q, &len), 0);
	memcpy(q, p[0], len = n[0]);
	assert_int_equal(srtp_unprotect(rx, q, &len), -EALREADY);
	memcpy(q, p[1], len = n[1]);
	assert_int_equal(srtp_unprotect(rx, q, &len), 0);        /* 11 is new again */
	mem_deref(rx);
}

static void a_sender_never_repeats_its_key_stream(void **st)
{
	struct pair c = pair(SRTP_AEAD_AES_256_GCM);

	(void)st;
	assert_int_equal(send_one(c, 1, 7), 0);
	assert_int_equal(send_one(c, 1, 7), -EALREADY);
	for (uint32_t i = 2; i <= SRTP_MAX_STREAMS; i++)
		assert_int_equal(send_one(c, i, 7), 0);
	assert_int_equal(send_one(c, 99, 7), -ENOSPC);
	assert_int_equal(send_one(c, 1, 8), 0);
	done(c);
}

static void contexts_leave_no_memory_behind(void **st)
{
	(void)st;
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counter_mode_gives_the_key_stream_of_rfc3711_b2),
		cmocka_unit_test(session_keys_are_those_of_rfc3711_b3),
		cmocka_unit_test(gcm_seals_as_in_rfc7714),
		cmocka_unit_test(libsrtp2_reads_what_we_send_over_a_roll_over),
		cmocka_unit_test(we_read_what_libsrtp2_sends_over_a_roll_over),
		cmocka_unit_test(srtcp_agrees_with_libsrtp2_both_ways),
		cmocka_unit_test(suites_are_found_by_their_sdes_name),
		cmocka_unit_test(a_key_of_wrong_length_is_refused),
		cmocka_unit_test(a_packet_that_does_not_fit_its_buffer_is_left_alone),
		cmocka_unit_test(replayed_packets_are_refused),
		cmocka_unit_test(the_window_is_128_packets_deep),
		cmocka_unit_test(packets_may_swap_places_around_the_roll_over),
		cmocka_unit_test(seventy_thousand_packets_pass),
		cmocka_unit_test(a_start_in_the_upper_half_does_not_go_below_roll_over_zero),
		cmocka_unit_test(a_wrong_key_changes_nothing),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(truncated_packets_are_refused),
		cmocka_unit_test(a_header_longer_than_its_packet_is_refused),
		cmocka_unit_test(a_fifth_source_replaces_the_longest_silent_one),
		cmocka_unit_test(a_sender_never_repeats_its_key_stream),
		cmocka_unit_test(contexts_leave_no_memory_behind),
	};

	if (srtp_init() != srtp_err_status_ok)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
