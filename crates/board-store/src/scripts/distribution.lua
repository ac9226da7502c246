-- How the totals are spread: how many players there are in each of some ranges of equal width,
-- the first of which begins at the least total.
-- KEYS: view, state. ARGV: how many ranges at most.
-- Returns: the stand, then the least total, the width, and each range's count; nothing more than
-- the stand when nobody is on the board.
local reply = stand()
if reply[4] == 0 then
  return reply
end
local least = total_of(redis.call('ZRANGE', view, 0, 0, 'WITHSCORES')[2])
local greatest = total_of(redis.call('ZREVRANGE', view, 0, 0, 'WITHSCORES')[2])
local width = math.ceil((greatest - least + 1) / tonumber(ARGV[1]))
reply[5], reply[6] = text(least), text(width)
for from = least, greatest, width do
  reply[#reply + 1] = redis.call('ZCOUNT', view, text(from), '(' .. text(from + width))
end
return reply
