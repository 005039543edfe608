-- SPDX-License-Identifier: Apache-2.0
-- What protects the edge before it thinks about a request: bans, known scanners, rate, size, form, hops.
-- Listed peers and trunks are held only to size, form and hops. Bans follow failed digests, never a name that a scanner gave,
-- or one scanner behind an office's address would silence the office.
local log     = require("log")
local reply   = require("reply")
local M = {}

local scanners = { "friendly%-scanner", "sipvicious", "sipcli", "sip%-scan", "sundayddr", "iwar", "sivus", "pplsip", "vaxsip" }
local MAX_BYTES = 200 * 1024

local function is_scanner(ua)
	ua = ua:lower()
	for _, s in ipairs(scanners) do
		if ua:find(s) then return true end
	end
	return false
end

local function exempt(ip) return EDGE.abuse_exempt[ip] == true end

function M.banned(ip)
	return not exempt(ip) and KSR.htable.sht_gete("bans", ip) ~= ""
end

-- True when the request may go on.
function M.check(R)
	if R.who.kind == "client" then
		if M.banned(R.ip) then return reply.drop("banned") end
		if is_scanner(KSR.pv.gete("$ua")) then return reply.drop("scanner") end
		if not exempt(R.ip) and KSR.pike.pike_check_req() < 0 then return reply.drop("rate") end
	end
	if KSR.pv.geti("$ml") > MAX_BYTES then
		return reply.refuse(513, "Message Too Large", "too-large")
	end
	if KSR.sanity.sanity_check(18407, 7) < 0 then
		return reply.drop("malformed")          -- sanity has answered
	end
	if KSR.maxfwd.process_maxfwd(20) < 0 then
		return reply.refuse(483, "Too Many Hops", "too-many-hops")
	end
	return true
end

-- A failed digest counts against the user at this address, and against the address.
function M.failed(ip, user)
	local who = ip .. "|" .. user

	KSR.htable.sht_inc("fails", who)
	KSR.htable.sht_inc("fails", ip)
	if (tonumber(KSR.htable.sht_get("fails", who)) or 0) >= EDGE.limits.user_fails then
		KSR.htable.sht_sets("bans", who, "1")
		log.warn("step=ban-user from=" .. ip .. " user=" .. user)
	end
	if not exempt(ip) and (tonumber(KSR.htable.sht_get("fails", ip)) or 0) >= EDGE.limits.ip_fails then
		KSR.htable.sht_sets("bans", ip, "1")
		log.warn("step=ban-address from=" .. ip)
	end
end

function M.user_banned(ip, user)
	return KSR.htable.sht_gete("bans", ip .. "|" .. user) ~= ""
end

function M.succeeded(ip, user)
	KSR.htable.sht_rm("fails", ip .. "|" .. user)
end

return M
