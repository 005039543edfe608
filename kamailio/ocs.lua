-- SPDX-License-Identifier: Apache-2.0
-- What OCS-style clients (pidgin-sipe and its kin) want of the edge beyond SIP. Other clients never come here.
--
-- Such a client shows itself by its REGISTER (ms-keep-alive, or Event: registration). It takes a digest challenge only as 407 and
-- never gives credentials ahead, so its connection is bound to the user once the digest was right (`flows`, key flow>ocs): what it
-- sends later on that connection as that user needs no challenge. It wants its own headers in the 200 to REGISTER, a GRUU
-- of a form of its own (sip:alice@D;opaque=user:epid:UUID;gruu, which find() resolves), and answers to what it asks about itself:
-- the provisioning document, its own presence. There is no state behind those answers; presence between users is not kept.
local log     = require("log")
local reply   = require("reply")
local headers = require("headers")
local M = {}

local DEFAULT_EXPIRES, MIN_EXPIRES, MAX_EXPIRES = 600, 30, 3600         -- as registrar in kamailio.cfg
local KEEPALIVE_S = 300
local EVENTS = "vnd-microsoft-provisioning-v2,vnd-microsoft-roaming-self"  -- no spaces: the client does not trim

function M.is_register(R)
	return R.method == "REGISTER" and R.connected and
		(KSR.hdr.gete("ms-keep-alive") ~= "" or KSR.hdr.gete("Event"):lower() == "registration")
end

-- The user that this connection is bound to, when it is an OCS-style client's; else nil.
function M.bound_user(R)
	if not R.connected or R.who.kind ~= "client" then return nil end
	local user = KSR.htable.sht_gete("flows", R.flow .. ">ocs")

	return user ~= "" and user or nil
end

-- The principal of a request on a bound connection, nil when it must be asked for credentials.
function M.principal(R)
	if M.bound_user(R) ~= R.from_user or not headers.ours(R.from_host, "") then return nil end
	local p = KSR.htable.sht_gete("flows", R.flow .. "|" .. R.from_user)

	return p ~= "" and p or nil
end

-- The header that such a client shows to its user when it may not sign on.
function M.shown(why)
	return 'Warning: 399 ' .. EDGE.domain .. ' "' .. reply.reasons[why][2] .. '"\r\n'
end

function M.bind(R)
	KSR.htable.sht_sets("flows", R.flow .. ">ocs", R.from_user)
end

function M.unbind(R)
	KSR.htable.sht_rm("flows", R.flow .. ">ocs")
end

-- Seconds that the registrar grants.
function M.expires(value)
	local n = tonumber(value) or DEFAULT_EXPIRES

	return n <= 0 and 0 or math.max(MIN_EXPIRES, math.min(n, MAX_EXPIRES))
end

-- The Contact line of the 200: the client's own, with its GRUU when it named an instance.
function M.contact(value, user, expires)
	local uri = headers.addr(value)
	local uuid = value:match('%+sip%.instance="<urn:uuid:([%x%-]+)>"')

	if not uri or uri:find('[%c%s"]') then return "" end
	local line = "Contact: <" .. uri .. ">;expires=" .. expires

	if uuid then
		line = line .. ';+sip.instance="<urn:uuid:' .. uuid .. '>";gruu="sip:' .. user .. "@" .. EDGE.domain ..
			";opaque=user:epid:" .. uuid .. ';gruu"'
	end
	return line .. "\r\n"
end

-- The 200 to a REGISTER that was saved. Each Supported is a line of its own, or the client overlooks it.
function M.registered(R)
	local expires = M.expires(KSR.hdr.gete("Expires"))

	KSR.hdr.append_to_reply((expires > 0 and M.contact(KSR.pv.gete("$ct"), R.from_user, expires) or "") ..
		"Expires: " .. expires .. "\r\nAllow-Events: " .. EVENTS .. "\r\nSupported: msrtc-event-categories\r\n" ..
		"ms-keep-alive: UAS; tcp=no; hop-hop=yes; end-end=no; timeout=" .. KEEPALIVE_S ..
		"\r\nServer: RTC/3.5\r\n")
	KSR.sl.send_reply(200, "OK")
	return expires
end

