-- The keys of a board, which all hash to one slot. Comes before the scripts that need it.
local function keys_of(board)
  local function key(part)
    return '{' .. board .. '}:' .. part
  end
  -- The sets of the board's views: `whole` is that of all players for all time.
  local function side(whole, prefix)
    local function beside(what)
      return function(view)
        return key(prefix .. what .. (view == '' and '' or ':' .. view))
      end
    end
    return {
      -- The views that are there beside the whole, and the values that have a board.
      views = key(prefix .. 'views'),
      values = key(prefix .. 'values'),
      set = function(view)
        return view == '' and whole or key(prefix .. view)
      end,
      -- On a board of last scores: which event is each player's newest.
      newest = beside('newest'),
      -- On a board that keeps dense ranks: the totals that there are, and how many players have each.
      totals = beside('totals'),
      counts = beside('counts'),
    }
  end
  return {
    board = board,
    state = key('state'),
    offsets = key('offsets'),
    targets = key('targets'),
    lease = key('lease'),
    ids = function(begun, day)
      return key('ids:' .. begun .. ':' .. day)
    end,
    -- What readers see, and what is rebuilt beside it.
    shown = side(board, ''),
    rebuilt = side(key('rebuild'), 'rebuild:'),
  }
end

-- All views of a side.
local function views_of(side)
  local views = redis.call('SMEMBERS', side.views)
  views[#views + 1] = ''
  return views
end

-- The keys of one view.
local function keys_of_view(side, view)
  return side.set(view), side.newest(view), side.totals(view), side.counts(view)
end

-- Takes a side away.
local function drop(side)
  for _, view in ipairs(views_of(side)) do
    redis.call('UNLINK', keys_of_view(side, view))
  end
  redis.call('UNLINK', side.views, side.values)
end
