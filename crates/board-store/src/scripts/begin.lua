-- Begins a board, or the partitions that are new to it.
-- KEYS: board, state, offsets, rebuild, targets.
-- ARGV: the epoch seen before (0: never), the rules, then for each partition: field, oldest
-- offset, end of the log.
-- Returns 'ok', 'foreign' (a key of the board's name is there that is not ours) or 'history'
-- (the board is to be rebuilt, but the log does not reach back to its beginning).
local board, state, offsets, rebuild, targets = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local seen_epoch, rules = tonumber(ARGV[1]), ARGV[2]

if redis.call('HEXISTS', state, 'epoch') == 1 then
  for i = 3, #ARGV, 3 do
    redis.call('HSETNX', offsets, ARGV[i], ARGV[i + 1])
  end
  return 'ok'
end

local lost = seen_epoch > 0
if not lost and redis.call('EXISTS', board) == 1 then
  return 'foreign'
end
local whole = true
for i = 3, #ARGV, 3 do
  if lost and ARGV[i + 1] ~= '0' then
    return 'history'
  end
  if ARGV[i + 1] ~= ARGV[i + 2] then
    whole = false
  end
end

redis.call('DEL', offsets, rebuild, targets)
for i = 3, #ARGV, 3 do
  redis.call('HSET', offsets, ARGV[i], ARGV[i + 1])
  redis.call('HSET', targets, ARGV[i], ARGV[i + 2])
end
redis.call('HSET', state, 'epoch', string.format('%d', seen_epoch + 1), 'version', '0', 'rules', rules)
if lost and not whole then
  redis.call('HSET', state, 'rebuilding', '1')
end
return 'ok'
