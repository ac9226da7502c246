-- Gives a player a nickname unless a newer one was given.
-- KEYS: the player. ARGV: the nickname ('' for none), when it was given in ms.
local given = redis.call('HGET', KEYS[1], 'given_ms')
if given and tonumber(given) > tonumber(ARGV[2]) then
  return 0
end
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'nickname')
  redis.call('HSET', KEYS[1], 'given_ms', ARGV[2])
else
  redis.call('HSET', KEYS[1], 'nickname', ARGV[1], 'given_ms', ARGV[2])
end
return 1
