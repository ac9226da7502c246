-- How many players some views of a board have.
-- KEYS: the board, state, then the views. Returns: the stand, then the number of each.
local reply = stand()
for i = 3, #KEYS do
  reply[3 + i] = redis.call('ZCARD', KEYS[i])
end
return reply
