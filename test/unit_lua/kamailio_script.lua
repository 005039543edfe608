-- SPDX-License-Identifier: Apache-2.0
-- The pure parts of the edge script under plain lua5.1: URIs, opaque, our own addresses, the relay rule, policy hooks.
package.path = "kamailio/?.lua;" .. package.path
EDGE = { domain = "conclave.test", ip = "127.0.0.1", aliases = { localhost = true }, ports = { sip = 15060, tls = 15061 } }
KSR = setmetatable({}, { __index = function(_, k) error("the test touched KSR." .. k) end })

local headers, media, policy, ocs = require("headers"), require("media"), require("policy"), require("ocs")
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

test("a number is one however it is written", function()
	eq(policy.number("tel:+49-30-(12).3;phone-context=x"), "+4930123")
	eq(policy.number("sip:+4930123@gw.example;user=phone"), "+4930123")
	eq(policy.number("sip:110@h"), "110")
	eq(policy.number("sip:bob@h"), nil)
	eq(policy.number("sip:h"), nil)
	eq(policy.number("tel:help"), nil)
end)

test("an OCS-style client gets its Contact back with a GRUU when it named an instance", function()
	local id = '+sip.instance="<urn:uuid:b7878522-d7fe-5c33-b30d-265f6618ae78>"'
	local line = ocs.contact('<sip:127.0.0.1:40001;transport=tls;ms-opaque=d3>;methods="INVITE, INFO";proxy=replace;' .. id, "alice", 600)

	eq(line, 'Contact: <sip:127.0.0.1:40001;transport=tls;ms-opaque=d3>;expires=600;' .. id ..
		';gruu="sip:alice@conclave.test;opaque=user:epid:b7878522-d7fe-5c33-b30d-265f6618ae78;gruu"\r\n')
	eq(ocs.contact("<sip:a@1.2.3.4>", "alice", 30), "Contact: <sip:a@1.2.3.4>;expires=30\r\n")
	eq(ocs.contact('<sip:a@1.2.3.4>;+sip.instance="<urn:uuid:x\r\nEvil: 1>"', "alice", 30), "Contact: <sip:a@1.2.3.4>;expires=30\r\n")
	eq(ocs.contact('<sip:a"b@1.2.3.4>', "alice", 30), "")
	eq(ocs.contact("", "alice", 30), "")
end)

test("a registration lasts as the registrar grants it", function()
	eq(ocs.expires(""), 600); eq(ocs.expires("nonsense"), 600)
	eq(ocs.expires("0"), 0); eq(ocs.expires("-5"), 0)
	eq(ocs.expires("1"), 30); eq(ocs.expires("900"), 900); eq(ocs.expires("99999"), 3600)
end)

test("the documents about oneself name the user, and the rest is not offered", function()
	local text, ctype, lasts = ocs.document("VND-Microsoft-provisioning-v2", "alice")

	eq(text:match("<focusFactoryUri>(.-)</focusFactoryUri>"), "sip:alice@conclave.test;gruu;opaque=app:conf:focusfactory")
	eq(text:match("<ucPC2PCAVEncryption>(.-)<"), "RequireEncryption")
	eq(ctype, "application/vnd-microsoft-roaming-provisioning-v2+xml"); eq(lasts, 0)
	EDGE.user_media = "any"
	eq(ocs.document("vnd-microsoft-provisioning-v2", "alice"):match("<ucPC2PCAVEncryption>(.-)<"), "SupportEncryption")
	EDGE.user_media = nil
	eq(ocs.document("vnd-microsoft-roaming-self", "bob"):match('uri="(.-)"'), "sip:bob@conclave.test")
	eq(ocs.document("presence", "bob"), nil)
end)

print(string.format("%d tests, %d failed", ran, failed))
os.exit(failed == 0 and 0 or 1)
