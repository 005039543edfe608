-- SPDX-License-Identifier: Apache-2.0
-- The headers between the edge and the daemons (docs/interfaces.md), and small readers of URIs.
local M = {}

-- Never believed from a client, a trunk or another domain; the edge writes them itself.
M.own = { "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Conclave-Access", "Conclave-Followed",
	"Conclave-Node", "Conclave-Mcu", "Conclave-Gone" }

function M.strip()
	for _, name in ipairs(M.own) do KSR.hdr.remove(name) end
end

-- "sip:lobby@host:5060;a=b;c" -> { user=, host=, port=, params={a="b", c=""} }, nil when it is no SIP URI
function M.uri(text)
	local scheme, rest = text:match("^(sips?):(.+)$")
	local u = { params = {} }

	if not rest then return nil end
	u.scheme = scheme
	rest = rest:match("^([^?]*)")
	local user, after = rest:match("^([^@]*)@(.*)$")
	u.user = user and user:match("^([^:;]*)") or ""
	local hostport, params = (after or rest):match("^([^;]*)(.*)$")
	u.host, u.port = hostport:match("^(%[[%x:%.]+%]):?(%d*)$")
	if not u.host then u.host, u.port = hostport:match("^([^:]+):?(%d*)$") end
	if not u.host then return nil end
	u.host = u.host:lower()
	for p in params:gmatch("[^;]+") do
		local k, v = p:match("^([^=]+)=?(.*)$")

		if k then u.params[k:lower()] = v end
	end
	return u
end

-- The URI inside the first element of a Contact or identity header, brackets or not.
function M.addr(value)
	return value:match("<%s*([^>]+)>") or value:match("^%s*([^;,%s]+)")
end

-- "app:conf:audio-video:id:ABC" -> "audio-video", "ABC"; a factory has no id.
function M.opaque(u)
	local op = u.params["opaque"] or ""
	local kind, id = op:match("^app:conf:([%w%-]+):id:([%w%-%._~]+)$")

	if kind then return kind, id end
	return op:match("^app:conf:([%w%-]+)$"), nil
end

-- Is this our domain, or one of our own addresses? A phone on the same machine differs by its port.
function M.ours(host, port)
	host = host:lower():gsub("%.$", "")
	if host == EDGE.domain then return true end
	if host ~= EDGE.ip and not EDGE.aliases[host] then return false end
	port = tonumber(port) or 0
	if port == 0 then return true end
	for _, p in pairs(EDGE.ports) do
		if p == port then return true end
	end
	return false
end

function M.ours_uri(u) return u ~= nil and M.ours(u.host, u.port) end

return M
