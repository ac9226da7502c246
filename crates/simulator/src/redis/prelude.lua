-- What scripts see of the server beside the libraries of Lua; returns how a script is run.
-- `rust.text` reads an error that a function written in Rust raised; `rust.line` says which line
-- of the script is running.
local rust = ...
local error, pcall, rawget, setmetatable = error, pcall, rawget, setmetatable
local tostring, type, xpcall = tostring, type, xpcall

-- Nothing that is not the same in every run, and nothing that reaches out of the server.
dofile, loadfile, print, collectgarbage, newproxy = nil
math.random, math.randomseed = nil

redis = { call = rust.call, pcall = rust.pcall }
cjson = { null = rust.null, decode = rust.decode, encode = rust.encode }

function redis.error_reply(text)
  if type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  return { err = (text:gsub('^%-', '')) }
end

function redis.status_reply(text)
  if type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  return { ok = text }
end

-- Redis hands the text of an error to whoever catches it, not the table around it.
local function caught(ok, err, ...)
  if not ok then
    if type(err) == 'userdata' then
      return false, rust.text(err)
    elseif type(err) == 'table' and type(err.err) == 'string' then
      return false, err.err
    end
  end
  return ok, err, ...
end
_G.pcall = function(...)
  return caught(pcall(...))
end

setmetatable(_G, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
  __newindex = function()
    error('Attempt to modify a readonly table', 2)
  end,
})

local function blame(err)
  local text
  if type(err) == 'userdata' then
    text = rust.text(err)
  elseif type(err) == 'table' then
    text = rawget(err, 'err')
  else
    text = 'ERR ' .. tostring(err)
  end
  return { text = text, line = rust.line() }
end

return function(script)
  return xpcall(script, blame)
end
