-- SPDX-License-Identifier: Apache-2.0
-- Requests for conferences: to the focus that owns them, after its redirect to an MCU, and inside a dialog to either.
--
-- Which focus: the owner that an earlier redirect named, else the dispatcher's choice by a hash of the conference. A 302 of a
-- focus never reaches the client: on_failure() follows it once to another focus and once to an MCU, and only to nodes that a
-- focus announced. All of it leaves by the peer listener's socket over mutual TLS.
local log     = require("log")
local reply   = require("reply")
local auth    = require("auth")
local peers   = require("peers")
local headers = require("headers")
local policy  = require("policy")
local metrics = require("metrics")
local user    = require("user")
local media   = require("media")
local ocs     = require("ocs")
local M = {}

local FOCUS_SET = 1
local creates_dialog = { INVITE = true, SUBSCRIBE = true, REFER = true }

-- The identity that a trunk or another domain gives: its P-Asserted-Identity, else its From. nil when it may not say that.
local function foreign_identity(R)
	local uri = headers.addr(R.asserted or "") or ("sip:" .. R.from_user .. "@" .. R.from_host)
	local u = headers.uri(uri)

	if R.from_host == "anonymous.invalid" and (R.asserted or "") == "" then return "" end
	if uri:find("[%c%s<>\"]") then return nil end
	if not u then
		return uri:match("^tel:%+?[%d%-%.%(%)]+$") and uri or nil
	end
	if R.who.kind == "federated" and not R.who.domains[u.host] then return nil end
	if peers.is_local_user(u.user, u.host) then return nil end
	return "sip:" .. u.user .. "@" .. u.host .. (u.port ~= "" and ":" .. u.port or "")
end

-- Finds out whose request this is; false when it was answered here. An anonymous caller is let through to conference URIs only:
-- the focus asks for the pass code.
local function authenticate(R, is_conference)
	if R.who.kind ~= "client" then
		R.access = R.who.kind
		R.principal = foreign_identity(R)
		if not R.principal then
			reply.refuse(403, "Forbidden", "identity")
			return false
		end
		return true
	end
	if R.from_host == "anonymous.invalid" and is_conference then
		R.access = "anonymous"
		return true
	end
	if not auth.digest(R) then return false end
	R.access = "user"
	return true
end

local function access_header(R)
	local policy_of = R.access == "user" and EDGE.user_media or R.access == "anonymous" and EDGE.user_media or R.who.media

	return "Conclave-Access: " .. R.access .. ";media=" .. (policy_of or "srtp") ..
		(R.who.name and ";name=" .. R.who.name or "") .. (R.connected and "" or ";udp") .. "\r\n"
end

-- Sends the request to a daemon at addr, with who it is from. The one place where the identity headers are written.
local function to_daemon(R, addr, what)
	local p = R.principal

	if p and p ~= "" then
		KSR.hdr.append("P-Asserted-Identity: <" .. (p:find("^%l+:") and p or "sip:" .. p) .. ">\r\n")
	end
	KSR.hdr.append(access_header(R))
	KSR.pv.sets("$du", "sip:" .. addr .. ";transport=tls")
	KSR.corex.set_send_socket_name("peer_tls")
	if R.method ~= "ACK" then KSR.tm.t_on_reply("edge_reply_daemon") end
	log.step("step=" .. what .. " to=" .. addr .. " access=" .. R.access .. " principal=" .. (p and p ~= "" and p or "-"))
	if KSR.tm.t_relay() < 0 then
		media.stop(R)
		reply.refuse(503, "Service Unavailable", what == "to-mcu" and "no-mcu" or "no-focus", "Retry-After: 5\r\n")
	end
end

-- "127.0.0.1:15061" of the focus for this conference. The last node is used even when its probes fail: it may just be slow.
local function focus_address(key)
	local owner = KSR.htable.sht_gete("owners", key)
	local addr = owner ~= "" and KSR.htable.sht_gete("nodes", owner) or ""

	if addr ~= "" then return addr end
	KSR.pv.sets("$avp(confid)", key)
	if KSR.dispatcher.ds_select_dst(FOCUS_SET, 7) > 0 then
		addr = KSR.pv.gete("$du"):match("^sips?:([^;]+)") or ""
	end
	return addr ~= "" and addr or EDGE.focus[1]
end

-- The key by which a conference is found again: its id, or the room's name.
local function conference_key(u)
	local kind, id = headers.opaque(u)

	return id or (kind and "factory" or u.user:lower()), kind
end

local function to_focus(R, key)
	KSR.pv.sets("$avp(hop)", "focus")
	KSR.pv.sets("$avp(confkey)", key)
	KSR.pv.sets("$avp(flow)", R.flow)
	KSR.pv.sets("$avp(access)", R.access)
	KSR.tm.t_set_fr(120000, 4000)
	KSR.tm.t_on_failure("edge_failure_focus")
	to_daemon(R, focus_address(key), "to-focus")
end

-- A request without To tag: a conference URI or a room's plain address goes to a focus, a registered user's to that user.
function M.initial(R)
	local u = headers.uri(R.ruri)

	if not u then return reply.refuse(400, "Bad Request", "malformed") end
	local key, kind = conference_key(u)

	if not authenticate(R, kind ~= nil) then return end
	if not kind and ocs.bound_user(R) and ocs.for_user(R) then return end
	if not kind then
		local room = policy.choose_room(R)

		if room then
			KSR.setuser(room)
			R.user, key = room, room:lower()
		elseif user.known(R) then
			return user.call(R)
		end
	end
	if creates_dialog[R.method] then
		KSR.nathelper.set_contact_alias()
		KSR.rr.record_route()
		if R.access ~= "anonymous" then auth.remember(R, R.access, R.principal) end
	end
	to_focus(R, key)
