/* SPDX-License-Identifier: Apache-2.0 */
/* sdp_sdes.c - keys in a=crypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/sdp/sdp.h"

#define KEY30 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"      /* bytes 0 to 29 */

static int decode(struct sdes_key *k, const char *key, const char *params, size_t want)
{
	const struct sdp_crypto c = { 1, STR("X"), str_c(key), str_c(params) };

	return sdes_decode(k, &c, want);
}

static void a_key_is_read_with_lifetime_and_mki_in_any_mix(void **state)
{
	static const struct { const char *s; unsigned len; uint32_t mki; } good[] = {
		{ "inline:" KEY30, 0, 0 }, { "inline:" KEY30 "|2^31", 0, 0 }, { "inline:" KEY30 "|2^20|1:1", 1, 1 },
		{ "inline:" KEY30 "|1048576|4294967295:4", 4, UINT32_MAX },
		{ "inline:" KEY30 "|7:2", 2, 7 }, { "INLINE:" KEY30, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sdes_key k;

		assert_int_equal(decode(&k, good[i].s, "", 30), 0);
		assert_int_equal(k.len, 30);
		for (unsigned j = 0; j < 30; j++)
			assert_int_equal(k.key[j], j);
		assert_int_equal(k.mki_len, good[i].len);
		assert_int_equal(k.mki, good[i].mki);
	}
}

static void padding_may_be_missing(void **state)
{
	struct sdes_key k;

	(void)state;
	assert_int_equal(decode(&k, "inline:AQID", "", 3), 0);
	assert_int_equal(decode(&k, "inline:AQI=", "", 2), 0);
	assert_int_equal(decode(&k, "inline:AQI", "", 2), 0);
	assert_int_equal(decode(&k, "inline:AQ==", "", 1), 0);
	assert_int_equal(decode(&k, "inline:AQ", "", 1), 0);
	assert_int_equal(k.key[0], 1);
	assert_int_equal(decode(&k, "inline:A", "", 1), -EINVAL);
	assert_int_equal(decode(&k, "inline:AQ===", "", 1), -EINVAL);
}

static void a_key_of_wrong_form_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "inline:", "inline", KEY30, "inline:" KEY30 "A", "inline:" KEY30 "AA", "inline:" KEY30 "|", "inline:" KEY30 "|x",
		"inline:" KEY30 "|2^", "inline:" KEY30 "|2^31|1", "inline:" KEY30 "|2^31|x:1", "inline:" KEY30 "|2^31|1:0",
		"inline:" KEY30 "|2^31|256:1", "inline:" KEY30 "|1:1|1:1", "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw*",
	};
	struct sdes_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (decode(&k, bad[i], "", 30) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(decode(&k, "inline:" KEY30, "", 46), -EINVAL);
	assert_int_equal(decode(&k, "inline:" KEY30, "", 0), -EINVAL);
	assert_int_equal(decode(&k, "inline:" KEY30, "", 65), -EINVAL);
}

static void what_we_cannot_do_is_told_apart(void **state)
{
	struct sdes_key k;

	(void)state;
	assert_int_equal(decode(&k, "inline:" KEY30 "|2^19", "", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30 "|1048575", "", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30 "|2^31|1:5", "", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30 ";inline:" KEY30, "", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30, "UNENCRYPTED_SRTCP", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30, "KDR=0 UNAUTHENTICATED_SRTP", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30, "KDR=1", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30, "FEC_ORDER=FEC_SRTP", 30), -ENOTSUP);
	assert_int_equal(decode(&k, "inline:" KEY30, "KDR=0  WSH=128 -anything", 30), 0);
}

static void a_written_key_is_read_back_at_every_length(void **state)
{
	uint8_t key[64];
	char out[128];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(251 * i + 3);
	for (size_t len = 1; len <= sizeof(key); len++) {
		struct sdes_key k;

		assert_int_equal(sdes_encode(out, sizeof(out), key, len), 0);
		assert_int_equal(decode(&k, out, "", len), 0);
		assert_memory_equal(k.key, key, len);
	}
	for (size_t i = 0; i < 30; i++)
		key[i] = (uint8_t)i;
	assert_int_equal(sdes_encode(out, sizeof(out), key, 30), 0);
	assert_string_equal(out, "inline:" KEY30 "|2^31");
}

static void a_short_buffer_is_not_written_beyond(void **state)
{
	uint8_t key[30] = { 0 };
	char out[64];

	(void)state;
	assert_int_equal(sdes_encode(out, 52, key, 30), -ENOSPC);
	assert_int_equal(sdes_encode(out, 53, key, 30), 0);
	assert_int_equal(strlen(out), 52);
	assert_int_equal(sdes_encode(out, sizeof(out), key, 0), -EINVAL);
	assert_int_equal(sdes_encode(out, sizeof(out), key, 65), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_read_with_lifetime_and_mki_in_any_mix),
		cmocka_unit_test(padding_may_be_missing),
		cmocka_unit_test(a_key_of_wrong_form_is_refused),
		cmocka_unit_test(what_we_cannot_do_is_told_apart),
		cmocka_unit_test(a_written_key_is_read_back_at_every_length),
		cmocka_unit_test(a_short_buffer_is_not_written_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
