-- SPDX-License-Identifier: Apache-2.0
-- REGISTER: digest by 401, then the location table. Every client is reached where its request came from (received), never where
-- its Contact says: that is right for NAT, for connections, and against contacts that point elsewhere.
local reply = require("reply")
local auth  = require("auth")
local log   = require("log")
local headers = require("headers")
local M = {}

local NATED = 6                                 -- usrloc's nat_bflag in kamailio.cfg

function M.handle(R)
	if R.who.kind ~= "client" then
		return reply.refuse(403, "Forbidden", "method")
	end
	if not headers.ours(R.host, R.rport) then
		return reply.refuse(404, "Not Found", "not-ours")
	end
	if not auth.digest(R) then return end
	KSR.nathelper.fix_nated_register()
	if not R.connected and KSR.nathelper.nat_uac_test(19) > 0 then
		KSR.setbflag(NATED)                     -- nathelper keeps its mapping open
	end
	if KSR.registrar.save("location", 0) < 0 then
		reply.refuse(500, "Server Internal Error", "register-target")
		return
	end
	log.step("step=registered user=" .. R.principal .. " from=" .. R.ip .. ":" .. R.port)
end

return M
