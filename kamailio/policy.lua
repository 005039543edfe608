-- SPDX-License-Identifier: Apache-2.0
-- The operator's hooks. Each file in policy.d returns a table with any of these functions (see policy.d/README):
--   on_request(req)          nil: go on; or code, text: refuse
--   choose_room(req)         nil: as dialled; or the user part of the room to take instead
--   allow_dial_out(req)      nil: no opinion; false: refuse; true: allow; or "sip:host:port" of the trunk that takes the call
-- Files are asked in the order of their names; the first that has an opinion decides.
local M = { hooks = {} }

function M.load(files)
	for _, path in ipairs(files) do
		local chunk, err = loadfile(path)

		if not chunk then error("policy: " .. err) end
		local hooks = chunk()
		if type(hooks) ~= "table" then error("policy: " .. path .. " must return a table of functions") end
		M.hooks[#M.hooks + 1] = hooks
	end
end

-- What a hook sees: plain values, so that a policy cannot break the request by accident.
local function view(R)
	return { method = R.method, call_id = R.callid, from = R.from_user .. "@" .. R.from_host, to = R.ruri,
		user = R.user, number = M.number(R.ruri), source = R.ip, transport = R.proto, access = R.who.kind, name = R.who.name,
		principal = R.principal }
end

-- The number that is dialled, "+4930123456" however it is written; nil when it is none.
function M.number(ruri)
	local digits = ruri:match("^tel:([^;]+)") or ruri:match("^sips?:([^@;:]+)")
	local plain = digits and digits:gsub("[%-%.%(%)]", "")

	return plain and plain:match("^%+?%d+$") or nil
end

local function ask(name, R)
	local seen

	for _, hooks in ipairs(M.hooks) do
		if hooks[name] then
			seen = seen or view(R)
			local a, b = hooks[name](seen)

			if a ~= nil then return a, b end
		end
	end
	return nil
end

function M.on_request(R)     return ask("on_request", R) end
function M.choose_room(R)    return ask("choose_room", R) end
function M.allow_dial_out(R) return ask("allow_dial_out", R) end

return M
