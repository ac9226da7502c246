-- Where players stand.
-- KEYS: as `view` says. ARGV: how ranks are counted, then the players.
-- Returns: the stand, then for each player: its score (false when it is not on the board), how
-- many stand before it, how many above it.
local mode = ARGV[1]

local reply = stand()
local ordered = {}
local scores = #ARGV > 1 and redis.call('ZMSCORE', view, unpack(ARGV, 2)) or {}
for i, score in ipairs(scores) do
  local player, first = ARGV[i + 1], 3 * i + 3
  reply[first] = score
  reply[first + 1] = score and redis.call('ZREVRANK', view, player)
  reply[first + 2] = false
  if score and mode ~= 'ordinal' then
    ordered[#ordered + 1] = { total = total_of(score), above = first + 2 }
  end
end
table.sort(ordered, function(a, b)
  return a.total > b.total
end)
for _, player in ipairs(ordered) do
  reply[player.above] = above(mode, player.total)
end
return reply
