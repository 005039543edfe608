-- SPDX-License-Identifier: Apache-2.0
-- Registered users: calls between them, and requests that a daemon starts towards one (dial-out, REFER).
-- Where such a request goes is decided here, never by a Route header: request.lua removed those.
local log    = require("log")
local reply  = require("reply")
local auth   = require("auth")
local peers  = require("peers")
local policy = require("policy")
local headers = require("headers")
local ocs    = require("ocs")
local M = {}

-- A registered user or a name in the user table; every other name is a room's.
function M.known(R)
	return KSR.registrar.registered("location") > 0 or peers.is_local_user(R.user, R.host)
end

local function relay_to_client(R)
	KSR.rr.record_route()
	KSR.pv.sets("$avp(callee)", R.user .. "@" .. (headers.ours(R.host, R.rport) and EDGE.domain or R.host))
	KSR.tm.t_on_reply("edge_reply_client")
	KSR.tm.t_on_failure("edge_failure_user")
	log.step("step=to-user user=" .. R.user .. " to=" .. KSR.pv.gete("$du"))
	if KSR.tm.t_relay() < 0 then
		reply.refuse(480, "Temporarily Unavailable", "unreachable")
	end
end

-- Where the user is registered; of several clients the one that a GRUU names. False when the request was answered here.
function M.lookup(R)
	ocs.find(headers.uri(R.ruri) or { params = {} })
	if KSR.registrar.lookup("location") > 0 then
		if not KSR.is_myself(KSR.pv.gete("$du")) then return true end
		reply.refuse(482, "Loop Detected", "loop")
		return false
	end
	reply.refuse(480, "Temporarily Unavailable", "no-such-user")
	return false
end

function M.call(R)
	if R.who.kind ~= "client" then
		return reply.refuse(403, "Forbidden", "trunk-target")
	end
	if not M.lookup(R) then return end
	KSR.nathelper.set_contact_alias()
	auth.remember(R, "user", R.principal)
	M.know_side(R.callid, R.ip .. ":" .. R.port)
	relay_to_client(R)
end

-- Where the other side of a call between users is: a request inside the dialog may go nowhere else.
function M.know_side(callid, addr)
	KSR.htable.sht_sets("dialogs", callid .. ">" .. addr, "1")
end

function M.is_side(callid, addr)
	return KSR.htable.sht_gete("dialogs", callid .. ">" .. addr) ~= ""
end

-- A number for a trunk is a SIP URI of the trunk (RFC 3261 19.1.6): gateways take few others.
local function number_for(R, trunk)
	local digits = R.ruri:match("^tel:([^;]+)")
	local t = digits and headers.uri(trunk)

	if not t then return end
	KSR.pv.sets("$ru", "sip:" .. digits:gsub("[%-%.%(%)]", "") .. "@" .. t.host .. (t.port ~= "" and ":" .. t.port or "") ..
		";user=phone")
end

-- A daemon's request outside a dialog: to one of our users, else (other domains, numbers) where the operator's policy says. A name
-- of ours that nobody has is answered like a user who is not there: the difference tells nobody who has an account.
function M.from_daemon(R)
	KSR.pv.sets("$avp(asker)", R.who.kind)
	if headers.ours(R.host, R.rport) and M.known(R) then
		if not M.lookup(R) then return end
		return relay_to_client(R)
	end
	local verdict = policy.allow_dial_out(R)

	if not verdict and headers.ours(R.host, R.rport) then
		return reply.refuse(480, "Temporarily Unavailable", "no-such-user")
	end
	if not verdict or (verdict == true and R.ruri:match("^tel:")) then
		return reply.refuse(403, "Forbidden", "dial-out")
	end
	if type(verdict) == "string" then
		KSR.pv.sets("$du", verdict)
		number_for(R, verdict)
	end
	local to = KSR.pv.gete("$du") ~= "" and KSR.pv.gete("$du") or R.ruri

	if headers.ours_uri(headers.uri(to)) then return reply.refuse(482, "Loop Detected", "loop") end
	if to:find("transport=tls", 1, true) then KSR.corex.set_send_socket_name("peer_tls") end
	relay_to_client(R)
end

function M.on_failure()
	if KSR.tm.t_is_canceled() > 0 then return end
	if KSR.tm.t_branch_timeout() > 0 and KSR.tm.t_branch_replied() < 0 then
		reply.refuse(408, "Request Timeout", "timeout")
	end
end

return M
