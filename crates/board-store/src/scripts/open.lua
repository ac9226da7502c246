-- Where a board stands. Begins it, or those of its partitions that are new, and notices when
-- Redis stands behind what was seen of it before, or applied a half of a write.
-- KEYS: the board.
-- ARGV: the epoch and version seen before (0, 0: never), the rules, what the doubles mean that they
-- make, 'log' where a board that never was may begin with the log though that does not reach back to the
-- first record, then for each partition: field, oldest offset, end of the log, the offset that we know
-- was stored ('' for none).
-- Returns one of
--   'stands', epoch, version, begun, then field and offset of every partition;
--   'rules', the rules under which the board was made;
--   'foreign': a key of the board's name is there that is not ours;
--   'history', epoch (0: none): the log does not reach back to what the board needs;
--   'filling': someone is filling the board from the archive.
local keys = keys_of(KEYS[1])
local seen_epoch, seen_version, rules = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local meaning, from_log = ARGV[4], ARGV[5] == 'log'
local partitions = {}
for i = 6, #ARGV, 4 do
  partitions[#partitions + 1] =
    { field = ARGV[i], low = ARGV[i + 1], high = ARGV[i + 2], confirmed = tonumber(ARGV[i + 3]) }
end

local found = redis.call('HMGET', keys.state, 'epoch', 'version', 'rules', 'filling', 'rebuilding', 'entered', 'left')
local epoch, version, rebuilding = tonumber(found[1]), tonumber(found[2]), found[5]
local torn = found[6] ~= found[7]

if epoch and found[3] ~= rules then
  return { 'rules', found[3] }
end
if not epoch or torn then
  local lost, empty = torn or seen_epoch > 0, true
  if not lost and redis.call('EXISTS', keys.board) == 1 then
    return { 'foreign' }
  end
  for _, partition in ipairs(partitions) do
    if (lost or not from_log) and partition.low ~= '0' then
      return { 'history', found[1] or '0' }
    end
    empty = empty and partition.low == partition.high
  end
  begin_board(keys, math.max(epoch or 0, seen_epoch) + 1, rules, meaning, not empty and 'log', partitions)
else
  if found[4] then
    if redis.call('EXISTS', keys.lease) == 1 then
      return { 'filling' }
    end
    -- Whoever filled it is gone.
    return { 'history', found[1] }
  end
  local behind = epoch < seen_epoch or (epoch == seen_epoch and version < seen_version)
  local new = {}
  for _, partition in ipairs(partitions) do
    local stored = tonumber(redis.call('HGET', keys.offsets, partition.field) or 0)
    if stored < tonumber(partition.low) then
      -- Also a partition that Redis may only have forgotten.
      return { 'history', found[1] }
    end
    if epoch == seen_epoch and partition.confirmed and stored < partition.confirmed then
      behind = true
    end
    new[#new + 1], new[#new + 2] = partition.field, stored
  end
  enter(keys.state)
  redis.call('HSET', keys.offsets, unpack(new))
  if not rebuilding then
    -- Boards of before this was written down.
    redis.call('HSETNX', keys.state, 'meaning', meaning)
  end
  if behind then
    -- Redis came back without its tail, or as an old copy. Readers are shown what they saw last
    -- until the board has caught up with the log as it is now.
    redis.call('HSET', keys.state, 'epoch', string.format('%d', math.max(epoch, seen_epoch) + 1))
    if not rebuilding then
      redis.call('HSET', keys.state, 'rebuilding', 'rewind')
    end
    for _, partition in ipairs(partitions) do
      redis.call('HSET', keys.targets, partition.field, partition.high)
    end
  end
  end_rebuild(keys)
end
leave(keys.state)

local reply = redis.call('HMGET', keys.state, 'epoch', 'version', 'begun')
table.insert(reply, 1, 'stands')
for _, item in ipairs(redis.call('HGETALL', keys.offsets)) do
  reply[#reply + 1] = item
end
return reply
