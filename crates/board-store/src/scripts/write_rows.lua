-- Writes rows of a view. Comes before the scripts that need it, after `keys`.
--
-- On a board that keeps dense ranks, the totals that there are are kept beside, each with how many
-- players have it.
-- Counts `count` doubles that players leave and those that they take; either may be missing.
local function count_totals(side, view, count, left, taken)
  local more = {}
  local function add(score, difference)
    if score then
      local total = math.floor(tonumber(score))
      more[total] = (more[total] or 0) + difference
    end
  end
  for i = 1, count do
    add(left[i], -1)
    add(taken[i], 1)
  end
  for total, difference in pairs(more) do
    if difference ~= 0 then
      local text = string.format('%.0f', total)
      local count = redis.call('HINCRBY', side.counts(view), text, difference)
      if count == 0 then
        redis.call('HDEL', side.counts(view), text)
        redis.call('ZREM', side.totals(view), text)
      elseif count == difference then
        redis.call('ZADD', side.totals(view), text, text)
      end
    end
  end
end

-- `rows` are double and player of each; `before` are the doubles under which they stood, asked for
-- here where it is not said and needed.
local function write_rows(side, view, rows, dense, before)
  if dense then
    local players, taken = {}, {}
    for i = 1, #rows, 2 do
      taken[#taken + 1], players[#players + 1] = rows[i], rows[i + 1]
    end
    local left = before or redis.call('ZMSCORE', side.set(view), unpack(players))
    count_totals(side, view, #taken, left, taken)
  end
  redis.call('ZADD', side.set(view), unpack(rows))
end
