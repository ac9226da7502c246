-- How a board's entries merge. Comes before the scripts that need it, after `write_rows`.
--
-- A batch's entries of one view are { name, players, one, two }: lists of equal length, of which
-- `one` and `two` are the words that an entry has beside its player. `merge` takes in another entry
-- of the player at i. `write` merges all with where the players stand, and returns whether that
-- changed anything.
local aggregates = {}

-- Scores or events added up: how many, and when the last of them happened.
aggregates.sum = {
  words = 2,
  read = tonumber,
  merge = function(view, i, delta, reached)
    view.one[i] = view.one[i] + delta
    view.two[i] = math.max(view.two[i], reached)
  end,
  write = function(side, view, dense, limit)
    local players, deltas, times = view.players, view.one, view.two
    local standing = redis.call('ZMSCORE', side.set(view.name), unpack(players))
    local rows = {}
    for i = 1, #players do
      local total, reached = 0, 0
      if standing[i] then
        total, reached = total_and_time(tonumber(standing[i]))
      end
      total = math.max(-limit, math.min(limit, total + deltas[i]))
      rows[2 * i - 1] = score_of(total, math.max(reached, times[i]))
      rows[2 * i] = players[i]
    end
    write_rows(side, view.name, rows, dense, standing)
    return true
  end,
}

-- The best score: its double.
aggregates.best = {
  words = 1,
  merge = function(view, i, score)
    if tonumber(score) > tonumber(view.one[i]) then
      view.one[i] = score
    end
  end,
  write = function(side, view, dense)
    local rows = {}
    if dense then
      local standing = redis.call('ZMSCORE', side.set(view.name), unpack(view.players))
      for i, player in ipairs(view.players) do
        if not standing[i] or tonumber(view.one[i]) > tonumber(standing[i]) then
          rows[#rows + 1], rows[#rows + 2] = view.one[i], player
        end
      end
      if #rows > 0 then
        write_rows(side, view.name, rows, dense)
      end
      return #rows > 0
    end
    for i, player in ipairs(view.players) do
      rows[2 * i - 1], rows[2 * i] = view.one[i], player
    end
    return redis.call('ZADD', side.set(view.name), 'GT', 'CH', unpack(rows)) > 0
  end,
}

-- The newest score: its double, and which event it is of: digits, of which the greater text is the
-- newer event's.
aggregates.last = {
  words = 2,
  merge = function(view, i, score, recency)
    if recency > view.two[i] then
      view.one[i], view.two[i] = score, recency
    end
  end,
  write = function(side, view, dense)
    local known = redis.call('HMGET', side.newest(view.name), unpack(view.players))
    local rows, newest = {}, {}
    for i, player in ipairs(view.players) do
      if not known[i] or view.two[i] > known[i] then
        rows[#rows + 1], rows[#rows + 2] = view.one[i], player
        newest[#newest + 1], newest[#newest + 2] = player, view.two[i]
      end
    end
    if #rows == 0 then
      return false
    end
    write_rows(side, view.name, rows, dense)
    redis.call('HSET', side.newest(view.name), unpack(newest))
    return true
  end,
}
