/* SPDX-License-Identifier: Apache-2.0 */
/*
 * menu.c - what a user does by menus and by typing
 *
 * The plugin's own menus are taken, with the plugin's own conditions for what they offer: a command names a user and the beginning
 * of an entry's label. Buddies are local ones, made when a command names them first.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"

typedef void (action_fn)(PurpleBlistNode *node, gpointer data);

static const char *text_of(json_t *cmd, const char *key)
{
	return json_string_value(json_object_get(cmd, key));
}

static PurplePluginProtocolInfo *prpl(void)
{
	return PURPLE_PLUGIN_PROTOCOL_INFO(purple_find_prpl("prpl-sipe"));
}

static PurpleConnection *connection(void)
{
	return me.acct ? purple_account_get_connection(me.acct) : NULL;
}

/* Walks a menu with its submenus; the labels are collected, the first that begins with want is taken. */
static PurpleMenuAction *find_item(GList *menu, const char *want, json_t *labels)
{
	PurpleMenuAction *found = NULL;

	for (; menu; menu = menu->next) {
		PurpleMenuAction *item = menu->data;

		if (!item)
			continue;
		if (item->callback)
			json_array_append_new(labels, json_string(item->label));
		if (!found && want && item->callback && g_str_has_prefix(item->label, want))
			found = item;
		PurpleMenuAction *below = find_item(item->children, want, labels);

		found = found ? found : below;
	}
	return found;
}

static int choose(PurpleBlistNode *node, const char *want)
{
	json_t *labels = json_array();
	PurpleMenuAction *item = find_item(prpl()->blist_node_menu(node), want, labels);

	if (!want || !item)
		event("menu", "{s:O}", "items", labels);
	json_decref(labels);
	if (!want)
		return 0;
	if (!item)
		return -ENOENT;
	((action_fn *)(GCallback)item->callback)(node, item->data);
	return 0;
}

static PurpleBuddy *buddy(const char *user)
{
	PurpleBuddy *b = purple_find_buddy(me.acct, user);
	PurpleGroup *g = purple_find_group("Test");

	if (b)
		return b;
	if (!g) {
		g = purple_group_new("Test");
		purple_blist_add_group(g, NULL);
	}
	b = purple_buddy_new(me.acct, user, NULL);
	purple_blist_add_buddy(b, NULL, g, NULL);
	return b;
}

int menu_buddy(json_t *cmd)
{
	if (!connection() || !text_of(cmd, "user"))
		return -ENOTCONN;
	return choose((PurpleBlistNode *)buddy(text_of(cmd, "user")), text_of(cmd, "item"));
}

/* The chat whose title is given, else the newest. */
PurpleConversation *menu_find_chat(json_t *cmd)
{
	const char *title = text_of(cmd, "title");

	for (GList *l = purple_get_chats(); l; l = l->next) {
		PurpleConversation *c = l->data;

		if (!title || !g_strcmp0(purple_conversation_get_title(c), title))
			return c;
	}
	return NULL;
}

/* As Pidgin does it: a chat node for the time of the menu, which names the conversation. */
int menu_chat(json_t *cmd)
{
	PurpleConversation *c = menu_find_chat(cmd);
	GHashTable *components;
	PurpleChat *chat;
	int err;

	if (!c)
		return -ENOENT;
	components = g_hash_table_new(g_str_hash, g_str_equal);
	g_hash_table_insert(components, "_conv", c);
	chat = purple_chat_new(me.acct, NULL, components);
	purple_blist_node_set_flags((PurpleBlistNode *)chat, PURPLE_BLIST_NODE_FLAG_NO_SAVE);
	err = choose((PurpleBlistNode *)chat, text_of(cmd, "item"));
	purple_chat_destroy(chat);
	return err;
}

/* The account's entry "Join scheduled conference...": its form is filled in and sent off. */
int menu_join(json_t *cmd)
{
	extern void sipe_core_conf_create(void *sipe, const char *focus_uri, const char *organizer, const char *meeting_id);
	PurpleConnection *gc = connection();
	PurplePlugin *plugin = purple_find_prpl("prpl-sipe");
	const char *uri = text_of(cmd, "uri");
	gpointer fn;

	if (!gc || !uri)
		return -ENOTCONN;
	if (!g_module_symbol(plugin->handle, "sipe_core_conf_create", &fn))
		return -ENOSYS;
	((typeof(&sipe_core_conf_create))fn)(gc->proto_data, uri, NULL, NULL);
	return 0;
}

int menu_send(json_t *cmd)
{
	PurpleConversation *c = menu_find_chat(cmd);

	if (!c || !text_of(cmd, "text"))
		return -ENOENT;
	purple_conv_chat_send(PURPLE_CONV_CHAT(c), text_of(cmd, "text"));
	return 0;
}

int menu_invite(json_t *cmd)
{
	PurpleConversation *c = menu_find_chat(cmd);

	if (!c || !text_of(cmd, "user"))
		return -ENOENT;
	serv_chat_invite(connection(), purple_conv_chat_get_id(PURPLE_CONV_CHAT(c)), NULL, text_of(cmd, "user"));
	return 0;
}

int menu_leave(json_t *cmd)
{
	PurpleConversation *c = menu_find_chat(cmd);

	if (!c)
		return -ENOENT;
	purple_conversation_destroy(c);
	return 0;
}

/* All chat windows with who is in them: the event "chats". */
int menu_chats(json_t *cmd)
{
	json_t *chats = json_array();

	(void)cmd;
	for (GList *l = purple_get_chats(); l; l = l->next) {
		PurpleConvChat *chat = PURPLE_CONV_CHAT((PurpleConversation *)l->data);
		json_t *users = json_object();

		for (GList *u = purple_conv_chat_get_users(chat); u; u = u->next) {
			PurpleConvChatBuddy *b = u->data;

			json_object_set_new(users, b->name, json_boolean(b->flags & PURPLE_CBFLAGS_OP));
		}
		json_array_append_new(chats, json_pack("{s:s, s:s, s:b, s:o}",
			"title", purple_conversation_get_title(l->data),
			"topic", purple_conv_chat_get_topic(chat) ? purple_conv_chat_get_topic(chat) : "",
			"left", purple_conv_chat_has_left(chat), "users", users));
	}
	event("chats", "{s:o}", "chats", chats);
	return 0;
}
