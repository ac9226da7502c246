-- Ends a claim on a write, unless someone else has claimed it since.
-- KEYS: the write. ARGV: our claim; what to keep instead, or nothing to forget it; for how many ms.
-- Returns whether it did: 1 or 0.
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
