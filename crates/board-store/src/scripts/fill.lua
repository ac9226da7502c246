-- Pours a portion of the archive into a board that is being filled.
-- KEYS: state, lease, the sorted set or the set.
-- ARGV: who fills, for how many ms at most without a sign of life, how many portions were poured
-- before, then either
--   'rows', then double and player of each row, or
--   'ids', for how many seconds they are kept, then the ids.
-- Returns 1, or 0 when someone else fills it by now, or a portion before this one is lost.
local state, lease, into = KEYS[1], KEYS[2], KEYS[3]
if redis.call('GET', lease) ~= ARGV[1] or redis.call('HGET', state, 'filling') ~= ARGV[3] then
  return 0
end
enter(state)
if ARGV[4] == 'rows' then
  redis.call('ZADD', into, unpack(ARGV, 5))
else
  redis.call('SADD', into, unpack(ARGV, 6))
  redis.call('EXPIRE', into, ARGV[5])
end
redis.call('HINCRBY', state, 'filling', 1)
redis.call('PEXPIRE', lease, ARGV[2])
leave(state)
return 1
