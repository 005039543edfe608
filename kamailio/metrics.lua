-- SPDX-License-Identifier: Apache-2.0
-- Counters for Prometheus, and the HTTP requests that reach a TCP listener: GET /metrics on the metrics port from a listed
-- address, the WebSocket handshake on the WSS port. Everything else gets 404 or 403.
local M = {}

function M.count0(name)        KSR.xhttp_prom.counter_inc_l0(name, 1) end
function M.count1(name, a)     KSR.xhttp_prom.counter_inc_l1(name, 1, a) end
function M.count2(name, a, b)  KSR.xhttp_prom.counter_inc_l2(name, 1, a, b) end

-- Methods are made up by the sender: only known ones become label values, so a stranger cannot grow the table.
local methods = {}
for m in ("INVITE ACK BYE CANCEL REGISTER OPTIONS SUBSCRIBE NOTIFY BENOTIFY INFO SERVICE MESSAGE REFER UPDATE PRACK PUBLISH")
	:gmatch("%u+") do
	methods[m] = true
end
function M.known_method(m) return methods[m] or false end
function M.request(m)      M.count1("conclave_requests", methods[m] and m or "other") end

local function table_size(name)
	local n = 0

	if KSR.htable.sht_iterator_start("count", name) < 0 then return 0 end
	while KSR.htable.sht_iterator_next("count") > 0 do n = n + 1 end
	KSR.htable.sht_iterator_end("count")
	return n
end

local function allowed(ip)
	for _, a in ipairs(EDGE.metrics_from) do
		if a == ip then return true end
	end
	return false
end

function M.on_http()
	local port = KSR.pv.geti("$Rp")

	if port == EDGE.ports.metrics then
		if not allowed(KSR.pv.gete("$si")) then
			KSR.xhttp.xhttp_reply(403, "Forbidden", "text/plain", "not from this address\n")
		elseif KSR.xhttp_prom.check_uri() > 0 then
			KSR.xhttp_prom.gauge_set_l0("conclave_mcus", table_size("mcus"))
			KSR.xhttp_prom.gauge_set_l0("conclave_focus_nodes", table_size("nodes"))
			KSR.xhttp_prom.dispatch()
		else
			KSR.xhttp.xhttp_reply(404, "Not Found", "text/plain", "try /metrics\n")
		end
	elseif port == EDGE.ports.wss and KSR.pv.gete("$hdr(Upgrade)"):lower() == "websocket" then
		KSR.websocket.handle_handshake()
	else
		KSR.xhttp.xhttp_reply(404, "Not Found", "text/plain", "no page here\n")
	end
end

return M
