-- SPDX-License-Identifier: Apache-2.0
-- Requests inside a dialog, and replies of clients.
--
-- From a daemon: by Route and the alias in the Contact back over the client's own connection. From a client, a trunk or another
-- domain: after auth.in_dialog() to the daemon that the R-URI names, or to the other side of a call between users.
-- A BENOTIFY gets no answer, so it is forwarded without a transaction.
local log     = require("log")
local reply   = require("reply")
local auth    = require("auth")
local peers   = require("peers")
local headers = require("headers")
local media   = require("media")
local user    = require("user")
local ocs     = require("ocs")
local gone    = require("gone")
local M = {}

local conference                                                -- required late: it requires user, as we do

local function hostport(uri)
	local u = headers.uri(uri)

	return u and u.host .. ":" .. (u.port ~= "" and u.port or "5060") or ""
end

local function relay(R, why)
	if R.method == "BENOTIFY" then
		log.passing("step=forward to=" .. KSR.pv.gete("$du"))
		if KSR.forward() < 0 then reply.drop("unreachable") end
		return
	end
	if R.method ~= "ACK" then KSR.tm.t_on_reply("edge_reply_client") end
	if R.method ~= "ACK" then KSR.tm.t_on_failure("edge_failure_user") end
	log.passing("step=" .. why .. " to=" .. KSR.pv.gete("$du"))
	if KSR.tm.t_relay() < 0 then
		reply.refuse(480, "Temporarily Unavailable", "unreachable")
	end
end

-- Where a client is: its connection by the alias that the edge put into its Contact; a Contact in our own domain (a GRUU, or one
-- with maddr) by the location table. False when the request was answered here.
local function locate(R)
	KSR.nathelper.handle_ruri_alias()
	local u = headers.uri(KSR.pv.gete("$ru"))

	if KSR.isdsturiset() and gone.lost(hostport(KSR.pv.gete("$du"))) then
		reply.refuse(481, "Call/Transaction Does Not Exist", "lost")
		return false
	end
	if KSR.isdsturiset() or not headers.ours_uri(u) then return true end
	if u.user ~= "" and not headers.opaque(u) then return user.lookup(R) end
	reply.refuse(481, "Call/Transaction Does Not Exist", "no-such-dialog")
	return false
end

local function from_daemon(R)
	KSR.rr.loose_route()
	if not locate(R) then return end
	for _, name in ipairs(headers.own) do KSR.hdr.remove(name) end
	if R.method == "INVITE" or R.method == "UPDATE" then
		media.reoffer(R, "client")
	elseif R.method == "BYE" then
		media.stop(R)
	end
	KSR.tm.t_set_fr(60000, 8000)
	relay(R, "to-client")
end

local function between_users(R)
	if not locate(R) then return end
	local to = KSR.isdsturiset() and KSR.pv.gete("$du") or KSR.pv.gete("$ru")

	if not user.is_side(R.callid, hostport(to)) then
		return reply.refuse(403, "Relaying Denied", "no-such-dialog")
	end
	KSR.nathelper.set_contact_alias()
	user.know_side(R.callid, R.ip .. ":" .. R.port)
	relay(R, "to-other-side")
end

function M.handle(R)
	if peers.is_daemon(R.who) then return from_daemon(R) end
	if not auth.in_dialog(R) then return end
	local u = headers.uri(R.ruri)

	if headers.ours_uri(u) and headers.opaque(u) then
		conference = conference or require("conference")
		return conference.in_dialog(R, u)
	end
	if headers.ours_uri(u) and ocs.bound_user(R) and R.method == "SUBSCRIBE" then return ocs.for_user(R) end
	KSR.rr.loose_route()
	return between_users(R)
end

-- A client's reply: its Contact gets the alias, and its flow is known in this dialog from here on.
function M.on_client_reply()
	local code = KSR.pv.geti("$rs")
	local method = KSR.pv.gete("$rm")
	local callid = KSR.pv.gete("$ci")
	local proto = KSR.pv.gete("$proto"):lower()
	local addr = KSR.pv.gete("$si") .. ":" .. KSR.pv.gete("$sp")

	headers.strip()
	local say = code < 300 and log.passing or log.step

	say("step=client-reply code=" .. code .. " from=" .. addr)
	if code > 100 and code < 300 and (method == "INVITE" or method == "SUBSCRIBE" or method == "REFER" or method == "UPDATE") then
		local callee = KSR.pv.gete("$avp(callee)")
		local who = peers.answering(proto)

		KSR.nathelper.set_contact_alias()
		if callee ~= "" then
			local flow = proto == "udp" and addr or "c" .. KSR.pv.gete("$conid")
			local kind = who and who.kind or "user"

			auth.remember({ callid = callid, flow = flow }, kind, callee)
			if who then auth.remember({ callid = callid, flow = who.name }, kind, callee) end
			user.know_side(callid, addr)
			if KSR.pv.gete("$avp(asker)") ~= "" then        -- the daemon learns who answers, as with a request
				KSR.hdr.append("P-Asserted-Identity: <sip:" .. callee .. ">\r\n")
				KSR.hdr.append("Conclave-Access: " .. kind .. "\r\n")
			end
		end
	end
	if KSR.textops.has_body_type("application/sdp") > 0 then media.answer("mcu") end
end

-- Every reply, before its transaction's own route. False: it is dropped.
function M.on_any_reply()
	return peers.reply_trusted() and KSR.tm.t_check_trans() > 0
end

return M
