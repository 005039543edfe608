-- SPDX-License-Identifier: Apache-2.0
-- Who sent this? On the peer listener the certificate's first name decides: one of our daemons, another edge, or a listed
-- domain or trunk; a valid certificate with another name gets 403. Elsewhere an address in EDGE.trunks is a trunk, unless it
-- speaks as one of our own users; everybody else is a client, who is nobody until a digest says otherwise.
local log     = require("log")
local reply   = require("reply")
local headers = require("headers")
local M = {}

local CLIENT = { kind = "client" }

function M.is_daemon(who) return who.kind == "focus" or who.kind == "mcu" end

-- The listed peer of the certificate on this connection, or nil and its name. Our own roles also need the role's own issuer, so
-- that the key of one role's authority cannot make another role.
function M.by_certificate()
	local name = KSR.pv.gete("$tls_peer_san_hostname"):lower()
	local ours = EDGE.peers[name]

	if ours then
		if KSR.pv.gete("$tls_peer_issuer_cn") == ours.issuer then return ours, name end
		return nil, name
	end
	return EDGE.federated[name], name
end

-- Is this one of our users, however it is spelt? "al%69ce@conclave.test." is alice.
function M.is_local_user(user, host, port)
	user = user:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end):lower()
	if user == "" or user:find("[%c%s@:;<>\"]") or not headers.ours(host, port) then return false end
	return KSR.auth_db.is_subscriber("sip:" .. user .. "@" .. EDGE.domain, "subscriber", 0) > 0
end

function M.identify(R)
	if R.lport == EDGE.ports.peer then
		local peer, name = M.by_certificate()

		if peer then return peer end
		log.warn("step=unknown-peer name=" .. (name ~= "" and name or "-") .. " from=" .. R.ip)
		reply.refuse(403, "Forbidden", "unknown-peer")
		return nil
	end
	local trunk = EDGE.trunks[R.ip]
	local called = trunk and R.in_dialog and KSR.htable.sht_gete("dialogs", R.callid .. "|" .. trunk.name) ~= ""

	-- Whom a conference called by way of a trunk is inside that dialog the trunk, though his From is what the conference dialled.
	if trunk and R.method ~= "REGISTER" and (called or not M.is_local_user(R.from_user, R.from_host)) then
		return trunk
	end
	return CLIENT
end

-- The trunk or listed domain that a reply came from; nil: one of our users.
function M.answering(proto)
	local trunk = EDGE.trunks[KSR.pv.gete("$si")]

	if trunk or proto ~= "tls" then return trunk end
	local peer = M.by_certificate()

	return peer and not M.is_daemon(peer) and peer or nil
end

-- Announcement of a focus node: where it is, and which MCUs are up. Kept 35 s, so three may be lost.
function M.announce()
	local n = tonumber(KSR.pv.gete("$hdrc(Conclave-Mcu)")) or 0
	local function learn(role, tables, value)
		local name, addr = value:match("^%s*([%w%-%._]+)%s*;%s*addr=([%w%.%-%[%]:]+)%s*$")

		if not name then return end
		for _, t in ipairs(tables) do KSR.htable.sht_sets(t, name, addr) end
		KSR.htable.sht_sets("roles", addr, role)
	end

	learn("focus", { "nodes" }, KSR.hdr.gete("Conclave-Node"))

	for i = 0, math.min(n, 256) - 1 do
		learn("mcu", { "mcus", "mcus_seen" }, KSR.hdr.gete_idx("Conclave-Mcu", i))
	end
	KSR.sl.send_reply(200, "OK")
end

-- A reply from an address of a daemon is believed only when the certificate there has the role that the address was announced
-- with, for Kamailio itself checks no names on connections that it opens; one over the peer listener only from a listed peer.
function M.reply_trusted()
	local from = KSR.pv.gete("$si") .. ":" .. KSR.pv.gete("$sp")
	local role = from == EDGE.focus[1] and "focus" or KSR.htable.sht_gete("roles", from)

	if role == "" and KSR.pv.geti("$Rp") ~= EDGE.ports.peer then return true end
	local peer, name = M.by_certificate()

	if peer and (role == "" or role == peer.kind) then return true end
	log.warn("step=reply-from-wrong-peer name=" .. name .. " role=" .. role .. " from=" .. KSR.pv.gete("$si"))
	return false
end

return M
