-- Caches a snapshot unless a newer one is there.
-- KEYS: the cache. ARGV: the snapshot as JSON, its epoch, its version.
-- Returns whether it was cached: 1 or 0.
local there = redis.call('GET', KEYS[1])
if there then
  local ok, old = pcall(cjson.decode, there)
  local epoch, version = tonumber(ARGV[2]), tonumber(ARGV[3])
  if ok and type(old) == 'table' and (old.epoch > epoch or (old.epoch == epoch and old.version > version)) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
