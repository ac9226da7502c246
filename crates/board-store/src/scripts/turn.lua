-- Turns a board to the window that it shows from now on, and moves its version, so that viewers take
-- that for the newer. Never back to a window that was shown before.
-- KEYS: state. ARGV: the window's id; since when it is shown, in microseconds since the Unix epoch.
-- Returns the id of the window that the board is turned to; false when there is no board, or only a
-- half of one.
local found = redis.call('HMGET', KEYS[1], 'version', 'window', 'since', 'entered', 'left')
if not found[1] or found[4] ~= found[5] then
  return false
end
if found[3] and tonumber(found[3]) >= tonumber(ARGV[2]) then
  return found[2]
end
local version = string.format('%d', found[1] + 1)
-- One command, so no half of it can be applied.
redis.call('HSET', KEYS[1], 'version', version, 'window', ARGV[1], 'since', ARGV[2])
return ARGV[1]
