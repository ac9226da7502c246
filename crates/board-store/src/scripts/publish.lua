-- Caches a snapshot unless one as new is there already.
-- KEYS: the cache. ARGV: the snapshot as JSON, its epoch, its version, '1' while rebuilding.
-- Returns whether it was cached: 1 or 0.
local there = redis.call('GET', KEYS[1])
if there then
  local ok, old = pcall(cjson.decode, there)
  local epoch, version = tonumber(ARGV[2]), tonumber(ARGV[3])
  if ok and type(old) == 'table' then
    local newer = old.epoch > epoch or (old.epoch == epoch and old.version > version)
    local same = old.epoch == epoch and old.version == version
    if newer or (same and (old.rebuilding == true) == (ARGV[4] == '1')) then
      return 0
    end
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
