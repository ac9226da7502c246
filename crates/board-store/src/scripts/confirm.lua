-- Whether what was read of a board may be shown. Gives the board a new epoch if not: when it stands
-- behind what viewers were shown, and when the server was started since the epoch began. It may
-- have lost its tail then, and have been written on from there beyond what viewers were shown.
-- KEYS: state. ARGV: the server's run id, the epoch of what was read, the epoch and version that
-- viewers were shown.
-- Returns 1 or 0.
local found = redis.call('HMGET', KEYS[1], 'epoch', 'version', 'server')
local epoch, version, server = tonumber(found[1]), tonumber(found[2]), found[3]
local shown_epoch, shown_version = tonumber(ARGV[3]), tonumber(ARGV[4])
if not epoch then
  return 0
end
local behind = epoch < shown_epoch or (epoch == shown_epoch and version < shown_version)
if behind or (server and server ~= ARGV[1]) then
  epoch = string.format('%d', math.max(epoch, shown_epoch) + 1)
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'server', ARGV[1])
  return 0
end
if not server then
  redis.call('HSET', KEYS[1], 'server', ARGV[1])
end
return epoch == tonumber(ARGV[2]) and 1 or 0
