-- SPDX-License-Identifier: Apache-2.0
-- Clients whose connection ended without a word.
--
-- An OCS-style client keeps its conferences on one connection and never comes back to them on another. When a bound connection
-- closes, on_closed() (in whatever process noticed) leaves its address in `gone`; on_timer(), in a process of its own, tells
-- every focus once a second: OPTIONS with a line "Conclave-Gone: ADDRESS" each. The focus asks the clients that it knows
-- there, and lost() lets the edge answer for them at once.
local log     = require("log")
local metrics = require("metrics")
local M = {}

local MAX_LINES = 50

-- Called when a client is bound: from here on the end of its connection matters.
function M.watch(R)
	local addr = R.ip .. ":" .. R.port

	KSR.htable.sht_sets("flows", addr .. ">watched", "1")
	KSR.htable.sht_rm("gone", addr)
end

function M.on_closed()
	local addr = KSR.pv.gete("$si") .. ":" .. KSR.pv.gete("$sp")

	if KSR.htable.sht_gete("flows", addr .. ">watched") == "" then return end
	KSR.htable.sht_rm("flows", addr .. ">watched")
	KSR.htable.sht_sets("gone", addr, "new")
end

-- Is this address one of a connection that has just ended?
function M.lost(addr) return KSR.htable.sht_gete("gone", addr) ~= "" end

local function rows(name, f)
	if KSR.htable.sht_iterator_start("gone", name) < 0 then return end
	while KSR.htable.sht_iterator_next("gone") > 0 do
		f(KSR.pv.gete("$shtitkey(gone)"), KSR.pv.gete("$shtitval(gone)"))
	end
	KSR.htable.sht_iterator_end("gone")
end

local function tell(node, lines)
	KSR.pv.sets("$uac_req(method)", "OPTIONS")
	KSR.pv.sets("$uac_req(ruri)", "sip:focus@" .. EDGE.domain)
	KSR.pv.sets("$uac_req(furi)", "sip:edge@" .. EDGE.domain)
	KSR.pv.sets("$uac_req(turi)", "sip:focus@" .. EDGE.domain)
	KSR.pv.sets("$uac_req(ouri)", "sip:" .. node .. ";transport=tls")
	KSR.pv.sets("$uac_req(sock)", "tls:" .. EDGE.ip .. ":" .. EDGE.ports.peer)
	KSR.pv.sets("$uac_req(hdrs)", lines)
	KSR.uac.uac_req_send()
end

function M.on_timer()
	local new, nodes = {}, {}

	rows("gone", function(addr, state)
		if state == "new" and #new < MAX_LINES then new[#new + 1] = addr end
	end)
	if #new == 0 then return end
	rows("nodes", function(_, addr) nodes[#nodes + 1] = addr end)
	for _, addr in ipairs(new) do KSR.htable.sht_sets("gone", addr, "told") end
	for _, node in ipairs(nodes) do
		tell(node, "Conclave-Gone: " .. table.concat(new, "\r\nConclave-Gone: ") .. "\r\n")
	end
	log.step("step=gone clients=" .. table.concat(new, ",") .. " nodes=" .. #nodes)
	metrics.count0("conclave_lost_clients")
end

return M
