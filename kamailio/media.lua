-- SPDX-License-Identifier: Apache-2.0
-- The media relay (rtpengine), for the few who need it.
--
-- needs() is the whole rule: DTLS clients (a=fingerprint), or an SDP address that is private and differs from where the signalling
-- came from while the MCU has no address that the client can reach. The kind of the client's side is remembered per Call-ID,
-- because the flags of an offer and of an answer follow the side that receives them, never what the body looks like.
local log     = require("log")
local reply   = require("reply")
local metrics = require("metrics")
local M = {}

local PLAIN = "replace-origin replace-session-connection ICE=remove rtcp-mux-demux"
local SUITES = " SDES-no-AEAD_AES_256_GCM SDES-no-AEAD_AES_128_GCM SDES-no-AES_256_CM_HMAC_SHA1_80 SDES-no-AES_256_CM_HMAC_SHA1_32" ..
	" SDES-no-AES_192_CM_HMAC_SHA1_80 SDES-no-AES_192_CM_HMAC_SHA1_32 SDES-no-F8_128_HMAC_SHA1_80 SDES-no-F8_128_HMAC_SHA1_32" ..
	" SDES-no-AES_CM_128_HMAC_SHA1_32 SDES-no-NULL_HMAC_SHA1_80 SDES-no-NULL_HMAC_SHA1_32"
local flags = {
	webrtc = {
		mcu    = PLAIN .. " RTP/SAVP" .. SUITES,
		client = "replace-origin replace-session-connection ICE=force UDP/TLS/RTP/SAVPF SDES-off rtcp-mux-require generate-mid",
	},
	nat = { mcu = PLAIN .. " DTLS=off", client = "replace-origin replace-session-connection ICE=remove DTLS=off" },
}

-- "loopback", "private" or "public"
function M.scope(ip)
	if ip:match("^127%.") or ip == "::1" then return "loopback" end
	local a, b = ip:match("^(%d+)%.(%d+)%.")

	a, b = tonumber(a), tonumber(b)
	if a == 10 or (a == 172 and b >= 16 and b <= 31) or (a == 192 and b == 168) or (a == 169 and b == 254) or
	   (a == 100 and b >= 64 and b <= 127) then
		return "private"
	end
	local low = ip:lower()

	if low:match("^f[cd]%x%x:") or low:match("^fe[89ab]%x:") then return "private" end
	return "public"
end

-- The address in the body's first connection line.
function M.sdp_address(body)
	return body:match("[\r\n]c=IN IP[46] ([%x%.:]+)") or body:match("^c=IN IP[46] ([%x%.:]+)")
end

local function mcu_reachable(mcu_ip, sdp_ip, source)
	local scope = M.scope(mcu_ip)

	if scope == "public" then return true end
	if scope == "loopback" then return M.scope(sdp_ip) == "loopback" end
	return M.scope(source) ~= "public"
end

-- nil: no relay; "webrtc" or "nat": the client's kind.
function M.needs(body, source, mcu_ip)
	if body:find("a=fingerprint:", 1, true) then return "webrtc" end
	local ip = M.sdp_address(body)

	if ip and M.scope(ip) == "private" and ip ~= source and not mcu_reachable(mcu_ip, ip, source) then return "nat" end
	return nil
end

local function kind_of(callid)
	local k = KSR.htable.sht_gete("dialogs", callid .. ">relay")

	return flags[k] and k or nil
end

local function offer(callid, kind, towards)
	if KSR.rtpengine.rtpengine_offer(flags[kind][towards]) > 0 then
		metrics.count1("conclave_media_relay", "offer")
		log.step("step=relay-offer kind=" .. kind .. " towards=" .. towards)
		KSR.htable.sht_sets("dialogs", callid .. ">relay", kind)
		return true
	end
	metrics.count1("conclave_media_relay", "failed")
	log.warn("step=relay-failed kind=" .. kind)
	return false
end

-- An INVITE about to go to an MCU, after the redirect. False: the relay was needed and did not take the body.
function M.start()
	if not EDGE.relay or KSR.textops.has_body_type("application/sdp") < 0 then return true end
	local kind = M.needs(KSR.pv.gete("$rb"), KSR.pv.gete("$si"), EDGE.mcu_ip)

	return kind == nil or offer(KSR.pv.gete("$ci"), kind, "mcu")
end

-- A re-INVITE or UPDATE of a call whose media is relayed; towards: "mcu" or "client".
function M.reoffer(R, towards)
	local kind = kind_of(R.callid)

	if kind and KSR.textops.has_body_type("application/sdp") > 0 then offer(R.callid, kind, towards) end
end

function M.answer(towards)
	local kind = kind_of(KSR.pv.gete("$ci"))

	if not kind then return end
	if KSR.rtpengine.rtpengine_answer(flags[kind][towards]) < 0 then
		metrics.count1("conclave_media_relay", "failed")
		log.warn("step=relay-answer-failed kind=" .. kind)
	end
end

-- The call is over or did not come about.
function M.stop(R)
	local callid = R and R.callid or KSR.pv.gete("$ci")

	if not kind_of(callid) then return end
	KSR.rtpengine.rtpengine_delete0()
	KSR.htable.sht_rm("dialogs", callid .. ">relay")
	metrics.count1("conclave_media_relay", "delete")
	log.step("step=relay-delete")
end

return M
