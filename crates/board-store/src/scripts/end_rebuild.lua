-- Ends a rebuild whose offsets have reached its targets: what was rebuilt takes the place of what
-- readers saw. Comes before the scripts that need it. Returns whether it ended.
local function end_rebuild(keys)
  local mode = redis.call('HGET', keys.state, 'rebuilding')
  if not mode then
    return false
  end
  local goal = redis.call('HGETALL', keys.targets)
  for i = 1, #goal, 2 do
    local now = redis.call('HGET', keys.offsets, goal[i])
    if not now or tonumber(now) < tonumber(goal[i + 1]) then
      return false
    end
  end
  if mode ~= 'rewind' then
    drop(keys.shown)
    local function take(from, to)
      if redis.call('EXISTS', from) == 1 then
        redis.call('RENAME', from, to)
      end
    end
    for _, view in ipairs(views_of(keys.rebuilt)) do
      local from, to = { keys_of_view(keys.rebuilt, view) }, { keys_of_view(keys.shown, view) }
      for i = 1, #from do
        take(from[i], to[i])
      end
    end
    take(keys.rebuilt.views, keys.shown.views)
    take(keys.rebuilt.values, keys.shown.values)
    local meaning = redis.call('HGET', keys.state, 'rebuilt_meaning')
    if meaning then
      redis.call('HSET', keys.state, 'meaning', meaning)
    end
  end
  redis.call('HDEL', keys.state, 'rebuilding')
  redis.call('DEL', keys.targets)
  redis.call('HINCRBY', keys.state, 'version', 1)
  return true
end
