-- Applies a batch to a board, and advances its offsets, in one atomic step that is refused when
-- the offsets are not where the batch begins.
--
-- KEYS: board, state, offsets, rebuild, targets, then the id sets of the days that the batch
-- needs.
-- ARGV: fence ('on'; for the negative controls of the tests 'off', 'data', 'offsets': no
--   comparison, and both, only the one, only the other is written), the limit of totals,
--   the epoch at which the board was begun,
--   created, arrived, applied: the stages of the newest event, in ms ('' without one),
--   the numbers of spans, players and identified events, then for each
--   span: field, from, to;
--   player: id, delta, reached;
--   identified event: index in KEYS of the day before its arrival, id, member, delta, reached.
-- Returns 'ok', epoch, version, or 'lost', or 'fenced', field, stored, from.
--
-- A script has no rollback: everything is read and checked before the first write.
local keys = { board = KEYS[1], state = KEYS[2], offsets = KEYS[3], rebuild = KEYS[4], targets = KEYS[5] }
local fence, limit, begun = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local created, arrived, applied = ARGV[4], ARGV[5], ARGV[6]
local n_spans, n_players, n_identified = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local FIRST_SPAN = 10
local ID_LIFE_SECONDS = 3 * 86400

-- The same numbers as in the boards crate's `order`.
local REACHED_BITS, DOUBLE_BITS = 36, 53
local function bits_below(total)
  local _, bits_above = math.frexp(total)
  return math.min(REACHED_BITS, DOUBLE_BITS - bits_above)
end

local head = redis.call('HMGET', keys.state, 'epoch', 'begun', 'rebuilding', 'entered', 'left')
local rebuilding = head[3]
if head[2] ~= begun or head[4] ~= head[5] then
  return { 'lost' }
end
-- Redis that lost its tail catches up in place; else a board is rebuilt beside what readers see.
local zset = rebuilding and rebuilding ~= 'rewind' and keys.rebuild or keys.board

-- The fence. A board that is being filled has no offsets, so it refuses everything.
local at = FIRST_SPAN
local fields, froms, ends = {}, {}, {}
for i = 1, n_spans do
  fields[i], froms[i] = ARGV[at], ARGV[at + 1]
  ends[2 * i - 1], ends[2 * i] = ARGV[at], ARGV[at + 2]
  at = at + 3
end
local stored = redis.call('HMGET', keys.offsets, unpack(fields))
for i = 1, n_spans do
  if fence == 'on' and stored[i] ~= froms[i] then
    return { 'fenced', fields[i], stored[i] or 'nothing', froms[i] }
  end
end
if fence == 'offsets' then
  n_players, n_identified, arrived = 0, 0, ''
end

-- From here on nothing can be refused.
enter(keys.state)

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
    -- Remembered whether it counts or not.
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

if fence ~= 'data' then
  redis.call('HSET', keys.offsets, unpack(ends))
end
-- A batch of refused records or known ids moves the offsets and nothing else.
local version = redis.call('HINCRBY', keys.state, 'version', #players > 0 and 1 or 0)
if arrived ~= '' then
  redis.call('HSET', keys.state, 'created', created, 'arrived', arrived, 'applied', applied)
end
if rebuilding and end_rebuild(keys) then
  version = version + 1
end
leave(keys.state)
return { 'ok', head[1], version }
