-- Gives what a player has to a pseudonym, in every view of the board and of what is rebuilt beside
-- it.
-- KEYS: the board. ARGV: 'erase', or 'look' to change nothing; the aggregate, the limit of totals,
-- 'dense' where dense ranks are kept, the player, the pseudonym ('' to look for the player alone).
-- Returns in how many views of the board, and of the rebuild, the player stands, and in how many
-- the pseudonym stood before.
local keys = keys_of(KEYS[1])
local look, aggregate, limit = ARGV[1] == 'look', ARGV[2], tonumber(ARGV[3])
local dense, player, pseudonym = ARGV[4] == 'dense', ARGV[5], ARGV[6]

-- Both players' events in one: whether the pseudonym gets another double for them, and which.
local function merged(side, view, one, other)
  if aggregate == 'best' then
    return tonumber(one) > tonumber(other), one
  end
  if aggregate == 'last' then
    local newest = redis.call('HMGET', side.newest(view), player, pseudonym)
    return (newest[1] or '') > (newest[2] or ''), one
  end
  local total, reached = total_and_time(tonumber(one))
  local more, later = total_and_time(tonumber(other))
  total = math.max(-limit, math.min(limit, total + more))
  return true, score_of(total, math.max(reached, later))
end

local reply = { 0, 0, 0 }
local found = {}
for i, side in ipairs({ keys.shown, keys.rebuilt }) do
  for _, view in ipairs(views_of(side)) do
    local scores = redis.call('ZMSCORE', side.set(view), player, pseudonym)
    if scores[1] then
      reply[i] = reply[i] + 1
      reply[3] = reply[3] + (scores[2] and 1 or 0)
      found[#found + 1] = { side = side, view = view, score = scores[1], known = scores[2] }
    end
  end
end
if look then
  return reply
end

local is_begun = redis.call('HEXISTS', keys.state, 'epoch') == 1
if is_begun then
  enter(keys.state)
end
for _, place in ipairs(found) do
  local side, view = place.side, place.view
  local moves, score = true, place.score
  if place.known then
    moves, score = merged(side, view, place.score, place.known)
  end
  if moves then
    write_rows(side, view, { score, pseudonym }, dense)
  end
  if dense then
    count_totals(side, view, 1, { place.score }, {})
  end
  redis.call('ZREM', side.set(view), player)
  if aggregate == 'last' then
    if moves then
      redis.call('HSET', side.newest(view), pseudonym, redis.call('HGET', side.newest(view), player))
    end
    redis.call('HDEL', side.newest(view), player)
  end
end
if is_begun then
  -- So that whoever publishes the board looks at it.
  redis.call('HINCRBY', keys.state, 'version', #found > 0 and 1 or 0)
  leave(keys.state)
end
return reply
