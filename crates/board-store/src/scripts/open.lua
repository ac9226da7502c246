-- Where a board stands, and the epoch raised if it stands behind what was seen of it before.
-- KEYS: state, offsets. ARGV: the epoch and version seen before (0, 0: none).
-- Returns: epoch or false, version, rules, then field and offset of every partition.
local state, offsets = KEYS[1], KEYS[2]
local seen_epoch, seen_version = tonumber(ARGV[1]), tonumber(ARGV[2])

local found = redis.call('HMGET', state, 'epoch', 'version', 'rules')
if not found[1] then
  return { false }
end
local epoch, version = tonumber(found[1]), tonumber(found[2])
if epoch < seen_epoch or (epoch == seen_epoch and version < seen_version) then
  -- Redis came back without its tail, or as an old copy: versions would go backwards.
  epoch = seen_epoch + 1
  redis.call('HSET', state, 'epoch', string.format('%d', epoch))
end
local reply = { string.format('%d', epoch), found[2], found[3] }
for _, item in ipairs(redis.call('HGETALL', offsets)) do
  reply[#reply + 1] = item
end
return reply
