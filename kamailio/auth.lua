-- SPDX-License-Identifier: Apache-2.0
-- Digest, and what is remembered of it.
--
-- Initial requests of clients need a digest (401 for REGISTER, 407 else), once for each user of a TLS connection: what it says later
-- in his name is his, until he registers again. Over UDP and plain TCP each one needs it. A request inside a dialog is believed when
-- its dialog was set up from the same flow (`dialogs`, key Call-ID|flow), or when its connection has authenticated the user in
-- its From (`flows`, key flow|user, connections only); otherwise it is challenged too: a forged BYE with a hand-made Route
-- set gets 407. A flow is the connection's number, or address and port for UDP; numbers are never used again, so a closed
-- connection leaves nothing that another could inherit. A trunk's or another domain's flow is its name. After a restart of the edge
-- nothing is remembered: clients are challenged; a trunk is believed for a dialog that nobody else is known to own.
local log     = require("log")
local reply   = require("reply")
local abuse   = require("abuse")
local ocs     = require("ocs")
local headers = require("headers")
local metrics = require("metrics")
local M = {}

local INVALID_PASSWORD, UNKNOWN_USER, NO_CREDENTIALS, USER_MISMATCH = -2, -3, -5, -8

-- Both are answered without a transaction: an OCS-style client sends the request again with the same branch and CSeq.
local function challenge(R)
	local www = R.method == "REGISTER" and not R.ocs

	metrics.count2("conclave_refused", www and "401" or "407", "no-credentials")
	log.step("step=challenge user=" .. R.from_user)
	KSR.hdr.append_to_reply(reply.diagnostics("no-credentials"))
	if www then
		KSR.auth.auth_challenge(EDGE.domain, 1)
	else
		sr.auth.proxy_challenge(EDGE.domain, 1)
	end
end

-- As auth_check(), which looks for a REGISTER's credentials only where a 401 wants them; so these two are the table sr of app_lua_sr.
local function check_407(R)
	local rc = sr.auth_db.proxy_authenticate(EDGE.domain, "subscriber")

	if rc < 0 then return rc end
	local user = KSR.pv.gete("$au"):lower():match("^([^@]+)")

	if user ~= R.from_user or user ~= KSR.pv.gete("$tU"):lower() or not headers.ours(R.from_host, "") then
		return USER_MISMATCH
	end
	return rc
end

local lasting = { tls = true, wss = true }      -- connections that nobody on the way can write to

local function bound_principal(R)
	if not lasting[R.proto] or R.method == "REGISTER" or KSR.pv.gete("$au") ~= "" or not headers.ours(R.from_host, "") then return nil end
	local p = KSR.htable.sht_gete("flows", R.flow .. "|" .. R.from_user)

	return p ~= "" and p or nil
end

-- The digest of this request: true, or false when it was answered here.
function M.digest(R)
	R.principal = R.method ~= "REGISTER" and (ocs.principal(R) or bound_principal(R)) or nil
	if R.principal then return true end
	local user = KSR.pv.gete("$au"):lower():match("^([^@]*)")

	if user ~= "" and abuse.user_banned(R.ip, user) then
		reply.refuse(403, "Forbidden", "banned-user", R.ocs and ocs.shown("banned-user"))
		return false
	end
	local rc = R.ocs and check_407(R) or not R.ocs and KSR.auth_db.auth_check(EDGE.domain, "subscriber", 1)

	if rc > 0 then
		metrics.count1("conclave_digest", "ok")
		abuse.succeeded(R.ip, user)
		KSR.auth.consume_credentials()
		R.principal = user .. "@" .. EDGE.domain
		if R.connected then KSR.htable.sht_sets("flows", R.flow .. "|" .. R.from_user, R.principal) end
		return true
	end
	if rc == INVALID_PASSWORD or rc == UNKNOWN_USER then
		metrics.count1("conclave_digest", "failed")
		log.warn("step=digest-failed user=" .. user .. " from=" .. R.ip)
		abuse.failed(R.ip, user)
		if R.ocs then                           -- it would try the same password again and again
			reply.refuse(403, "Forbidden", "wrong-password", ocs.shown("wrong-password"))
			return false
		end
	elseif rc == USER_MISMATCH then
		metrics.count1("conclave_digest", "mismatch")
		reply.refuse(403, "Forbidden", "wrong-user")
		return false
	end
	challenge(R)
	return false
end

local function key(R) return R.callid .. "|" .. R.flow end

-- From now on requests of this dialog from this flow are principal's. kind: user, trunk, federated, anonymous.
function M.remember(R, kind, principal)
	KSR.htable.sht_sets("dialogs", key(R), kind .. "|" .. (principal or ""))
	KSR.htable.sht_sets("dialogs", R.callid .. ">owned", "1")
end

local function owned(R) return KSR.htable.sht_gete("dialogs", R.callid .. ">owned") ~= "" end

-- Inside a dialog: sets R.access and R.principal; false when the request was answered or dropped here.
function M.in_dialog(R)
	local known = KSR.htable.sht_gete("dialogs", key(R))
	local kind, principal = known:match("^(%l+)|(.*)$")

	if not kind and R.connected and R.who.kind == "client" then
		principal = KSR.htable.sht_gete("flows", R.flow .. "|" .. R.from_user)
		kind = principal ~= "" and "user" or nil
	elseif not kind and R.who.kind ~= "client" and not owned(R) then
		kind, principal = R.who.kind, "sip:" .. R.from_user .. "@" .. R.from_host
	end
	if kind then
		R.access, R.principal = kind, principal ~= "" and principal or nil
		M.remember(R, kind, principal)                  -- a long call stays known
		return true
	end
	if R.method == "ACK" then
		reply.drop("stray-ack")
		return false
	end
	if R.who.kind ~= "client" then
		reply.refuse(481, "Call/Transaction Does Not Exist", "no-such-dialog")
		return false
	end
	if not M.digest(R) then return false end
	R.access = "user"
	M.remember(R, "user", R.principal)
	return true
end

return M
