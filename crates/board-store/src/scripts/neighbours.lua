-- Where players stand, each with the row above it and the row below.
-- KEYS: view, state. ARGV: the players.
-- Returns: the stand, then for each player the number of its items, and these: its rows, as `add_rows`
-- has them; none when the player is not on the board.
local reply = stand()
for _, player in ipairs(ARGV) do
  local place = redis.call('ZREVRANK', view, player)
  if place then
    local start = math.max(0, place - 1)
    local count = math.min(reply[4], place + 2) - start
    reply[#reply + 1] = 2 + 2 * count
    add_rows(reply, 'ordinal', start, count)
  else
    reply[#reply + 1] = 0
  end
end
return reply
