-- Ends the filling of a board: from here on the log goes on where the archive ended.
-- KEYS: the board.
-- ARGV: who fills, how many portions were poured, then field and next offset of each partition.
-- Returns 1, or 0 when someone else fills it by now, or a portion is lost.
local keys = keys_of(KEYS[1])
if redis.call('GET', keys.lease) ~= ARGV[1] or redis.call('HGET', keys.state, 'filling') ~= ARGV[2] then
  return 0
end
enter(keys.state)
for i = 3, #ARGV, 2 do
  redis.call('HSET', keys.offsets, ARGV[i], ARGV[i + 1])
end
redis.call('HDEL', keys.state, 'filling')
redis.call('DEL', keys.lease)
end_rebuild(keys)
leave(keys.state)
return 1
