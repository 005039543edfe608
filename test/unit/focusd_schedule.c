/* SPDX-License-Identifier: Apache-2.0 */
/* focusd_schedule.c - scheduling over HTTPS: digest by the users' own credentials, guessing, whose factory it is */
#include <sqlite3.h>
#include "focusd/service.h"
#include "lib/tls/digest.h"
#include "test/unit/focusd_world.h"

#define PATH "/LiveServer/FocusFactory/"

static struct tls_ctx *anybody;
static struct buf      answer;
static char            credentials[128];

static void on_data(struct stream *s, struct str data, void *arg)
{
	(void)s, (void)arg;
	buf_str(&answer, data);
}

static void on_event(struct stream *s, enum stream_event ev, int err, void *arg)
{
	(void)s, (void)ev, (void)err, (void)arg;
}

static bool answered(void *arg)
{
	const char *end = answer.l ? strstr(answer.p, "\r\n\r\n") : NULL, *len = end ? strstr(answer.p, "Content-Length: ") : NULL;

	(void)arg;
	return end && (!len || strlen(end + 4) >= (size_t)atoi(len + 16));
}

/* The status of a POST with these header lines; the answer stays in `answer`. */
static int post(const char *hdrs, const char *body)
{
	struct stream_prm p = { .loop = loop, .tls = anybody, .datacb = on_data, .eventcb = on_event };
	struct stream *s;
	char head[1024];

	buf_reset(&answer);
	assert_int_equal(stream_connect(&s, &p, "127.0.0.1", http_srv_port(app.schedule)), 0);
	snprintf(head, sizeof(head), "POST " PATH " HTTP/1.1\r\nHost: x\r\nContent-Type: " C3P_CTYPE "\r\n%sContent-Length: %zu\r\n\r\n", hdrs,
		 strlen(body));
	assert_int_equal(stream_send(s, str_c(head)), 0);
	assert_int_equal(stream_send(s, str_c(body)), 0);
	assert_true(wait_until(answered, NULL, 3000));
	stream_close(s);
	mem_deref(s);
	return atoi(answer.p + 9);
}

static const char *nonce(void)
{
	static char n[64];
	const char *at;

	assert_int_equal(post("", ""), 401);
	at = strstr(answer.p, "nonce=\"");
	assert_non_null(at);
	assert_int_equal(sscanf(at + 7, "%63[^\"]", n), 1);
	return n;
}

static int login(const char *user, const char *password, const char *fresh, const char *body)
{
	char ha1[33], ha2[33], r[33], hdr[512];

	assert_int_equal(digest_md5(ha1, "%s:" DOMAIN ":%s", user, password), 0);
	assert_int_equal(digest_md5(ha2, "POST:" PATH), 0);
	assert_int_equal(digest_md5(r, "%s:%s:00000001:c:auth:%s", ha1, fresh, ha2), 0);
	snprintf(hdr, sizeof(hdr), "Authorization: Digest username=\"%s\", realm=\"" DOMAIN "\", nonce=\"%s\", uri=\"" PATH "\", qop=auth, "
		 "nc=00000001, cnonce=\"c\", response=\"%s\"\r\n", user, fresh, r);
	return post(hdr, body);
}

static const char *command(const char *from, const char *factory)
{
	static char b[512];

	snprintf(b, sizeof(b), "<request xmlns=\"" C3P_NS "\" C3PVersion=\"1\" requestId=\"1\" from=\"sip:%s@" DOMAIN "\" to=\"sip:%s@" DOMAIN
		 ";gruu;opaque=app:conf:focusfactory\"><getConferences/></request>", from, factory);
	return b;
}

static int setup(void **state)
{
	struct http_tls tls = { .cert_file = certs_path(&certs, "focus.pem"), .key_file = certs_path(&certs, "focus.key"), .open = true };
	struct tls_prm tp = { .ca_file = certs_path(&certs, "ca.pem") };
	char err[256], ha1[33], *sql;
	sqlite3 *db;

	assert_int_equal(world_setup(state), 0);
	snprintf(credentials, sizeof(credentials), "%s/credentials.sqlite", certs.dir);
	unlink(credentials);
	assert_int_equal(sqlite3_open(credentials, &db), SQLITE_OK);
	assert_int_equal(digest_md5(ha1, "alice:" DOMAIN ":secret"), 0);
	sql = str_printf("CREATE TABLE subscriber (username TEXT, domain TEXT, ha1 TEXT); "
			 "INSERT INTO subscriber VALUES ('alice','" DOMAIN "','%s')", ha1);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	mem_deref(sql);
	sqlite3_close(db);
	cstr_set(&app.cfg.schedule_credentials, credentials);
	cstr_set(&app.cfg.schedule_cert, tls.cert_file);
	cstr_set(&app.cfg.schedule_key, tls.key_file);
	app.cfg.schedule_port = 27000 + getpid() % 4000;
	for (int i = 0; i < 50 && service_http_start(&app); i++)
		app.cfg.schedule_port++;
	assert_non_null(app.schedule);
	assert_int_equal(tls_ctx_alloc(&anybody, &tp, err, sizeof(err)), 0);
	buf_init(&answer, 0);
	return 0;
}

static int teardown(void **state)
{
	anybody = mem_deref(anybody);
	buf_fini(&answer);
	return world_teardown(state);
}

static void a_user_schedules_with_the_password_of_his_account(void **state)
{
	(void)state;
	assert_int_equal(login("alice", "secret", nonce(), command("alice", "alice")), 200);
	assert_non_null(strstr(answer.p, "code=\"success\""));
	assert_int_equal(login("alice", "secret", nonce(), command("bob", "alice")), 403);
	assert_int_equal(login("alice", "secret", nonce(), command("alice", "bob")), 403);
	assert_int_equal(login("alice", "secret", nonce(), "nonsense"), 400);
}

static void nobody_else_does(void **state)
{
	char old[64];

	(void)state;
	assert_int_equal(post("", command("alice", "alice")), 401);
	assert_int_equal(login("alice", "guess", nonce(), command("alice", "alice")), 401);
	assert_int_equal(login("bob", "", nonce(), command("bob", "bob")), 401);
	assert_int_equal(login("alice' OR 1=1 --", "x", nonce(), command("alice", "alice")), 401);
	snprintf(old, sizeof(old), "1000%s", strchr(nonce(), '.'));
	assert_int_equal(login("alice", "secret", old, command("alice", "alice")), 401);
	assert_non_null(strstr(answer.p, "stale=true"));
	assert_int_equal(post("Authorization: Digest\r\n", ""), 401);
	assert_int_equal(post("Authorization: Basic YTpi\r\n", ""), 401);
}

static void who_guesses_is_not_looked_at_for_a_while(void **state)
{
	char n[64];
	int code = 0;

	(void)state;
	snprintf(n, sizeof(n), "%s", nonce());
	for (int i = 0; i < 11; i++)
		code = login("carol", "guess", n, "");
	assert_int_equal(code, 503);
	assert_int_equal(login("alice", "secret", n, command("alice", "alice")), 200);       /* others notice nothing */
}

#define S(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(a_user_schedules_with_the_password_of_his_account), S(nobody_else_does), S(who_guesses_is_not_looked_at_for_a_while),
	};

	return cmocka_run_group_tests(tests, world_certs, world_certs_end);
}
