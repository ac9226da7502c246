-- Begins a board anew, beside what readers see; a write that its script leaves. Comes before the
-- scripts that need it.
-- `meaning` says what the doubles mean that these `rules` make. `mode` is false (nothing was there
-- before), 'log' or 'archive': what it is rebuilt from.
-- `partitions` is a list of { field, oldest offset, end of the log }.
local function begin_board(keys, epoch, rules, meaning, mode, partitions)
  -- What readers see was made by the rules of before.
  local shown = meaning
  if mode then
    shown = redis.call('HGET', keys.state, 'meaning')
  end
  drop(keys.rebuilt)
  redis.call('DEL', keys.offsets, keys.targets, keys.state)
  epoch = string.format('%d', epoch)
  local fields = { 'epoch', epoch, 'begun', epoch, 'version', '0', 'rules', rules, 'rebuilt_meaning', meaning }
  if shown then
    fields[#fields + 1], fields[#fields + 2] = 'meaning', shown
  end
  redis.call('HSET', keys.state, 'entered', '1', unpack(fields))
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
