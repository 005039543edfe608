-- SPDX-License-Identifier: Apache-2.0
-- The first look at every request: who sent it, is it well-formed and wanted, which module takes it.
local log        = require("log")
local reply      = require("reply")
local policy     = require("policy")
local abuse      = require("abuse")
local peers      = require("peers")
local auth       = require("auth")
local ocs        = require("ocs")
local headers    = require("headers")
local registrar  = require("registrar")
local conference = require("conference")
local dialog     = require("dialog")
local user       = require("user")
local metrics    = require("metrics")
local M = {}

-- What the modules need of a request, read once.
local function context()
	local gete = KSR.pv.gete
	local R = { method = gete("$rm"), callid = gete("$ci"), ip = gete("$si"), port = gete("$sp"), proto = gete("$proto"):lower(),
		lport = KSR.pv.geti("$Rp"), from_user = gete("$fU"):lower(), from_host = gete("$fd"):lower(), ruri = gete("$ru"),
		user = gete("$rU"), host = gete("$rd"):lower(), rport = gete("$rp"), in_dialog = gete("$tt") ~= "" }

	R.connected = R.proto ~= "udp"
	return R
end

-- What stands for the sender in later requests: a peer's name, a connection, or a UDP address.
local function flow_of(R)
	if R.who.name then return R.who.name end
	return R.connected and ("c" .. KSR.pv.gete("$conid")) or (R.ip .. ":" .. R.port)
end

-- CANCEL, retransmissions and the ACK of an error belong to a transaction; true when that is all there is to do. What another
-- worker is looking at this very moment is a retransmission only over UDP: OCS-style clients that were started in the same second
-- send the same Call-ID, CSeq and branch, each over its own connection.
local function by_transaction(R)
	if R.method == "CANCEL" then
		if KSR.tm.t_check_trans() > 0 then
			KSR.tm.t_relay()
		else
			reply.refuse(481, "Call/Transaction Does Not Exist", "no-such-dialog")
		end
		return true
	end
	if R.method ~= "ACK" and not R.connected and KSR.tmx.t_precheck_trans() > 0 then
		KSR.tm.t_check_trans()
		return true
	end
	return KSR.tm.t_check_trans() == 0
end

local function allowed_by_policy(R)
	local code, text = policy.on_request(R)

	if code == nil then return true end
	reply.refuse(tonumber(code) or 403, text or "Forbidden", "policy")
	return false
end

-- Outside a dialog these make sense from a client; others belong to a dialog that does not exist.
local initial = { INVITE = true, SUBSCRIBE = true, SERVICE = true, MESSAGE = true, REFER = true, OPTIONS = true }

-- An OPTIONS to the edge itself: a client's keep-alive, or a focus's announcement.
local function for_the_edge(R)
	if R.who.kind == "focus" then return peers.announce() end
	KSR.sl.send_reply(200, "OK")
end

local function route_initial(R)
	if R.method == "ACK" then return reply.drop("stray-ack") end
	if R.method == "REGISTER" then return registrar.handle(R) end
	KSR.hdr.remove("Route")                                 -- nobody but us chooses the way
	if peers.is_daemon(R.who) then return user.from_daemon(R) end
	if not metrics.known_method(R.method) or R.method == "PUBLISH" then
		return reply.refuse(405, "Method Not Allowed", "method",
			"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, INFO, SERVICE, MESSAGE, REFER, UPDATE\r\n")
	end
	if not initial[R.method] then
		return reply.refuse(481, "Call/Transaction Does Not Exist", "no-such-dialog")
	end
	if not headers.ours(R.host, R.rport) then
		return reply.refuse(403, "Relaying Denied", "not-ours")
	end
	return conference.initial(R)
end

function M.handle()
	local R = context()

	metrics.request(R.method)
	R.who = peers.identify(R)
	if not R.who or not abuse.check(R) then return end
	R.flow = flow_of(R)
	if ocs.bound_user(R) then ocs.own_branch(R) end
	if by_transaction(R) then return end
	if not peers.is_daemon(R.who) then
		R.asserted = KSR.hdr.gete("P-Asserted-Identity")
		headers.strip()
		KSR.force_rport()
	end
	if R.method == "OPTIONS" and not R.in_dialog and (R.user == "" or R.user == "edge") then
		return for_the_edge(R)
	end
	log.passing("step=request kind=" .. R.who.kind .. " from=" .. R.proto .. ":" .. R.ip .. ":" .. R.port .. " ruri=" .. R.ruri)
	if not allowed_by_policy(R) then return end
	if R.in_dialog and R.method ~= "REGISTER" then
		return dialog.handle(R)
	end
	return route_initial(R)
end

return M