end

-- Inside a dialog: an MCU by its name, else the focus. The R-URI is a conference URI of ours.
function M.in_dialog(R, u)
	KSR.hdr.remove("Route")
	KSR.pv.sets("$avp(flow)", R.flow)
	KSR.pv.sets("$avp(access)", R.access)
	KSR.tm.t_set_fr(60000, 5000)
	if R.method == "INVITE" or R.method == "UPDATE" then
		KSR.nathelper.set_contact_alias()
		media.reoffer(R, "mcu")
	elseif R.method == "BYE" then
		media.stop(R)
	end
	local node = u.params["oc-mcu"]

	if not node then
		local key = conference_key(u)

		KSR.pv.sets("$avp(hop)", "focus")
		KSR.pv.sets("$avp(confkey)", key)
		if R.method ~= "ACK" then KSR.tm.t_on_failure("edge_failure_focus") end
		return to_daemon(R, focus_address(key), "to-focus")
	end
	local addr = KSR.htable.sht_gete("mcus_seen", node)

	if addr == "" then
		return reply.refuse(503, "Service Unavailable", "no-mcu", "Retry-After: 10\r\n")
	end
	KSR.pv.sets("$avp(hop)", "mcu")
	if R.method ~= "ACK" then KSR.tm.t_on_failure("edge_failure_focus") end
	to_daemon(R, addr, "to-mcu")
end

-- Sends the INVITE on to where a 302 points. hop is how far it came already: focus, owner, mcu.
local function follow(hop, contact)
	local uri = headers.addr(contact)
	local u = uri and headers.uri(uri)

	if not u then return reply.refuse(502, "Bad Gateway", "bad-redirect") end
	local mcu, owner = u.params["oc-mcu"], u.params["oc-focus"]
	local addr, what = "", mcu and "mcu" or "owner"

	if hop == "mcu" or (hop == "owner" and what == "owner") then
		return reply.refuse(502, "Bad Gateway", "redirect-limit")
	end
	if mcu then
		addr = KSR.htable.sht_gete("mcus", mcu)
	elseif owner then
		addr = KSR.htable.sht_gete("nodes", owner)
		if addr ~= "" then KSR.htable.sht_sets("owners", KSR.pv.gete("$avp(confkey)"), owner) end
	end
	if addr == "" or not headers.ours_uri(u) then
		log.warn("step=bad-redirect node=" .. (mcu or owner or "-"))
		return reply.refuse(502, "Bad Gateway", "bad-redirect")
	end
	metrics.count1("conclave_redirects", what)
	log.step("step=follow kind=" .. what .. " node=" .. (mcu or owner) .. " to=" .. addr)
	if mcu and not media.start() then
		return reply.refuse(488, "Not Acceptable Here", "media-relay")
	end
	if mcu then KSR.pv.sets("$ru", uri) end
	KSR.pv.sets("$du", "sip:" .. addr .. ";transport=tls")
	KSR.corex.set_send_socket_name("peer_tls")
	KSR.hdr.append("Conclave-Followed: " .. what .. "\r\n")
	KSR.pv.sets("$avp(hop)", what)
	KSR.tm.t_on_failure("edge_failure_focus")
	KSR.tm.t_on_reply("edge_reply_daemon")
	if KSR.tm.t_relay() < 0 then
		reply.refuse(503, "Service Unavailable", mcu and "no-mcu" or "no-focus", "Retry-After: 5\r\n")
	end
end

-- Another focus of the set, for requests that no focus can have carried out (a SERVICE may have been).
local function try_next(hop)
	local method = KSR.pv.gete("$rm")

	if hop ~= "focus" or not (method == "INVITE" or method == "SUBSCRIBE") then return false end
	if KSR.dispatcher.ds_next_dst() < 0 then return false end
	log.step("step=next-focus to=" .. KSR.pv.gete("$du"))
	KSR.corex.set_send_socket_name("peer_tls")
	KSR.tm.t_on_failure("edge_failure_focus")
	KSR.tm.t_on_reply("edge_reply_daemon")
	return KSR.tm.t_relay() > 0
end

function M.on_failure()
	local hop = KSR.pv.gete("$avp(hop)")
	local code = KSR.tm.t_get_status_code()

	if KSR.tm.t_is_canceled() > 0 then return media.stop() end
	if KSR.tm.t_check_status("30[0-9]") > 0 then
		return follow(hop, KSR.pv.gete("$T_rpl($ct)"))
	end
	media.stop()
	if KSR.tm.t_branch_timeout() > 0 and KSR.tm.t_branch_replied() < 0 or code == 503 then
		if try_next(hop) then return end
		if KSR.tm.t_branch_timeout() > 0 or code == 503 then     -- tm itself would make a 500 of a 503
			return reply.refuse(503, "Service Unavailable", hop == "mcu" and "no-mcu" or "no-focus", "Retry-After: 5\r\n")
		end
	end
	log.step("step=failed code=" .. code .. " hop=" .. hop)
end

-- A daemon's reply on its way to the client.
function M.on_reply()
	local code = KSR.pv.geti("$rs")
	local method = KSR.pv.gete("$rm")

	log.step("step=reply code=" .. code .. " hop=" .. KSR.pv.gete("$avp(hop)"))
	if code >= 200 and code < 300 and creates_dialog[method] and KSR.pv.gete("$avp(access)") == "anonymous" then
		auth.remember({ callid = KSR.pv.gete("$ci"), flow = KSR.pv.gete("$avp(flow)") }, "anonymous", "")
	end
	if KSR.textops.has_body_type("application/sdp") > 0 then media.answer("client") end
end

return M
