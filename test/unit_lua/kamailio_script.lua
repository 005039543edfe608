-- SPDX-License-Identifier: Apache-2.0
-- The pure parts of the edge script under plain lua5.1: URIs, opaque, our own addresses, the relay rule, policy hooks.
package.path = "kamailio/?.lua;" .. package.path
EDGE = { domain = "conclave.test", ip = "127.0.0.1", aliases = { localhost = true }, ports = { sip = 15060, tls = 15061 } }
KSR = setmetatable({}, { __index = function(_, k) error("the test touched KSR." .. k) end })

local headers, media, policy = require("headers"), require("media"), require("policy")
local failed, ran = 0, 0

local function test(name, f)
	local ok, err = pcall(f)

	ran = ran + 1
	if not ok then
		failed = failed + 1
		print("FAIL " .. name .. ": " .. err)
	end
end

local function eq(got, want)
	if got ~= want then error("got " .. tostring(got) .. ", want " .. tostring(want), 2) end
end

test("a conference URI falls into its parts", function()
	local u = headers.uri("sip:lobby@Conclave.Test:5070;gruu;opaque=app:conf:audio-video:id:AB-1;oc-mcu=mcu-1")

	eq(u.user, "lobby"); eq(u.host, "conclave.test"); eq(u.port, "5070")
	eq(u.params["gruu"], ""); eq(u.params["oc-mcu"], "mcu-1")
	local kind, id = headers.opaque(u)
	eq(kind, "audio-video"); eq(id, "AB-1")
end)

test("a factory URI has a kind and no id, other opaque values neither", function()
	local kind, id = headers.opaque(headers.uri("sip:a@b;opaque=app:conf:focusfactory"))
	eq(kind, "focusfactory"); eq(id, nil)
	eq(headers.opaque(headers.uri("sip:a@b;opaque=user:epid:xyz")), nil)
	eq(headers.opaque(headers.uri("sip:a@b;opaque=app:conf:focus:id:a/../b")), nil)
end)

test("odd URIs are refused or read without harm", function()
	eq(headers.uri("tel:+49301"), nil)
	eq(headers.uri("sip:"), nil)
	eq(headers.uri(""), nil)
	eq(headers.uri("sip:a@[::1]:5060;x").host, "[::1]")
	eq(headers.uri("sip:h").user, "")
	eq(headers.uri("sip:u:secret@h").user, "u")
	eq(headers.uri("sip:a@h?Subject=x").host, "h")
	eq(headers.addr('"A <b>" <sip:a@b>;x=1') ~= nil, true)
	eq(headers.addr("sip:a@b;x=1"), "sip:a@b")
end)

test("a phone on our own address is told apart from us by its port", function()
	eq(headers.ours("conclave.test", "9"), true)
	eq(headers.ours("127.0.0.1", "15061"), true)
	eq(headers.ours("127.0.0.1", "40000"), false)
	eq(headers.ours("127.0.0.1", ""), true)
	eq(headers.ours("other.example", ""), false)
end)

local function sdp(ip, more)
	return "v=0\r\no=- 1 1 IN IP4 9.9.9.9\r\ns=-\r\nc=IN IP4 " .. ip .. "\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n" .. (more or "")
end

test("the media relay is used if and only if the rule says so", function()
	local rows = {
		-- SDP address, signalling source, MCU address, relay
		{ "192.0.2.7",  "192.0.2.7",  "198.51.100.1", nil },    -- public phone, public MCU
		{ "10.1.2.3",   "192.0.2.7",  "198.51.100.1", nil },    -- behind NAT, but the MCU is reachable
		{ "10.1.2.3",   "192.0.2.7",  "10.9.9.9",     "nat" },  -- behind NAT, the MCU hidden in another network
		{ "10.1.2.3",   "10.1.2.3",   "10.9.9.9",     nil },    -- one private network
		{ "10.1.2.3",   "172.16.5.5", "10.9.9.9",     nil },    -- private all the way
		{ "192.0.2.7",  "192.0.2.8",  "10.9.9.9",     nil },    -- its address is public
		{ "127.0.0.1",  "127.0.0.1",  "127.0.0.1",    nil },    -- all on loopback
		{ "10.1.2.3",   "127.0.0.1",  "127.0.0.1",    "nat" },  -- a faked NAT on loopback
		{ "172.32.0.1", "127.0.0.1",  "127.0.0.1",    nil },    -- just outside the private block
		{ "100.64.0.1", "127.0.0.1",  "127.0.0.1",    "nat" },  -- a carrier's NAT
		{ "fd00::1",    "2001:db8::1", "fd00::9",     "nat" },
	}
	for n, r in ipairs(rows) do
		local got = media.needs(sdp(r[1]):gsub("IP4 ([%x]*:)", "IP6 %1"), r[2], r[3])
		if got ~= r[4] then error("row " .. n .. ": got " .. tostring(got)) end
	end
	eq(media.needs(sdp("192.0.2.7", "a=fingerprint:sha-256 AA\r\n"), "192.0.2.7", "198.51.100.1"), "webrtc")
	eq(media.needs("", "1.2.3.4", "10.0.0.1"), nil)
	eq(media.needs("no sdp at all", "1.2.3.4", "10.0.0.1"), nil)
end)

test("policy files are asked in order and the first opinion counts", function()
	local function file(text)
		local path = os.tmpname()
		local f = io.open(path, "w")
		f:write(text); f:close()
		return path
	end
	local a = file("return { choose_room = function(r) if r.user == 'x' then return 'first' end end }")
	local b = file("return { choose_room = function(r) return 'second' end, on_request = function() return 603, 'No' end }")
	local R = { method = "INVITE", callid = "c", from_user = "u", from_host = "h", ruri = "sip:x@h", user = "x", ip = "1.1.1.1",
		proto = "udp", who = { kind = "client" } }

	policy.load({ a, b })
	eq(policy.choose_room(R), "first")
	R.user = "y"
	eq(policy.choose_room(R), "second")
	local code, text = policy.on_request(R)
	eq(code, 603); eq(text, "No")
	eq(policy.allow_dial_out(R), nil)
	eq(pcall(policy.load, { file("return 1") }), false)
	eq(pcall(policy.load, { file("this is no lua") }), false)
	os.remove(a); os.remove(b)
end)

print(string.format("%d tests, %d failed", ran, failed))
os.exit(failed == 0 and 0 or 1)
