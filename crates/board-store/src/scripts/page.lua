-- Rows of a board from the top, or from after a cursor, with where the board stands.
-- KEYS: as `view` says. ARGV: how ranks are counted, how many rows, then the score and the player of
-- the cursor.
-- Returns: the stand, created, arrived, applied, the window that the board is turned to (false for
-- none), then the rows; one more than asked for if there is one.
local mode, limit, score, player = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

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
  start = redis.call('ZCOUNT', view, '(' .. score, '+inf')
  -- Among the equal ones, which stand in descending order, find the first beyond the cursor.
  local high = start + redis.call('ZCOUNT', view, score, score)
  while start < high do
    local middle = math.floor((start + high) / 2)
    if before(redis.call('ZREVRANGE', view, middle, middle)[1], player) then
      high = middle
    else
      start = middle + 1
    end
  end
end

local reply = stand()
for i, field in ipairs(redis.call('HMGET', state, 'created', 'arrived', 'applied', 'window')) do
  reply[5 + i] = field
end
return add_rows(reply, mode, start, limit + 1)
