-- SPDX-License-Identifier: Apache-2.0
-- Entry of the edge script. DIR/etc/edge.lua (written by scripts/conclave) sets the table EDGE and runs this file.
--
-- A request enters at ksr_request_route, is looked at by abuse.lua and peers.lua (who is this?), and goes by request.lua to
-- registrar.lua, conference.lua (our daemons), dialog.lua (inside a dialog) or user.lua (another registered user). Whatever a
-- module does wrong ends in guarded(): the sender gets a 500 and the next request starts afresh.
--
-- A reload runs this file again in the same Lua state: the modules are read anew, and only when all of them could be loaded
-- do the functions that Kamailio calls change. So a broken file leaves the old script at work.

package.path = EDGE.lua .. "/?.lua"
for _, name in ipairs({ "log", "reply", "policy", "abuse", "peers", "ocs", "gone", "auth", "registrar", "media", "dialog", "conference",
	"user", "request", "metrics", "headers" }) do
	package.loaded[name] = nil
end

local log        = require("log")
local reply      = require("reply")
local request    = require("request")
local conference = require("conference")
local dialog     = require("dialog")
local user       = require("user")
local gone       = require("gone")
local metrics    = require("metrics")
require("policy").load(EDGE.policies or {})

-- Runs f; an error in it is logged with its place, counted, and told to after(), which may answer the request.
local function guarded(where, f, after)
	local ok, err = xpcall(f, function(e) return debug.traceback(tostring(e), 2) end)

	if not ok then
		metrics.count0("conclave_script_errors")
		log.error("step=script-error where=" .. where .. " error=" .. tostring(err):gsub("%s+", " "))
		if after then after() end
	end
	return 1
end

function ksr_request_route()
	return guarded("request", request.handle, function()
		if KSR.pv.gete("$rm") ~= "ACK" then
			reply.refuse(500, "Server Internal Error", "script-error")
		end
	end)
end

-- A reply that belongs to no transaction is never passed on (a frozen daemon's late answer, a forged one).
function ksr_reply_route()
	local keep = true

	guarded("reply", function() keep = dialog.on_any_reply() end, function() keep = false end)
	if not keep then
		KSR.set_drop()
		return -255
	end
	return 1
end

function ksr_onsend_route() return 1 end

-- Routes armed with t_on_*(): by their names.
function edge_failure_focus()
	return guarded("failure_focus", conference.on_failure, function()
		reply.refuse(500, "Server Internal Error", "script-error")
	end)
end
function edge_failure_user()  return guarded("failure_user", user.on_failure) end
function edge_reply_daemon()  return guarded("reply_daemon", conference.on_reply) end
function edge_reply_client()  return guarded("reply_client", dialog.on_client_reply) end

function ksr_xhttp_event()     return guarded("http", function() metrics.on_http() end) end
function ksr_websocket_event() return 1 end
function ksr_closed_event()    return guarded("closed", gone.on_closed) end
function ksr_gone_timer()      return guarded("gone", gone.on_timer) end
