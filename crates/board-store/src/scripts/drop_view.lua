-- Takes a view away that is over and kept elsewhere.
-- KEYS: the board. ARGV: the epoch at which it was begun, the view's name.
-- Returns 1, or 0 when the board was begun anew, is being mended or was half written.
local keys = keys_of(KEYS[1])
local found = redis.call('HMGET', keys.state, 'begun', 'rebuilding', 'entered', 'left')
if found[1] ~= ARGV[1] or found[2] or found[3] ~= found[4] then
  return 0
end
enter(keys.state)
redis.call('UNLINK', keys_of_view(keys.shown, ARGV[2]))
redis.call('SREM', keys.shown.views, ARGV[2])
redis.call('HINCRBY', keys.state, 'version', 1)
leave(keys.state)
return 1
