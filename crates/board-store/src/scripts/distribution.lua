-- How the totals are spread: how many players there are in each of some ranges of equal width,
-- the first of which begins at the least total.
-- KEYS: as `view` says. ARGV: how many ranges at most, the board's order: with 'asc', what is stored is
-- minus the total.
-- Returns: the stand, then the least total, the width, and each range's count; nothing more than
-- the stand when nobody is on the board.
local reply = stand()
if reply[4] == 0 then
  return reply
end
local sign = ARGV[2] == 'asc' and -1 or 1
local lowest = sign * total_of(redis.call('ZRANGE', view, 0, 0, 'WITHSCORES')[2])
local highest = sign * total_of(redis.call('ZREVRANGE', view, 0, 0, 'WITHSCORES')[2])
local least, greatest = math.min(lowest, highest), math.max(lowest, highest)
local width = math.ceil((greatest - least + 1) / tonumber(ARGV[1]))
reply[6], reply[7] = text(least), text(width)
for from = least, greatest, width do
  local first = sign == 1 and from or 1 - from - width
  reply[#reply + 1] = redis.call('ZCOUNT', view, text(first), '(' .. text(first + width))
end
return reply
