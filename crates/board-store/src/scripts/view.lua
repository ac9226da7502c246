-- What the reads of a board have in common. Comes before the scripts that need it.
-- KEYS: the sorted set that is read, the state of its board, and the set of its totals where dense
-- ranks are kept.
-- A player's total is the floor of its double, so those of total t stand from t to below t + 1.
local view, state, totals = KEYS[1], KEYS[2], KEYS[3]
-- The greatest dense rank that is looked for; `DENSE_RANK_LIMIT` in Rust is the same number.
local DENSE_RANK_LIMIT = 200

-- Where the board stands: epoch or false, version, rebuilding ('torn' after a half of a write) or
-- false, players, what its doubles mean.
local function stand()
  local found = redis.call('HMGET', state, 'epoch', 'version', 'rebuilding', 'entered', 'left', 'meaning')
  local rebuilding = found[4] ~= found[5] and 'torn' or found[3]
  return { found[1], found[2], rebuilding, redis.call('ZCARD', view), found[6] }
end

-- A whole number as Redis reads it back.
local function text(number)
  return string.format('%.0f', number)
end

local function total_of(score)
  return math.floor(tonumber(score))
end

-- How many players have a better total.
local function players_above(total)
  return redis.call('ZCOUNT', view, text(total + 1), '+inf')
end

-- How many better totals there are. Where they are not kept, false beyond the limit: then it walks
-- down from the top and goes on where it stopped, so the totals of one script must be asked for from
-- the highest down.
local passed, at = 0, nil
local function totals_above(total)
  if totals then
    return redis.call('ZCOUNT', totals, '(' .. text(total), '+inf')
  end
  at = at or redis.call('ZREVRANGE', view, 0, 0, 'WITHSCORES')[2]
  while at and total_of(at) > total do
    if passed + 1 == DENSE_RANK_LIMIT then
      return false
    end
    passed = passed + 1
    local below = '(' .. text(total_of(at))
    at = redis.call('ZREVRANGEBYSCORE', view, below, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  return passed
end

-- How many stand above a total as `mode` counts them; false for ordinal ranks, which need no more
-- than the place.
local function above(mode, total)
  if mode == 'competition' then
    return players_above(total)
  end
  return mode == 'dense' and totals_above(total)
end

-- Adds rows from `start` on: how many stand before the first, how many above it, then player and
-- score of each.
local function add_rows(reply, mode, start, count)
  local rows = count > 0 and redis.call('ZREVRANGE', view, start, start + count - 1, 'WITHSCORES') or {}
  reply[#reply + 1] = start
  reply[#reply + 1] = rows[2] and above(mode, total_of(rows[2])) or false
  for _, item in ipairs(rows) do
    reply[#reply + 1] = item
  end
  return reply
end
