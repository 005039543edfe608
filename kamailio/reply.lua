-- SPDX-License-Identifier: Apache-2.0
-- Errors that the edge makes itself. Each has an ms-diagnostics header with a number and a sentence, so that a client's log says
-- what was wrong and what would help. The table is the whole list; docs and tests refer to its short names.
local log     = require("log")
local metrics = require("metrics")
local M = {}

M.reasons = {
	["script-error"]    = { 1, "The edge failed on this request; its log names the place" },
	["not-ours"]        = { 2, "This edge does not relay to other domains" },
	["no-credentials"]  = { 3, "Give credentials for this domain" },
	["wrong-user"]      = { 4, "The digest user is not the user in From or To" },
	["banned-user"]     = { 5, "Too many failed logins of this user from here; wait a few minutes" },
	["unknown-peer"]    = { 6, "The certificate is valid, but its name is not listed as a peer" },
	["too-large"]       = { 7, "The message is larger than the edge takes" },
	["malformed"]       = { 8, "The message is malformed" },
	["too-many-hops"]   = { 9, "Max-Forwards reached zero" },
	["loop"]            = { 10, "The request came back to the edge" },
	["no-such-dialog"]  = { 11, "No such dialog is known here" },
	["no-such-user"]    = { 12, "The user is not registered at the moment" },
	["no-focus"]        = { 13, "No conference server answers at the moment; try again" },
	["no-mcu"]          = { 14, "The media server of this conference is not known or does not answer" },
	["redirect-limit"]  = { 15, "The conference servers redirected the request too often" },
	["bad-redirect"]    = { 16, "A conference server redirected to an address the edge does not know" },
	["method"]          = { 17, "The edge does not carry this method here" },
	["policy"]          = { 18, "The operator's policy denies this" },
	["dial-out"]        = { 19, "Calls to this target are not allowed" },
	["identity"]        = { 20, "The caller's address does not belong to this peer" },
	["media-relay"]     = { 21, "The media relay did not take the media description" },
	["trunk-target"]    = { 22, "Trunks may call conferences only" },
	["register-target"] = { 23, "The contact could not be registered" },
	["timeout"]         = { 24, "The other side did not answer in time" },
	["unreachable"]     = { 25, "The other side cannot be reached" },
	["event"]           = { 26, "This event package is not offered here" },
	["service"]         = { 27, "This service is not offered here" },
	["lost"]            = { 30, "The client's connection has ended" },
	["wrong-password"]  = { 29, "Wrong name or password" },
	["group-chat"]      = { 28, "There is no group chat server here" },
}

function M.diagnostics(why)
	local r = M.reasons[why] or M.reasons["script-error"]

	return string.format('ms-diagnostics: %d;reason="%s";source="%s";component="edge"\r\n', 21000 + r[1], r[2], EDGE.domain)
end

-- Answers the request statefully when it has a transaction, else statelessly. An ACK and a BENOTIFY are never answered.
function M.refuse(code, text, why, extra)
	metrics.count2("conclave_refused", tostring(code), why)
	log.step("step=refuse code=" .. code .. " why=" .. why)
	local method = KSR.pv.gete("$rm")

	if method == "ACK" or method == "BENOTIFY" then return end
	KSR.hdr.append_to_reply(M.diagnostics(why) .. (extra or ""))
	KSR.sl.send_reply(code, text)
end

function M.drop(why)
	metrics.count1("conclave_dropped", why)
	log.step("step=drop why=" .. why)
end

return M
