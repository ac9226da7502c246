-- Where a total would stand.
-- KEYS: as `view` says. ARGV: the total.
-- Returns: the stand, how many players have it, how many a better one, how many better totals
-- there are (false beyond the limit).
local reply = stand()
local total = tonumber(ARGV[1])
reply[6] = redis.call('ZCOUNT', view, text(total), '(' .. text(total + 1))
reply[7] = players_above(total)
reply[8] = totals_above(total)
return reply
