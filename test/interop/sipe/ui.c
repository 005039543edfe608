/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ui.c - libpurple's user interface, without a screen
 *
 * libpurple calls tables of functions when something is to be shown or asked. What is shown becomes an event. What is asked becomes
 * the event "request" with an id and the choices; the callback waits in `asked` until ui_answer() names one of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

struct asked {
	int                   id;
	PurpleRequestType     type;
	void                 *user_data;
	PurpleRequestFields  *fields;
	GPtrArray            *callbacks;       /* of the choices, in their order */
};

static GList *asked;
static int last_id;

/* --- event loop: libpurple's on GLib's */
struct watch {
	PurpleInputFunction fn;
	gpointer            arg;
};

static gboolean on_io(GIOChannel *ch, GIOCondition cond, gpointer arg)
{
	struct watch *w = arg;
	int pc = 0;

	if (cond & (G_IO_IN | G_IO_HUP | G_IO_ERR))
		pc |= PURPLE_INPUT_READ;
	if (cond & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
		pc |= PURPLE_INPUT_WRITE;
	w->fn(w->arg, g_io_channel_unix_get_fd(ch), pc);
	return TRUE;
}

static guint input_add(gint fd, PurpleInputCondition cond, PurpleInputFunction fn, gpointer arg)
{
	GIOCondition gc = G_IO_HUP | G_IO_ERR | G_IO_NVAL;
	GIOChannel *ch = g_io_channel_unix_new(fd);
	struct watch *w = g_new0(struct watch, 1);
	guint id;

	w->fn = fn;
	w->arg = arg;
	if (cond & PURPLE_INPUT_READ)
		gc |= G_IO_IN;
	if (cond & PURPLE_INPUT_WRITE)
		gc |= G_IO_OUT;
	id = g_io_add_watch_full(ch, G_PRIORITY_DEFAULT, gc, on_io, w, g_free);
	g_io_channel_unref(ch);
	return id;
}

static PurpleEventLoopUiOps loop_ops = {
	.timeout_add         = g_timeout_add,
	.timeout_remove      = g_source_remove,
	.input_add           = input_add,
	.input_remove        = g_source_remove,
	.timeout_add_seconds = g_timeout_add_seconds,
};

/* --- conversations */
static const char *conv_name(PurpleConversation *c)
{
	return purple_conversation_get_title(c) ? purple_conversation_get_title(c) : "";
}

static void on_create(PurpleConversation *c)
{
	bool chat = purple_conversation_get_type(c) == PURPLE_CONV_TYPE_CHAT;

	event("conversation", "{s:s, s:b}", "title", conv_name(c), "chat", chat);
}

static void on_destroy(PurpleConversation *c)
{
	event("conversation-closed", "{s:s}", "title", conv_name(c));
}

static void on_write(PurpleConversation *c, const char *name, const char *alias, const char *text, PurpleMessageFlags flags,
		     time_t when)
{
	const char *kind = flags & PURPLE_MESSAGE_ERROR ? "error" : flags & PURPLE_MESSAGE_SYSTEM ? "notice" :
			   flags & PURPLE_MESSAGE_SEND ? "sent" : "message";
	char *plain = purple_markup_strip_html(text);

	(void)alias;
	(void)when;
	event("text", "{s:s, s:s, s:s, s:s}", "title", conv_name(c), "kind", kind, "from", name ? name : "", "text", plain);
	g_free(plain);
}

static void on_users_added(PurpleConversation *c, GList *users, gboolean arrivals)
{
	(void)arrivals;
	for (; users; users = users->next) {
		PurpleConvChatBuddy *b = users->data;

		event("joined", "{s:s, s:s, s:b}", "title", conv_name(c), "user", b->name, "op", !!(b->flags & PURPLE_CBFLAGS_OP));
	}
}

static void on_users_removed(PurpleConversation *c, GList *users)
{
	for (; users; users = users->next)
		event("left", "{s:s, s:s}", "title", conv_name(c), "user", (const char *)users->data);
}

static void on_user_changed(PurpleConversation *c, const char *user)
{
	int flags = purple_conv_chat_user_get_flags(PURPLE_CONV_CHAT(c), user);

	event("changed", "{s:s, s:s, s:b}", "title", conv_name(c), "user", user, "op", !!(flags & PURPLE_CBFLAGS_OP));
}

static PurpleConversationUiOps conv_ops = {
	.create_conversation  = on_create,
	.destroy_conversation = on_destroy,
	.write_conv           = on_write,
	.chat_add_users       = on_users_added,
	.chat_remove_users    = on_users_removed,
	.chat_update_user     = on_user_changed,
};

/* --- connection */
static void on_connected(PurpleConnection *gc)
{
	event("signed-on", "{s:s}", "user", purple_account_get_username(purple_connection_get_account(gc)));
}

static void on_disconnected(PurpleConnection *gc)
{
	event("signed-off", "{s:s}", "user", purple_account_get_username(purple_connection_get_account(gc)));
}

static void on_trouble(PurpleConnection *gc, PurpleConnectionError reason, const char *text)
{
	(void)gc;
	event("trouble", "{s:i, s:s}", "reason", (int)reason, "text", text ? text : "");
}

static PurpleConnectionUiOps connection_ops = {
	.connected                = on_connected,
	.disconnected             = on_disconnected,
	.report_disconnect_reason = on_trouble,
};

/* --- questions */
static struct asked *ask(PurpleRequestType type, void *user_data, PurpleRequestFields *fields)
{
	struct asked *a = g_new0(struct asked, 1);

	a->id = ++last_id;
	a->type = type;
	a->user_data = user_data;
	a->fields = fields;
	a->callbacks = g_ptr_array_new();
	asked = g_list_append(asked, a);
	return a;
}

static void tell(const struct asked *a, const char *title, const char *primary, const char *secondary, json_t *choices)
{
	event("request", "{s:i, s:s, s:s, s:s, s:o}", "request", a->id, "title", title ? title : "", "primary", primary ? primary : "",
	      "secondary", secondary ? secondary : "", "choices", choices);
}

static void *on_action(const char *title, const char *primary, const char *secondary, int dflt, PurpleAccount *acct, const char *who,
		       PurpleConversation *conv, void *user_data, size_t n, va_list actions)
{
	struct asked *a = ask(PURPLE_REQUEST_ACTION, user_data, NULL);
	json_t *choices = json_array();

	(void)dflt;
	(void)acct;
	(void)who;
	(void)conv;
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(choices, json_string(va_arg(actions, const char *)));
		g_ptr_array_add(a->callbacks, va_arg(actions, void *));
	}
	tell(a, title, primary, secondary, choices);
	return a;
}

