-- Rows of a board from the top, or from after a cursor, with where the board stands.
-- KEYS: board, state. ARGV: how many rows, then the score and the player of the cursor.
-- Returns: epoch or false, version, rebuilding ('torn' after a half of a write) or false, created, arrived, applied, players, how
-- many rows stand before, then player and score of each row; one row more than asked for if
-- there is one.
local board, state = KEYS[1], KEYS[2]
local limit, score, player = tonumber(ARGV[1]), ARGV[2], ARGV[3]

-- Byte order, as Redis orders equal scores; Lua's own `<` asks the server's locale.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local start = 0
if score then
  start = redis.call('ZCOUNT', board, '(' .. score, '+inf')
  -- Among the equal ones, which stand in descending order, find the first beyond the cursor.
  local high = start + redis.call('ZCOUNT', board, score, score)
  while start < high do
    local middle = math.floor((start + high) / 2)
    if before(redis.call('ZREVRANGE', board, middle, middle)[1], player) then
      high = middle
    else
      start = middle + 1
    end
  end
end

local reply = redis.call('HMGET', state, 'epoch', 'version', 'rebuilding', 'created', 'arrived', 'applied')
local marks = redis.call('HMGET', state, 'entered', 'left')
if marks[1] ~= marks[2] then
  reply[3] = 'torn'
end
reply[7] = redis.call('ZCARD', board)
reply[8] = start
for i, item in ipairs(redis.call('ZREVRANGE', board, start, start + limit, 'WITHSCORES')) do
  reply[8 + i] = item
end
return reply