local PROVISIONING = [[<provisionGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification">
 <provisionGroup name="ServerConfiguration">
  <focusFactoryUri>sip:%s@%s;gruu;opaque=app:conf:focusfactory</focusFactoryUri>
  <ucPC2PCAVEncryption>%s</ucPC2PCAVEncryption>
  <ucPortRangeEnabled>false</ucPortRangeEnabled>
 </provisionGroup>
</provisionGroupList>
]]

local SELF = [[<roamingData xmlns="http://schemas.microsoft.com/2006/09/sip/roaming-self">
 <categories xmlns="http://schemas.microsoft.com/2006/09/sip/categories" uri="sip:%s@%s"/>
 <containers xmlns="http://schemas.microsoft.com/2006/09/sip/container-management"/>
 <subscribers xmlns="http://schemas.microsoft.com/2006/09/sip/presence-subscribers"/>
</roamingData>
]]

-- What is offered to a user about himself: type and text of the document, and how long the subscription lasts.
local documents = {
	["vnd-microsoft-provisioning-v2"] = { type = "application/vnd-microsoft-roaming-provisioning-v2+xml", lasts = 0,
		text = function(user)
			return PROVISIONING:format(user, EDGE.domain,
				EDGE.user_media == "any" and "SupportEncryption" or "RequireEncryption")
		end },
	["vnd-microsoft-roaming-self"] = { type = "application/vnd-microsoft-roaming-self+xml", lasts = 28800,
		text = function(user) return SELF:format(user, EDGE.domain) end },
}

-- The document for an event package, nil when it is not offered.
function M.document(event, user)
	local d = documents[event:lower()]

	if not d then return nil end
	return d.text(user), d.type, d.lasts
end

-- SUBSCRIBE to oneself: the document comes in the 200, and nothing follows, for it never changes.
local function subscribe(R)
	local event = KSR.hdr.gete("Event"):match("^%s*([^;%s]*)")
	local text, ctype, lasts = M.document(event, R.from_user)

	if not text or R.user:lower() ~= R.from_user then
		return reply.refuse(489, "Bad Event", "event", "Allow-Events: " .. EVENTS .. "\r\n")
	end
	if KSR.hdr.gete("Expires") == "0" then lasts = 0 end
	KSR.hdr.append_to_reply("Event: " .. event .. "\r\nExpires: " .. lasts .. "\r\nContact: <" .. "sip:" .. R.from_user .. "@" ..
		EDGE.domain .. ">\r\nsubscription-state: " .. (lasts > 0 and "active" or "terminated") .. ";expires=" .. lasts .. "\r\n" ..
		"ms-piggyback-cseq: 1\r\n")
	KSR.textops.set_reply_body(text, ctype)
	log.step("step=document event=" .. event)
	KSR.sl.send_reply(200, "OK")
end

-- Publications of one's own presence are taken and forgotten. Everything else a user may be asked by SERVICE is not offered.
local function service(R)
	local ctype = KSR.pv.gete("$cT"):lower()

	if R.user:lower() == R.from_user and ctype:find("^application/msrtc%-") then
		return KSR.sl.send_reply(200, "OK")
	end
	reply.refuse(501, "Not Implemented", "service")
end

-- A request of a bound client whose target is no conference. True: it was answered here.
function M.for_user(R)
	if R.method == "SUBSCRIBE" then
		subscribe(R)
	elseif R.method == "SERVICE" then
		service(R)
	elseif R.method == "INVITE" and R.user == "ocschat" then    -- it asks for group chat after each provisioning document
		reply.refuse(404, "Not Found", "group-chat")
	else
		return false
	end
	return true
end

-- Clients that were started in the same second make the same branches, and tm compares of the Via nothing else but the host: so the
-- connection's number is added. The client does not look at the Via of a response.
function M.own_branch(R)
	local branch = KSR.hdr.gete("Via"):match(";branch=(z9hG4bK%w+)")

	if not branch then return end
	KSR.textops.replace(branch, branch .. R.flow)
	KSR.textopsx.msg_apply_changes()
end

-- Turns the R-URI sip:alice@D;opaque=user:epid:UUID into the form of RFC 5627, which lookup() understands.
function M.find(u)
	local uuid = (u.params.opaque or ""):match("^user:epid:([%x%-]+)$")

	if uuid then KSR.pv.sets("$ru", "sip:" .. u.user .. "@" .. EDGE.domain .. ";gr=urn:uuid:" .. uuid) end
	return uuid ~= nil
end

return M
