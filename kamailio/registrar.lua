-- SPDX-License-Identifier: Apache-2.0
-- REGISTER: digest by 401, then the location table. Every client is reached where its request came from (received), never where
-- its Contact says: that is right for NAT, for connections, and against contacts that point elsewhere.
-- An OCS-style client is challenged by 407 and gets an answer of its own (ocs.lua); it signs off without waiting for a challenge.
local reply = require("reply")
local auth  = require("auth")
local log   = require("log")
local headers = require("headers")
local ocs   = require("ocs")
local gone  = require("gone")
local M = {}

local NATED = 6                                 -- usrloc's nat_bflag in kamailio.cfg
local NO_REPLY = 2                              -- save()'s flag

function M.handle(R)
	if R.who.kind ~= "client" then
		return reply.refuse(403, "Forbidden", "method")
	end
	if not headers.ours(R.host, R.rport) then
		return reply.refuse(404, "Not Found", "not-ours")
	end
	R.ocs = ocs.is_register(R)
	if R.ocs and KSR.hdr.gete("Expires") == "0" then R.principal = ocs.principal(R) end
	if not R.principal and not auth.digest(R) then return end
	KSR.nathelper.fix_nated_register()
	if not R.connected and KSR.nathelper.nat_uac_test(19) > 0 then
		KSR.setbflag(NATED)                     -- nathelper keeps its mapping open
	end
	if KSR.registrar.save("location", R.ocs and NO_REPLY or 0) < 0 then
		reply.refuse(500, "Server Internal Error", "register-target")
		return
	end
	if R.ocs then
		if ocs.registered(R) == 0 then return ocs.unbind(R) end
		ocs.bind(R)
		gone.watch(R)
	end
	log.step("step=registered user=" .. R.principal .. " from=" .. R.ip .. ":" .. R.port)
end

return M
