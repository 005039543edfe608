-- SPDX-License-Identifier: Apache-2.0
-- What the edge did, one line a step, with the Call-ID first so that `confctl why CALL-ID` finds a call's whole story.
-- A line never holds credentials: callers pass names, addresses and codes only.
local M = {}

local function clean(s)
	return (s:gsub("[%c]", "?"))
end

-- In UTC to the millisecond, as the daemons write it: confctl sorts the lines of all parts.
local function now()
	local s, ms = KSR.pv.gete("$TV(Sn)"):match("^(%d+)%.(%d%d%d)")

	return os.date("!%Y-%m-%dT%H:%M:%S", tonumber(s)) .. "." .. (ms or "000")
end

local function line(text)
	return "why call=" .. clean(KSR.pv.gete("$ci")) .. " " .. clean(text) .. " method=" .. clean(KSR.pv.gete("$rm")) ..
		" at=" .. now() .. "\n"
end

function M.step(text)  KSR.info(line(text)) end
function M.warn(text)  KSR.warn(line(text)) end
function M.error(text) KSR.err(line(text)) end

-- Notifications are nearly all messages of a large conference: those that pass say nothing, those that fail do.
local many = { NOTIFY = true, BENOTIFY = true }

function M.passing(text)
	if not many[KSR.pv.gete("$rm")] then M.step(text) end
end

return M
