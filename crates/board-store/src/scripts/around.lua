-- The rows around a player: so many, or all there are, with the player as central as the ends of
-- the board allow.
-- KEYS: as `view` says. ARGV: how ranks are counted, how many rows, the player.
-- Returns: the stand, then the rows; none of them when the player is not on the board.
local mode, size = ARGV[1], tonumber(ARGV[2])

local reply = stand()
local place = redis.call('ZREVRANK', view, ARGV[3])
if not place then
  return add_rows(reply, mode, 0, 0)
end
local last_start = math.max(0, reply[4] - size)
local start = math.min(math.max(0, place - math.floor((size - 1) / 2)), last_start)
return add_rows(reply, mode, start, size)
