-- Applies a batch to a board, and advances its offsets, in one atomic step that is refused when
-- the offsets are not where the batch begins.
--
-- KEYS: the board; its other keys are in the same slot.
-- ARGV: fence ('on'; for the negative controls of the tests 'off', 'data', 'offsets': no
--   comparison, and both, only the one, only the other is written), the aggregate, the limit of
--   totals, how many values may have a board, the epoch at which the board was begun, 'dense' where
--   dense ranks are kept,
--   created, arrived, applied: the stages of the newest event, in ms ('' where none changes the
--   board), when the newest event of the batch arrived, whichever boards it is for ('' without one),
--   the numbers of spans, views, scopes and identified events, then for each
--   span: field, from, to;
--   view: name, value ('' where the board is not per value);
--   scope: the number of its views, all of one value, and the index of each, the number of its
--     entries, then for each of these the player and the aggregate's words;
--   identified event: its scope as above, day of its arrival, player, member of the day's set, the
--     aggregate's words.
-- Returns 'ok', epoch, version, how many entries had no room for their value; or 'lost'; or
-- 'fenced', field, stored, from.
--
-- A script has no rollback: everything is read and checked before the first write.
local keys = keys_of(KEYS[1])
local fence, aggregate, begun = ARGV[1], aggregates[ARGV[2]], ARGV[5]
local limit, room = tonumber(ARGV[3]), tonumber(ARGV[4])
local dense = ARGV[6] == 'dense'
local created, arrived, applied = ARGV[7], ARGV[8], ARGV[9]
local newest = tonumber(ARGV[10])
local n_spans, n_views = tonumber(ARGV[11]), tonumber(ARGV[12])
local n_scopes, n_identified = tonumber(ARGV[13]), tonumber(ARGV[14])
local FIRST_SPAN = 15
local ID_LIFE_SECONDS = 3 * 86400

local head = redis.call('HMGET', keys.state, 'epoch', 'begun', 'rebuilding', 'entered', 'left', 'newest')
local rebuilding = head[3]
if head[2] ~= begun or head[4] ~= head[5] then
  return { 'lost' }
end
-- Redis that lost its tail catches up in place; else a board is rebuilt beside what readers see.
local side = rebuilding and rebuilding ~= 'rewind' and keys.rebuilt or keys.shown

-- The fence. A board that is being filled has no offsets, so it refuses everything.
local at = FIRST_SPAN
local fields, froms, ends = {}, {}, {}
for i = 1, n_spans do
  fields[i], froms[i] = ARGV[at], ARGV[at + 1]
  ends[2 * i - 1], ends[2 * i] = ARGV[at], ARGV[at + 2]
  at = at + 3
end
local stored = redis.call('HMGET', keys.offsets, unpack(fields))
for i = 1, n_spans do
  if fence == 'on' and stored[i] ~= froms[i] then
    return { 'fenced', fields[i], stored[i] or 'nothing', froms[i] }
  end
end
if fence == 'offsets' then
  n_views, n_scopes, n_identified, arrived = 0, 0, 0, ''
end

-- From here on nothing can be refused.
enter(keys.state)

-- Whether a value has a board, or may have one; and that it has. Without values the board is one.
local has_board = { [''] = true }
local function may_have_board(value)
  if not has_board[value] and redis.call('SISMEMBER', side.values, value) == 1 then
    has_board[value] = true
  end
  return has_board[value] or redis.call('SCARD', side.values) < room
end
local function give_board(value)
  if not has_board[value] then
    redis.call('SADD', side.values, value)
    has_board[value] = true
  end
end

local views, without_room = {}, 0
for v = 1, n_views do
  views[v] = { name = ARGV[at], value = ARGV[at + 1], players = {}, one = {}, two = {} }
  at = at + 2
end

-- Reads of which views a scope is.
local function scope()
  local of = {}
  for i = 1, tonumber(ARGV[at]) do
    of[i] = views[tonumber(ARGV[at + i])]
  end
  at = at + 1 + #of
  return of
end

-- Takes in an entry of a view: `index` is where its players stand.
local function add(view, player, one, two)
  if not view.index then
    -- The lists of a scope are those of its other views, too.
    local players, ones, twos, index = {}, {}, {}, {}
    for i, known in ipairs(view.players) do
      players[i], ones[i], twos[i], index[known] = known, view.one[i], view.two[i], i
    end
    view.players, view.one, view.two, view.index = players, ones, twos, index
  end
  local i = view.index[player]
  if i then
    aggregate.merge(view, i, one, two)
  else
    i = #view.players + 1
    view.players[i], view.one[i], view.two[i], view.index[player] = player, one, two, i
  end
end

-- What each player gets in each view.
local words, read = aggregate.words, aggregate.read or tostring
for _ = 1, n_scopes do
  local of, n_entries = scope(), tonumber(ARGV[at])
  if may_have_board(of[1].value) then
    give_board(of[1].value)
    local players, ones, twos = {}, {}, {}
    for i = 1, n_entries do
      local entry = at + 1 + (i - 1) * (1 + words)
      players[i], ones[i] = ARGV[entry], read(ARGV[entry + 1])
      twos[i] = words > 1 and read(ARGV[entry + 2])
    end
    for _, view in ipairs(of) do
      if #view.players == 0 then
        view.players, view.one, view.two = players, ones, twos
      else
        for i = 1, n_entries do
          add(view, players[i], ones[i], twos[i])
        end
      end
    end
  else
    without_room = without_room + n_entries * #of
  end
  at = at + 1 + n_entries * (1 + words)
end
for _ = 1, n_identified do
  local of = scope()
  local day, player, member = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local one, two = read(ARGV[at + 3]), words > 1 and read(ARGV[at + 4])
  at = at + 3 + words
  local value = of[1].value
  if may_have_board(value) then
    local today = keys.ids(begun, day)
    local seen = redis.call('SISMEMBER', keys.ids(begun, day - 1), member)
      + redis.call('SISMEMBER', keys.ids(begun, day + 1), member)
    -- Remembered whether it counts or not.
    local new = redis.call('SADD', today, member)
    redis.call('EXPIRE', today, ID_LIFE_SECONDS)
    if seen == 0 and new == 1 then
      give_board(value)
      for _, view in ipairs(of) do
        add(view, player, one, two)
      end
    end
  else
    without_room = without_room + #of
  end
end

-- Listed before they are there: half of a write leaves no view that nobody knows of.
local listed = {}
for _, view in ipairs(views) do
  if #view.players > 0 and view.name ~= '' then
    listed[#listed + 1] = view.name
  end
end
if #listed > 0 then
  redis.call('SADD', side.views, unpack(listed))
end
local changed = false
for _, view in ipairs(views) do
  changed = #view.players > 0 and aggregate.write(side, view, dense, limit) or changed
end

if fence ~= 'data' then
  redis.call('HSET', keys.offsets, unpack(ends))
end
-- A batch of refused records, known ids or worse scores moves the offsets and nothing else.
local version = redis.call('HINCRBY', keys.state, 'version', changed and 1 or 0)
if arrived ~= '' then
  redis.call('HSET', keys.state, 'created', created, 'arrived', arrived, 'applied', applied)
end
if newest and newest > (tonumber(head[6]) or -math.huge) then
  redis.call('HSET', keys.state, 'newest', ARGV[10])
end
if rebuilding and end_rebuild(keys) then
  version = version + 1
end
leave(keys.state)
return { 'ok', head[1], version, without_room }
