-- Begins a board anew, beside what readers see; a write that its script leaves. Comes before the
-- scripts that need it.
-- `mode` is false (nothing was there before), 'log' or 'archive': what it is rebuilt from.
-- `partitions` is a list of { field, oldest offset, end of the log }.
local function begin_board(keys, epoch, rules, mode, partitions)
  drop(keys.rebuilt)
  redis.call('DEL', keys.offsets, keys.targets, keys.state)
  epoch = string.format('%d', epoch)
  redis.call('HSET', keys.state, 'epoch', epoch, 'begun', epoch, 'version', '0', 'rules', rules, 'entered', '1')
  if mode then
    redis.call('HSET', keys.state, 'rebuilding', mode)
  end
  if mode == 'archive' then
    redis.call('HSET', keys.state, 'filling', '0')
  end
  for _, partition in ipairs(partitions) do
    redis.call('HSET', keys.targets, partition.field, partition.high)
    if mode ~= 'archive' then
      redis.call('HSET', keys.offsets, partition.field, partition.low)
    end
  end
end