static void *on_fields(const char *title, const char *primary, const char *secondary, PurpleRequestFields *fields, const char *ok_text,
		       GCallback ok, const char *cancel_text, GCallback cancel, PurpleAccount *acct, const char *who,
		       PurpleConversation *conv, void *user_data)
{
	struct asked *a = ask(PURPLE_REQUEST_FIELDS, user_data, fields);

	(void)acct;
	(void)who;
	(void)conv;
	g_ptr_array_add(a->callbacks, (void *)ok);
	g_ptr_array_add(a->callbacks, (void *)cancel);
	tell(a, title, primary, secondary, json_pack("[s, s]", ok_text ? ok_text : "", cancel_text ? cancel_text : ""));
	return a;
}

static void on_close(PurpleRequestType type, void *handle)
{
	struct asked *a = handle;

	(void)type;
	if (!g_list_find(asked, a))
		return;
	asked = g_list_remove(asked, a);
	if (a->fields)
		purple_request_fields_destroy(a->fields);
	g_ptr_array_free(a->callbacks, TRUE);
	g_free(a);
}

static PurpleRequestUiOps request_ops = {
	.request_action = on_action,
	.request_fields = on_fields,
	.close_request  = on_close,
};

int ui_answer(int id, int choice)
{
	for (GList *l = asked; l; l = l->next) {
		struct asked *a = l->data;

		if (a->id != id)
			continue;
		if (choice < 0 || (guint)choice >= a->callbacks->len)
			return -EINVAL;
		void *cb = g_ptr_array_index(a->callbacks, choice);

		if (cb && a->type == PURPLE_REQUEST_ACTION)
			((PurpleRequestActionCb)(GCallback)cb)(a->user_data, choice);
		else if (cb)
			((PurpleRequestFieldsCb)(GCallback)cb)(a->user_data, a->fields);
		purple_request_close(a->type, a);
		return 0;
	}
	return -ENOENT;
}

/* --- notices */
static void *on_notice(PurpleNotifyMsgType type, const char *title, const char *primary, const char *secondary)
{
	event("notice", "{s:i, s:s, s:s, s:s}", "kind", (int)type, "title", title ? title : "", "primary", primary ? primary : "",
	      "secondary", secondary ? secondary : "");
	return NULL;
}

static PurpleNotifyUiOps notify_ops = {
	.notify_message = on_notice,
};

static void on_ui_init(void)
{
	purple_conversations_set_ui_ops(&conv_ops);
	purple_connections_set_ui_ops(&connection_ops);
	purple_request_set_ui_ops(&request_ops);
	purple_notify_set_ui_ops(&notify_ops);
}

static PurpleCoreUiOps core_ops = {
	.ui_init = on_ui_init,
};

static void on_topic(PurpleConversation *c, const char *who, const char *topic)
{
	event("topic", "{s:s, s:s, s:s}", "title", conv_name(c), "who", who ? who : "", "topic", topic ? topic : "");
}

/* libpurple's debug lines go beside the events. */
static void on_print(const gchar *text)
{
	fputs(text, stderr);
}

void ui_init(const char *home)
{
	static int handle;

	g_set_print_handler(on_print);

	purple_util_set_user_dir(home);
	purple_debug_set_enabled(g_getenv("SIPE_DRIVER_DEBUG") != NULL);
	purple_debug_set_unsafe(g_getenv("SIPE_DRIVER_DEBUG") != NULL);
	purple_core_set_ui_ops(&core_ops);
	purple_eventloop_set_ui_ops(&loop_ops);
	purple_plugins_add_search_path("/usr/lib/purple-2");
	if (!purple_core_init("conclave-interop"))
		g_error("libpurple does not start");
	purple_set_blist(purple_blist_new());
	purple_prefs_load();
	audio_prefs();
	purple_signal_connect(purple_conversations_get_handle(), "chat-topic-changed", &handle, PURPLE_CALLBACK(on_topic), NULL);
}
