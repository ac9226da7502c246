-- Applies a batch to a board, and advances its offsets, in one atomic step that is refused when
-- the offsets are not where the batch begins.
--
-- KEYS: board, state, offsets, rebuild, targets, then the id sets of the days that the batch
-- needs.
-- ARGV: fence ('1', or '0' for the negative control of the tests), the limit of totals,
--   created, arrived, applied: the stages of the newest event, in ms ('' without one),
--   the numbers of spans, players and identified events, then for each
--   span: field, from, to;
--   player: id, delta, reached;
--   identified event: index in KEYS of the day before its arrival, id, member, delta, reached.
-- Returns 'ok', epoch, version, or 'lost', or 'fenced', field, stored, from.
--
-- A script has no rollback: everything is read and checked before the first write.
local board, state, offsets, rebuild, targets = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local fence, limit = ARGV[1] == '1', tonumber(ARGV[2])
local created, arrived, applied = ARGV[3], ARGV[4], ARGV[5]
local n_spans, n_players, n_identified = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local ID_LIFE_SECONDS = 3 * 86400

-- The same numbers as in the boards crate's `order`.
local REACHED_BITS, DOUBLE_BITS = 36, 53
local function bits_below(total)
  local _, bits_above = math.frexp(total)
  return math.min(REACHED_BITS, DOUBLE_BITS - bits_above)
end

local head = redis.call('HMGET', state, 'epoch', 'rebuilding')
if not head[1] then
  return { 'lost' }
end
local zset = head[2] and rebuild or board

-- The fence.
local at = 9
local fields, ends = {}, {}
for i = 1, n_spans do
  fields[i] = ARGV[at]
  ends[2 * i - 1], ends[2 * i] = ARGV[at], ARGV[at + 2]
  at = at + 3
end
local stored = redis.call('HMGET', offsets, unpack(fields))
for i = 1, n_spans do
  local from = ARGV[8 + 3 * i - 1]
  if fence and stored[i] ~= from then
    return { 'fenced', fields[i], stored[i] or 'nothing', from }
  end
end

-- What each player gets.
local players, index, deltas, reached = {}, {}, {}, {}
for i = 1, n_players do
  players[i], deltas[i], reached[i] = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
end
if n_identified > 0 then
  for i = 1, n_players do
    index[players[i]] = i
  end
  for _ = 1, n_identified do
    local day, player, member = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
    local delta, time = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    at = at + 5
    local seen = redis.call('SISMEMBER', KEYS[day], member) + redis.call('SISMEMBER', KEYS[day + 2], member)
    -- Remembered whether it counts or not. From here on nothing can be refused.
    local new = redis.call('SADD', KEYS[day + 1], member)
    redis.call('EXPIRE', KEYS[day + 1], ID_LIFE_SECONDS)
    if seen == 0 and new == 1 then
      local i = index[player]
      if i then
        deltas[i] = deltas[i] + delta
        reached[i] = math.max(reached[i], time)
      else
        i = #players + 1
        players[i], index[player], deltas[i], reached[i] = player, i, delta, time
      end
    end
  end
end

-- Merge with where they stand.
if #players > 0 then
  local standing = redis.call('ZMSCORE', zset, unpack(players))
  local rows = {}
  for i = 1, #players do
    local total, step = 0, 0
    if standing[i] then
      local old = tonumber(standing[i])
      total = math.floor(old)
      local steps = 2 ^ bits_below(total)
      step = (steps - 1 - (old - total) * steps) * 2 ^ REACHED_BITS / steps
    end
    total = math.max(-limit, math.min(limit, total + deltas[i]))
    local bits = bits_below(total)
    local steps = 2 ^ bits
    local cut = math.floor(math.max(step, reached[i]) / 2 ^ (REACHED_BITS - bits))
    rows[2 * i - 1] = string.format('%.17g', total + (steps - 1 - cut) / steps)
    rows[2 * i] = players[i]
  end
  redis.call('ZADD', zset, unpack(rows))
end

redis.call('HSET', offsets, unpack(ends))
-- A batch of refused records or known ids moves the offsets and nothing else.
local version = redis.call('HINCRBY', state, 'version', #players > 0 and 1 or 0)
if arrived ~= '' then
  redis.call('HSET', state, 'created', created, 'arrived', arrived, 'applied', applied)
end

-- A rebuilt board that is whole takes the place of the old one.
if head[2] then
  local goal, now = redis.call('HGETALL', targets), {}
  for i = 1, #goal, 2 do
    now[(i + 1) / 2] = goal[i]
  end
  now = redis.call('HMGET', offsets, unpack(now))
  for i = 1, #now do
    if tonumber(now[i]) < tonumber(goal[2 * i]) then
      return { 'ok', head[1], version }
    end
  end
  if redis.call('EXISTS', rebuild) == 1 then
    redis.call('RENAME', rebuild, board)
  end
  redis.call('HDEL', state, 'rebuilding')
end
return { 'ok', head[1], version }
