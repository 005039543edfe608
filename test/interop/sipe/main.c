/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sipe_driver - a headless user of pidgin-sipe, driven by a test
 *
 *   sipe_driver HOME [TONE-HZ]
 *
 * Each line on stdin is a JSON object with "cmd" and "id"; its answer is the event "done" with the same id and "error" (0, or a
 * negative errno). Everything that a user interface would show comes as an event line on stdout, when it happens. All state of
 * libpurple lies below HOME. The end of stdin, or the command quit, signs off and ends the driver.
 */
#include <errno.h>
#include <libxml/parser.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

struct account me;

typedef int (command_fn)(json_t *cmd);

void event(const char *name, const char *fmt, ...)
{
	json_error_t err;
	va_list ap;
	json_t *o;
	char *line;

	va_start(ap, fmt);
	o = json_vpack_ex(&err, 0, fmt, ap);
	va_end(ap);
	if (!o) {
		fprintf(stderr, "event %s: %s\n", name, err.text);
		return;
	}
	json_object_set_new(o, "event", json_string(name));
	line = json_dumps(o, JSON_COMPACT);
	puts(line);
	fflush(stdout);
	free(line);
	json_decref(o);
}

/*
 * The packaged plugin marks its SAX1 handler as SAX2, and libxml2 2.9.14 then calls none of its callbacks: every document looks
 * empty. Our definition is found before the library's; it hands a copy without the mark on.
 */
int xmlSAXUserParseMemory(xmlSAXHandlerPtr sax, void *user_data, const char *buffer, int size)
{
	int (*real)(xmlSAXHandlerPtr, void *, const char *, int);
	xmlSAXHandler copy = *sax;

	*(void **)&real = dlsym(RTLD_NEXT, "xmlSAXUserParseMemory");
	copy.initialized = 0;
	return real(&copy, user_data, buffer, size);
}

static const char *str_of(json_t *cmd, const char *key, const char *dflt)
{
	const char *s = json_string_value(json_object_get(cmd, key));

	return s ? s : dflt;
}

/* {"cmd":"login","user":"alice@D","login":"alice","password":"..","server":"127.0.0.1:5061","transport":"tls"} */
static int on_login(json_t *cmd)
{
	char *name = g_strdup_printf("%s,%s", str_of(cmd, "user", ""), str_of(cmd, "login", ""));

	me.acct = purple_account_new(name, "prpl-sipe");
	g_free(name);
	if (!me.acct)
		return -ENOMEM;
	purple_account_set_password(me.acct, str_of(cmd, "password", ""));
	purple_account_set_remember_password(me.acct, TRUE);
	purple_account_set_string(me.acct, "server", str_of(cmd, "server", ""));
	purple_account_set_string(me.acct, "transport", str_of(cmd, "transport", "tls"));
	purple_account_set_bool(me.acct, "dont-publish", TRUE);
	purple_accounts_add(me.acct);
	purple_account_set_enabled(me.acct, purple_core_get_ui(), TRUE);
	return 0;
}

static int on_logout(json_t *cmd)
{
	(void)cmd;
	if (!me.acct)
		return -ENOTCONN;
	purple_account_set_enabled(me.acct, purple_core_get_ui(), FALSE);
	return 0;
}

static int on_relogin(json_t *cmd)
{
	(void)cmd;
	if (!me.acct)
		return -ENOTCONN;
	purple_account_set_enabled(me.acct, purple_core_get_ui(), TRUE);
	return 0;
}

static int on_answer(json_t *cmd)
{
	return ui_answer((int)json_integer_value(json_object_get(cmd, "request")),
			 (int)json_integer_value(json_object_get(cmd, "choice")));
}

static int on_quit(json_t *cmd)
{
	(void)cmd;
	g_main_loop_quit(me.loop);
	return 0;
}

static const struct {
	const char *name;
	command_fn *fn;
} commands[] = {
	{ "login",  on_login    },
	{ "logout", on_logout   },
	{ "relogin", on_relogin },
	{ "answer", on_answer   },
	{ "buddy",  menu_buddy  },     /* a buddy's menu: user, item; without item the labels come as "menu" */
	{ "chat",   menu_chat   },     /* a chat window's menu: likewise */
	{ "join",   menu_join   },     /* uri */
	{ "send",   menu_send   },     /* text */
	{ "invite", menu_invite },     /* user: by the chat window's invite entry */
	{ "leave",  menu_leave  },
	{ "chats",  menu_chats  },
	{ "call",   audio_call  },     /* joins the conference's audio */
	{ "mute",   audio_mute  },     /* on */
	{ "hangup", audio_hangup },
	{ "hear",   audio_hear  },     /* tones: [Hz, ...]; answers "heard" with a level in dBFS for each */
	{ "quit",   on_quit     },
};

static void run(json_t *cmd)
{
	const char *name = str_of(cmd, "cmd", "");
	int err = -ENOSYS;

	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (!strcmp(commands[i].name, name))
			err = commands[i].fn(cmd);
	event("done", "{s:s, s:I, s:i}", "cmd", name, "id", json_integer_value(json_object_get(cmd, "id")), "error", err);
}

static gboolean on_stdin(GIOChannel *ch, GIOCondition cond, gpointer arg)
{
	gchar *line = NULL;

	(void)cond;
	(void)arg;
	if (g_io_channel_read_line(ch, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(me.loop);
		return FALSE;
	}
	json_t *cmd = json_loads(line, 0, NULL);

	if (cmd)
		run(cmd);
	json_decref(cmd);
	g_free(line);
	return TRUE;
}

/* The server's certificate is looked at with the roots in HOME/ca. */
static void trust(const char *home)
{
	char *dir = g_build_filename(home, "ca", NULL);

	purple_certificate_add_ca_search_path(dir);
	g_free(dir);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: sipe_driver HOME [TONE-HZ]\n");
		return 2;
	}
	setenv("HOME", argv[1], 1);
	me.loop = g_main_loop_new(NULL, FALSE);
	trust(argv[1]);
	audio_init(argc > 2 ? (unsigned)atoi(argv[2]) : 0);
	ui_init(argv[1]);
	g_io_add_watch(g_io_channel_unix_new(STDIN_FILENO), G_IO_IN | G_IO_HUP, on_stdin, NULL);
	event("ready", "{s:i}", "pid", (int)getpid());
	g_main_loop_run(me.loop);
	purple_core_quit();
	event("end", "{}");
	return 0;
}
