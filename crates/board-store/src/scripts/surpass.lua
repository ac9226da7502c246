-- Makes a board stand beyond what viewers were shown, should Redis have come back behind that.
-- KEYS: state. ARGV: the epoch and version that viewers were shown.
-- Returns whether it did: 1 or 0.
local found = redis.call('HMGET', KEYS[1], 'epoch', 'version')
local epoch, version = tonumber(found[1]), tonumber(found[2])
local shown_epoch, shown_version = tonumber(ARGV[1]), tonumber(ARGV[2])
if not epoch or epoch > shown_epoch or (epoch == shown_epoch and version >= shown_version) then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', string.format('%d', shown_epoch + 1))
return 1
