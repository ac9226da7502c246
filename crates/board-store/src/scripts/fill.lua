-- Pours a portion of the archive into a board that is being filled.
-- KEYS: the board.
-- ARGV: who fills, for how many ms at most without a sign of life, how many portions were poured
-- before, then one of
--   'rows', the view's name, its value ('' where the board is not per value), 'newest' where each
--     row says of which event it is, 'dense' where dense ranks are kept, then double and player of
--     each row, and that;
--   'ids', the epoch at which the board was begun, the day, for how many seconds they are kept,
--     then the ids;
--   'nothing', for a sign of life.
-- Returns 1, or 0 when someone else fills it by now, or a portion before this one is lost.
local keys = keys_of(KEYS[1])
local token, lease_ms, portion, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('GET', keys.lease) ~= token or redis.call('HGET', keys.state, 'filling') ~= portion then
  return 0
end
enter(keys.state)
if kind == 'rows' then
  local view, value, words = ARGV[5], ARGV[6], ARGV[7] == 'newest' and 3 or 2
  local side, rows, newest = keys.rebuilt, {}, {}
  for i = 9, #ARGV, words do
    rows[#rows + 1], rows[#rows + 2] = ARGV[i], ARGV[i + 1]
    if words == 3 then
      newest[#newest + 1], newest[#newest + 2] = ARGV[i + 1], ARGV[i + 2]
    end
  end
  -- Listed first: half of a write leaves no view that nobody knows of.
  if view ~= '' then
    redis.call('SADD', side.views, view)
  end
  if value ~= '' then
    redis.call('SADD', side.values, value)
  end
  write_rows(side, view, rows, ARGV[8] == 'dense')
  if words == 3 then
    redis.call('HSET', side.newest(view), unpack(newest))
  end
elseif kind == 'ids' then
  local ids = keys.ids(ARGV[5], ARGV[6])
  redis.call('SADD', ids, unpack(ARGV, 8))
  redis.call('EXPIRE', ids, ARGV[7])
end
redis.call('HINCRBY', keys.state, 'filling', 1)
redis.call('PEXPIRE', keys.lease, lease_ms)
leave(keys.state)
return 1
