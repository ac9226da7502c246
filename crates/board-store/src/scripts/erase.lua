-- Gives what a player has to a pseudonym, on the board and on the one that is being rebuilt.
-- KEYS: state, board, rebuild. ARGV: the player, the pseudonym, the limit of totals.
-- Returns 1 or 0 for each of: the player was on the board, in the rebuild, the pseudonym stood
-- there before.
local state = KEYS[1]
local player, pseudonym, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

-- The same numbers as in the boards crate's `order`.
local REACHED_BITS, DOUBLE_BITS = 36, 53
local function bits_below(total)
  local _, bits_above = math.frexp(total)
  return math.min(REACHED_BITS, DOUBLE_BITS - bits_above)
end

-- Total and reach time of a double.
local function parts(score)
  local total = math.floor(score)
  local steps = 2 ^ bits_below(total)
  return total, (steps - 1 - (score - total) * steps) * 2 ^ REACHED_BITS / steps
end

-- Both players' events in one.
local function merged(one, other)
  local total, reached = parts(tonumber(one))
  local more, later = parts(tonumber(other))
  total = math.max(-limit, math.min(limit, total + more))
  local bits = bits_below(total)
  local steps = 2 ^ bits
  local cut = math.floor(math.max(reached, later) / 2 ^ (REACHED_BITS - bits))
  return string.format('%.17g', total + (steps - 1 - cut) / steps)
end

local is_begun = redis.call('HEXISTS', state, 'epoch') == 1
if is_begun then
  enter(state)
end
local reply = { 0, 0, 0 }
for i = 1, 2 do
  local zset = KEYS[1 + i]
  local score = redis.call('ZSCORE', zset, player)
  if score then
    local known = redis.call('ZSCORE', zset, pseudonym)
    if known then
      score, reply[3] = merged(known, score), 1
    end
    redis.call('ZADD', zset, score, pseudonym)
    redis.call('ZREM', zset, player)
    reply[i] = 1
  end
end
-- So that whoever publishes the board looks at it.
if is_begun then
  if reply[1] == 1 or reply[2] == 1 then
    redis.call('HINCRBY', state, 'version', 1)
  end
  leave(state)
end
return reply
